"""What skin has in photos beyond a smooth lit albedo: unevenness, shine, stubble and beards."""

import numpy as np

from synthesis.canvas import polygon_mask, skin_texture

_BEARD, _STUBBLE = 0.16, 0.18  # probabilities
_SHINE = 0.6
_UNEVENNESS = 0.04  # the most, a fraction of the colour
_BEARD_FACING = 0.45  # cosine of the turn beyond which the outline of a beard folds over
_BEARD_COLOURS = ((26, 21, 20), (48, 36, 30), (84, 60, 44), (130, 100, 74), (150, 146, 142))
_LUMINANCE = np.array([0.3, 0.6, 0.1], np.float32)
_NO_SHINE = (255.0, 1.0, 0.0)
_GRAIN = 0.005  # of a beard, for each unit of the texture of skin


def paint_face(random, canvas, rgba, pose, head_landmarks):
    """Paint a rendered face with the skin of a photo.

    Args:
        random: a ``RandomState``.
        canvas: ``synthesis.canvas.Canvas``.
        rgba: [S, S, 4] uint8, the rendered face.
        pose: ``synthesis.sampling.HeadPose``.
        head_landmarks: [68, 3] dm, in model space.
    """
    unevenness, corner = _UNEVENNESS * random.uniform() ** 1.5, random.randint(0, len(skin_texture()), 2)
    canvas.face(rgba, unevenness, _shine(random, rgba), corner)
    kind = random.uniform()
    if kind < _BEARD + _STUBBLE and pose.rotation[2, 2] > _BEARD_FACING:
        opacity = random.uniform(0.4, 0.9) if kind < _BEARD else random.uniform(0.1, 0.4)
        _paint_beard(random, canvas, rgba[..., 3], pose.project(head_landmarks), opacity)


def _shine(random, rgba):
    """Return what whitens the brightest skin, as oil does, for ``Canvas.face``."""
    if random.uniform() >= _SHINE:
        return _NO_SHINE
    sample = rgba[::5, ::5].reshape(-1, 4)
    luminance = sample[sample[:, 3] > 0, :3].dot(_LUMINANCE)
    share, gain = random.uniform(0.7, 0.95), random.uniform(15, 80)
    if not len(luminance):
        return _NO_SHINE
    edge = np.partition(luminance, int(share * len(luminance)))[int(share * len(luminance))]
    return edge, max(1.0, 0.35 * edge), gain


def _paint_beard(random, canvas, alpha, points, opacity):
    """Lay hair over jaw and upper lip.

    Args:
        random: a ``RandomState``.
        canvas: ``synthesis.canvas.Canvas``.
        alpha: [S, S] uint8, where the face is.
        points: [68, 2] crop pixels, y up.
        opacity: 0..1, of the densest hair.
    """
    def between(first, second, share):
        return points[first] + (points[second] - points[first]) * share

    jaw_start = random.randint(1, 5)
    upper = [between(16 - jaw_start, 54, 0.5), between(54, 35, random.uniform(0.1, 0.4))]
    upper += [between(33, 51, random.uniform(0.2, 0.7)), between(48, 31, random.uniform(0.1, 0.4))]
    outline = np.array(list(points[jaw_start:17 - jaw_start]) + upper + [between(jaw_start, 48, 0.5)])
    found = polygon_mask(canvas, [(outline, 255), (points[48:60], 0)], blur=random.uniform(1.0, 5.0))
    colour = np.array(_BEARD_COLOURS[random.randint(len(_BEARD_COLOURS))], np.float32) * random.uniform(0.7, 1.2)
    corner = random.randint(0, len(skin_texture()) // 2, 2)
    if found is None:
        return
    mask, (left, top) = found
    height, width = mask.shape
    rows, columns = ((start + np.arange(extent)) % len(skin_texture()) for start, extent in zip(corner, mask.shape))
    grain = skin_texture()[rows[:, np.newaxis], columns]
    weight = mask * np.clip(opacity * (0.7 + np.float32(_GRAIN) * grain), 0, 1)
    weight[alpha[top:top + height, left:left + width] == 0] = 0
    canvas.mask(weight.astype(np.uint8), (left, top), colour)
