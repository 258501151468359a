"""Brows and lashes, whose contrast a smooth albedo lacks, painted along the landmarks of a face."""

import numpy as np

_BROWS = (slice(17, 22), slice(22, 27))  # landmarks, on the left and on the right of the picture
_LIDS = (slice(36, 40), slice(42, 46))  # upper ones
_SIDES = (-1.0, 1.0)
_TOWARDS_SIDE = np.array([0.6, 0.0, 0.8])  # where a brow looks, on the right
_VISIBLE = 0.35  # cosine between that and the line of sight below which the nose may hide a brow
_BROW_PROBABILITY, _LASH_PROBABILITY = 0.7, 0.6
_HAIRS = 3  # strokes of a brow, beside each other
_LASH_COLOUR = np.array([25.0, 18.0, 16.0])


def paint_features(random, canvas, pose, head_landmarks, hair_colour):
    """Paint stronger brows and lashes into some faces.

    Args:
        random: a ``RandomState``.
        canvas: ``synthesis.canvas.Canvas``.
        pose: ``synthesis.sampling.HeadPose``.
        head_landmarks: [68, 3] dm, in model space.
        hair_colour: [3]; brows are a little darker.
    """
    brows, lashes = random.uniform(0, 1, 2) < (_BROW_PROBABILITY, _LASH_PROBABILITY)
    thickness, opacity, rise = random.uniform(1.0, 2.6), random.uniform(0.2, 0.7), random.uniform(-0.02, 0.04)
    lash_radius, lash_opacity = random.uniform(0.4, 1.0), random.uniform(0.2, 0.8)
    colour = random.uniform(0.5, 0.9) * hair_colour
    for side, brow, lid in zip(_SIDES, _BROWS, _LIDS):
        if (_TOWARDS_SIDE * (side, 1, 1)).dot(pose.rotation)[2] < _VISIBLE:
            continue
        if brows:
            # From the nose outwards, so that brows taper at the temple.
            line = head_landmarks[brow][::int(side)] + (0, rise, 0)
            hairs = pose.project(line + np.linspace(-0.4, 0.4, _HAIRS)[:, np.newaxis, np.newaxis]
                                 * (0, 0.01 * thickness, 0))
            canvas.strokes(hairs, [thickness, 0.4 * thickness], colour, opacity=opacity / 2)
        if lashes:
            canvas.strokes(pose.project(head_landmarks[lid])[np.newaxis], [lash_radius] * 2, _LASH_COLOUR,
                           opacity=lash_opacity)
