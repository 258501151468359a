"""Albedo: random skins painted by a small generative model, and their principal components.

A skin has maps of melanin and haemoglobin (``skin.SkinColour`` turns them into colour): its tone, redder cheeks,
nose, ears and lips, darker eye sockets, smooth variation and freckles. Hair, lashes, iris, sclera, teeth and
make-up are painted over it.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg

from face_model.open_model.head_mesh import IRIS_ANGLE, PUPIL_ANGLE
from face_model.open_model.skin import SkinColour

# sRGB. Hair: black, dark brown, brown, blond, red, grey.
_HAIR = np.array([[32, 26, 24], [58, 42, 33], [88, 64, 46], [160, 128, 88], [128, 74, 44], [140, 136, 132]], float)
_HAIR_SHARES = np.array([0.34, 0.25, 0.16, 0.09, 0.04, 0.12])
_HAIR_SHARES_DARK = np.array([0.78, 0.10, 0.02, 0.0, 0.0, 0.10])  # with dark skin
_IRIS = np.array([[50, 31, 20], [84, 52, 28], [112, 86, 48], [104, 108, 78], [98, 124, 148], [130, 142, 148]], float)
_IRIS_SHARES = np.array([0.38, 0.26, 0.12, 0.06, 0.12, 0.06])
_IRIS_SHARES_DARK = np.array([0.85, 0.13, 0.02, 0.0, 0.0, 0.0])
_PUPIL, _LIMBUS, _SCLERA = np.array([14.0, 11, 11]), np.array([34.0, 28, 26]), np.array([214.0, 208, 202])
_MOUTH_COLOUR, _TEETH = np.array([70.0, 24, 22]), np.array([222.0, 212, 190])
# Brow, lids and lashes keep light from the eye, which the decoder's lighting does not know: on 17 photos
# the white was .62 as bright as an unshadowed one (median; .4 to .9).
_SCLERA_SHADOW = (0.45, 0.85)
_TONGUE_COLOUR = np.array([138.0, 66, 64])

DARK_SKIN = 0.16  # melanin fraction from which hair and eyes are mostly black and brown
MELANIN = (0.012, 0.42)  # tones are drawn evenly over the logarithm
_SMOOTH_FIELDS = ((0.45, 0.055), (0.22, 0.055), (0.11, 0.045))  # correlation length in dm, log-luminance deviation
_FEATURES = 160  # random Fourier features of each smooth field
_SYMMETRIC = 0.75  # share of a smooth field's variance that both halves of the face have in common
_BATCH = 100


class AlbedoModel(NamedTuple):
    """A linear model of albedo, RGB 0..255. N vertices, K components."""

    mean: np.ndarray  # [N, 3] float32
    basis: np.ndarray  # [3N, K] float32, columns scaled to one standard deviation
    explained: float  # share of the (weighted) variance


def albedo_model(regions, count, components, seed):
    """Paint random skins and return their :class:`AlbedoModel`.

    Args:
        regions: ``Regions`` of the mean face.
        count: number of skins.
        components: K.
        seed: of the random skins.
    """
    painter = SkinPainter(regions, np.random.RandomState(seed))
    skins = np.concatenate([painter.paint(min(_BATCH, count - start)) for start in range(0, count, _BATCH)])
    skins = skins.reshape(count, -1)
    mean = skins.mean(axis=0, dtype=np.float64).astype(np.float32)
    skins -= mean
    weight = np.repeat(np.sqrt(_importance(regions)), 3).astype(np.float32)
    weighted = skins * weight
    gram = weighted.dot(weighted.T).astype(np.float64) / count
    values, vectors = scipy.linalg.eigh(gram)
    vectors = vectors[:, ::-1][:, :components]
    vectors = vectors * np.where((vectors ** 3).sum(axis=0) < 0, -1.0, 1.0)
    basis = skins.T.dot((vectors * np.sqrt(count)).astype(np.float32)) / count
    return AlbedoModel(mean.reshape(-1, 3), basis, float(values[::-1][:components].sum() / values.sum()))


def _importance(regions):
    """What is small but much looked at counts more; what is hidden or is hair, less."""
    weight = np.where(regions.front(), 1.0, 0.3) * (1 - 0.7 * regions.scalp())
    weight = weight * (1 + regions.lips() + regions.brow(1.2) + 2 * regions.lashes())
    weight[regions.eyes()] = np.where(regions.eye_angle[regions.eyes()] < 45, 3.0, 0.3)
    for hidden in regions.mouth_parts():
        weight[hidden] = 0.3
    return weight / weight.sum()


class SkinPainter:
    """Paints random skins on the mean face.

    Args:
        regions: ``Regions`` of the mean face.
        random: a ``numpy.random.RandomState``.
    """

    def __init__(self, regions, random):
        self._regions, self._random = regions, random
        self._colour = SkinColour()
        self._fields = [(_fourier_features(regions.points, length, random), deviation)
                        for length, deviation in _SMOOTH_FIELDS]
        self._map = {name: getattr(regions, name)().astype(np.float32) for name in (
            "lips", "ears", "lashes", "eye_socket", "upper_lid", "cheek", "nose", "beard", "recess")}
        # Brows and hairlines differ in shape, not only in density: a few variants each.
        self._brows = np.stack([regions.brow(thickness, lift, tilt) for thickness in (0.6, 0.95, 1.35)
                                for lift in (-0.025, 0.0, 0.025) for tilt in (-0.03, 0.03)]).astype(np.float32)
        self._scalps = np.stack([regions.scalp(lift) for lift in (-0.12, 0.0, 0.14, 0.3)]).astype(np.float32)

    def paint(self, count):
        """Return [count, N, 3] float32 albedo, 0..255."""
        draw = self._random
        melanin = np.exp(draw.uniform(*np.log(MELANIN), size=count))
        dark = melanin > DARK_SKIN
        skin = self._skin(np.log(melanin), count)
        hair = self._pick(_HAIR, _HAIR_SHARES, _HAIR_SHARES_DARK, dark) * draw.uniform(0.8, 1.2, (count, 1))
        skin = self._hair(skin, hair, count)
        skin = self._make_up(skin, count)
        iris = self._pick(_IRIS, _IRIS_SHARES, _IRIS_SHARES_DARK, dark) * draw.uniform(0.8, 1.25, (count, 1))
        self._paint_eyes(skin, iris, count)
        self._paint_mouth(skin, count)
        return np.clip(skin, 0.0, 255.0)

    def _skin(self, log_melanin, count):
        """Colour of bare skin from its maps of the two pigments."""
        maps, normal = self._map, self._random.normal

        def effect(name, mean, deviation):
            return normal(mean, deviation, (count, 1)).astype(np.float32) * maps[name]

        log_blood = normal(np.log(0.024), 0.35, (count, 1)).astype(np.float32)
        # Melanin hides blood: dark lips and cheeks are hardly redder than the skin around them.
        log_blood = log_blood + effect("lips", 1.15, 0.35) + effect("cheek", 0.30, 0.28) + \
            effect("nose", 0.25, 0.25) + effect("ears", 0.35, 0.2) + effect("eye_socket", 0.15, 0.2) + \
            self._smooth(count, 1, 3.0)
        log_melanin = log_melanin[:, None].astype(np.float32) + effect("lips", 0.12, 0.22) + \
            effect("eye_socket", 0.16, 0.2) + effect("upper_lid", 0.05, 0.1) + self._smooth(count, 2, 3.5)
        luminance = sum(self._smooth(count, k, 1.0) for k in range(len(self._fields)))
        shade = np.exp(luminance) * (1 - 0.55 * maps["recess"])
        return self._colour(log_melanin, log_blood) * shade[:, :, None].astype(np.float32)

    def _smooth(self, count, level, factor):
        """Draw smooth random fields [count, N] of one correlation length."""
        (symmetric, one_sided), deviation = self._fields[level]
        weights = self._random.normal(0.0, factor * deviation, (2, count, _FEATURES)).astype(np.float32)
        return np.sqrt(_SYMMETRIC) * weights[0].dot(symmetric) + np.sqrt(1 - _SYMMETRIC) * weights[1].dot(one_sided)

    def _hair(self, skin, hair, count):
        draw = self._random
        brows = _mixture(draw, self._brows, count) * draw.uniform(0.35, 0.95, (count, 1))
        skin = _over(skin, hair * 0.95, brows)
        male = draw.uniform(size=count) < 0.5
        beard = np.where(male, draw.uniform(0.0, 0.28, count), 0.0)
        beard = np.where(male & (draw.uniform(size=count) < 0.2), draw.uniform(0.35, 0.85, count), beard)
        skin = _over(skin, hair * 0.9 + 8, self._map["beard"] * beard[:, None])
        covered = np.where(draw.uniform(size=count) < 0.6, draw.uniform(0.6, 0.95, count), draw.uniform(0, 0.4, count))
        skin = _over(skin, hair, _mixture(draw, self._scalps, count) * covered[:, None])
        return _over(skin, hair * 0.35, self._map["lashes"] * draw.uniform(0.35, 0.9, (count, 1)))

    def _make_up(self, skin, count):
        draw = self._random
        worn = (draw.uniform(size=count) < 0.25) * draw.uniform(0.2, 0.8, count)
        lipstick = np.array([170.0, 55, 65]) + draw.normal(0.0, 1.0, (count, 1)) * [25, 18, 18] + \
            draw.normal(0.0, 10.0, (count, 3))
        skin = _over(skin, lipstick, self._map["lips"] * worn[:, None])
        shadow = (draw.uniform(size=count) < 0.15) * draw.uniform(0.1, 0.5, count)
        return _over(skin, np.full((count, 3), 70.0), self._map["upper_lid"] * shadow[:, None])

    def _paint_eyes(self, skin, iris, count):
        eyes = np.flatnonzero(self._regions.eyes())
        angle = self._regions.eye_angle[eyes].astype(np.float32)
        white = _SCLERA + self._random.normal(0.0, 1.0, (count, 1)) * [2, -5, -6]
        white = white * self._random.uniform(*_SCLERA_SHADOW, size=(count, 1))
        # The white darkens towards the corners and under the lids, which cast a shadow that nothing else draws.
        height = self._regions.points[eyes, 1] - self._regions.points[eyes, 1].mean()
        shade = np.interp(angle, [20, 40, 60], [1.0, 0.93, 0.72]) * \
            np.interp(height, [-0.02, 0.05, 0.09], [1.0, 0.93, 0.6])
        colour = white[:, None, :] * np.ones_like(angle)[None, :, None]
        fibres = np.interp(angle, [PUPIL_ANGLE, 14.0, IRIS_ANGLE], [0.85, 1.15, 0.95])
        colour = _over(colour, iris[:, None, :] * fibres[None, :, None], _step(angle, IRIS_ANGLE, 0.8)[None])
        colour = _over(colour, _LIMBUS, 0.6 * np.exp(-((angle - IRIS_ANGLE + 0.5) / 1.6) ** 2)[None])
        colour = _over(colour, _PUPIL, _step(angle, PUPIL_ANGLE, 0.6)[None])
        skin[:, eyes] = colour * shade[None, :, None]

    def _paint_mouth(self, skin, count):
        mouth, teeth, tongue = self._regions.mouth_parts()
        bright = self._random.uniform(0.85, 1.1, (count, 1, 1))
        depth = self._regions.points[:, 2] - self._regions.points[mouth, 2].max()
        shade = np.clip(1.0 + 1.1 * depth, 0.25, 1.0)[None, :, None]
        sideways = np.interp(np.abs(self._regions.points[:, 0]), [0.13, 0.28], [1.0, 0.35])[None, :, None]
        skin[:, mouth] = _MOUTH_COLOUR * shade[:, mouth]
        skin[:, teeth] = _TEETH * bright * (np.clip(shade + 0.1, 0, 1) * sideways)[:, teeth]
        skin[:, tongue] = _TONGUE_COLOUR * shade[:, tongue]

    def _pick(self, palette, shares, dark_shares, dark):
        """Draw one colour of a palette for each skin, slightly mixed with a second."""
        def choose():
            return np.array([palette[self._random.choice(len(palette), p=dark_shares if d else shares)] for d in dark])
        mix = self._random.uniform(0.0, 0.35, (len(dark), 1))
        return choose() * (1 - mix) + choose() * mix


def _fourier_features(points, length, random):
    """Features whose random sums are Gaussian fields of squared-exponential covariance (Rahimi and Recht, 2007).

    Returns:
        ([M, N] symmetric in x, [M, N] not), float32, unit variance for weights of unit variance.
    """
    frequency = random.normal(0.0, 1.0 / length, (3, _FEATURES))
    phase = random.uniform(0.0, 2 * np.pi, _FEATURES)
    folded = points.copy()
    folded[:, 0] = np.sqrt(points[:, 0] ** 2 + (0.15 * length) ** 2)  # no crease on the midline
    return tuple((np.sqrt(2.0 / _FEATURES) * np.cos(at.dot(frequency) + phase)).T.astype(np.float32)
                 for at in (folded, points))


def _mixture(random, variants, count):
    """Return [count, N] random blends of two of the variants [n, N]."""
    first, second = random.randint(len(variants), size=(2, count))
    share = random.uniform(0.0, 1.0, (count, 1)).astype(np.float32)
    return variants[first] * share + variants[second] * (1 - share)


def _over(below, colour, alpha):
    """Paint ``colour`` [count, 3] (or [count, n, 3], [3]) over ``below`` [count, n, 3] with opacity [count, n]."""
    colour = np.asarray(colour, np.float32)
    colour = colour[:, None, :] if colour.ndim == 2 else colour
    alpha = np.asarray(alpha, np.float32)[:, :, None]
    return below + alpha * (colour - below)


def _step(angle, edge, width):
    return np.clip((edge - angle) / width + 0.5, 0.0, 1.0)
