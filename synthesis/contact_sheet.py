"""Some faces of a folder in one picture, with their landmarks and masks, for a person to look at."""

import os

import numpy as np
import scipy.io
from PIL import Image

from geometry.camera import IMAGE_SIZE, flip_y
from synthesis.formats import item_name
from utils.atomic import atomic_path
from utils.drawing import draw_points, tile_pictures

_COLUMNS, _ROWS = 8, 6


def contact_sheet(folder, kind, count, path):
    """Draw up to 24 processed faces beside their masks, or 48 photos, all read back from the folder.

    Args:
        folder: made by ``synthesis.dataset``.
        kind: one of ``synthesis.formats.FORMATS``.
        count: how many faces the folder holds.
        path: the PNG to write.
    """
    per_face = 2 if kind == "processed" else 1
    indices = np.unique(np.linspace(0, count - 1, _COLUMNS * _ROWS // per_face).round().astype(int))
    cells = [cell for index in indices for cell in _cells(folder, kind, item_name(index))]
    with atomic_path(path) as temporary:
        Image.fromarray(tile_pictures(cells, _COLUMNS)).save(temporary, "PNG")


def _cells(folder, kind, name):
    if kind == "processed":
        points = flip_y(np.fromfile(os.path.join(folder, "lm_bin", name + ".bin"), "<f8").reshape(68, 2))
        return [_marked(Image.open(os.path.join(folder, name + ".png")), points),
                Image.open(os.path.join(folder, "mask", name + ".png")).convert("RGB")]
    points = scipy.io.loadmat(os.path.join(folder, name + ".mat"))["pt3d_68"][:2].T
    return [_marked(Image.open(os.path.join(folder, name + ".jpg")), points)]


def _marked(image, points):
    """Return the picture at 224 pixels with a dot at each point, in its own pixels, y down."""
    zoom = IMAGE_SIZE / image.size[0]
    image = image.convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE))
    draw_points(image, np.asarray(points) * zoom, (0, 255, 0), radius=1)
    return image
