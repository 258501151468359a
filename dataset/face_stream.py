"""The stream of training faces, and its tf.data pipeline.

The face at a position of the stream, and its augmentation, follow from the seed and the position
alone. A run that resumes at step N begins at position N * batch size.
"""

import collections
import functools
import os
import threading
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from dataset.augmentation import augment, sample_augmentation
from dataset.processed_faces import BrokenFace, FaceFolder, Sample, read_face
from geometry.camera import IMAGE_SIZE
from geometry.landmark_layout import LANDMARK_COUNT
from utils.errors import InputError
from utils.tf_compat import Tensor, tf, without_autograph

PREFETCHED_BATCHES = 2


class Batch(NamedTuple):
    """A batch of training faces, as tensors or as arrays."""

    photos: Any  # [B, 224, 224, 3] float32 BGR, 0..255
    attention: Any  # [B, 224, 224, 1] float32, 0..1
    landmarks: Any  # [B, 68, 2] float32, crop pixels, y up
    indices: Any  # [B] int64, into the folder's faces


class BatchQueue(NamedTuple):
    """The end of a pipeline."""

    batch: Any  # NamedTuple of tensors; each evaluation takes the next batch
    initializer: Any  # operation that starts the pipeline
    first: Tensor  # placeholder of the initializer, scalar int64: first position of the stream


class FaceStream:
    """An endless, shuffled stream of faces.

    A broken face is replaced by the next readable one of its epoch, so the positions of all other
    faces remain the same. Several threads may use the stream.

    Attributes:
        folder: faces of the stream.
        broken: name -> reason, of all faces that could not be read so far.
        failure: the InputError that ended the stream, or None.

    Args:
        folder: faces of the stream.
        seed: seed of order and augmentation, 0 to 2^32 - 1.
        augmented: whether to augment.
    """

    def __init__(self, folder: FaceFolder, seed: int, augmented: bool) -> None:
        self.folder = folder
        self.broken: Dict[str, str] = collections.OrderedDict()
        self.failure: Optional[InputError] = None
        self._seed = seed
        self._augmented = augmented
        self._lock = threading.Lock()
        self._errors: Deque[str] = collections.deque()
        self.order = functools.lru_cache(maxsize=2)(self._shuffle)  # prefetching enters next epoch

    def _shuffle(self, epoch: int) -> np.ndarray:
        """Return the order of the faces in an epoch, a permutation."""
        return np.random.RandomState([self._seed, epoch]).permutation(len(self.folder.faces))

    def sample(self, position: int) -> Tuple[Sample, int]:
        """Return the face at a position, and its index in the folder.

        Args:
            position: 0, 1, 2, ... without end; an epoch has as many positions as faces.

        Raises:
            InputError: no face can be read any more.
        """
        epoch, start = divmod(int(position), len(self.folder.faces))
        index, sample = self._first_readable(self.order(epoch), start)
        if self._augmented:
            random = np.random.RandomState([self._seed, epoch, start])
            sample = augment(sample, sample_augmentation(random))
        return sample, index

    def pop_errors(self) -> List[str]:
        """Return the reasons why faces could not be read, each once."""
        errors = []
        while self._errors:
            errors.append(self._errors.popleft())
        return errors

    def _first_readable(self, order: np.ndarray, start: int) -> Tuple[int, Sample]:
        """Return the first readable face in ``order`` from place ``start`` on, cyclically."""
        for offset in range(len(order)):
            index = order[(start + offset) % len(order)]
            try:
                return index, read_face(self.folder.faces[index])
            except BrokenFace as error:
                self._note_broken(self.folder.faces[index].name, str(error))
        self.failure = InputError(
            "{}: none of its {} faces can be read any more".format(
                self.folder.path, len(self.folder.faces)
            )
        )
        raise self.failure

    def _note_broken(self, name: str, reason: str) -> None:
        with self._lock:
            if name not in self.broken:
                self.broken[name] = reason
                self._errors.append(reason)


def build_batch_queue(
    stream: FaceStream,
    batch_size: int,
    threads: int = 0,
    offset: int = 0,
    stride: Optional[int] = None,
) -> BatchQueue:
    """Build the pipeline: parallel reading and augmentation, batches in order, prefetched.

    Args:
        stream: faces.
        batch_size: faces in a batch.
        threads: number of reading threads; 0 means one per core.
        offset: positions from ``first`` to the first batch.
        stride: positions from one batch to the next; None: ``batch_size``.

    Returns:
        Queue whose ``batch`` is a :class:`Batch`.
    """
    with tf.name_scope("batch_queue"), tf.device("/cpu:0"):
        # 1. Reading.
        first = tf.placeholder(tf.int64, [], "first")
        end = np.iinfo(np.int64).max
        dataset = tf.data.Dataset.range(first + offset, end, stride or batch_size)
        one_by_one = without_autograph(
            lambda start: tf.data.Dataset.range(start, start + batch_size)
        )
        dataset = dataset.flat_map(one_by_one)
        read = without_autograph(functools.partial(_read, stream))
        dataset = dataset.map(read, num_parallel_calls=threads or os.cpu_count())
        dataset = dataset.batch(batch_size, drop_remainder=True).prefetch(PREFETCHED_BATCHES)

        # 2. Conversion to floating point.
        iterator = dataset.make_initializable_iterator()
        images, attention, landmarks, indices = iterator.get_next()
        photos = tf.reverse(tf.cast(images, tf.float32), [3])
        attention = tf.cast(attention[..., tf.newaxis], tf.float32) / 255.0
        batch = Batch(photos, attention, landmarks, indices)
        return BatchQueue(batch, iterator.initializer, first)


def _read(stream: FaceStream, position: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the tensors of the face at ``position``; image (RGB) and attention are uint8."""

    def read(value: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.int64]:
        sample, index = stream.sample(value)
        return sample.image, sample.attention, sample.landmarks, np.int64(index)

    image, attention, landmarks, index = tf.py_func(
        read, [position], [tf.uint8, tf.uint8, tf.float32, tf.int64]
    )
    image.set_shape([IMAGE_SIZE, IMAGE_SIZE, 3])
    attention.set_shape([IMAGE_SIZE, IMAGE_SIZE])
    landmarks.set_shape([LANDMARK_COUNT, 2])
    index.set_shape([])
    return image, attention, landmarks, index
