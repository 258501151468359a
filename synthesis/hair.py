"""Strands of hair in front of a face: fringes, and locks beside the cheeks."""

import numpy as np

from synthesis.canvas import Canvas
from synthesis.head import HeadGeometry
from synthesis.lighting import evaluate_light
from synthesis.pose import HeadPose

_FRINGE = 0.3  # probability
_LOCKS = 0.4  # probability on each side
_POINTS = 6  # of a strand
_ROOT_HEIGHT = 1.15  # radians of elevation where a fringe begins
_VISIBLE = 0.1  # least cosine between normal and line of sight of strands to paint
_TIP = 0.35  # width at the end of a strand, as a fraction of the width at its root


def paint_fringe(
    random: np.random.RandomState,
    canvas: Canvas,
    color: np.ndarray,
    geometry: HeadGeometry,
    pose: HeadPose,
    gamma: np.ndarray,
) -> None:
    """Paint hair that falls over the forehead, in 30% of the calls.

    Args:
        random: random number generator.
        canvas: canvas to paint on.
        color: [3] color of the hair.
        geometry: measures of the head.
        pose: head pose.
        gamma: [27] light of the face.
    """
    if random.uniform() > _FRINGE:
        return

    # 1. Shape of the fringe.
    count = random.randint(20, 110)
    reach = random.uniform(0.2, 0.6)
    middle = random.uniform(-0.6, 0.6)
    spread = random.uniform(0.3, 1.1)
    sweep = random.uniform(-0.7, 0.7)

    # 2. Strands on the skull, in spherical coordinates from the root to the tip.
    along = np.linspace(0, 1, _POINTS)
    azimuth = middle + spread * random.uniform(-1, 1, (count, 1)) + sweep * along
    end = reach + 0.12 * random.standard_normal((count, 1))
    height = _ROOT_HEIGHT + (end - _ROOT_HEIGHT) * along
    x = np.sin(azimuth) * np.cos(height)
    z = np.cos(azimuth) * np.cos(height)
    normals = np.stack([x, np.sin(height), z], axis=-1)

    points = geometry.center + 1.05 * geometry.radii * normals
    _paint_strands(random, canvas, color, points, normals, pose, gamma)


def paint_locks(
    random: np.random.RandomState,
    canvas: Canvas,
    color: np.ndarray,
    geometry: HeadGeometry,
    pose: HeadPose,
    gamma: np.ndarray,
) -> None:
    """Paint long hair in front of ears, cheeks and neck, on each side in 40% of the calls.

    Args:
        random: random number generator.
        canvas: canvas to paint on.
        color: [3] color of the hair.
        geometry: measures of the head.
        pose: head pose.
        gamma: [27] light of the face.
    """
    along = np.linspace(0, 1, _POINTS)
    for side in (-1.0, 1.0):
        if random.uniform() > _LOCKS:
            continue

        # 1. Where the strands begin and end, in radii of the skull.
        count = random.randint(50, 130)
        inwards = random.uniform(0.0, 0.35)
        top = random.uniform(0.3, 0.8)
        bottom = random.uniform(-1.8, -0.6) + 0.25 * random.standard_normal((count, 1))
        height = top + (bottom - top) * along

        # 2. Their course: around the side of the head, bent inwards, and wavy.
        most_depth = random.uniform(0.3, 0.7)
        depth = random.uniform(0.0, most_depth, (count, 1)) + 0.1 * along
        across = 1.08 - inwards * np.sin(np.pi * along) * random.uniform(0.3, 1, (count, 1))
        across += _sample_waves(random, count)
        across *= np.sqrt(np.clip(1.15 - depth**2, 0.1, 1))

        points = geometry.center + geometry.radii * np.stack(
            [side * across, height, depth], axis=-1
        )
        normals = np.tile([side * 0.9, 0.0, 0.44], points.shape[:2] + (1,))
        _paint_strands(random, canvas, color, points, normals, pose, gamma)


def _sample_waves(random: np.random.RandomState, count: int) -> np.ndarray:
    """Sample sideways displacements of strands, [count, P] radii: a common wave, and one's own."""
    phase = random.uniform(0, 2 * np.pi)
    turns = random.uniform(0, 1.5)
    wave = np.sin(phase + 2 * np.pi * turns * np.linspace(0, 1, _POINTS))
    common = random.uniform(0, 0.12) * wave
    return common + 0.025 * np.cumsum(random.standard_normal((count, _POINTS)), axis=1)


def _paint_strands(
    random: np.random.RandomState,
    canvas: Canvas,
    color: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    pose: HeadPose,
    gamma: np.ndarray,
) -> None:
    """Paint the strands on the visible side of the head.

    Args:
        random: random number generator.
        canvas: canvas to paint on.
        color: [3] color of the hair.
        points: [n, P, 3] dm, in model space.
        normals: [n, P, 3] of the head below the strands.
        pose: head pose.
        gamma: [27] light of the face.
    """
    turned = normals.dot(pose.rotation).mean(axis=1)
    radius = random.uniform(0.5, 2.2)
    tones = random.uniform(0.7, 1.2, (len(points), 1))
    visible = np.flatnonzero(turned[..., 2] > _VISIBLE)
    if len(visible):
        colors = evaluate_light(turned[visible], gamma) * tones[visible] * color
        canvas.paint_strokes(
            pose.project(points[visible]), [radius, _TIP * radius], colors, hides=True
        )
