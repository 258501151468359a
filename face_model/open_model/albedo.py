"""Albedo: random skins painted by a small generative model, and their principal components.

A skin has maps of melanin and hemoglobin (``skin.SkinColor`` converts them to color): its tone,
redder cheeks, nose, ears and lips, darker eye sockets, smooth variation and freckles. Hair, lashes,
iris, sclera, teeth and make-up are painted over it.
"""

from typing import NamedTuple, Tuple

import numpy as np
import scipy.linalg

from face_model.open_model.head_mesh import IRIS_ANGLE, PUPIL_ANGLE
from face_model.open_model.regions import Regions
from face_model.open_model.skin import SkinColor

# Colors are sRGB, 0..255. Hair: black, dark brown, brown, blond, red, gray.
_HAIR = np.array(
    [[32, 26, 24], [58, 42, 33], [88, 64, 46], [160, 128, 88], [128, 74, 44], [140, 136, 132]],
    float,
)
_HAIR_SHARES = np.array([0.34, 0.25, 0.16, 0.09, 0.04, 0.12])
_HAIR_SHARES_DARK = np.array([0.78, 0.10, 0.02, 0.0, 0.0, 0.10])  # with dark skin
_IRIS = np.array(
    [[50, 31, 20], [84, 52, 28], [112, 86, 48], [104, 108, 78], [98, 124, 148], [130, 142, 148]],
    float,
)
_IRIS_SHARES = np.array([0.38, 0.26, 0.12, 0.06, 0.12, 0.06])
_IRIS_SHARES_DARK = np.array([0.85, 0.13, 0.02, 0.0, 0.0, 0.0])
_PUPIL = np.array([14.0, 11, 11])
_LIMBUS = np.array([34.0, 28, 26])
_SCLERA = np.array([214.0, 208, 202])
_MOUTH_COLOR = np.array([70.0, 24, 22])
_TEETH = np.array([222.0, 212, 190])
_TONGUE_COLOR = np.array([138.0, 66, 64])
# Brow, lids and lashes shadow the eye, which the decoder's lighting does not model: on 17 photos
# the white was .62 as bright as an unshadowed one (median; .4 to .9).
_SCLERA_SHADOW = (0.45, 0.85)

DARK_SKIN = 0.16  # melanin fraction from which hair and eyes are mostly black and brown
MELANIN = (0.012, 0.42)  # range of tones, uniform over the logarithm
# Correlation length in dm, deviation of the logarithm of the luminance.
_SMOOTH_FIELDS = ((0.45, 0.055), (0.22, 0.055), (0.11, 0.045))
_FEATURES = 160  # random Fourier features of each smooth field
_SYMMETRIC = 0.75  # share of a smooth field's variance common to both halves of the face
_BATCH = 100


class AlbedoModel(NamedTuple):
    """A linear model of albedo, RGB 0..255. N vertices, K components."""

    mean: np.ndarray  # [N, 3] float32
    basis: np.ndarray  # [3N, K] float32, columns scaled to one standard deviation
    explained: float  # share of the (weighted) variance


def build_albedo_model(regions: Regions, count: int, components: int, seed: int) -> AlbedoModel:
    """Paint random skins and return their :class:`AlbedoModel`.

    Args:
        regions: ``Regions`` of the mean face.
        count: number of skins.
        components: K.
        seed: seed of the random skins.
    """
    # 1. random skins, as deviations from their mean
    painter = SkinPainter(regions, np.random.RandomState(seed))
    batches = [min(_BATCH, count - start) for start in range(0, count, _BATCH)]
    skins = np.concatenate([painter.paint(size) for size in batches]).reshape(count, -1)
    mean = skins.mean(axis=0, dtype=np.float64).astype(np.float32)
    skins -= mean

    # 2. eigenvectors of the weighted Gram matrix, with fixed signs
    weight = np.repeat(np.sqrt(_importance(regions)), 3).astype(np.float32)
    weighted = skins * weight
    gram = weighted.dot(weighted.T).astype(np.float64) / count
    values, vectors = scipy.linalg.eigh(gram)
    vectors = vectors[:, ::-1][:, :components]
    vectors = vectors * np.where((vectors**3).sum(axis=0) < 0, -1.0, 1.0)

    # 3. components of unit variance over the sample
    basis = skins.T.dot((vectors * np.sqrt(count)).astype(np.float32)) / count
    explained = values[::-1][:components].sum() / values.sum()
    return AlbedoModel(mean.reshape(-1, 3), basis, float(explained))


def _importance(regions: Regions) -> np.ndarray:
    """Return the weight of each vertex in the variance, [N], sum 1.

    Small, conspicuous regions have large weights; hidden ones and hair, small ones.
    """
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

    def __init__(self, regions: Regions, random: np.random.RandomState) -> None:
        self._regions = regions
        self._random = random
        self._color = SkinColor()
        self._fields = [
            (_fourier_features(regions.points, length, random), deviation)
            for length, deviation in _SMOOTH_FIELDS
        ]
        self._map = {
            name: getattr(regions, name)().astype(np.float32)
            for name in (
                "lips",
                "ears",
                "lashes",
                "eye_socket",
                "upper_lid",
                "cheek",
                "nose",
                "beard",
                "recess",
            )
        }
        # Brows and hairlines differ in shape, not only in density: a few variants of each.
        brows = [
            regions.brow(thickness, lift, tilt)
            for thickness in (0.6, 0.95, 1.35)
            for lift in (-0.025, 0.0, 0.025)
            for tilt in (-0.03, 0.03)
        ]
        self._brows = np.stack(brows).astype(np.float32)
        scalps = [regions.scalp(lift) for lift in (-0.12, 0.0, 0.14, 0.3)]
        self._scalps = np.stack(scalps).astype(np.float32)

    def paint(self, count: int) -> np.ndarray:
        """Return [count, N, 3] float32 albedo, 0..255."""
        random = self._random
        lowest, highest = np.log(MELANIN)
        melanin = np.exp(random.uniform(lowest, highest, size=count))
        dark = melanin > DARK_SKIN
        skin = self._paint_skin(np.log(melanin), count)

        hair = self._pick(_HAIR, _HAIR_SHARES, _HAIR_SHARES_DARK, dark)
        hair = hair * random.uniform(0.8, 1.2, (count, 1))
        skin = self._paint_hair(skin, hair, count)
        skin = self._paint_make_up(skin, count)

        iris = self._pick(_IRIS, _IRIS_SHARES, _IRIS_SHARES_DARK, dark)
        iris = iris * random.uniform(0.8, 1.25, (count, 1))
        self._paint_eyes(skin, iris, count)
        self._paint_mouth(skin, count)
        return np.clip(skin, 0.0, 255.0)

    def _paint_skin(self, log_melanin: np.ndarray, count: int) -> np.ndarray:
        """Return the color of bare skin from its maps of the two pigments, [count, N, 3]."""
        maps, normal = self._map, self._random.normal

        def effect(name: str, mean: float, deviation: float) -> np.ndarray:
            return normal(mean, deviation, (count, 1)).astype(np.float32) * maps[name]

        # 1. blood; melanin hides it: dark lips and cheeks are hardly redder than the skin around
        log_blood = normal(np.log(0.024), 0.35, (count, 1)).astype(np.float32)
        log_blood = (
            log_blood
            + effect("lips", 1.15, 0.35)
            + effect("cheek", 0.30, 0.28)
            + effect("nose", 0.25, 0.25)
            + effect("ears", 0.35, 0.2)
            + effect("eye_socket", 0.15, 0.2)
            + self._smooth(count, 1, 3.0)
        )

        # 2. melanin
        log_melanin = (
            log_melanin[:, None].astype(np.float32)
            + effect("lips", 0.12, 0.22)
            + effect("eye_socket", 0.16, 0.2)
            + effect("upper_lid", 0.05, 0.1)
            + self._smooth(count, 2, 3.5)
        )

        # 3. luminance, darker in folds
        luminance = sum(self._smooth(count, k, 1.0) for k in range(len(self._fields)))
        shade = np.exp(luminance) * (1 - 0.55 * maps["recess"])
        return self._color(log_melanin, log_blood) * shade[:, :, None].astype(np.float32)

    def _smooth(self, count: int, level: int, factor: float) -> np.ndarray:
        """Sample smooth random fields [count, N] of one correlation length."""
        (symmetric, one_sided), deviation = self._fields[level]
        weights = self._random.normal(0.0, factor * deviation, (2, count, _FEATURES))
        weights = weights.astype(np.float32)
        common = np.sqrt(_SYMMETRIC) * weights[0].dot(symmetric)
        return common + np.sqrt(1 - _SYMMETRIC) * weights[1].dot(one_sided)

    def _paint_hair(self, skin: np.ndarray, hair: np.ndarray, count: int) -> np.ndarray:
        """Return skin [count, N, 3] with brows, beard, scalp and lashes over it."""
        random = self._random

        # 1. brows
        brows = _mixture(random, self._brows, count) * random.uniform(0.35, 0.95, (count, 1))
        skin = _over(skin, hair * 0.95, brows)

        # 2. beards: stubble of half the faces, and a full beard of a fifth of these
        male = random.uniform(size=count) < 0.5
        beard = np.where(male, random.uniform(0.0, 0.28, count), 0.0)
        full = male & (random.uniform(size=count) < 0.2)
        beard = np.where(full, random.uniform(0.35, 0.85, count), beard)
        skin = _over(skin, hair * 0.9 + 8, self._map["beard"] * beard[:, None])

        # 3. scalp, dense or sparse
        dense = random.uniform(size=count) < 0.6
        covered = np.where(dense, random.uniform(0.6, 0.95, count), random.uniform(0, 0.4, count))
        skin = _over(skin, hair, _mixture(random, self._scalps, count) * covered[:, None])

        # 4. lashes
        lashes = self._map["lashes"] * random.uniform(0.35, 0.9, (count, 1))
        return _over(skin, hair * 0.35, lashes)

    def _paint_make_up(self, skin: np.ndarray, count: int) -> np.ndarray:
        """Return skin [count, N, 3], a part of it with lipstick or eye shadow."""
        random = self._random
        worn = (random.uniform(size=count) < 0.25) * random.uniform(0.2, 0.8, count)
        lipstick = (
            np.array([170.0, 55, 65])
            + random.normal(0.0, 1.0, (count, 1)) * [25, 18, 18]
            + random.normal(0.0, 10.0, (count, 3))
        )
        skin = _over(skin, lipstick, self._map["lips"] * worn[:, None])
        shadow = (random.uniform(size=count) < 0.15) * random.uniform(0.1, 0.5, count)
        gray = np.full((count, 3), 70.0)
        return _over(skin, gray, self._map["upper_lid"] * shadow[:, None])

    def _paint_eyes(self, skin: np.ndarray, iris: np.ndarray, count: int) -> None:
        """Paint the eyeballs in place."""
        # 1. the white
        eyes = np.flatnonzero(self._regions.eyes())
        angle = self._regions.eye_angle[eyes].astype(np.float32)
        white = _SCLERA + self._random.normal(0.0, 1.0, (count, 1)) * [2, -5, -6]
        white = white * self._random.uniform(*_SCLERA_SHADOW, size=(count, 1))
        color = white[:, None, :] * np.ones_like(angle)[None, :, None]

        # 2. iris, its dark rim, and pupil
        fibers = np.interp(angle, [PUPIL_ANGLE, 14.0, IRIS_ANGLE], [0.85, 1.15, 0.95])
        iris_color = iris[:, None, :] * fibers[None, :, None]
        color = _over(color, iris_color, _step(angle, IRIS_ANGLE, 0.8)[None])
        rim = 0.6 * np.exp(-(((angle - IRIS_ANGLE + 0.5) / 1.6) ** 2)[None])
        color = _over(color, _LIMBUS, rim)
        color = _over(color, _PUPIL, _step(angle, PUPIL_ANGLE, 0.6)[None])

        # 3. shadows towards the corners and under the lids
        height = self._regions.points[eyes, 1] - self._regions.points[eyes, 1].mean()
        corner_shade = np.interp(angle, [20, 40, 60], [1.0, 0.93, 0.72])
        lid_shade = np.interp(height, [-0.02, 0.05, 0.09], [1.0, 0.93, 0.6])
        skin[:, eyes] = color * (corner_shade * lid_shade)[None, :, None]

    def _paint_mouth(self, skin: np.ndarray, count: int) -> None:
        """Paint inner mouth, teeth and tongue in place, darker with depth."""
        points = self._regions.points
        mouth, teeth, tongue = self._regions.mouth_parts()
        bright = self._random.uniform(0.85, 1.1, (count, 1, 1))
        depth = points[:, 2] - points[mouth, 2].max()
        shade = np.clip(1.0 + 1.1 * depth, 0.25, 1.0)[None, :, None]
        sideways = np.interp(np.abs(points[:, 0]), [0.13, 0.28], [1.0, 0.35])[None, :, None]
        teeth_shade = np.clip(shade + 0.1, 0, 1) * sideways
        skin[:, mouth] = _MOUTH_COLOR * shade[:, mouth]
        skin[:, teeth] = _TEETH * bright * teeth_shade[:, teeth]
        skin[:, tongue] = _TONGUE_COLOR * shade[:, tongue]

    def _pick(
        self, palette: np.ndarray, shares: np.ndarray, dark_shares: np.ndarray, dark: np.ndarray
    ) -> np.ndarray:
        """Sample one color of a palette for each skin, slightly mixed with a second: [count, 3]."""

        def choose() -> np.ndarray:
            chosen = [
                self._random.choice(len(palette), p=dark_shares if is_dark else shares)
                for is_dark in dark
            ]
            return palette[chosen]

        mix = self._random.uniform(0.0, 0.35, (len(dark), 1))
        return choose() * (1 - mix) + choose() * mix


def _fourier_features(
    points: np.ndarray, length: float, random: np.random.RandomState
) -> Tuple[np.ndarray, np.ndarray]:
    """Return random Fourier features (Rahimi and Recht, 2007).

    Their random sums are Gaussian fields of squared-exponential covariance.

    Returns:
        ([M, N] symmetric in x, [M, N] not), float32, unit variance for weights of unit variance.
    """
    frequency = random.normal(0.0, 1.0 / length, (3, _FEATURES))
    phase = random.uniform(0.0, 2 * np.pi, _FEATURES)

    def features(at: np.ndarray) -> np.ndarray:
        waves = np.sqrt(2.0 / _FEATURES) * np.cos(at.dot(frequency) + phase)
        return waves.T.astype(np.float32)

    folded = points.copy()
    folded[:, 0] = np.sqrt(points[:, 0] ** 2 + (0.15 * length) ** 2)  # no crease on the midline
    return features(folded), features(points)


def _mixture(random: np.random.RandomState, variants: np.ndarray, count: int) -> np.ndarray:
    """Return [count, N] random blends of two of the variants [n, N]."""
    first, second = random.randint(len(variants), size=(2, count))
    share = random.uniform(0.0, 1.0, (count, 1)).astype(np.float32)
    return variants[first] * share + variants[second] * (1 - share)


def _over(below: np.ndarray, color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Blend a color over skins.

    Args:
        below: [count, n, 3].
        color: [count, 3], [count, n, 3] or [3].
        alpha: [count, n] opacity, 0..1.

    Returns:
        [count, n, 3].
    """
    color = np.asarray(color, np.float32)
    color = color[:, None, :] if color.ndim == 2 else color
    alpha = np.asarray(alpha, np.float32)[:, :, None]
    return below + alpha * (color - below)


def _step(angle: np.ndarray, edge: float, width: float) -> np.ndarray:
    return np.clip((edge - angle) / width + 0.5, 0.0, 1.0)
