"""The whole head of a reconstructed face: its mesh, and a texture that fades into skin."""

from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from face_model import FaceModel
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.head import HeadExtension, join_head
from geometry.rotation import rotation_with_derivatives
from mesh.face_light import light_on_face
from mesh.texture_baking import (
    LARGEST_TEXTURE,
    draw_attributes,
    ramp,
    sample_texture,
    texel_places,
    with_margin,
)
from mesh.uv_unwrap import UVMap, unwrap_around

SUFFIX = "_head"  # of the names of a head's files
_FADE = (0.05, 0.5)  # dm from the rim of the face; skin below, the photo above
_RIM_REACH = 0.6  # dm around the face in which the head follows a mesh that left the face model
_RIM_NEIGHBORS = 3  # vertices of the rim that a vertex follows


class WholeHead(NamedTuple):
    """The head of a face model. N vertices of the face come first, then M around it."""

    model: FaceModel  # N + M vertices
    uv_map: UVMap  # of them
    face_coordinates: np.ndarray  # [N + M, 2] in the texture of the face; 0 around the face
    face_share: np.ndarray  # [N + M] of the photo in the texture; else skin
    rim: np.ndarray  # vertices on the rim of the face


def make_whole_head(model: FaceModel, head: HeadExtension, uv_map: UVMap) -> WholeHead:
    """Return the :class:`WholeHead` of a face model.

    Args:
        model: the face model.
        head: its head.
        uv_map: ``unwrap_uv(model)``.
    """
    # 1. mesh and layout of the texture
    whole, count = join_head(model, head), model.vertex_count
    rim = np.unique(head.triangles[head.triangles < count])
    more = len(head.mean_shape)
    layout = UVMap(
        unwrap_around(uv_map, model, whole),
        np.concatenate([uv_map.parts, np.zeros(more, int)]),
        np.concatenate([uv_map.mirrored, count + np.arange(more)]),
    )

    # 2. where the face fades into skin
    distance = cKDTree(model.mean_shape[rim]).query(model.mean_shape)[0]
    share = np.where(uv_map.parts == 0, ramp(distance, *_FADE), 1.0)
    return WholeHead(
        model=whole,
        uv_map=layout,
        face_coordinates=np.concatenate([uv_map.coordinates, np.zeros((more, 2))]),
        face_share=np.concatenate([share, np.zeros(more)]),
        rim=rim,
    )


def extend_face(reconstruction: Any, model: FaceModel, whole: WholeHead) -> Any:
    """Return the reconstruction with the vertices of the whole head, named ``NAME_head``.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``, of a refined mesh too.
        model: its face model.
        whole: :func:`make_whole_head` of that model.
    """
    # 1. vertices
    count = model.vertex_count
    world = extend_shape(reconstruction, model, whole)

    # 2. colors
    skin = _plain_skin(reconstruction.albedo, model)
    share = whole.face_share[:, np.newaxis]
    albedo = np.tile(skin, (len(world), 1))
    albedo[:count] += share[:count] * (reconstruction.albedo - skin)
    face = reconstruction.face._replace(name=reconstruction.face.name + SUFFIX)
    extended = reconstruction._replace(
        face=face, world_shape=world, albedo=albedo.astype(np.float32)
    )
    colors = skin * light_on_face(extended, whole.model)
    colors[:count] += share[:count] * (reconstruction.colors - colors[:count])
    return extended._replace(colors=colors.astype(np.float32))


def extend_shape(reconstruction: Any, model: FaceModel, whole: WholeHead) -> np.ndarray:
    """Return the vertices of the whole head of a face, [N + M, 3] float32 dm, in its pose.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``, of a refined mesh too, or a
            ``reconstruction.people.Person``.
        model: its face model.
        whole: :func:`make_whole_head` of that model.
    """
    # 1. vertices by the coefficients
    coefficients = np.asarray(reconstruction.coefficients, np.float64)[np.newaxis]
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    shape = whole.model.mean_shape - model.mean_shape.mean(axis=0, dtype=np.float64)
    shape += whole.model.identity_basis.dot(parts.identity[0]).reshape(-1, 3)
    shape += whole.model.expression_basis.dot(parts.expression[0]).reshape(-1, 3)
    world = shape.dot(rotation_with_derivatives(parts.angles[0])[0]) + parts.translation[0]

    # 2. the face as it is, and what adjoins it moved along
    count = model.vertex_count
    moved = reconstruction.world_shape[whole.rim] - world[whole.rim]
    distances, nearest = cKDTree(world[whole.rim]).query(world[count:], k=_RIM_NEIGHBORS)
    weights = 1 / np.maximum(distances, 1e-6)
    weights *= (1 - ramp(distances[:, :1], 0, _RIM_REACH)) / weights.sum(axis=1, keepdims=True)
    world[count:] += np.einsum("nk,nkj->nj", weights, moved[nearest])
    world[:count] = reconstruction.world_shape
    return world.astype(np.float32)


def head_texture(
    texture: np.ndarray, albedo: np.ndarray, extended: Any, model: FaceModel, whole: WholeHead
) -> np.ndarray:
    """Return the texture of a whole head, [U, U, 3] uint8 RGB: the photo, faded into skin.

    Args:
        texture: [T, T, 3] uint8, the texture of the face, lit or not.
        albedo: [T, T, 3] uint8, the same without light, which tells the color of the skin.
        extended: :func:`extend_face` of the face; None for a texture without light.
        model: the face model.
        whole: its head.
    """
    # 1. the color of the skin on the photo, lit
    count = model.vertex_count
    at_vertices = _sample(albedo, whole.face_coordinates[:count])
    skin = np.tile(_plain_skin(at_vertices, model), (whole.model.vertex_count, 1))
    if extended is not None:
        skin *= light_on_face(extended, whole.model)

    # 2. skin, share of the face, and place in its texture, of each texel
    size = min(2 * len(texture), LARGEST_TEXTURE)
    attributes = np.column_stack([skin, whole.face_share, whole.face_coordinates])
    values, covered = draw_attributes(attributes, whole.model, whole.uv_map, size)

    # 3. their mixture, and a margin for filters of viewers
    color, share = values[:, :3], values[:, 3:4]
    color = color + share * (_sample(texture, values[:, 4:]) - color)
    return np.clip(np.rint(with_margin(color, covered)), 0, 255).astype(np.uint8)


def _plain_skin(colors: np.ndarray, model: FaceModel) -> np.ndarray:
    """Return the median [3] of the colors [N, 3] of vertices on even skin of the face."""
    return np.median(colors[model.skin_mask > 0.5], axis=0)


def _sample(texture: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    """Return the colors [n, 3] of a texture at coordinates [n, 2], u right, v up."""
    return sample_texture(texture, texel_places(coordinates, len(texture)))
