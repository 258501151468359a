"""The normals of a mesh as a picture in the layout of its texture."""

from typing import Any

import numpy as np

from face_model import FaceModel
from geometry.normals import surface_normals
from mesh.morph_targets import upright_shape
from mesh.texture_baking import draw_attributes, with_margin
from mesh.uv_unwrap import UVMap


def bake_normals(reconstruction: Any, model: FaceModel, uv_map: UVMap, size: int) -> np.ndarray:
    """Return the normals of the upright face at each texel, [T, T, 3] uint8 RGB.

    Red, green and blue are x (right), y (up) and z (out of the face), -1..1 as 0..255: a normal
    map in object space, of the mesh alone.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.
        uv_map: texture coordinates of the model.
        size: T, a power of two.
    """
    normals = surface_normals(upright_shape(reconstruction, model), model.triangles)
    values = with_margin(*draw_attributes(normals, model, uv_map, size))
    values /= np.maximum(np.linalg.norm(values, axis=2, keepdims=True), 1e-6)
    return np.rint(127.5 * (values + 1)).astype(np.uint8)
