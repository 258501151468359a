"""Diagrams as PNG files."""

import contextlib
from typing import Any, Iterator, Tuple

from utils.atomic import atomic_path

_DPI = 110


@contextlib.contextmanager
def write_figure(path: str, size: Tuple[float, float], columns: int = 1) -> Iterator[Any]:
    """Yield axes to draw on, then write the picture atomically.

    Args:
        path: PNG to write.
        size: width and height, inches.
        columns: number of axes side by side; if more than one, an array of axes is yielded.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, columns, figsize=size)
    try:
        yield axes
        figure.tight_layout()
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=_DPI)
    finally:
        pyplot.close(figure)
