"""Pictures of a training batch: one row per face, from the photo to the error of its render."""

from typing import Any, List

import numpy as np
from PIL import Image

from geometry.camera import IMAGE_SIZE, row_from_y_up
from utils.drawing import draw_points, heat_colors

LABEL_COLOR, PREDICTION_COLOR = (0, 255, 0), (255, 0, 0)
_DOT_RADIUS = 1.5  # pixels
_FULL_ERROR = 100.0  # gray levels of difference, drawn white


def draw_picture_strip(
    photos: np.ndarray, pictures: Any, labels: np.ndarray, rows: int = 4
) -> np.ndarray:
    """Draw the faces of a batch below each other.

    The columns are photo, overlay, render, albedo (of the mesh generator: distance from the
    coefficient mesh), error, and landmarks (green: labels; red: prediction).

    Args:
        photos: [B, 224, 224, 3] BGR, 0..255.
        pictures: ``training.step.Pictures`` of arrays.
        labels: [B, 68, 2] crop pixels, y up.
        rows: largest number of faces.

    Returns:
        [rows * 224, 6 * 224, 3] uint8 RGB.
    """
    strip: List[np.ndarray] = []
    for face in range(min(rows, len(photos))):
        photo = photos[face]
        rendered = np.clip(pictures.rendered[face], 0, 255)
        mask = pictures.mask[face]
        overlay = photo * (1 - mask) + rendered * mask
        difference = np.abs(photo - rendered).mean(axis=-1) * mask[..., 0]
        level = 3.0 * np.clip(difference / _FULL_ERROR, 0, 1)
        columns: List[np.ndarray] = [
            _to_rgb(photo),
            _to_rgb(overlay),
            _to_rgb(rendered),
            _to_rgb(pictures.albedo[face]),
            heat_colors(level).astype(np.uint8),
            _draw_landmarks(photo, labels[face], pictures.landmarks[face]),
        ]
        strip.append(np.concatenate(columns, axis=1))
    return np.concatenate(strip)


def draw_pair(photo: np.ndarray, rendered: np.ndarray) -> np.ndarray:
    """Return a photo beside its render, [224, 448, 3] uint8 RGB.

    Args:
        photo: [224, 224, 3] BGR, 0..255.
        rendered: [224, 224, 3] BGR, not clipped.
    """
    return np.concatenate([_to_rgb(photo), _to_rgb(rendered)], axis=1)


def _draw_landmarks(photo: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Draw both kinds of landmarks [68, 2] on a photo [224, 224, 3] BGR; returns uint8 RGB."""
    picture = Image.fromarray(_to_rgb(photo))
    for landmarks, color in ((labels, LABEL_COLOR), (predicted, PREDICTION_COLOR)):
        x, y = np.clip(np.nan_to_num(landmarks), -IMAGE_SIZE, 2 * IMAGE_SIZE).T
        draw_points(picture, np.stack([x, row_from_y_up(y)], axis=1), color, _DOT_RADIUS)
    return np.asarray(picture)


def _to_rgb(image_bgr: np.ndarray) -> np.ndarray:
    """Convert floating-point BGR to uint8 RGB."""
    return np.ascontiguousarray(np.rint(np.clip(image_bgr[..., ::-1], 0, 255)).astype(np.uint8))
