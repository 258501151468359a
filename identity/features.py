"""Identity features of aligned crops: FaceNet if its weights are present, else dlib's network.

The published system compares faces by FaceNet (Schroff et al., CVPR 2015), whose weights must be
downloaded by hand: for the perceptual loss a checkpoint, for the embedding of the mesh generator
the frozen graph ``network/FaceNetModel.pb``, which may be another FaceNet. Without them, dlib's
recognition network replaces it: its weights are in the public domain, and part of the PyPI package
``face_recognition_models``.
"""

import abc
import contextlib
import os
from typing import Any, Dict, List

import networks
from checkpoints.variables import checkpoint_exists, read_variables
from geometry.camera import IMAGE_SIZE
from identity.dlib_file import read_recognition_network
from identity.dlib_network import (
    RecognitionFeatures,
    recognition_constants,
    recognition_features,
)
from utils.errors import InputError
from utils.installed import find_package_file
from utils.paths import NETWORK_DIR, WEIGHTS_DIR
from utils.tf_compat import Tensor, tf

FACE_NET_CHECKPOINT = os.path.join(WEIGHTS_DIR, "id_net", "model-20170512-110547.ckpt-250000")
FACE_NET_GRAPH = os.path.join(NETWORK_DIR, "FaceNetModel.pb")

DLIB_FILE = "dlib_face_recognition_resnet_model_v1.dat"
DLIB_PACKAGE = "face_recognition_models"

IDENTITY_CHOICES = ("auto", "facenet", "dlib")

_FACE_NET_POOLED_SIZE = 160  # side of FaceNet's input whose average pool the mesh generator gets

# dlib's face chip (dlib.get_face_chip_details, size 150, padding 0.25) inside an aligned 224x224
# crop, in pixels: the mean over 17 photos (center 111.7, 120.1; side 171.6; angle 0.7 degrees),
# made symmetric. Alignment has already removed size and position, so one window fits all.
_CHIP_CENTER_X, _CHIP_CENTER_Y, _CHIP_SIDE = 111.5, 120.0, 172.0


class IdentityNetwork(abc.ABC):
    """A frozen network whose features distinguish people.

    Its weights become constants of a graph once, however often features are built there. So
    photo and render can be passed in two calls, and gradients computed for the render alone.

    Attributes:
        kind: ``"facenet"`` or ``"dlib"``.
        path: file of the weights.
        pooled_width: length of :meth:`pooled_features`.
    """

    kind = ""
    pooled_width = 0

    def __init__(self, path: str) -> None:
        self.path = path
        self._graph: Any = None
        self._graph_constants: Any = None

    @abc.abstractmethod
    def features(self, images_bgr: Tensor) -> Tensor:
        """Return the embedding that the perceptual loss compares.

        Args:
            images_bgr: [B, 224, 224, 3] float32, aligned crops or renders of them, BGR. Values
                outside 0..255 are clipped, because renders may be overexposed.

        Returns:
            [B, 128], not normalized. Differentiable.
        """

    @abc.abstractmethod
    def pooled_features(self, images_bgr: Tensor) -> Tensor:
        """Return the pooled features below the embedding, an input of the mesh generator.

        Args:
            images_bgr: as in :meth:`features`.

        Returns:
            [B, pooled_width].
        """

    def _constants(self) -> Any:
        """Return the weights as constants of the current graph."""
        graph = tf.get_default_graph()
        if self._graph is not graph:
            self._graph = graph
            self._graph_constants = self._make_constants()
        return self._graph_constants

    @abc.abstractmethod
    def _make_constants(self) -> Any:
        """Make constants of the weights in the current graph."""


class FaceNetIdentity(IdentityNetwork):
    """FaceNet with the published inputs: BGR, 224x224 for the loss, 160x160 for the generator.

    Args:
        path: prefix of a checkpoint, or a frozen graph whose constants have the variables' names.
        pooled_only: whether the file need not hold the bottleneck; :meth:`features` is then not
            available.
    """

    kind = "facenet"
    pooled_width = networks.AVERAGE_POOL_WIDTH

    def __init__(self, path: str, pooled_only: bool = False) -> None:
        super().__init__(path)
        self._values = read_variables(path, face_net_shapes(with_bottleneck=not pooled_only))

    def features(self, images_bgr: Tensor) -> Tensor:
        """See :meth:`IdentityNetwork.features`."""
        return networks.face_net(_clip(images_bgr), frozen=self._constants()).bottleneck

    def pooled_features(self, images_bgr: Tensor) -> Tensor:
        """See :meth:`IdentityNetwork.pooled_features`."""
        images = tf.image.resize_bilinear(_clip(images_bgr), [_FACE_NET_POOLED_SIZE] * 2)
        network = networks.face_net(images, frozen=self._constants(), with_bottleneck=False)
        return tf.reshape(network.average_pool, [-1, self.pooled_width])

    def _make_constants(self) -> Dict[str, Tensor]:
        return networks.frozen_parameters(self._values)


class DlibIdentity(IdentityNetwork):
    """dlib's recognition network; its input is a fixed window of the crop, like its face chip."""

    kind = "dlib"
    pooled_width = 256

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._network = read_recognition_network(path)

    def features(self, images_bgr: Tensor) -> Tensor:
        """See :meth:`IdentityNetwork.features`."""
        return self._features(images_bgr).embedding

    def pooled_features(self, images_bgr: Tensor) -> Tensor:
        """See :meth:`IdentityNetwork.pooled_features`."""
        return self._features(images_bgr).pooled

    def _features(self, images_bgr: Tensor) -> RecognitionFeatures:
        chips = face_chips(_clip(images_bgr), self._network.image_size)
        return recognition_features(tf.reverse(chips, [3]), self._constants())

    def _make_constants(self) -> Any:
        return recognition_constants(self._network)


def load_identity_network(which: str = "auto", pooled_only: bool = False) -> IdentityNetwork:
    """Read the weights of an identity network.

    FaceNet's are ``weights/id_net/model-20170512-110547.ckpt-250000.*`` or, if that is missing, a
    ``network/FaceNetModel.pb`` with all its variables. For pooled features alone,
    ``network/FaceNetModel.pb`` precedes the checkpoint, as published, and needs no bottleneck.

    Args:
        which: ``"facenet"``, ``"dlib"``, or ``"auto"`` for FaceNet if its weights are present and
            dlib's network otherwise.
        pooled_only: whether only :meth:`IdentityNetwork.pooled_features` will be used.

    Raises:
        InputError: no weights were found, or they are damaged.
    """
    if which not in IDENTITY_CHOICES:
        raise InputError(
            "{!r}: no such identity network; choose one of {}".format(
                which, ", ".join(IDENTITY_CHOICES)
            )
        )
    has_checkpoint = checkpoint_exists(FACE_NET_CHECKPOINT)
    has_graph = os.path.isfile(FACE_NET_GRAPH)
    if pooled_only and which != "dlib" and has_graph:
        return FaceNetIdentity(FACE_NET_GRAPH, pooled_only=True)
    if which == "facenet":
        uses_graph = has_graph and not has_checkpoint
        return FaceNetIdentity(FACE_NET_GRAPH if uses_graph else FACE_NET_CHECKPOINT)
    if which == "auto" and has_checkpoint:
        return FaceNetIdentity(FACE_NET_CHECKPOINT)
    if which == "auto" and has_graph:
        # A graph frozen for the mesh generator alone lacks the bottleneck, which is no error.
        with contextlib.suppress(InputError):
            return FaceNetIdentity(FACE_NET_GRAPH)
    return DlibIdentity(find_dlib_file())


def face_net_shapes(with_bottleneck: bool = True) -> Dict[str, List[int]]:
    """Return variable name -> shape of FaceNet, with or without the layer above its pool."""
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3])
        networks.face_net(images, with_bottleneck=with_bottleneck)
        return {v.op.name: v.shape.as_list() for v in tf.global_variables()}


def find_dlib_file() -> str:
    """Return the path of dlib's network, in ``weights/id_net`` or in its PyPI package.

    Raises:
        InputError: it is in neither.
    """
    own = os.path.join(WEIGHTS_DIR, "id_net", DLIB_FILE)
    found = own if os.path.isfile(own) else find_package_file(DLIB_PACKAGE, "models", DLIB_FILE)
    if found is None:
        raise InputError(
            "{}: not found; run `pip install {}` or put the file there".format(own, DLIB_PACKAGE)
        )
    return found


def face_chips(images: Tensor, size: int) -> Tensor:
    """Cut the window of dlib's face chip out of aligned crops, bilinearly.

    Args:
        images: [B, 224, 224, 3].
        size: side of the chips, 150 for dlib's network.

    Returns:
        [B, size, size, 3]. Differentiable with respect to ``images``.
    """
    edges = [
        _CHIP_CENTER_Y - _CHIP_SIDE / 2,
        _CHIP_CENTER_X - _CHIP_SIDE / 2,
        _CHIP_CENTER_Y + _CHIP_SIDE / 2,
        _CHIP_CENTER_X + _CHIP_SIDE / 2,
    ]
    count = tf.shape(images)[0]
    # crop_and_resize counts 0..1 from the first pixel's center to the last one's.
    window = tf.constant([[edge / (IMAGE_SIZE - 1.0) for edge in edges]])
    windows = tf.tile(window, [count, 1])
    return tf.image.crop_and_resize(images, windows, tf.range(count), [size, size])


def _clip(images: Tensor) -> Tensor:
    return tf.clip_by_value(images, 0.0, 255.0)
