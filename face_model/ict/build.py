"""Building a ``FaceModel`` from a clone of ICT-FaceKit."""

import numpy as np

from face_model.anatomy import Anatomy
from face_model.ict import clone as files
from face_model.ict.clone import read_clone
from face_model.ict.transfer import correspondence, transfer_basis
from face_model.model import FaceModel, vertex_triangle_table
from geometry.landmark_layout import STANDARD_POINTS_3D, five_from_68
from geometry.similarity import fit_similarity

MODEL_NAME = "ICT-FaceKit (light-stage scans, MIT)"
DM_PER_CM = 0.1
_SIDES = (("_L", "Left"), ("_R", "Right"))


def build_ict_face_model(path: str, open_model: FaceModel) -> FaceModel:
    """Turn a clone of ICT-FaceKit into a face model in BFM's format and frame.

    Sizes are those of the scans: the head is turned so that its five points lie as the standard
    ones do, not scaled. The clone has no colors, so albedo and masks are those of the open face
    model.

    Args:
        path: the folder of the clone.
        open_model: the open face model.

    Returns:
        A ``FaceModel`` with the head, eyes, teeth and tongue; of the original clone, 24,591
        vertices, 100 identity and 53 expression components.

    Raises:
        InputError: a file of the clone is missing or damaged, or libigl is not installed.
    """
    # 1. shapes, in decimeters and in BFM's frame
    clone = read_clone(path)
    landmarks = clone.landmarks
    rotation = fit_similarity(five_from_68(clone.neutral[landmarks]), STANDARD_POINTS_3D).rotation
    turn = (DM_PER_CM * rotation).astype(np.float32)
    mean = DM_PER_CM * clone.neutral.dot(rotation)
    mean -= mean.mean(axis=0)

    # 2. colors and masks of the open model
    weights = correspondence(mean, landmarks, _anatomy(), open_model)
    front = np.zeros(open_model.vertex_count)
    front[open_model.front_vertices] = 1
    is_front = weights.dot(front) > 0.5
    skin_mask = weights.dot(open_model.skin_mask) * is_front
    skin_mask[files.MOUTH :] = 0

    # 3. the model
    triangles = clone.triangles
    return FaceModel(
        name=MODEL_NAME,
        mean_shape=mean.astype(np.float32),
        identity_basis=_basis(clone.identity.dot(turn)),
        expression_basis=_basis(clone.expression.dot(turn)),
        mean_albedo=weights.dot(open_model.mean_albedo).astype(np.float32),
        albedo_basis=transfer_basis(weights, open_model.albedo_basis),
        triangles=triangles,
        vertex_triangles=vertex_triangle_table(triangles, len(mean)),
        front_vertices=np.flatnonzero(is_front).astype(np.int32),
        front_triangles=triangles[is_front[triangles].all(axis=1)],
        landmarks=landmarks,
        skin_mask=skin_mask.astype(np.float32),
        expression_names=tuple(arkit_name(name) for name in clone.expression_names),
    )


def _anatomy() -> Anatomy:
    """Return the indices of ICT-FaceKit's vertices by kind."""
    limits = (files.MOUTH, files.SOCKETS, files.GUMS, files.TEETH, files.LEFT_EYE, files.RIGHT_EYE)
    face, mouth, sockets, gums, teeth, left_eye, right_eye = np.split(np.arange(files.END), limits)
    return Anatomy(np.concatenate([face, sockets]), mouth, gums, teeth, left_eye, right_eye)


def _basis(displacements: np.ndarray) -> np.ndarray:
    """Return displacements [K, N, 3] as the columns of a basis, [3N, K] float32."""
    return np.ascontiguousarray(displacements.reshape(len(displacements), -1).T, np.float32)


def arkit_name(name: str) -> str:
    """Return ARKit's name of one of ICT-FaceKit's expressions: browDown_L is browDownLeft.

    Args:
        name: of the clone's file or list.
    """
    for short, side in _SIDES:
        if name.endswith(short):
            return name[: -len(short)] + side
    return name
