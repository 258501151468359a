"""Inference with a mesh generator: aligned crops and coefficients in, refined meshes out."""

from typing import List, NamedTuple, Sequence

import numpy as np

from checkpoints.record import require_face_model
from checkpoints.variables import checkpoint_exists, restore, variable_shapes
from face_decoder import draw_face
from face_model.coefficients import coefficient_sizes
from face_model.model import FaceModel
from gcn.embedding import build_frozen_features, identity_kind
from gcn.generator import GENERATOR_SCOPE, head_of_variables, pyramid_tensors
from gcn.pyramid import OWN_PYRAMID, MeshPyramid, load_pyramid
from gcn.refined_face import refine_face
from gcn.refined_mesh import RefinedMesh
from geometry.camera import IMAGE_SIZE, OVERLAY_SIZE
from identity import load_identity_network
from utils.errors import InputError
from utils.tf_compat import session_config, tf

_FIRST_WEIGHTS = GENERATOR_SCOPE + "/gcn_mesh_decoder/fc/weights"


class GeneratorLayout(NamedTuple):
    """The properties of a mesh generator that its variables show."""

    head: str  # one of ``gcn.generator.HEADS``
    embedding_width: int


class MeshRefiner:
    """Refines faces with a trained mesh generator.

    Args:
        path: prefix of the generator's checkpoint.
        model: the ``FaceModel`` that it was trained for.
        coefficient_weights: path of the weights of the R-Net that gives the embedding. It must be
            the one that the generator was trained on; another one gives wrong meshes. The
            coefficients of the faces may come from elsewhere, such as fitting.
        pyramid: name of the mesh pyramid that it was trained on, see ``gcn.pyramid.load_pyramid``.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``; of the R-Net.

    Attributes:
        path: prefix of the generator's checkpoint.

    Raises:
        InputError: the checkpoint is missing, damaged, holds no mesh generator, or was trained for
            another face model; or the weights of the frozen networks, or the mesh pyramid, are
            missing or unfit.
    """

    def __init__(
        self,
        path: str,
        model: FaceModel,
        coefficient_weights: str,
        pyramid: str = OWN_PYRAMID,
        allow_any_op: bool = False,
    ) -> None:
        self.path = path

        # 1. the networks that the checkpoint requires
        layout = require_mesh_generator(path)
        require_face_model(path, model)
        matrices = load_pyramid_of(path, model, pyramid)
        kind = identity_kind(layout.embedding_width, path)
        identity = load_identity_network(kind, pooled_only=True) if kind else None

        # 2. the graph: photos and coefficients in, refined faces and their pictures out
        with tf.Graph().as_default() as graph:
            self._photos = tf.placeholder(
                tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], "photo_bgr"
            )
            self._coefficients = tf.placeholder(
                tf.float32, [None, sum(coefficient_sizes(model))], "coefficients"
            )
            frozen = build_frozen_features(
                self._photos, coefficient_weights, model, identity, allow_any_op
            )
            face = refine_face(
                self._coefficients,
                frozen.embedding,
                model,
                pyramid_tensors(matrices),
                head=layout.head,
            ).face
            self._tensors = [
                face.world_shape,
                face.colors,
                face.landmarks,
                draw_face(face, model),
                draw_face(face, model, OVERLAY_SIZE).picture,
            ]

            # 3. the generator's weights
            self._session = tf.Session(graph=graph, config=session_config())
            restore(self._session, path, tf.trainable_variables(GENERATOR_SCOPE + "/"))

    def refine(self, crops: Sequence[np.ndarray], coefficients: np.ndarray) -> List[RefinedMesh]:
        """Refine a batch of faces.

        Args:
            crops: [B, 224, 224, 3] uint8 RGB, aligned.
            coefficients: [B, 257].
        """
        photos = np.asarray(crops)[..., ::-1].astype(np.float32)
        shapes, colors, landmarks, drawing, overlays = self._session.run(
            self._tensors, {self._photos: photos, self._coefficients: coefficients}
        )
        return [RefinedMesh(*rows) for rows in zip(shapes, colors, landmarks, *drawing, overlays)]

    def close(self) -> None:
        """Free the session."""
        self._session.close()


def load_pyramid_of(path: str, model: FaceModel, pyramid: str) -> MeshPyramid:
    """Return the mesh pyramid that a generator was trained on.

    Args:
        path: prefix of the generator's checkpoint, for messages.
        model: the face model.
        pyramid: name of the pyramid, see ``gcn.pyramid.load_pyramid``.

    Raises:
        InputError: as ``load_pyramid``; the sentence names the checkpoint.
    """
    try:
        return load_pyramid(model, pyramid)
    except InputError as error:
        raise InputError("{}: {}".format(path, error)) from None


def is_mesh_generator(path: str) -> bool:
    """Return True if ``path`` is the prefix of a checkpoint with a mesh generator in it.

    Raises:
        InputError: the checkpoint is damaged.
    """
    return checkpoint_exists(path) and head_of_variables(variable_shapes(path)) is not None


def require_mesh_generator(path: str) -> GeneratorLayout:
    """Return the layout of the mesh generator in a checkpoint.

    Args:
        path: prefix of the checkpoint.

    Raises:
        InputError: the checkpoint is missing, damaged, or holds no mesh generator.
    """
    shapes = variable_shapes(path)
    head = head_of_variables(shapes)
    if head is None or _FIRST_WEIGHTS not in shapes:
        raise InputError(
            "{}: holds no mesh generator; give a checkpoint of train.py --model gcn".format(path)
        )
    return GeneratorLayout(head, shapes[_FIRST_WEIGHTS][0])
