"""Pictures of a training batch: one row per face, from the photo to what is wrong with its render."""

import numpy as np
from PIL import Image

from geometry.camera import IMAGE_SIZE, row_from_y_up
from utils.drawing import draw_points, heat_colors

COLUMNS = ("photo", "overlay", "render", "albedo", "error", "landmarks")
LABEL_COLOR, PREDICTION_COLOR = (0, 255, 0), (255, 0, 0)  # green is where they should be
_DOT_RADIUS = 1.5  # pixels
_FULL_ERROR = 100.0  # levels of difference shown white


def picture_strip(photos, pictures, labels, rows=4):
    """Draw the faces of a batch below each other, each with the columns of :data:`COLUMNS`.

    Args:
        photos: [B, 224, 224, 3] BGR, 0..255.
        pictures: ``training.step.Pictures`` of arrays.
        labels: [B, 68, 2] crop pixels, y up.
        rows: how many faces at most.

    Returns:
        [rows * 224, 6 * 224, 3] uint8 RGB.
    """
    strip = []
    for face in range(min(rows, len(photos))):
        photo, rendered = photos[face], np.clip(pictures.rendered[face], 0, 255)
        mask = pictures.mask[face]
        overlay = photo * (1 - mask) + rendered * mask
        level = 3.0 * np.clip(np.abs(photo - rendered).mean(axis=-1) * mask[..., 0] / _FULL_ERROR, 0, 1)
        marked = Image.fromarray(_rgb(photo))
        for landmarks, color in ((labels[face], LABEL_COLOR), (pictures.landmarks[face], PREDICTION_COLOR)):
            x, y = np.clip(np.nan_to_num(landmarks), -IMAGE_SIZE, 2 * IMAGE_SIZE).T
            draw_points(marked, np.stack([x, row_from_y_up(y)], axis=1), color, _DOT_RADIUS)
        strip.append(np.concatenate(
            [_rgb(photo), _rgb(overlay), _rgb(rendered), _rgb(pictures.albedo[face]),
             np.uint8(heat_colors(level)), np.asarray(marked)], axis=1))
    return np.concatenate(strip)


def _rgb(image_bgr):
    return np.ascontiguousarray(np.rint(np.clip(image_bgr[..., ::-1], 0, 255)).astype(np.uint8))
