"""Pictures of a training batch: one row per face, from the photo to what is wrong with its render."""

import io

import numpy as np
from PIL import Image, ImageDraw

from geometry.camera import IMAGE_SIZE, row_from_y_up

COLUMNS = ("photo", "overlay", "render", "albedo", "error", "landmarks")
LABEL_COLOUR, PREDICTION_COLOUR = (0, 255, 0), (255, 0, 0)  # green is where they should be
_DOT_RADIUS = 1.5  # pixels
_FULL_ERROR = 100.0  # levels of difference shown white
_JPEG_QUALITY = 90


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
        error = error_colours(np.abs(photo - rendered).mean(axis=-1) * mask[..., 0])
        marked = draw_landmarks(draw_landmarks(_rgb(photo), labels[face], LABEL_COLOUR),
                                pictures.landmarks[face], PREDICTION_COLOUR)
        strip.append(np.concatenate(
            [_rgb(photo), _rgb(overlay), _rgb(rendered), _rgb(pictures.albedo[face]), error, marked], axis=1))
    return np.concatenate(strip)


def error_colours(error):
    """Colour an error map from black (none) through red and yellow to white (100 levels and more).

    Args:
        error: [H, W], 0..255.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    level = 3.0 * np.clip(error / _FULL_ERROR, 0, 1)
    return np.uint8(255 * np.clip(np.stack([level, level - 1, level - 2], axis=-1), 0, 1))


def draw_landmarks(image, landmarks, colour):
    """Return a copy of an image with a dot on each landmark.

    Args:
        image: [224, 224, 3] uint8 RGB.
        landmarks: [68, 2] crop pixels, y up.
        colour: RGB.
    """
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    for x, y in np.clip(np.nan_to_num(landmarks), -IMAGE_SIZE, 2 * IMAGE_SIZE):
        row = row_from_y_up(y)
        draw.ellipse([x - _DOT_RADIUS, row - _DOT_RADIUS, x + _DOT_RADIUS, row + _DOT_RADIUS], fill=colour)
    return np.asarray(canvas)


def encode_jpeg(image):
    """Return an RGB image as the bytes of a JPEG file; a tenth of a PNG's, and runs write thousands."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue()


def _rgb(image_bgr):
    return np.ascontiguousarray(np.rint(np.clip(image_bgr[..., ::-1], 0, 255)).astype(np.uint8))
