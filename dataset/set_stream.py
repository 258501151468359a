"""The stream of sets of photos with known identity: features of a frozen R-Net, computed once.

C-Net is trained on sets of one person's photos. R-Net stays as it is, so each photo passes through
it once, at the start, and its feature maps are kept in memory as float16.
"""

import functools
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np

from checkpoints.r_net import build_r_net
from dataset.face_cache import FaceCache
from dataset.processed_faces import FaceFolder
from face_model import FaceModel
from geometry.camera import IMAGE_SIZE
from utils.errors import InputError
from utils.tf_compat import inference_config, tf

_PHOTOS_AT_ONCE = 32  # that pass through R-Net together
_LARGEST = 65504.0  # float16


class SetBatch(NamedTuple):
    """Photos of P people, n of each, as tensors or as arrays."""

    shallow: Any  # [P * n, H, W, 256] float32, feature map of R-Net
    deep: Any  # [P * n, h, w, 2048] float32
    predicted: Any  # [P, n, identities] float32, identity by R-Net
    identity: Any  # [P, identities] float32, the true one
    indices: Any  # [P * n] int64, into the folder's faces


class SetFeatures(NamedTuple):
    """Outputs of R-Net for all photos of a folder, in its order, n of each person."""

    folder: FaceFolder  # of whole sets only
    photos_per_person: int
    shallow: np.ndarray  # [F, H, W, 256] float16
    deep: np.ndarray  # [F, h, w, 2048] float16
    predicted: np.ndarray  # [F, identities] float32
    identity: np.ndarray  # [F, identities] float32, the true one


def compute_set_features(
    cache: FaceCache, model: FaceModel, weights: str, allow_any_op: bool = False
) -> SetFeatures:
    """Pass all photos of a folder of sets through R-Net.

    Args:
        cache: faces; the n of a person follow each other and have the same identity.
        model: face model.
        weights: R-Net, see ``checkpoints.r_net.build_r_net``.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``.

    Raises:
        InputError: the folder holds no sets, or the weights cannot be used.
    """
    # 1. whole sets
    identity = cache.coefficients[:, : model.identity_count]
    photos_per_person = _find_set_size(identity, cache.folder.path)
    count = len(identity) // photos_per_person * photos_per_person
    outputs: List[List[np.ndarray]] = []

    # 2. R-Net
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3])
        network = build_r_net(weights, images, model, allow_any_op=allow_any_op, with_maps=True)
        fetches = [
            tf.cast(tf.minimum(network.shallow, _LARGEST), tf.float16),
            tf.cast(tf.minimum(network.deep, _LARGEST), tf.float16),
            network.coefficients[:, : model.identity_count],
        ]
        with tf.Session(graph=graph, config=inference_config()) as session:
            for start in range(0, count, _PHOTOS_AT_ONCE):
                rows = np.arange(start, min(start + _PHOTOS_AT_ONCE, count))
                photos = cache.read_photos(rows)[..., ::-1].astype(np.float32)
                outputs.append(session.run(fetches, {images: photos}))

    shallow, deep, predicted = (np.concatenate(parts) for parts in zip(*outputs))
    folder = cache.folder._replace(faces=cache.folder.faces[:count])
    return SetFeatures(folder, photos_per_person, shallow, deep, predicted, identity[:count])


def _find_set_size(identity: np.ndarray, path: str) -> int:
    """Return the number of photos of each person, whose rows [F, identities] are equal."""
    changes = np.flatnonzero(np.any(identity[1:] != identity[:-1], axis=1)) + 1
    size = int(changes[0]) if len(changes) else len(identity)
    if size < 2 or np.any(changes % size):
        raise InputError(
            "{}: holds no sets of photos of one person each; draw them with python -m synthesis "
            "--photos_per_person 4".format(path)
        )
    return size


class SetStream:
    """An endless, shuffled stream of sets, determined by the seed.

    Attributes:
        folder: faces of the stream.
        features: the :class:`SetFeatures`.
        broken: empty; see ``dataset.face_stream.FaceStream``. The cache left out broken faces.
        failure: None; see ``dataset.face_stream.FaceStream``.

    Args:
        features: the sets.
        seed: seed of the order, 0 to 2^32 - 1.
    """

    def __init__(self, features: SetFeatures, seed: int) -> None:
        self.folder = features.folder
        self.features = features
        self.broken: Dict[str, str] = {}
        self.failure: Optional[InputError] = None
        self._seed = seed
        self.order = functools.lru_cache(maxsize=2)(self._shuffle)

    def _shuffle(self, epoch: int) -> np.ndarray:
        people = len(self.folder.faces) // self.features.photos_per_person
        return np.random.RandomState([self._seed, epoch]).permutation(people)

    def pop_errors(self) -> List[str]:
        """Return an empty list: features can always be read."""
        return []

    def batch(self, position: int, size: int) -> SetBatch:
        """Return the batch of arrays that begins at a position.

        Args:
            position: 0, 1, 2, ... without end; in photos.
            size: number of photos, a multiple of those of a person.

        Raises:
            InputError: the size is no such multiple.
        """
        # 1. People; a batch may extend into the next epoch.
        each = self.features.photos_per_person
        if size % each:
            raise InputError(
                "--batch_size {}: must be a multiple of {}, the photos of a person in {}".format(
                    size, each, self.folder.path
                )
            )
        people = len(self.folder.faces) // each
        first = int(position) // each
        places = [divmod(place, people) for place in range(first, first + size // each)]
        chosen = np.array([self.order(epoch)[start] for epoch, start in places], np.int64)

        # 2. Their photos.
        indices = (chosen[:, np.newaxis] * each + np.arange(each)).reshape(-1)
        features = self.features
        return SetBatch(
            features.shallow[indices].astype(np.float32),
            features.deep[indices].astype(np.float32),
            features.predicted[indices].reshape(len(chosen), each, -1),
            features.identity[chosen * each],
            indices,
        )
