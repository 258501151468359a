"""Brows and lashes, painted along the landmarks; a smooth albedo lacks their contrast."""

import numpy as np

from synthesis.canvas import Canvas
from synthesis.pose import HeadPose

_BROWS = (slice(17, 22), slice(22, 27))  # landmarks, at the left and the right of the picture
_UPPER_LIDS = (slice(36, 40), slice(42, 46))
_SIDES = (-1.0, 1.0)
_BROW_NORMAL = np.array([0.6, 0.0, 0.8])  # of the brow at the right of the picture
_VISIBLE = 0.35  # least cosine between normal and line of sight; below, the nose may hide a brow
_BROW_PROBABILITY, _LASH_PROBABILITY = 0.7, 0.6
_HAIRS = 3  # parallel strokes of a brow
_LASH_COLOR = np.array([25.0, 18.0, 16.0])


def paint_brows_and_lashes(
    random: np.random.RandomState,
    canvas: Canvas,
    pose: HeadPose,
    head_landmarks: np.ndarray,
    hair_color: np.ndarray,
) -> None:
    """Paint stronger brows into 70% of the faces, and lashes into 60%.

    Args:
        random: random number generator.
        canvas: canvas to paint on.
        pose: head pose.
        head_landmarks: [68, 3] dm, in model space.
        hair_color: [3] color of the hair; brows are a little darker.
    """
    # 1. Sample all parameters: a fixed number of random values a face.
    has_brows, has_lashes = random.uniform(0, 1, 2) < (_BROW_PROBABILITY, _LASH_PROBABILITY)
    thickness = random.uniform(1.0, 2.6)
    opacity = random.uniform(0.2, 0.7)
    rise = random.uniform(-0.02, 0.04)
    lash_radius = random.uniform(0.4, 1.0)
    lash_opacity = random.uniform(0.2, 0.8)
    color = random.uniform(0.5, 0.9) * hair_color

    # 2. Paint both sides, except for one that the nose may hide.
    heights = np.linspace(-0.4, 0.4, _HAIRS)[:, np.newaxis, np.newaxis]
    for side, brow, lid in zip(_SIDES, _BROWS, _UPPER_LIDS):
        if (_BROW_NORMAL * (side, 1, 1)).dot(pose.rotation)[2] < _VISIBLE:
            continue
        if has_brows:
            # From the nose outwards, so that brows taper at the temple.
            line = head_landmarks[brow][:: int(side)] + (0, rise, 0)
            hairs = pose.project(line + heights * (0, 0.01 * thickness, 0))
            canvas.paint_strokes(hairs, [thickness, 0.4 * thickness], color, opacity=opacity / 2)
        if has_lashes:
            lashes = pose.project(head_landmarks[lid])[np.newaxis]
            canvas.paint_strokes(lashes, [lash_radius] * 2, _LASH_COLOR, opacity=lash_opacity)
