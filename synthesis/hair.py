"""Strands of hair before a face: fringes and locks beside the cheeks."""

import numpy as np

from synthesis.lighting import light_on

_FRINGE, _LOCKS = 0.3, 0.4  # probabilities, of faces with hair; locks: of long hair on each side
_POINTS = 6  # of a strand
_VISIBLE = 0.1  # cosine between the line of sight and the normal where strands are still drawn
_TIP = 0.35  # width at the end of a strand, of that at its root


def paint_fringe(random, canvas, colour, geometry, pose, gamma):
    """Paint hair that falls over the forehead of some.

    Args:
        random: a ``RandomState``.
        canvas: ``synthesis.canvas.Canvas``.
        colour: [3] of the hair.
        geometry: ``synthesis.head.HeadGeometry``.
        pose: ``synthesis.sampling.HeadPose``.
        gamma: [27] light of the face.
    """
    if random.uniform() > _FRINGE:
        return
    count, reach = random.randint(20, 110), random.uniform(0.2, 0.6)
    middle, spread, sweep = random.uniform(-0.6, 0.6), random.uniform(0.3, 1.1), random.uniform(-0.7, 0.7)
    azimuth = middle + spread * random.uniform(-1, 1, (count, 1)) + sweep * np.linspace(0, 1, _POINTS)
    end = reach + 0.12 * random.standard_normal((count, 1))
    height = 1.15 + (end - 1.15) * np.linspace(0, 1, _POINTS)
    normals = np.stack([np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)], axis=-1)
    points = geometry.centre + 1.05 * geometry.radii * normals
    _paint_strands(random, canvas, colour, points, normals, pose, gamma)


def paint_locks(random, canvas, colour, geometry, pose, gamma):
    """Paint long hair that hangs before ears, cheeks and neck; arguments as of :func:`paint_fringe`."""
    for side in (-1.0, 1.0):
        if random.uniform() > _LOCKS:
            continue
        count, inwards, down = random.randint(50, 130), random.uniform(0.0, 0.35), np.linspace(0, 1, _POINTS)
        top = random.uniform(0.3, 0.8)
        bottom = random.uniform(-1.8, -0.6) + 0.25 * random.standard_normal((count, 1))
        depth = random.uniform(0.0, random.uniform(0.3, 0.7), (count, 1)) + 0.1 * down
        across = 1.08 - inwards * np.sin(np.pi * down) * random.uniform(0.3, 1, (count, 1))
        across += _waves(random, count)
        across *= np.sqrt(np.clip(1.15 - depth ** 2, 0.1, 1))
        height = top + (bottom - top) * down
        points = geometry.centre + geometry.radii * np.stack([side * across, height, depth], axis=-1)
        normals = np.tile([side * 0.9, 0.0, 0.44], points.shape[:2] + (1,))
        _paint_strands(random, canvas, colour, points, normals, pose, gamma)


def _waves(random, count):
    """Return how far strands wander sideways, [count, P] radii: together, and a little each on its own."""
    phase, turns = random.uniform(0, 2 * np.pi), random.uniform(0, 1.5)
    together = random.uniform(0, 0.12) * np.sin(phase + 2 * np.pi * turns * np.linspace(0, 1, _POINTS))
    return together + 0.025 * np.cumsum(random.standard_normal((count, _POINTS)), axis=1)


def _paint_strands(random, canvas, colour, points, normals, pose, gamma):
    """Paint those strands [n, P, 3] whose side of the head is seen."""
    turned = normals.dot(pose.rotation).mean(axis=1)
    radius, tones = random.uniform(0.5, 2.2), random.uniform(0.7, 1.2, (len(points), 1))
    seen = np.flatnonzero(turned[..., 2] > _VISIBLE)
    if len(seen):
        shades = light_on(turned[seen], gamma) * tones[seen] * colour
        canvas.strokes(pose.project(points[seen]), [radius, _TIP * radius], shades, hides=True)
