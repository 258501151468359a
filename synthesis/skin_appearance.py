"""Skin as in photos, beyond a smooth lit albedo: unevenness, shine, stubble and beards."""

import numpy as np

from synthesis.canvas import Canvas, Shine, draw_polygon_mask, skin_texture
from synthesis.pose import HeadPose

_BEARD, _STUBBLE = 0.16, 0.18  # probabilities
_SHINE = 0.6  # probability
_MOST_UNEVENNESS = 0.04  # fraction of the color
_BEARD_FACING = 0.45  # least cosine of the head's turn; below, the outline of a beard folds over
_BEARD_COLORS = ((26, 21, 20), (48, 36, 30), (84, 60, 44), (130, 100, 74), (150, 146, 142))
_LUMINANCE = np.array([0.3, 0.6, 0.1], np.float32)
_NO_SHINE = Shine(255.0, 1.0, 0.0)
_GRAIN = 0.005  # change of a beard's opacity per level of the skin texture


def paint_skin(
    random: np.random.RandomState,
    canvas: Canvas,
    rgba: np.ndarray,
    pose: HeadPose,
    head_landmarks: np.ndarray,
) -> None:
    """Paint a rendered face with skin as in photos.

    Args:
        random: random number generator.
        canvas: canvas to paint on.
        rgba: [S, S, 4] uint8, the rendered face.
        pose: head pose.
        head_landmarks: [68, 3] dm, in model space.
    """
    # 1. Blotches, pores and shine.
    unevenness = _MOST_UNEVENNESS * random.uniform() ** 1.5
    corner = random.randint(0, len(skin_texture()), 2)
    canvas.paint_face(rgba, unevenness, _sample_shine(random, rgba), corner)

    # 2. Beard or stubble.
    kind = random.uniform()
    if kind < _BEARD + _STUBBLE and pose.rotation[2, 2] > _BEARD_FACING:
        opacity = random.uniform(0.4, 0.9) if kind < _BEARD else random.uniform(0.1, 0.4)
        _paint_beard(random, canvas, rgba[..., 3], pose.project(head_landmarks), opacity)


def _sample_shine(random: np.random.RandomState, rgba: np.ndarray) -> Shine:
    """Sample highlights on the brightest 5% to 30% of the skin, as if oily."""
    if random.uniform() >= _SHINE:
        return _NO_SHINE
    sample = rgba[::5, ::5].reshape(-1, 4)
    luminance = sample[sample[:, 3] > 0, :3].dot(_LUMINANCE)
    share = random.uniform(0.7, 0.95)
    gain = random.uniform(15, 80)
    if not len(luminance):
        return _NO_SHINE
    rank = int(share * len(luminance))
    start = np.partition(luminance, rank)[rank]
    return Shine(start, max(1.0, 0.35 * start), gain)


def _paint_beard(
    random: np.random.RandomState,
    canvas: Canvas,
    alpha: np.ndarray,
    points: np.ndarray,
    opacity: float,
) -> None:
    """Paint hair on jaw and upper lip.

    Args:
        random: random number generator.
        canvas: canvas to paint on.
        alpha: [S, S] uint8, opacity of the rendered face.
        points: [68, 2] landmarks, crop pixels, y up.
        opacity: 0..1, of the densest hair.
    """

    def between(first: int, second: int, share: float) -> np.ndarray:
        return points[first] + (points[second] - points[first]) * share

    # 1. Outline: along the jaw, then back across the cheeks and above the upper lip.
    jaw_start = random.randint(1, 5)
    upper = [
        between(16 - jaw_start, 54, 0.5),
        between(54, 35, random.uniform(0.1, 0.4)),
        between(33, 51, random.uniform(0.2, 0.7)),
        between(48, 31, random.uniform(0.1, 0.4)),
        between(jaw_start, 48, 0.5),
    ]
    outline = np.array(list(points[jaw_start : 17 - jaw_start]) + upper)
    mouth = points[48:60]
    found = draw_polygon_mask(canvas, [(outline, 255), (mouth, 0)], blur=random.uniform(1.0, 5.0))

    # 2. Color and part of the texture: sampled even if no part of the beard is visible.
    color = np.array(_BEARD_COLORS[random.randint(len(_BEARD_COLORS))], np.float32)
    color = color * random.uniform(0.7, 1.2)
    corner = random.randint(0, len(skin_texture()) // 2, 2)
    if found is None:
        return

    # 3. Opacity of each pixel, grainy, within the face only.
    mask, (left, top) = found
    height, width = mask.shape
    rows, columns = (
        (start + np.arange(extent)) % len(skin_texture())
        for start, extent in zip(corner, mask.shape)
    )
    grain = skin_texture()[rows[:, np.newaxis], columns]
    weight = mask * np.clip(opacity * (0.7 + np.float32(_GRAIN) * grain), 0, 1)
    weight[alpha[top : top + height, left : left + width] == 0] = 0
    canvas.paint_mask(weight.astype(np.uint8), (left, top), color)
