"""What skin has in photos beyond a smooth lit albedo: unevenness, shine, stubble and beards."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from alignment.align import CROP_SIZE

_BEARD, _STUBBLE = 0.16, 0.18  # probabilities
_SHINE = 0.6
_UNEVENNESS = 0.05  # the most, a fraction of the colour
_BEARD_FACING = 0.45  # cosine of the turn beyond which the outline of a beard folds over
_BEARD_COLOURS = ((26, 21, 20), (48, 36, 30), (84, 60, 44), (130, 100, 74), (150, 146, 142))
_LUMINANCE = np.array([0.3, 0.6, 0.1], np.float32)


def add_complexion(random, rgba, pose, head_landmarks):
    """Return a rendered face with the skin of a photo.

    Args:
        random: a ``RandomState``.
        rgba: [S, S, 4] uint8, the rendered face.
        pose: ``synthesis.sampling.HeadPose``.
        head_landmarks: [68, 3] dm, in model space.

    Returns:
        [S, S, 4] uint8.
    """
    size = rgba.shape[0]
    face = rgba[..., :3].astype(np.float32)
    face *= 1 + _unevenness(random, size)
    if random.uniform() < _SHINE:
        _add_shine(random, face, rgba[..., 3] > 0)
    kind = random.uniform()
    if kind < _BEARD + _STUBBLE and pose.rotation[2, 2] > _BEARD_FACING:
        opacity = random.uniform(0.4, 0.9) if kind < _BEARD else random.uniform(0.1, 0.4)
        _add_beard(random, face, pose.project(head_landmarks), opacity)
    result = rgba.copy()
    result[..., :3] = np.clip(face, 0, 255)
    result[..., :3][rgba[..., 3] == 0] = 0
    return result


def _unevenness(random, size):
    """Return blotches and pores, [S, S, 1], about 0."""
    level = random.uniform(0, _UNEVENNESS)
    total = np.zeros((size, size), np.float32)
    for cells in (size // 20, size // 3):
        coarse = Image.fromarray(random.standard_normal((cells, cells)).astype(np.float32))
        total += np.asarray(coarse.resize((size, size), Image.BILINEAR))
    return (level * total)[..., np.newaxis]


def _add_shine(random, face, covered):
    """Whiten what is lit brightest, as oil on skin does."""
    luminance = face.dot(_LUMINANCE)
    sample = luminance[::5, ::5][covered[::5, ::5]]
    if not len(sample):
        return
    edge = np.percentile(sample, random.uniform(70, 95))
    shine = np.clip((luminance - edge) / max(1.0, 0.35 * edge), 0, 1)
    face += (random.uniform(15, 80) * shine * covered)[..., np.newaxis]


def _add_beard(random, face, points, opacity):
    """Lay hair over jaw and upper lip.

    Args:
        random: a ``RandomState``.
        face: [S, S, 3] float32, changed in place.
        points: [68, 2] crop pixels, y up.
        opacity: 0..1, of the densest hair.
    """
    size = face.shape[0]

    def between(first, second, share):
        return points[first] + (points[second] - points[first]) * share

    jaw_start = random.randint(1, 5)
    upper = [between(16 - jaw_start, 54, 0.5), between(54, 35, random.uniform(0.1, 0.4))]
    upper += [between(33, 51, random.uniform(0.2, 0.7)), between(48, 31, random.uniform(0.1, 0.4))]
    outline = list(points[jaw_start:17 - jaw_start]) + upper + [between(jaw_start, 48, 0.5)]
    mask, zoom = Image.new("L", (size, size)), size / CROP_SIZE
    draw = ImageDraw.Draw(mask)
    for polygon, value in ((outline, 255), (points[48:60], 0)):
        draw.polygon([(x * zoom, (CROP_SIZE - y) * zoom) for x, y in polygon], fill=value)
    mask = mask.filter(ImageFilter.BoxBlur(random.uniform(1.0, 5.0) * zoom))
    cells = int(size * random.uniform(0.3, 0.8))
    grain = np.asarray(Image.fromarray(random.uniform(0.4, 1, (cells, cells)).astype(np.float32)).resize(
        (size, size), Image.BILINEAR))
    weight = (np.asarray(mask, np.float32) * grain * (opacity / 255))[..., np.newaxis]
    colour = np.array(_BEARD_COLOURS[random.randint(len(_BEARD_COLOURS))], np.float32) * random.uniform(0.7, 1.2)
    face += weight * (colour - face)
