"""Ground-truth meshes of training faces: ``mesh/NAME.npy`` beside the photos.

A mesh is [N, 3] float, dm: the vertices of the face model in model space. In contrast to
``face_decoder.Face.shape``, it need not be a combination of the model's basis vectors.
"""

import os
from typing import Any, List, NamedTuple, Optional

import numpy as np

from dataset.processed_faces import MESH_FOLDER, face_paths, find_faces
from face_model import FaceModel
from utils.errors import InputError
from utils.numpy_files import npy_header, read_npy
from utils.tf_compat import Tensor, tf

MESH_TARGETS = ("auto", "truth", "coefficients")


class MeshTargets(NamedTuple):
    """Ground truth as tensors."""

    vertices: Tensor  # [B, N, 3]
    validating: Tensor  # scalar bool, fed with True for faces of the validation folder


def build_mesh_targets(indices: Tensor, model: FaceModel, options: Any) -> Optional[MeshTargets]:
    """Return the ground truth of a batch, or None if the coefficient mesh is the target.

    A mesh that can no longer be read during training becomes NaN, so that the run stops with an
    error that names its batch.

    Args:
        indices: [B] int64, of the faces in their folder.
        model: face model.
        options: ``training.options.TrainingOptions``; ``mesh_targets`` is ``"truth"``,
            ``"coefficients"``, or ``"auto"`` for truth if the training folder has a folder
            ``mesh``.

    Raises:
        InputError: meshes are missing or do not fit the face model, or ``options`` augment faces
            that have meshes.
    """
    # 1. Choice of the target.
    mesh_folder = os.path.join(options.data_path, MESH_FOLDER)
    is_auto = options.mesh_targets == "auto"
    if options.mesh_targets == "coefficients" or is_auto and not os.path.isdir(mesh_folder):
        return None
    if options.augment:
        raise InputError(
            "--augment mirrors photos but not their meshes in {}; omit --augment, or train with "
            "--mesh_targets coefficients".format(mesh_folder)
        )

    # 2. Files of both folders.
    training = validation = _mesh_paths(options.data_path, model)
    if options.val_data_path is not None:
        validation = _mesh_paths(options.val_data_path, model)

    # 3. Reading.
    def read(positions: np.ndarray, of_validation: bool) -> np.ndarray:
        paths = validation if of_validation else training
        return np.stack([_read_mesh(paths[index], model.vertex_count) for index in positions])

    validating = tf.placeholder_with_default(False, [], "validating")
    vertices = tf.py_func(read, [indices, validating], tf.float32)
    vertices.set_shape([None, model.vertex_count, 3])
    return MeshTargets(vertices, validating)


def _mesh_paths(folder: str, model: FaceModel) -> List[str]:
    """Return the path of each face's mesh in the order of ``find_faces``, all headers checked."""
    paths = [face_paths(folder, face.name).mesh for face in find_faces(folder).faces]
    for path in paths:
        try:
            shape, dtype = npy_header(path)
        except InputError:
            raise InputError(
                "{}: missing or not a mesh; provide one for each face, or train with "
                "--mesh_targets coefficients".format(path)
            ) from None
        if shape != (model.vertex_count, 3) or dtype.kind != "f":
            raise InputError(
                "{}: holds {} of {} instead of {} vertices of real numbers; it was made for "
                "another face model than {}".format(
                    path, dtype, shape, model.vertex_count, model.name
                )
            )
    return paths


def _read_mesh(path: str, vertex_count: int) -> np.ndarray:
    """Read a mesh, [N, 3] float32; NaN if it cannot be read."""
    try:
        mesh = read_npy(path)
        if mesh.shape == (vertex_count, 3) and mesh.dtype.kind == "f":
            with np.errstate(over="ignore"):  # infinity ends the run, as NaN does
                return mesh.astype(np.float32)
    except InputError:
        pass
    return np.full((vertex_count, 3), np.nan, np.float32)
