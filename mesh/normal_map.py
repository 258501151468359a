"""The normals of a mesh as a picture in the layout of its texture."""

from typing import Any

import numpy as np

from face_model import FaceModel
from geometry.normals import surface_normals
from mesh.morph_targets import upright_shape
from mesh.texture_baking import draw_map, fill
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
    # 1. normals on each texel
    normals = surface_normals(upright_shape(reconstruction, model), model.triangles)
    barycentric, triangle_ids, covered = draw_map(model, uv_map, size)
    corners, shares = model.triangles[triangle_ids[covered]], barycentric[covered]
    values = np.zeros((size, size, 3), np.float32)
    values[covered] = sum(normals[corners[:, i]] * shares[:, i : i + 1] for i in range(3))

    # 2. continued beyond the face, for filters of viewers; unit length
    values[~covered] = fill(values, covered.astype(np.float32))[~covered]
    values /= np.maximum(np.linalg.norm(values, axis=2, keepdims=True), 1e-6)
    return np.rint(127.5 * (values + 1)).astype(np.uint8)
