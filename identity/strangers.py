"""Photos of somebody else among the photos of one person, found by identity features."""

from typing import Any, NamedTuple, Sequence

import numpy as np

from geometry.camera import IMAGE_SIZE
from identity.features import load_identity_network
from utils.tf_compat import inference_config, tf

# Largest distance between unit features of one person. dlib's network was trained to separate
# people at 0.6, at lengths of about 1.4; FaceNet's squared threshold on LFW is 1.242
# (Schroff et al., CVPR 2015, section 5.6).
LARGEST_DISTANCES = {"dlib": 0.42, "facenet": 1.1}
_FEWEST_PHOTOS = 3  # of two photos, neither is the odd one
_BATCH_SIZE = 16


class Comparison(NamedTuple):
    """The outcome of comparing the photos of a set."""

    distances: np.ndarray  # [B] of each photo from the others of the person, median
    largest_distance: float  # of photos of one person
    strangers: np.ndarray  # [B] bool, True for photos of somebody else


class IdentityEmbedder:
    """Embeds aligned crops by an identity network, which is loaded at the first call."""

    def __init__(self) -> None:
        self._session: Any = None
        self._images: Any = None
        self._features: Any = None
        self._largest_distance = 0.0

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Return unit features, [B, D].

        Args:
            crops: [224, 224, 3] uint8 RGB each, aligned.

        Raises:
            InputError: no identity network is installed.
        """
        if self._session is None:
            self._load()
        parts = [crops[i : i + _BATCH_SIZE] for i in range(0, len(crops), _BATCH_SIZE)]
        return np.concatenate(
            [
                self._session.run(self._features, {self._images: np.stack(part)[..., ::-1]})
                for part in parts
            ]
        )

    @property
    def largest_distance(self) -> float:
        """The largest distance between unit features of one person."""
        if self._session is None:
            self._load()
        return self._largest_distance

    def compare(self, crops: Sequence[np.ndarray]) -> Comparison:
        """Find the photos of somebody else among photos of one person.

        Args:
            crops: as of :meth:`embed`.

        Raises:
            InputError: no identity network is installed.
        """
        return find_strangers(self.embed(crops), self.largest_distance)

    def _load(self) -> None:
        network = load_identity_network("auto")
        self._largest_distance = LARGEST_DISTANCES[network.kind]
        with tf.Graph().as_default() as graph:
            self._images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3])
            self._features = tf.nn.l2_normalize(network.features(self._images), axis=1)
        self._session = tf.Session(graph=graph, config=inference_config())


def find_strangers(features: np.ndarray, largest_distance: float) -> Comparison:
    """Find the features that are far from those of the person that most photos show.

    The person is the photo with the most others within the distance, and those others. A photo is
    of somebody else if its median distance from the person's photos is larger.

    Args:
        features: [B, D] unit vectors.
        largest_distance: of two photos of one person.
    """
    # 1. the person: the largest group around one photo, the closest one if several are as large
    distances = np.linalg.norm(features[:, np.newaxis] - features, axis=2)
    near = distances <= largest_distance
    closeness = near.sum(axis=1) - distances.mean(axis=1) / (1 + distances.max())
    person = near[np.argmax(closeness)]

    # 2. the distance of each photo from the others of the person
    medians = np.zeros(len(features))
    for i, row in enumerate(distances):
        others = np.arange(len(row)) != i
        others &= person if np.any(person & others) else True
        medians[i] = np.median(row[others]) if others.any() else 0.0
    strangers = medians > largest_distance
    if len(features) < _FEWEST_PHOTOS or person.sum() < 2:
        strangers[:] = False
    return Comparison(medians, largest_distance, strangers)
