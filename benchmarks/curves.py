"""Curves as PNG files."""

import contextlib

from utils.atomic import atomic_path

_DPI = 110


@contextlib.contextmanager
def written_figure(path, size, columns=1):
    """Return a context that gives axes to draw on, and writes the picture afterwards, atomically.

    Args:
        path: of the PNG.
        size: width and height, inches.
        columns: how many axes stand side by side; more than one come as an array.
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
