"""The mesh generator at work: aligned crops and coefficients in, refined meshes out."""

import os
from typing import NamedTuple

import numpy as np

from checkpoints.record import read_record, require_face_model
from checkpoints.variables import checkpoint_exists, restore, variable_shapes
from face_decoder import draw_face
from face_model.coefficients import coefficient_sizes
from gcn.embedding import FrozenFeatures, frozen_features, identity_kind
from gcn.generator import GENERATOR_SCOPE, head_of_variables, pyramid_tensors
from gcn.pyramid import load_pyramid
from gcn.refined_face import refine_face
from geometry.camera import IMAGE_SIZE
from identity import load_identity_network
from utils.errors import InputError
from utils.tf_compat import session_config, tf

_FIRST_WEIGHTS = GENERATOR_SCOPE + "/gcn_mesh_decoder/fc/weights"


OVERLAY_SIZE = 2 * IMAGE_SIZE  # pixels; sharper than the crop where the photo is


class RefinedMesh(NamedTuple):
    """The refined mesh of one face; pose, albedo and light are those of its coefficients."""

    world_shape: np.ndarray  # [N, 3] dm, camera at (0, 0, 10)
    colors: np.ndarray  # [N, 3] RGB, albedo times light on the refined surface, not clipped
    landmarks: np.ndarray  # [68, 2] crop pixels, y up
    rendered: np.ndarray  # [224, 224, 4] uint8 RGBA
    front_mask: np.ndarray  # [224, 224] bool
    overlay: np.ndarray  # [448, 448, 4] uint8 RGBA, the same at twice the resolution


class MeshRefiner:
    """Refines faces with a trained mesh generator.

    The embedding comes from the coefficient network that the generator was trained on, which the
    record beside the checkpoint names; coefficients may come from elsewhere, such as fitting.

    Args:
        path: prefix of the generator's checkpoint; its variables tell head and identity network.
        model: the ``FaceModel`` that it was trained for.
        coefficient_weights: R-Net's weights, used where the record names none that is there; the embedding of
            another network than it was trained on gives wrong meshes.

    Raises:
        InputError: the checkpoint is missing, damaged, holds no mesh generator, or was trained for
            another face model; or the weights of the frozen networks are missing or unfit.
    """

    def __init__(self, path, model, coefficient_weights=None):
        shapes = variable_shapes(path)
        head = head_of_variables(shapes)
        if head is None or _FIRST_WEIGHTS not in shapes:
            raise InputError("{}: holds no mesh generator; give a checkpoint of train.py --model gcn".format(path))
        require_face_model(path, model)
        kind = identity_kind(shapes[_FIRST_WEIGHTS][0], path)
        weights = trained_on(path) or coefficient_weights
        if weights is None:
            raise network_missing(path)
        with tf.Graph().as_default() as graph:
            self._photos = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], "photo_bgr")
            self._coefficients = tf.placeholder(tf.float32, [None, sum(coefficient_sizes(model))], "coefficients")
            frozen = frozen_features(self._photos, weights, model, load_identity_network(kind) if kind else None)
            face = refine_face(FrozenFeatures(self._coefficients, frozen.embedding), model,
                               pyramid_tensors(load_pyramid(model)), head=head).face
            self._tensors = [face.world_shape, face.colors, face.landmarks,
                             draw_face(face, model), draw_face(face, model, OVERLAY_SIZE).picture]
            self._session = tf.Session(graph=graph, config=session_config())
            restore(self._session, path, tf.trainable_variables(GENERATOR_SCOPE + "/"))

    def refine(self, crops, coefficients):
        """Refine a batch of faces.

        Args:
            crops: [B, 224, 224, 3] uint8 RGB, aligned.
            coefficients: [B, 257].

        Returns:
            A list of :class:`RefinedMesh`.
        """
        photos = np.asarray(crops)[..., ::-1].astype(np.float32)
        shapes, colors, landmarks, drawing, overlays = self._session.run(
            self._tensors, {self._photos: photos, self._coefficients: coefficients})
        return [RefinedMesh(*rows) for rows in zip(shapes, colors, landmarks, *drawing, overlays)]

    def close(self):
        """Free the session."""
        self._session.close()


def is_mesh_generator(path):
    """Say whether ``path`` is a checkpoint with a mesh generator in it."""
    return checkpoint_exists(path) and head_of_variables(variable_shapes(path)) is not None


def coefficient_weights(path):
    """Return the weights that give coefficients: ``path``, or what it was trained on if it is a mesh generator.

    Raises:
        InputError: it is one, and the network it was trained on is not where its record says.
    """
    if not is_mesh_generator(path):
        return path
    weights = trained_on(path)
    if weights is None:
        raise InputError("{}: a mesh generator, but the coefficient network it was trained on is not where its record "
                         "says; give that as --pretrain_weights and this as --refine".format(path))
    return weights


def network_missing(path):
    """Return the InputError of a generator whose coefficient network is not there."""
    return InputError("{}: the coefficient network it was trained on is not where its record says; give it as "
                      "--pretrain_weights".format(path))


def trained_on(path):
    """Return the weights of the coefficient network that a generator was trained on, or None if they are not there."""
    weights = ((read_record(path) or {}).get("options") or {}).get("coefficient_weights")
    if isinstance(weights, str) and (os.path.isfile(weights) or checkpoint_exists(weights)):
        return weights
    return None
