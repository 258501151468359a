"""One texture of a person from several photos, without the light of any of them.

Each photo gives the difference between its colors and the lit colors of the face model, divided by
the fitted shading: photos in different light become comparable, and texture = albedo + difference.
Coarse colors are averaged over all photos that see a texel, so that no seam remains; fine ones come
from the photos that see it best, because averages of details are blurred. Two bands of Burt &
Adelson, "A Multiresolution Spline with Application to Image Mosaics" (ACM TOG 1983). Photos are
added one by one, so that memory does not grow with them.
"""

import itertools
from typing import Any, Iterable, NamedTuple, Optional

import numpy as np
import scipy.ndimage

from face_model import FaceModel
from mesh.texture_baking import (
    LARGEST_TEXTURE,
    Texels,
    agreeing_weight,
    complete_texture,
    draw_map,
    face_resolution,
    look_up_texels,
    ramp,
    texture_size,
)
from mesh.uv_unwrap import UVMap
from utils.workers import map_in_threads

_LARGEST = LARGEST_TEXTURE // 2  # pixels; the sums of all photos need as much memory as a photo
_THREADS = 4  # at most; each holds a photo's part
_BLOCK = 8  # texels
_BAND = 1 / 64.0  # coarser colors are averaged; standard deviation, in widths of the texture
# Distance of colors from the face model's, in gray levels around a texel, at which a photo keeps a
# quarter of its quality. The others decide; features that all photos show stay.
_DISAGREEMENT, _NEIGHBORHOOD = 30.0, 1 / 128.0
# Powers of the quality of a photo's texel: of coarse colors, and of fine ones, which come almost
# from the best photo alone.
_COARSE_POWER, _FINE_POWER = 2, 8
# Shading below which a texel of a photo is too dark to show the skin, and from which it is trusted.
_SHADE = (0.15, 0.6)
_LEAST_QUALITY = 1e-3  # of a texel that is seen at all
_GRAZING_QUALITY = 0.3  # of a texel that is seen at a slant, relative to one seen from the front


def person_texture_size(reconstruction: Any, model: FaceModel, uv_map: UVMap) -> int:
    """Return the width of a person's texture, pixels; arguments of ``texture_size``.

    Args:
        reconstruction: the photo with the most pixels on the face.
        model: the face model.
        uv_map: texture coordinates of the model.
    """
    return min(texture_size(reconstruction, model, uv_map), _LARGEST)


def bake_person_texture(
    reconstructions: Iterable[Any],
    model: FaceModel,
    uv_map: UVMap,
    albedo: np.ndarray,
    size: Optional[int] = None,
) -> np.ndarray:
    """Return the texture of a person, [T, T, 3] uint8 RGB; texels that no photo shows are filled.

    Args:
        reconstructions: ``reconstruction.face.Reconstruction`` of each photo with the person's
            albedo, the one with the most pixels on the face first; consumed in this thread, a few
            ahead of the photos that are added.
        model: the face model.
        uv_map: texture coordinates of the model.
        albedo: [N, 3] RGB, 0..255, of the person.
        size: width T of the texture, a power of two; None for that of the first photo.
    """
    rest = iter(reconstructions)
    first = next(rest)
    size = size or person_texture_size(first, model, uv_map)
    texture = PersonTexture(model, uv_map, size)
    for part in map_in_threads(texture.look_at, itertools.chain([first], rest), _THREADS):
        texture.add(part)
    return texture.bake(albedo)


class _Part(NamedTuple):
    """A photo's part in a texture."""

    texels: Texels
    weight: np.ndarray  # [T, T] 0..1
    quality: np.ndarray  # [T, T] 0..1
    coarse: np.ndarray  # [T, T, 3] difference from the albedo, in even light
    fine: np.ndarray  # [T, T, 3] likewise


class PersonTexture:
    """Collects the photos of a person and bakes their texture.

    Args:
        model: the face model.
        uv_map: texture coordinates of the model.
        size: width T of the texture, a power of two.
    """

    def __init__(self, model: FaceModel, uv_map: UVMap, size: int) -> None:
        self._model = model
        self._uv_map = uv_map
        self._size = size
        self._weight = np.zeros((size, size), np.float32)  # of the photo that shows a texel best
        self._coarse, self._fine = (np.zeros((size, size, 3), np.float32) for _ in range(2))
        self._coarse_total, self._fine_total = (
            np.zeros((size, size), np.float32) for _ in range(2)
        )
        self._texels: Any = None  # Texels of the last photo: its places are those of the texture

    def look_at(self, reconstruction: Any) -> _Part:
        """Return a photo's part in the texture, for :meth:`add`; several threads may do this.

        Args:
            reconstruction: ``reconstruction.face.Reconstruction`` with the person's albedo.
        """
        # 1. the photo at each texel, in even light
        texels = look_up_texels(reconstruction, self._model, self._uv_map, self._size)
        shading = self._interpolate(reconstruction.colors / np.maximum(reconstruction.albedo, 1.0))
        weight = agreeing_weight(texels) * ramp(shading.mean(axis=2), *_SHADE)
        difference = texels.difference / np.maximum(shading, _SHADE[0])

        # 2. the quality of each texel: seen from the front, and in full resolution
        resolution = face_resolution(reconstruction, self._model, self._uv_map) / self._size
        slant = _GRAZING_QUALITY + (1 - _GRAZING_QUALITY) * texels.certain
        quality = weight * slant * min(1.0, resolution)

        # 3. the photo that agrees with the face: another one hides it behind a hand or hair
        disagreement = _blur(
            np.linalg.norm(difference, axis=2, keepdims=True), weight, self._size * _NEIGHBORHOOD
        )
        quality /= np.square(1 + np.square(disagreement[..., 0] / _DISAGREEMENT))

        # 4. two bands
        coarse = _blur(difference, weight, self._size * _BAND)
        quality = np.maximum(quality, _LEAST_QUALITY * weight)
        return _Part(texels, weight, quality, coarse, difference - coarse)

    def add(self, part: _Part) -> None:
        """Add a photo's part."""
        for total, band, sums, power in (
            (self._coarse_total, part.coarse, self._coarse, _COARSE_POWER),
            (self._fine_total, part.fine, self._fine, _FINE_POWER),
        ):
            share = part.quality**power
            total += share
            sums += share[..., np.newaxis] * band
        np.maximum(self._weight, part.weight, out=self._weight)
        self._texels = part.texels

    def bake(self, albedo: np.ndarray) -> np.ndarray:
        """Return the texture, [T, T, 3] uint8 RGB; texels that no photo shows are filled.

        Args:
            albedo: [N, 3] RGB, 0..255, of the person.
        """
        difference = sum(
            sums / np.maximum(total, np.finfo(np.float32).tiny)[..., np.newaxis]
            for sums, total in (
                (self._coarse, self._coarse_total),
                (self._fine, self._fine_total),
            )
        )
        texels = self._texels._replace(model=self._interpolate(albedo), difference=difference)
        return complete_texture(texels, self._weight)

    def _interpolate(self, values: np.ndarray) -> np.ndarray:
        """Return values [N, 3] of the vertices at each texel, [T, T, 3] float32."""
        barycentric, triangles, covered = draw_map(self._model, self._uv_map, self._size)
        result = np.zeros((self._size, self._size, 3), np.float32)
        corners = self._model.triangles[triangles[covered]]
        result[covered] = sum(
            values[corners[:, i]] * barycentric[covered][:, i, np.newaxis] for i in range(3)
        )
        return result


def _blur(values: np.ndarray, weight: np.ndarray, deviation: float) -> np.ndarray:
    """Return the mean of values [T, T, C] around each texel, weighted by [T, T].

    It is computed on blocks of texels, because the neighborhood is large.
    """
    weighted = _block_means(np.dstack([values * weight[..., np.newaxis], weight]))
    blurred = scipy.ndimage.gaussian_filter(weighted, (deviation / _BLOCK, deviation / _BLOCK, 0))
    means = blurred[..., :-1] / np.maximum(blurred[..., -1:], 1e-6)
    means = means.repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1)
    # Smoothing hides the blocks.
    return scipy.ndimage.uniform_filter(means, size=(_BLOCK, _BLOCK, 1), mode="nearest")


def _block_means(values: np.ndarray) -> np.ndarray:
    """Return the means of blocks of texels, [T / 8, T / 8, C]."""
    size, channels = len(values) // _BLOCK, values.shape[2]
    return values.reshape(size, _BLOCK, size, _BLOCK, channels).mean(axis=(1, 3))
