"""The face of a photo seen from the front, with the texture of the photo.

Hassner et al., "Effective Face Frontalization in Unconstrained Images" (CVPR 2015), with the face's
own shape. What the photo hides comes from the other half of the face and from the face model, as in
``mesh.texture_baking``.
"""

from typing import Tuple

import numpy as np
import scipy.ndimage

from face_model.model import FaceModel
from geometry.camera import project_to_image
from mesh.morph_targets import upright_shape
from mesh.texture_baking import (
    agreeing_weight,
    complete_texture,
    look_up_texels,
    sample_texture,
    texel_places,
    texture_size,
)
from mesh.uv_unwrap import UVMap
from mesh_renderer.core import rasterize
from reconstruction.face import Reconstruction

_SAMPLES = 2  # of a pixel, in each direction
_LARGEST_TEXTURE = 2048  # pixels
_DEPTH_RANGE = 10.0  # dm in front of and behind the origin


def draw_frontal(
    reconstruction: Reconstruction, model: FaceModel, uv_map: UVMap, size: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Draw the upright face from the front, as large as in the crop.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.
        uv_map: ``mesh.uv_unwrap.unwrap_uv(model)``.
        size: width and height in pixels.

    Returns:
        [size, size, 4] uint8 RGBA, transparent around the face, and [size, size] uint8: 255 where
        the photo does not show the face and the picture is filled, 0 where it shows it.
    """
    # 1. the texture, and how much of it comes from the photo
    width = min(texture_size(reconstruction, model, uv_map), _LARGEST_TEXTURE)
    texels = look_up_texels(reconstruction, model, uv_map, width)
    weight = agreeing_weight(texels)
    texture = complete_texture(texels, weight)

    # 2. the place of each sample in the texture
    vertices, canvas = upright_shape(reconstruction, model), size * _SAMPLES
    screen = project_to_image(vertices, canvas) / canvas * 2 - 1
    clip = np.stack(
        [screen[:, 0], -screen[:, 1], -vertices[:, 2] / _DEPTH_RANGE, np.ones(len(vertices))],
        axis=1,
    )
    barycentric, ids, _, mask, _ = (
        array[0] for array in rasterize(clip[np.newaxis], model.triangles, canvas, canvas)
    )
    covered = mask[..., 0] > 0
    places = texel_places(uv_map.coordinates, width)
    corners, shares = model.triangles[ids[covered]], barycentric[covered]
    places = sum(places[corners[:, i]] * shares[:, i : i + 1] for i in range(3))

    # 3. its color, and the mean of the samples of each pixel
    layers = np.zeros((canvas, canvas, 5), np.float32)  # color, hidden, covered
    layers[covered, :3] = sample_texture(texture, places)
    seen = scipy.ndimage.map_coordinates(weight, places.T[::-1], order=1, mode="nearest")
    layers[covered, 3], layers[covered, 4] = 255 * (1 - seen), 1
    means = layers.reshape(size, _SAMPLES, size, _SAMPLES, 5).mean(axis=(1, 3))
    alpha = means[..., 4:]
    means = np.concatenate(
        [means[..., :3] / np.maximum(alpha, 1e-6), 255 * alpha, means[..., 3:4]], 2
    )
    rounded = np.clip(np.rint(means), 0, 255).astype(np.uint8)
    return rounded[..., :4], rounded[..., 4]
