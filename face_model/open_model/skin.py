"""The color of skin from two pigments: melanin in the epidermis, hemoglobin in the dermis.

Skin is a thin absorbing layer (epidermis) over a deep scattering one (dermis):

    reflectance(l) = r + (1 - r) exp(-2 d a_e(l)) R(a_d(l), s(l))

with thickness d, surface reflectance r, absorption a and reduced scattering s in 1/mm at wavelength
l in nm, and R the total diffuse reflectance of a semi-infinite medium in the diffusion
approximation (Jensen et al., "A practical model for subsurface light transport", 2001, eq. 15).
Pigment spectra and scattering: Jacques, "Skin optics", 1998; Donner and Jensen, "A spectral BSSRDF
for shading human skin", 2006; hemoglobin: Prahl's table, omlc.org/spectra/hemoglobin. Two pigments
are enough for skin color: Jimenez et al., "A practical appearance model for dynamic facial color",
2010. Color matching: Wyman, Sloan, Shirley, JCGT 2(2), 2013.
"""

from typing import Tuple

import numpy as np
from scipy.ndimage import map_coordinates

_WAVELENGTH = np.arange(430.0, 701.0, 10.0)  # nm
# Molar extinction, 1/(cm M), of oxygenated and deoxygenated hemoglobin at _WAVELENGTH.
# fmt: off
_OXY = np.array([
    214120, 102580, 62816, 44480, 33209, 26629, 23684, 20932, 20035, 24202, 39956, 53236, 43016,
    32613, 44496, 50104, 14400, 3200, 1506, 942, 610, 442, 368, 319, 294, 277, 276, 290,
], np.float64)
_DEOXY = np.array([
    528600, 413280, 103292, 23389, 16156, 14550, 16684, 20862, 25773, 31589, 39036, 46592, 53412,
    53788, 45072, 37020, 28324, 14677, 9443, 6509, 5148, 4345, 3750, 3226, 2795, 2407, 2051, 1794,
], np.float64)
# fmt: on
_BLOOD = 2.303 * 150.0 / 64500.0 / 10.0  # 150 g/l of molar mass 64,500 g, per mm
_OXYGENATION = 0.75
_EPIDERMIS = 0.065  # mm
_SURFACE = 0.028  # Fresnel reflection, which keeps the darkest skin from turning black
_INTERNAL_REFLECTION = 3.2  # A of Jensen et al. for a refractive index of 1.4

# Color matching functions: lobes (height, center in nm, inverse widths below and above in 1/nm)
# whose sums are x, y and z.
_MATCHING_LOBES = (
    (
        (0.362, 442.0, 0.0624, 0.0374),
        (1.056, 599.8, 0.0264, 0.0323),
        (-0.065, 501.1, 0.0490, 0.0382),
    ),
    ((0.821, 568.8, 0.0213, 0.0247), (0.286, 530.9, 0.0613, 0.0322)),
    ((1.217, 437.0, 0.0845, 0.0278), (0.681, 459.0, 0.0385, 0.0725)),
)
_RGB_TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]

# Range of the table: volume fraction of melanosomes in the epidermis, of blood in the dermis.
MELANIN_RANGE = (0.004, 0.6)
BLOOD_RANGE = (0.004, 0.3)
_TABLE_SIZE = 64


class SkinColor:
    """Table of skin colors, sRGB 0..255, over melanin and blood fractions."""

    def __init__(self) -> None:
        melanin, blood = _table_fractions(MELANIN_RANGE), _table_fractions(BLOOD_RANGE)
        spectra = reflectance(melanin[:, None], blood[None, :])
        self._table = srgb(spectra).astype(np.float32)

    def __call__(self, log_melanin: np.ndarray, log_blood: np.ndarray) -> np.ndarray:
        """Return colors [..., 3] float32 of natural logarithms of the two fractions, both [...]."""
        coordinates = np.stack(
            [_table_row(log_melanin, MELANIN_RANGE), _table_row(log_blood, BLOOD_RANGE)]
        )
        channels = [
            map_coordinates(self._table[:, :, k], coordinates, order=1, mode="nearest")
            for k in range(3)
        ]
        return np.stack(channels, axis=-1)


def _table_fractions(limits: Tuple[float, float]) -> np.ndarray:
    low, high = np.log(limits)
    return np.exp(np.linspace(low, high, _TABLE_SIZE))


def _table_row(logarithm: np.ndarray, limits: Tuple[float, float]) -> np.ndarray:
    low, high = np.log(limits)
    return (np.asarray(logarithm, np.float32) - low) * ((_TABLE_SIZE - 1) / (high - low))


def reflectance(melanin: np.ndarray, blood: np.ndarray) -> np.ndarray:
    """Return the reflectance spectra of skin.

    Args:
        melanin: [...] volume fraction of melanosomes in the epidermis.
        blood: [...] volume fraction of blood in the dermis.

    Returns:
        [..., wavelengths] 0..1.
    """
    # 1. absorption and scattering of the substances
    length = _WAVELENGTH
    baseline = 0.0244 + 8.53 * np.exp(-(length - 154.0) / 66.2)
    eumelanin = 6.6e10 * length**-3.33
    hemoglobin = _BLOOD * (_OXYGENATION * _OXY + (1 - _OXYGENATION) * _DEOXY)
    scattering = 14.74 * length**-0.22 + 2.2e11 * length**-4.0

    # 2. absorption of the layers
    melanin, blood = np.broadcast_arrays(
        np.asarray(melanin)[..., None], np.asarray(blood)[..., None]
    )
    epidermis = melanin * eumelanin + (1 - melanin) * baseline
    dermis = blood * hemoglobin + (1 - blood) * baseline

    # 3. reflection by the surface, and by the dermis through the epidermis
    below = np.exp(-2 * _EPIDERMIS * epidermis) * _diffuse_reflectance(dermis, scattering)
    return _SURFACE + (1 - _SURFACE) * below


def _diffuse_reflectance(absorption: np.ndarray, scattering: np.ndarray) -> np.ndarray:
    albedo = scattering / (absorption + scattering)
    root = np.sqrt(3 * (1 - albedo))
    return albedo / 2 * (1 + np.exp(-4.0 / 3.0 * _INTERNAL_REFLECTION * root)) * np.exp(-root)


def srgb(spectrum: np.ndarray) -> np.ndarray:
    """Return the sRGB colors of reflectance spectra, under a light in which white appears white.

    Args:
        spectrum: [..., wavelengths] 0..1.

    Returns:
        [..., 3] 0..255.
    """
    matching = np.stack([_sum_of_lobes(lobes) for lobes in _MATCHING_LOBES])
    responses = np.linalg.inv(_RGB_TO_XYZ).dot(matching)
    linear = np.clip(np.dot(spectrum, responses.T) / responses.sum(axis=1), 0.0, 1.0)
    curve = 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    return 255.0 * np.where(linear < 0.0031308, 12.92 * linear, curve)


def _sum_of_lobes(lobes: Tuple[Tuple[float, float, float, float], ...]) -> np.ndarray:
    """Return the sum of Gaussians with different widths on their two sides, [wavelengths]."""
    total = np.zeros(len(_WAVELENGTH))
    for height, center, below, above in lobes:
        offset = _WAVELENGTH - center
        total += height * np.exp(-0.5 * (offset * np.where(offset < 0, below, above)) ** 2)
    return total
