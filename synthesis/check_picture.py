"""A picture of some faces of a folder with their landmarks and masks, for visual inspection."""

from typing import List

import numpy as np
from PIL import Image

from dataset.processed_faces import face_paths
from geometry.camera import IMAGE_SIZE, flip_y
from synthesis.aflw2000_format import photo_files
from synthesis.dataset import face_name
from utils.atomic import atomic_path
from utils.drawing import draw_points, tile_pictures
from utils.mat_files import read_mat

_COLUMNS, _ROWS = 8, 6
_DOT_COLOR = (0, 255, 0)


def write_check_picture(folder: str, kind: str, count: int, path: str) -> None:
    """Draw up to 24 processed faces beside their masks, or 48 photos, read back from the folder.

    Args:
        folder: folder made by ``synthesis.dataset``.
        kind: one of ``synthesis.dataset.FORMATS``.
        count: number of faces in the folder.
        path: PNG file to write.
    """
    per_face = 2 if kind == "processed" else 1
    indices = np.unique(np.linspace(0, count - 1, _COLUMNS * _ROWS // per_face).round().astype(int))
    cells = [cell for index in indices for cell in _draw_cells(folder, kind, face_name(index))]
    with atomic_path(path) as temporary:
        Image.fromarray(tile_pictures(cells, _COLUMNS)).save(temporary, "PNG")


def _draw_cells(folder: str, kind: str, name: str) -> List[Image.Image]:
    """Read one face and return its cells: the picture with landmarks, and the mask if any."""
    if kind == "processed":
        paths = face_paths(folder, name)
        points = flip_y(np.fromfile(paths.landmarks, "<f8").reshape(68, 2))
        picture = Image.open(paths.image)
        mask = Image.open(paths.mask)
        return [_draw_landmarks(picture, points), mask.convert("RGB")]
    files = photo_files(folder, name)
    points = read_mat(files.truth)["pt3d_68"][:2].T
    return [_draw_landmarks(Image.open(files.photo), points)]


def _draw_landmarks(image: Image.Image, points: np.ndarray) -> Image.Image:
    """Resize a picture to 224 pixels and draw a dot on each landmark.

    Args:
        image: square picture.
        points: [68, 2] pixels of the picture, y down.
    """
    zoom = IMAGE_SIZE / image.size[0]
    resized = image.convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE))
    draw_points(resized, points * zoom, _DOT_COLOR, radius=1)
    return resized
