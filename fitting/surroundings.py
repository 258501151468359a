"""Pixels of a crop that have the colors around the face: of hair, clothes and background.

Hair in front of a face has the colors of the hair beside it, which a general classifier of skin
often takes for skin. So each photo is its own example: a histogram of colors of the middle of the
face, one of everything outside of the head, and Bayes' rule (as Boykov & Jolly, "Interactive Graph
Cuts for Optimal Boundary & Region Segmentation", ICCV 2001, have it of marked pixels).
"""

from typing import Any, Tuple

import numpy as np
import scipy.ndimage
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull

from geometry.camera import IMAGE_SIZE, flip_y
from geometry.landmark_layout import BROWS, EYES, JAW, MOUTH

_BINS = 16  # of a channel
_BIN_SPREAD = 0.8  # bins by which colors of one surface differ, standard deviation
_RARE = 1e-5  # share of the pixels of a color that neither has: it counts as skin
_PIXEL_SPREAD = 1.0  # pixels over which the result is smoothed, standard deviation
# Corners of the eyes and of the mouth, and the base of the nose: the middle of the face is within.
_MIDDLE = [36, 45, 48, 54] + list(range(31, 36))
# Features, whose colors are their own, grow by this share of the distance from mouth to eyes; the
# head, which ends somewhere above the brows, by the other.
_FEATURE_MARGIN, _HEAD_MARGIN = 0.06, 0.1
_FOREHEAD = 0.9  # height over the brows, relative to that of the face below
_SMALLEST_FACE = 10.0  # pixels from mouth to eyes


def surroundings_share(crop: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Return how far pixels resemble the surroundings and not the face, [224, 224] float32 0..1.

    It is 0 on brows, eyes and lips.

    Args:
        crop: [224, 224, 3] uint8 RGB; black pixels show nothing.
        landmarks: [68, 2] crop pixels, y up.
    """
    # 1. the axis of the face, which is upright from mouth to eyes
    points = flip_y(np.asarray(landmarks, np.float64))
    upwards = points[EYES].mean(axis=0) - points[MOUTH].mean(axis=0)
    height = float(np.linalg.norm(upwards))
    nothing = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.float32)
    if height < _SMALLEST_FACE:
        return nothing

    # 2. where the face, its features and its surroundings certainly are
    features = np.zeros(nothing.shape, bool)
    for part in (slice(17, 22), slice(22, 27), slice(36, 42), slice(42, 48), MOUTH):
        features |= _grow(_inside_hull(points[part]), _FEATURE_MARGIN * height)
    head = _inside_hull(np.concatenate([points, _mirror_jaw(points, upwards / height)]))
    shown = crop.any(axis=2)
    middle = _inside_hull(points[_MIDDLE]) & ~features & shown
    outside = ~_grow(head, _HEAD_MARGIN * height) & shown
    if not (middle.any() and outside.any()):
        return nothing

    # 3. Bayes' rule for their colors
    bins = tuple(np.moveaxis(crop // (256 // _BINS), 2, 0))
    face, other = (_histogram(bins, region)[bins] for region in (middle, outside))
    share = scipy.ndimage.gaussian_filter(other / (other + face + _RARE), _PIXEL_SPREAD)
    return (share * ~features).astype(np.float32)


def _mirror_jaw(points: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the jaw line mirrored over the brows, [17, 2]: about the outline of the forehead."""
    below = (points[JAW] - points[BROWS].mean(axis=0)).dot(unit)
    return points[JAW] - (1 + _FOREHEAD) * below[:, np.newaxis] * unit


def _inside_hull(points: np.ndarray) -> np.ndarray:
    """Return the pixels within the convex hull of points [n, 2] (x, y), [224, 224] bool."""
    image = Image.new("1", (IMAGE_SIZE, IMAGE_SIZE))
    jittered = points + 1e-3 * np.arange(len(points))[:, np.newaxis] ** [1, 2]  # never on one line
    corners = points[ConvexHull(jittered).vertices]
    ImageDraw.Draw(image).polygon([tuple(corner) for corner in corners.tolist()], fill=1)
    return np.array(image)


def _grow(region: np.ndarray, pixels: float) -> np.ndarray:
    return scipy.ndimage.binary_dilation(region, iterations=1 + int(pixels))


def _histogram(bins: Tuple[Any, ...], region: np.ndarray) -> np.ndarray:
    """Return the share of each color among the pixels of a region, [16, 16, 16]."""
    counts = np.zeros((_BINS,) * 3)
    np.add.at(counts, tuple(channel[region] for channel in bins), 1.0)
    return scipy.ndimage.gaussian_filter(counts, _BIN_SPREAD) / region.sum()
