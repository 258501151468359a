"""Pictures of landmark errors: cumulative curve, and the worst faces."""

from typing import Dict, Optional, Sequence

import numpy as np
from PIL import Image, ImageDraw

from evaluation.aflw2000 import AnnotatedPhoto
from evaluation.protocol import BIN_NAMES, yaw_bin
from utils.atomic import atomic_path
from utils.drawing import draw_points, tile_pictures
from utils.photos import read_photo

WORST_COUNT = 16
CURVE_END = 10.0  # percent NME; the usual extent of these curves
_TILE = 320  # pixels
_COLUMNS = 4
_MARGIN = 0.35  # around the box of all points, in box sizes
_TRUTH, _PREDICTION = (60, 220, 90), (255, 80, 60)
_DOT_RADIUS = 2  # pixels


def draw_curve(path: str, errors: Sequence[float], yaws: Sequence[float]) -> None:
    """Write the cumulative error distribution of all photos and of each bin of yaw.

    Args:
        path: the picture to write.
        errors: [n] NME in percent; infinite for a failure, so that no curve reaches it.
        yaws: [n] degrees.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import; needs no display
    from matplotlib.figure import Figure

    # 1. photos of each curve
    values = np.asarray(errors, np.float64)
    bins = np.array([yaw_bin(yaw) for yaw in yaws])
    rows = [("all", np.ones(len(values), bool), 2.5)]
    rows += [("|yaw| " + name, bins == i, 1.2) for i, name in enumerate(BIN_NAMES)]

    # 2. curves
    figure = Figure(figsize=(7, 4.5))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(1, 1, 1)
    for label, chosen, line_width in rows:
        if chosen.any():
            steps = np.sort(values[chosen])
            share = 100.0 * np.arange(len(steps) + 1) / len(steps)
            axes.step(
                np.concatenate([[0], steps]),
                share,
                where="post",
                linewidth=line_width,
                label="{} ({} photos)".format(label, len(steps)),
            )

    # 3. axes and legend
    axes.set(
        xlim=(0, CURVE_END),
        ylim=(0, 100),
        xlabel="NME, % of the face's size",
        ylabel="photos at or below, %",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def draw_worst(
    path: str,
    annotated: Sequence[AnnotatedPhoto],
    errors: Sequence[float],
    predictions: Dict[str, np.ndarray],
) -> None:
    """Write the worst faces with the true landmarks in green and the predicted ones in red.

    Args:
        path: the picture to write.
        annotated: [n] photos with their ground truth.
        errors: [n] NME in percent.
        predictions: name -> [68, 2]; absent for failures, which count as worst.
    """
    order = np.argsort(-np.asarray(errors), kind="stable")[:WORST_COUNT]
    tiles = [
        _tile(annotated[i], errors[i], predictions.get(annotated[i].photo.name)) for i in order
    ]
    sheet = tile_pictures(tiles, min(len(tiles), _COLUMNS))
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary)


def _tile(annotation: AnnotatedPhoto, error: float, predicted: Optional[np.ndarray]) -> Image.Image:
    """Return one face, cut out around its true landmarks, with both sets of points."""
    # 1. cut out the face; outside of the photo the tile is black
    truth = annotation.landmarks
    center = (truth.min(axis=0) + truth.max(axis=0)) / 2
    half = np.ptp(truth, axis=0).max() * (0.5 + _MARGIN)
    scale = _TILE / (2 * half)
    photo = Image.fromarray(read_photo(annotation.photo.path))
    tile = photo.transform(
        (_TILE, _TILE),
        Image.AFFINE,
        (1 / scale, 0, center[0] + 0.5 - half, 0, 1 / scale, center[1] + 0.5 - half),
        resample=Image.BICUBIC,
    )

    # 2. true and predicted landmarks, joined
    draw = ImageDraw.Draw(tile)
    if predicted is not None:
        for line in zip(
            _on_tile(truth, center, half, scale), _on_tile(predicted, center, half, scale)
        ):
            draw.line([tuple(point) for point in line], fill=(255, 220, 0))
        draw_points(tile, _on_tile(predicted, center, half, scale), _PREDICTION, _DOT_RADIUS)
    draw_points(tile, _on_tile(truth, center, half, scale), _TRUTH, _DOT_RADIUS)

    # 3. name, yaw and error
    label = "{}  yaw {:.0f}  {}".format(
        annotation.photo.name,
        annotation.yaw,
        "no prediction" if predicted is None else "NME {:.2f}".format(error),
    )
    draw.rectangle([0, 0, _TILE, 14], fill=(0, 0, 0))
    draw.text((4, 2), label, fill=(255, 255, 255))
    return tile


def _on_tile(points: np.ndarray, center: np.ndarray, half: float, scale: float) -> np.ndarray:
    """Map points from the photo to a tile."""
    return (np.asarray(points) - center + half) * scale
