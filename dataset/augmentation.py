"""Random flips, small moves and color jitter of aligned crops, with their landmarks and masks.

Parameters are sampled from the seed and the position of a face in the training order alone. A
resumed run therefore gets the same samples as an uninterrupted one, whatever the order of threads.
"""

from typing import NamedTuple, Sequence, Tuple

import numpy as np
from PIL import Image

from dataset.processed_faces import Sample
from geometry.camera import IMAGE_SIZE, flip_y, row_from_y_up
from geometry.landmark_layout import mirrored_landmarks
from geometry.rotation import picture_rotation

MAX_SHIFT = 10.0  # pixels; alignment by detected points has errors of about this size
MAX_SCALE = 0.08  # fraction of the size
# Standard deviations of a placement: of the logarithm of the scale, degrees, pixels.
PLACEMENT_SCALE, PLACEMENT_DEGREES, PLACEMENT_SHIFT = 0.08, 8.0, 8.0
MAX_CONTRAST, MAX_BRIGHTNESS, MAX_TINT = 0.15, 0.15, 0.05  # fractions, the last per channel

_CENTER = (IMAGE_SIZE - 1) / 2.0  # of pixel indices
_MIDDLE_GRAY = 127.5


class Augmentation(NamedTuple):
    """Parameters of one augmentation."""

    flip: bool  # left-right, before the move
    scale: float
    shift: Tuple[float, float]  # pixels right and down
    contrast: float  # about middle gray
    gain: Tuple[float, float, float]  # of red, green and blue


def sample_augmentation(random: np.random.RandomState) -> Augmentation:
    """Sample the parameters of an augmentation."""
    flip_sides = bool(random.randint(2))
    scale, contrast = (1.0 + random.uniform(-limit, limit) for limit in (MAX_SCALE, MAX_CONTRAST))
    shift = tuple(random.uniform(-MAX_SHIFT, MAX_SHIFT, 2))
    brightness = 1.0 + random.uniform(-MAX_BRIGHTNESS, MAX_BRIGHTNESS)
    gain = tuple(brightness * (1.0 + random.uniform(-MAX_TINT, MAX_TINT, 3)))
    return Augmentation(flip_sides, scale, shift, contrast, gain)


def augment(sample: Sample, augmentation: Augmentation) -> Sample:
    """Return ``sample`` changed by ``augmentation``; pixels from outside the crop are black."""
    if augmentation.flip:
        sample = flip(sample)
    moved = move(sample, augmentation.scale, augmentation.shift)
    return jitter_colors(moved, augmentation.contrast, augmentation.gain)


def flip(sample: Sample) -> Sample:
    """Mirror a sample left to right; landmarks are reordered so that each keeps its meaning."""
    landmarks = _flip_landmarks(sample.landmarks)
    return Sample(sample.image[:, ::-1], sample.attention[:, ::-1], landmarks)


def _flip_landmarks(landmarks: np.ndarray) -> np.ndarray:
    flipped = landmarks[mirrored_landmarks()].copy()
    flipped[:, 0] = IMAGE_SIZE - 1 - flipped[:, 0]
    return flipped


def move(sample: Sample, scale: float, shift: Sequence[float]) -> Sample:
    """Scale a sample about the center of the crop and shift it.

    Args:
        sample: sample to move.
        scale: factor.
        shift: pixels right and down.
    """
    # In pixel indices: new = scale * old + offset.
    offset = _CENTER * (1.0 - scale) + np.asarray(shift)
    inverse = _inverse_for_pillow(scale, offset)
    image, attention = (
        np.asarray(
            Image.fromarray(np.ascontiguousarray(pixels)).transform(
                (IMAGE_SIZE, IMAGE_SIZE), Image.AFFINE, inverse, Image.BILINEAR
            )
        )
        for pixels in (sample.image, sample.attention)
    )
    columns = scale * sample.landmarks[:, 0] + offset[0]
    rows = scale * row_from_y_up(sample.landmarks[:, 1]) + offset[1]
    landmarks = np.stack([columns, row_from_y_up(rows)], axis=1).astype(np.float32)
    return Sample(image, attention, landmarks)


class Placement(NamedTuple):
    """Parameters of a change of a face's place in the crop, and of a flip before it."""

    flip: bool
    scale: float
    degrees: float  # counter-clockwise
    shift: Tuple[float, float]  # pixels of the 224 crop, right and down


def sample_placement(random: np.random.RandomState) -> Placement:
    """Sample a placement, as wide as the errors of a detector."""
    return Placement(
        bool(random.randint(2)),
        float(np.exp(random.normal(0, PLACEMENT_SCALE))),
        float(random.normal(0, PLACEMENT_DEGREES)),
        tuple(random.normal(0, PLACEMENT_SHIFT, 2)),
    )


def place(
    photo: np.ndarray, landmarks: np.ndarray, placement: Placement
) -> Tuple[np.ndarray, np.ndarray]:
    """Return a photo and its landmarks flipped, scaled, turned and shifted.

    Args:
        photo: [S, S, 3] uint8, the crop at any size.
        landmarks: [68, 2] pixels of the 224 crop, y up.
        placement: parameters of the change.
    """
    # 1. flip; landmarks relative to the center, y down
    if placement.flip:
        photo, landmarks = photo[:, ::-1], _flip_landmarks(landmarks)
    relative = flip_y(landmarks) - _CENTER

    # 2. the similarity, which takes a vector from the center to a new one
    matrix = placement.scale * picture_rotation(-placement.degrees)
    moved = flip_y(relative.dot(matrix.T) + placement.shift + _CENTER)

    # 3. its inverse for the pixels, in Pillow's coordinates from the corner of the picture
    size = photo.shape[0]
    inverse = np.linalg.inv(matrix)
    middle = np.full(2, size / 2.0)
    shift = np.asarray(placement.shift) * size / IMAGE_SIZE
    offset = middle - inverse.dot(middle + shift)
    picture = Image.fromarray(np.ascontiguousarray(photo)).transform(
        (size, size), Image.AFFINE, np.hstack([inverse, offset[:, None]]).ravel(), Image.BILINEAR
    )
    return np.asarray(picture), moved.astype(np.float32)


def jitter_colors(sample: Sample, contrast: float, gain: Sequence[float]) -> Sample:
    """Change the contrast about middle gray, then multiply each channel by its gain.

    Args:
        sample: sample to change.
        contrast: factor.
        gain: factors of red, green and blue.
    """
    levels = np.arange(256.0)
    curves = ((levels - _MIDDLE_GRAY) * contrast + _MIDDLE_GRAY)[:, np.newaxis] * gain
    table = np.rint(np.clip(curves, 0, 255)).astype(np.uint8)  # [256, 3]
    channels = [table[sample.image[..., channel], channel] for channel in range(3)]
    return sample._replace(image=np.stack(channels, axis=-1))


def _inverse_for_pillow(scale: float, offset: np.ndarray) -> Tuple[float, ...]:
    """Return Pillow's affine coefficients from new to old pixels; its pixel centers are i + 0.5."""
    back = [0.5 - (0.5 + value) / scale for value in offset]
    return (1.0 / scale, 0.0, back[0], 0.0, 1.0 / scale, back[1])
