"""Ground-truth meshes of training faces: ``mesh/NAME.npy`` beside the photos, where there are any.

A mesh is [N, 3] float, dm, in the vertices of the face model and in model space: what
``face_decoder.Face.shape`` would be if the coefficients could express it.
"""

import os
from typing import Any, NamedTuple

import numpy as np

from dataset.processed_faces import find_faces
from utils.errors import InputError
from utils.numpy_files import npy_header, read_npy
from utils.tf_compat import tf

MESH_FOLDER = "mesh"
MESH_TARGETS = ("auto", "truth", "coefficients")


class MeshTargets(NamedTuple):
    """Ground truth as tensors."""

    vertices: Any  # [B, N, 3]
    validating: Any  # scalar bool: whether the faces are of the validation folder; False unless fed


def mesh_targets(indices, model, options):
    """Return the ground truth of a batch, or None where the coefficient mesh is the target.

    A mesh that cannot be read any more during training gives NaN, so that the run stops and names
    its batch.

    Args:
        indices: [B] int64, of the faces in their folder.
        model: the ``FaceModel``.
        options: ``TrainingOptions``; ``mesh_targets`` is ``"truth"``, ``"coefficients"``, or
            ``"auto"`` for truth if the training folder has a folder ``mesh``.

    Raises:
        InputError: meshes are missing or do not fit the face model, or ``options`` augment them.
    """
    has_folder = os.path.isdir(os.path.join(options.data_path, MESH_FOLDER))
    if options.mesh_targets == "coefficients" or options.mesh_targets == "auto" and not has_folder:
        return None
    if options.augment:
        raise InputError("--augment mirrors photos, which their meshes in {} do not follow; leave one of them out "
                         "(--mesh_targets coefficients)".format(os.path.join(options.data_path, MESH_FOLDER)))
    training = _mesh_paths(options.data_path, model)
    validation = training if options.val_data_path is None else _mesh_paths(options.val_data_path, model)

    def read(positions, of_validation):
        paths = validation if of_validation else training
        return np.stack([_read_mesh(paths[position], model.vertex_count) for position in positions])

    validating = tf.placeholder_with_default(False, [], "validating")
    vertices = tf.py_func(read, [indices, validating], tf.float32)
    vertices.set_shape([None, model.vertex_count, 3])
    return MeshTargets(vertices, validating)


def _mesh_paths(folder, model):
    """Return the path of each face's mesh, in the order of ``find_faces``, having looked at all headers."""
    paths = [os.path.join(folder, MESH_FOLDER, face.name + ".npy") for face in find_faces(folder).faces]
    for path in paths:
        try:
            shape, dtype = npy_header(path)
        except InputError:
            raise InputError("{}: missing or not a mesh; give one for each face, or train with --mesh_targets "
                             "coefficients".format(path)) from None
        if shape != (model.vertex_count, 3) or dtype.kind != "f":
            raise InputError("{}: holds {} of {} instead of {} vertices of real numbers; it was made for another face "
                             "model than {}".format(path, dtype, shape, model.vertex_count, model.name))
    return paths


def _read_mesh(path, vertex_count):
    try:
        mesh = read_npy(path)
        if mesh.shape == (vertex_count, 3) and mesh.dtype.kind == "f":
            with np.errstate(over="ignore"):  # infinity ends the run as NaN does
                return mesh.astype(np.float32)
    except InputError:
        pass
    return np.full((vertex_count, 3), np.nan, np.float32)
