"""The face with the refined mesh, from the frozen networks' features of a photo."""

from typing import NamedTuple

from face_decoder import Face, decode_face
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.model import FaceModel
from gcn.generator import PyramidTensors, generate_mesh
from geometry.camera import project
from geometry.rotation import rotation_matrix
from geometry.spherical_harmonics import illuminate
from mesh_renderer.vertex_normals import vertex_normals
from utils.tf_compat import Tensor, tf


class RefinedFace(NamedTuple):
    """A face before and after refinement; ``face_decoder.Face`` has the units."""

    coefficient_face: Face
    face: Face  # the generated mesh with the same albedo, light and pose
    rotation: Tensor  # [B, 3, 3], for row vectors: world = shape @ rotation + translation


def refine_face(
    coefficients: Tensor, embedding: Tensor, model: FaceModel, pyramid: PyramidTensors, *, head: str
) -> RefinedFace:
    """Decode coefficients and refine the mesh, creating the generator's variables.

    Args:
        coefficients: [B, 257].
        embedding: [B, E] features of the photos, see ``gcn.embedding``.
        model: the face model.
        pyramid: mesh pyramid of its mesh.
        head: one of ``gcn.generator.HEADS``.
    """
    # 1. the refined mesh in model space
    plain = decode_face(coefficients, model)
    vertices = generate_mesh(embedding, plain.shape, pyramid, head=head).vertices

    # 2. its pose
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    rotation = rotation_matrix(parts.angles)
    world_shape = tf.matmul(vertices, rotation) + parts.translation[:, tf.newaxis, :]
    normals = tf.matmul(vertex_normals(vertices, model.triangles, model.vertex_triangles), rotation)
    return RefinedFace(
        plain,
        Face(
            shape=vertices,
            world_shape=world_shape,
            normals=normals,
            albedo=plain.albedo,
            colors=illuminate(plain.albedo, normals, parts.gamma),
            landmarks=project(tf.gather(world_shape, model.landmarks, axis=1)),
        ),
        rotation,
    )
