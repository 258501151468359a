"""Identity features of aligned crops: FaceNet where its weights are, dlib's network everywhere.

The published system compares faces by FaceNet (Schroff et al., CVPR 2015), whose weights must be
downloaded by hand. Where they are absent, dlib's recognition network takes its place: its
weights are in the public domain and come with the PyPI package ``face_recognition_models``.
"""

import contextlib
import importlib.util
import os

import networks
from checkpoints.variables import checkpoint_exists, face_net_shapes, read_variables
from geometry.camera import IMAGE_SIZE
from identity.dlib_file import read_recognition_network
from identity.dlib_network import recognition_constants, recognition_features
from utils.errors import InputError
from utils.paths import NETWORK_DIR, WEIGHTS_DIR
from utils.tf_compat import tf

FACE_NET_CHECKPOINT = os.path.join(WEIGHTS_DIR, "id_net", "model-20170512-110547.ckpt-250000")
FACE_NET_GRAPH = os.path.join(NETWORK_DIR, "FaceNetModel.pb")

DLIB_FILE = "dlib_face_recognition_resnet_model_v1.dat"
DLIB_PACKAGE = "face_recognition_models"

IDENTITY_CHOICES = ("auto", "facenet", "dlib")

_FACE_NET_POOLED_SIZE = 160  # side of the image whose average pool describes a face to the mesh generator

# dlib's face chip (dlib.get_face_chip_details, size 150, padding 0.25) inside an aligned 224x224
# crop, in pixels: the mean over 17 photos (centre 111.7, 120.1; side 171.6; angle 0.7 degrees),
# made symmetric. Alignment has already removed size and position, so one window serves all.
_CHIP_CENTRE_X, _CHIP_CENTRE_Y, _CHIP_SIDE = 111.5, 120.0, 172.0


class IdentityNetwork:
    """A frozen network that tells people apart; base class of the two there are.

    Its weights become constants of a graph once, however often features are built there. So
    photo and render can be passed in two calls, and gradients computed for the render alone.

    Attributes:
        kind: ``"facenet"`` or ``"dlib"``.
        path: where the weights were read.
        pooled_width: length of :meth:`pooled_features`.
    """

    kind = None
    pooled_width = None

    def __init__(self, path):
        self.path = path
        self._graph = self._graph_constants = None

    def features(self, images_bgr):
        """Return what the perceptual loss compares.

        Args:
            images_bgr: [B, 224, 224, 3] float32, aligned crops or renders of them, BGR. Values outside
                0..255 are clipped: an overexposed render is still an image.

        Returns:
            [B, 128], not normalised. Differentiable.
        """
        raise NotImplementedError

    def pooled_features(self, images_bgr):
        """Return what the mesh generator is told of a face: the features below the embedding.

        Args:
            images_bgr: as in :meth:`features`.

        Returns:
            [B, pooled_width].
        """
        raise NotImplementedError

    def _constants(self):
        """Return the weights as constants of the current graph."""
        graph = tf.get_default_graph()
        if self._graph is not graph:
            self._graph, self._graph_constants = graph, self._make_constants()
        return self._graph_constants

    def _make_constants(self):
        raise NotImplementedError


class FaceNetIdentity(IdentityNetwork):
    """FaceNet, fed as in the published system: BGR, 224x224 for the loss, 160x160 for the generator."""

    kind = "facenet"
    pooled_width = networks.AVERAGE_POOL_WIDTH

    def __init__(self, path):
        super().__init__(path)
        self._values = read_variables(path, face_net_shapes())

    def features(self, images_bgr):
        """See :meth:`IdentityNetwork.features`."""
        return networks.face_net(_clip(images_bgr), frozen=self._constants()).bottleneck

    def pooled_features(self, images_bgr):
        """See :meth:`IdentityNetwork.pooled_features`."""
        images = tf.image.resize_bilinear(_clip(images_bgr), [_FACE_NET_POOLED_SIZE] * 2)
        pooled = networks.face_net(images, frozen=self._constants()).average_pool
        return tf.reshape(pooled, [-1, self.pooled_width])

    def _make_constants(self):
        return networks.frozen_parameters(self._values)


class DlibIdentity(IdentityNetwork):
    """dlib's recognition network, fed a fixed window of the crop that matches its face chip."""

    kind = "dlib"
    pooled_width = 256

    def __init__(self, path):
        super().__init__(path)
        self._network = read_recognition_network(path)

    def features(self, images_bgr):
        """See :meth:`IdentityNetwork.features`."""
        return self._features(images_bgr).embedding

    def pooled_features(self, images_bgr):
        """See :meth:`IdentityNetwork.pooled_features`."""
        return self._features(images_bgr).pooled

    def _features(self, images_bgr):
        chips = face_chips(_clip(images_bgr), self._network.image_size)
        return recognition_features(tf.reverse(chips, [3]), self._constants())

    def _make_constants(self):
        return recognition_constants(self._network)


def load_identity_network(which="auto"):
    """Read the weights of an identity network.

    Args:
        which: ``"facenet"``, ``"dlib"``, or ``"auto"`` for FaceNet if its weights are in place
            (``weights/id_net/model-20170512-110547.ckpt-250000.*`` or a ``network/FaceNetModel.pb``
            with all its variables) and dlib's network otherwise.

    Returns:
        An :class:`IdentityNetwork`.

    Raises:
        InputError: no weights were found, or they are damaged.
    """
    if which not in IDENTITY_CHOICES:
        raise InputError("{!r}: no such identity network; choose one of {}".format(
            which, ", ".join(IDENTITY_CHOICES)))
    has_checkpoint, has_graph = checkpoint_exists(FACE_NET_CHECKPOINT), os.path.isfile(FACE_NET_GRAPH)
    if which == "facenet":
        return FaceNetIdentity(FACE_NET_GRAPH if has_graph and not has_checkpoint else FACE_NET_CHECKPOINT)
    if which == "auto" and has_checkpoint:
        return FaceNetIdentity(FACE_NET_CHECKPOINT)
    if which == "auto" and has_graph:
        # A graph frozen for the mesh generator alone lacks the bottleneck, and is not an error.
        with contextlib.suppress(InputError):
            return FaceNetIdentity(FACE_NET_GRAPH)
    return DlibIdentity(find_dlib_file())


def find_dlib_file():
    """Return the path of dlib's network, in ``weights/id_net`` or in its PyPI package.

    Raises:
        InputError: it is in neither.
    """
    candidates = [os.path.join(WEIGHTS_DIR, "id_net", DLIB_FILE)]
    package = importlib.util.find_spec(DLIB_PACKAGE)  # located, not imported: it needs setuptools' old API
    for folder in (package.submodule_search_locations or ()) if package else ():
        candidates.append(os.path.join(folder, "models", DLIB_FILE))
    for candidate in candidates:
        if os.path.isfile(candidate):
            return candidate
    raise InputError("{}: not found; run `pip install {}` or put the file there".format(
        candidates[0], DLIB_PACKAGE))


def face_chips(images, size):
    """Cut the window of dlib's face chip out of aligned crops, bilinearly.

    Args:
        images: [B, 224, 224, 3].
        size: side of the chips, 150 for dlib's network.

    Returns:
        [B, size, size, 3]. Differentiable with respect to ``images``.
    """
    edges = [_CHIP_CENTRE_Y - _CHIP_SIDE / 2, _CHIP_CENTRE_X - _CHIP_SIDE / 2,
             _CHIP_CENTRE_Y + _CHIP_SIDE / 2, _CHIP_CENTRE_X + _CHIP_SIDE / 2]
    count = tf.shape(images)[0]
    window = tf.constant([[edge / (IMAGE_SIZE - 1.0) for edge in edges]])  # 0..1 spans the pixel centres
    return tf.image.crop_and_resize(images, tf.tile(window, [count, 1]), tf.range(count), [size, size])


def _clip(images):
    return tf.clip_by_value(images, 0.0, 255.0)
