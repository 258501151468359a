"""The stream of training faces with known coefficients: whole batches from cached arrays."""

import functools
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from dataset.augmentation import place, sample_placement
from dataset.face_cache import FaceCache
from dataset.face_stream import PREFETCHED_BATCHES, BatchQueue
from dataset.photo_jitter import PhotoJitter
from geometry.camera import IMAGE_SIZE
from utils.errors import InputError
from utils.tf_compat import Tensor, tf, without_autograph

_JITTER_STREAM = 1


class LabeledBatch(NamedTuple):
    """A batch of training faces with their true coefficients, as tensors or as arrays."""

    photos: Any  # [B, S, S, 3] float32 BGR, 0..255
    landmarks: Any  # [B, 68, 2] float32, pixels of the 224 crop, y up
    indices: Any  # [B] int64, into the folder's faces
    coefficients: Any  # [B, coefficients] float32


class CachedFaceStream:
    """An endless, shuffled stream of batches, determined by the seed.

    Attributes:
        folder: faces of the stream.
        broken: empty; see ``dataset.face_stream.FaceStream``. The cache left out broken faces.
        failure: None; see ``dataset.face_stream.FaceStream``.

    Args:
        cache: faces of the stream as arrays.
        seed: seed of order and augmentation, 0 to 2^32 - 1.
        augmented: whether to change colors, blur, add noise and cover patches.
        image_size: width and height of the photos; divides 224.
        moved: with ``augmented``, also flip, scale, turn and shift photos and landmarks; the
            coefficients then no longer belong to them.
    """

    def __init__(
        self,
        cache: FaceCache,
        seed: int,
        augmented: bool,
        image_size: int = IMAGE_SIZE,
        moved: bool = False,
    ) -> None:
        self.folder = cache.folder
        self.broken: Dict[str, str] = {}
        self.failure: Optional[InputError] = None
        self.image_size = image_size
        self.coefficient_count = cache.coefficients.shape[1]
        self._cache = cache
        self._seed = seed
        self._jitter = PhotoJitter() if augmented else None
        self._moved = moved
        self.order = functools.lru_cache(maxsize=2)(self._shuffle)

    def _shuffle(self, epoch: int) -> np.ndarray:
        return np.random.RandomState([self._seed, epoch]).permutation(len(self.folder.faces))

    def pop_errors(self) -> List[str]:
        """Return an empty list: cached faces can always be read."""
        return []

    def batch(self, position: int, size: int) -> LabeledBatch:
        """Return the batch of arrays that begins at a position.

        Args:
            position: 0, 1, 2, ... without end.
            size: number of faces.
        """
        # 1. Faces; a batch may extend into the next epoch.
        count = len(self.folder.faces)
        places = [divmod(place, count) for place in range(int(position), int(position) + size)]
        indices = np.array([self.order(epoch)[start] for epoch, start in places], np.int64)

        # 2. Photos and landmarks.
        photos = shrink_photos(self._cache.read_photos(indices), self.image_size)
        landmarks = self._cache.landmarks[indices]
        if self._jitter is not None:
            epoch, start = places[0]
            random = np.random.RandomState([self._seed, _JITTER_STREAM, epoch, start])
            if self._moved:
                placed = [
                    place(photo, points, sample_placement(random))
                    for photo, points in zip(photos, landmarks)
                ]
                photos, landmarks = (np.stack(part) for part in zip(*placed))
            photos = self._jitter.apply(random, photos)
        return LabeledBatch(
            np.ascontiguousarray(photos[..., ::-1], np.float32),
            landmarks,
            indices,
            self._cache.coefficients[indices],
        )


def shrink_photos(photos: np.ndarray, image_size: int) -> np.ndarray:
    """Shrink photos by averaging areas, rounded to uint8.

    Args:
        photos: [B, 224, 224, 3] uint8.
        image_size: new width and height S; divides 224.

    Returns:
        [B, S, S, 3] uint8.
    """
    factor = photos.shape[1] // image_size
    if factor == 1:
        return photos
    total = np.zeros((len(photos), image_size, image_size, 3), np.uint16)
    for row in range(factor):
        for column in range(factor):
            total += photos[:, row::factor, column::factor]
    total += factor * factor // 2
    total //= factor * factor
    return total.astype(np.uint8)


def build_cached_batch_queue(
    stream: Any, batch_size: int, offset: int = 0, stride: Optional[int] = None
) -> BatchQueue:
    """Build the pipeline of a stream of whole batches: in order, prefetched.

    Args:
        stream: a :class:`CachedFaceStream`, or a ``dataset.set_stream.SetStream``.
        batch_size: faces in a batch.
        offset: positions from ``first`` to the first batch.
        stride: positions from one batch to the next; None: ``batch_size``.

    Returns:
        Queue whose ``batch`` is the stream's NamedTuple, of tensors.

    Raises:
        InputError: the stream has no batches of this size.
    """
    example = stream.batch(0, batch_size)

    def read(position: int) -> Tuple[np.ndarray, ...]:
        return tuple(stream.batch(position, batch_size))

    def read_tensors(position: Tensor) -> Tuple[Tensor, ...]:
        tensors = tf.py_func(read, [position], [array.dtype for array in example])
        for tensor, array in zip(tensors, example):
            tensor.set_shape(array.shape)
        return tuple(tensors)

    with tf.name_scope("batch_queue"), tf.device("/cpu:0"):
        first = tf.placeholder(tf.int64, [], "first")
        end = np.iinfo(np.int64).max
        dataset = tf.data.Dataset.range(first + offset, end, stride or batch_size)
        dataset = dataset.map(without_autograph(read_tensors), num_parallel_calls=1)
        dataset = dataset.prefetch(PREFETCHED_BATCHES)
        iterator = dataset.make_initializable_iterator()
        return BatchQueue(type(example)(*iterator.get_next()), iterator.initializer, first)
