"""The stream of training faces, and its tf.data pipeline.

The stream is a function: which face comes at a position, and how it is augmented, follow from
the seed and the position alone. A run that resumes at step N begins at position N * batch.
"""

import collections
import functools
import os
import threading
from typing import Any, NamedTuple

import numpy as np

from dataset.augmentation import augment, draw_augmentation
from dataset.processed_faces import BrokenFace, read_face
from geometry.camera import IMAGE_SIZE
from utils.errors import InputError
from utils.tf_compat import tf, without_autograph

PREFETCHED_BATCHES = 2


class Batch(NamedTuple):
    """A batch of training faces, as tensors or as arrays."""

    photos: Any  # [B, 224, 224, 3] float32 BGR, 0..255
    attention: Any  # [B, 224, 224, 1] float32, 0..1
    landmarks: Any  # [B, 68, 2] float32, crop pixels, y up
    indices: Any  # [B] int64, into the folder's faces


class BatchQueue(NamedTuple):
    """Batches as they come out of the pipeline."""

    batch: Batch  # of tensors; each evaluation takes the next one
    initializer: Any  # operation that starts the pipeline
    first: Any  # placeholder of the initializer, scalar int64: position in the stream to begin at


class FaceStream:
    """An endless, shuffled stream of faces.

    A face that turns out to be broken is replaced by the next one of its epoch that can be read;
    so positions stay what they were. Used from several threads.

    Attributes:
        folder: the ``FaceFolder``.
        broken: face name -> why it could not be read, of all met so far.
        failure: the InputError that ended the stream, or None.

    Args:
        folder: a ``dataset.processed_faces.FaceFolder``.
        seed: of order and augmentation, 0 to 2^32 - 1.
        augmented: whether to augment.
    """

    def __init__(self, folder, seed, augmented):
        self.folder = folder
        self.broken = collections.OrderedDict()
        self.failure = None
        self._seed, self._augmented = seed, augmented
        self._lock = threading.Lock()
        self._news = collections.deque()
        self.order = functools.lru_cache(maxsize=2)(self._shuffle)  # prefetching looks into the next epoch

    def _shuffle(self, epoch):
        """Return the order of the faces in an epoch, a permutation."""
        return np.random.RandomState([self._seed, epoch]).permutation(len(self.folder.faces))

    def sample(self, position):
        """Return the face at a position.

        Args:
            position: 0, 1, 2, ... without end; each run of as many as there are faces is an epoch.

        Returns:
            (``dataset.augmentation.Sample``, index of the face in the folder).

        Raises:
            InputError: no face can be read any more.
        """
        epoch, start = divmod(int(position), len(self.folder.faces))
        index, sample = self._first_readable(self.order(epoch), start)
        if self._augmented:
            random = np.random.RandomState([self._seed, epoch, start])
            sample = augment(sample, draw_augmentation(random))
        return sample, index

    def take_news(self):
        """Return, once each, why faces could not be read."""
        news = []
        while self._news:
            news.append(self._news.popleft())
        return news

    def _first_readable(self, order, start):
        for offset in range(len(order)):
            index = order[(start + offset) % len(order)]
            try:
                return index, read_face(self.folder.faces[index])
            except BrokenFace as error:
                self._note(self.folder.faces[index].name, str(error))
        self.failure = InputError("{}: none of its {} faces can be read any more".format(
            self.folder.path, len(self.folder.faces)))
        raise self.failure

    def _note(self, name, reason):
        with self._lock:
            if name not in self.broken:
                self.broken[name] = reason
                self._news.append(reason)


def batch_queue(stream, batch_size, threads=0):
    """Build the pipeline: parallel reading and augmentation, batches in order, prefetched.

    Args:
        stream: a :class:`FaceStream`.
        batch_size: faces in a batch.
        threads: that read; 0 means one per core.

    Returns:
        A :class:`BatchQueue`.
    """
    with tf.name_scope("batch_queue"), tf.device("/cpu:0"):
        first = tf.placeholder(tf.int64, [], "first")
        dataset = tf.data.Dataset.range(first, np.iinfo(np.int64).max)
        dataset = dataset.map(without_autograph(functools.partial(_read, stream)), num_parallel_calls=threads or os.cpu_count())
        dataset = dataset.batch(batch_size, drop_remainder=True).prefetch(PREFETCHED_BATCHES)
        iterator = dataset.make_initializable_iterator()
        images, attention, landmarks, indices = iterator.get_next()
        photos = tf.reverse(tf.cast(images, tf.float32), [3])
        attention = tf.cast(attention[..., tf.newaxis], tf.float32) / 255.0
        return BatchQueue(Batch(photos, attention, landmarks, indices), iterator.initializer, first)


def _read(stream, position):
    """Return the tensors of the face at ``position``, RGB and bytes as yet."""
    def read(value):
        sample, index = stream.sample(value)
        return sample.image, sample.attention, sample.landmarks, np.int64(index)

    image, attention, landmarks, index = tf.py_func(
        read, [position], [tf.uint8, tf.uint8, tf.float32, tf.int64])
    image.set_shape([IMAGE_SIZE, IMAGE_SIZE, 3])
    attention.set_shape([IMAGE_SIZE, IMAGE_SIZE])
    landmarks.set_shape([68, 2])
    index.set_shape([])
    return image, attention, landmarks, index
