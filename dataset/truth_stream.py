"""The stream of training faces from arrays: whole batches at a time, with their true coefficients."""

import functools
from typing import Any, NamedTuple

import numpy as np

from dataset.face_stream import PREFETCHED_BATCHES, BatchQueue
from dataset.photo_jitter import PhotoJitter
from geometry.camera import IMAGE_SIZE
from utils.tf_compat import tf, without_autograph

_JITTER_STREAM = 1


class TruthBatch(NamedTuple):
    """A batch of training faces with everything known about them, as tensors or as arrays."""

    photos: Any  # [B, S, S, 3] float32 BGR, 0..255
    landmarks: Any  # [B, 68, 2] float32, pixels of the 224 crop, y up
    indices: Any  # [B] int64, into the folder's faces
    coefficients: Any  # [B, coefficients] float32


class CachedFaceStream:
    """An endless, shuffled stream of batches; what comes at a position follows from the seed alone.

    Attributes:
        folder: the ``FaceFolder``.
        broken, failure: as of ``dataset.face_stream.FaceStream``; arrays have no broken faces.

    Args:
        cache: ``dataset.face_cache.FaceCache``.
        seed: of order and augmentation, 0 to 2^32 - 1.
        augmented: whether colours, blur, noise and patches change.
        image_size: width and height of the photos; divides 224.
    """

    def __init__(self, cache, seed, augmented, image_size=IMAGE_SIZE):
        self.folder, self.broken, self.failure = cache.folder, {}, None
        self.image_size, self.coefficient_count = image_size, cache.coefficients.shape[1]
        self._cache, self._seed = cache, seed
        self._jitter = PhotoJitter() if augmented else None
        self.order = functools.lru_cache(maxsize=2)(self._shuffle)

    def _shuffle(self, epoch):
        return np.random.RandomState([self._seed, epoch]).permutation(len(self.folder.faces))

    def take_news(self):
        """Return why faces could not be read: never anything."""
        return []

    def batch(self, position, size):
        """Return the :class:`TruthBatch` of arrays that begins at a position.

        Args:
            position: 0, 1, 2, ... without end.
            size: faces in it.
        """
        count = len(self.folder.faces)
        places = [divmod(place, count) for place in range(int(position), int(position) + size)]
        indices = np.array([self.order(epoch)[start] for epoch, start in places], np.int64)
        photos = area_average(self._cache.photos(indices), self.image_size)
        if self._jitter is not None:
            random = np.random.RandomState([self._seed, _JITTER_STREAM, places[0][0], places[0][1]])
            photos = self._jitter.apply(random, photos)
        return TruthBatch(np.ascontiguousarray(photos[..., ::-1], np.float32), self._cache.landmarks[indices],
                          indices, self._cache.coefficients[indices])


def area_average(photos, image_size):
    """Shrink photos [B, 224, 224, 3] uint8 to ``image_size``, which divides 224; rounded to uint8."""
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


def cached_batch_queue(stream, batch_size):
    """Build the pipeline: batches in order, prefetched.

    Args:
        stream: a :class:`CachedFaceStream`.
        batch_size: faces in a batch.

    Returns:
        A ``dataset.face_stream.BatchQueue`` whose ``batch`` is a :class:`TruthBatch`.
    """
    def read(position):
        return tuple(stream.batch(position, batch_size))

    def read_tensors(position):
        types = [tf.float32, tf.float32, tf.int64, tf.float32]
        shapes = [[batch_size, stream.image_size, stream.image_size, 3], [batch_size, 68, 2], [batch_size],
                  [batch_size, stream.coefficient_count]]
        tensors = tf.py_func(read, [position], types)
        for tensor, shape in zip(tensors, shapes):
            tensor.set_shape(shape)
        return tuple(tensors)

    with tf.name_scope("batch_queue"), tf.device("/cpu:0"):
        first = tf.placeholder(tf.int64, [], "first")
        dataset = tf.data.Dataset.range(first, np.iinfo(np.int64).max, batch_size)
        dataset = dataset.map(without_autograph(read_tensors), num_parallel_calls=1).prefetch(PREFETCHED_BATCHES)
        iterator = dataset.make_initializable_iterator()
        return BatchQueue(TruthBatch(*iterator.get_next()), iterator.initializer, first)
