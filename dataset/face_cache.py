"""Processed faces with coefficients as memory-mapped arrays, for fast training.

Decoding the pictures of a batch takes longer than training a small network on them. A folder is
therefore decoded once, into arrays in the folder ``.cache``. A change of the names, sizes or times
of its files causes new arrays to be made.
"""

import concurrent.futures
import contextlib
import hashlib
import os
import shutil
import tempfile
from typing import List, NamedTuple, Tuple

import numpy as np

from dataset.processed_faces import (
    BrokenFace,
    FaceFolder,
    coefficient_bytes,
    face_paths,
    read_coefficients,
    read_face,
)
from geometry.camera import IMAGE_SIZE
from geometry.landmark_layout import LANDMARK_COUNT
from utils.errors import InputError
from utils.lock import folder_lock
from utils.numpy_files import npy_header
from utils.paths import CACHE_DIR

_FORMAT = "1"  # of the arrays: increase it when they change
_PREFIX, _PARTIAL_PREFIX = "faces-", ".partial-"
_ARRAYS = ("images", "landmarks", "coefficients", "kept")
_CHUNK = 64  # faces decoded at once; bounds the memory used


class FaceCache(NamedTuple):
    """The n readable faces of a folder."""

    folder: FaceFolder  # of the n faces; ``left_out`` includes unreadable ones
    images: np.ndarray  # [m, 224, 224, 3] uint8 RGB, memory-mapped, of all m >= n faces
    rows: np.ndarray  # [n] int64, the place of each face in ``images``
    landmarks: np.ndarray  # [n, 68, 2] float32 crop pixels, y up
    coefficients: np.ndarray  # [n, coefficients] float32

    def read_photos(self, indices: np.ndarray) -> np.ndarray:
        """Read the pictures of some faces, [B, 224, 224, 3] uint8 RGB."""
        return self.images[self.rows[indices]]


def open_face_cache(
    folder: FaceFolder, coefficient_count: int, cache_dir: str = CACHE_DIR
) -> FaceCache:
    """Return the arrays of a folder; make them first if they are missing or out of date.

    Args:
        folder: faces, each with its true coefficients in ``coeff/NAME.bin``.
        coefficient_count: number of coefficients of a face.
        cache_dir: folder of the arrays; older ones of the same face folder are removed.

    Raises:
        InputError: coefficients are missing or their number differs, no face can be read, or the
            disk is full.
    """
    realpath = os.path.realpath(folder.path).encode("utf-8", "surrogateescape")
    place = hashlib.sha256(realpath).hexdigest()[:8]
    digest = _digest(folder, coefficient_count)
    path = os.path.join(cache_dir, "{}{}-{}".format(_PREFIX, place, digest))
    if not _is_whole(folder, coefficient_count, path):
        try:
            _remove(path)
            _write(folder, coefficient_count, path)
        except OSError as error:
            raise InputError(
                "{}: the cache of training faces cannot be written ({}); make room for it".format(
                    cache_dir, error.strerror or error
                )
            ) from None
        _remove_stale(cache_dir, _PREFIX + place, path)
    return _load(folder, path)


def _is_whole(folder: FaceFolder, coefficient_count: int, path: str) -> bool:
    """Return True if arrays of the right types and sizes are at ``path``."""
    try:
        return all(
            npy_header(os.path.join(path, name + ".npy")) == expected
            for name, expected in _headers(folder, coefficient_count)
        )
    except InputError:  # one is missing or damaged
        return False


def _headers(
    folder: FaceFolder, coefficient_count: int
) -> List[Tuple[str, Tuple[Tuple[int, ...], np.dtype]]]:
    """Return (name, (shape, type)) of each array."""
    count = len(folder.faces)
    shapes = (
        (count, IMAGE_SIZE, IMAGE_SIZE, 3),
        (count, LANDMARK_COUNT, 2),
        (count, coefficient_count),
        (count,),
    )
    dtypes = map(np.dtype, (np.uint8, np.float32, np.float32, np.bool_))
    return list(zip(_ARRAYS, zip(shapes, dtypes)))


def _remove(path: str) -> None:
    """Remove the folder, file or link at ``path``, if any."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def _digest(folder: FaceFolder, coefficient_count: int) -> str:
    """Return a digest of the names, sizes and times of the files of all faces.

    Raises:
        InputError: coefficients are missing, or their number differs.
    """
    digest = hashlib.sha256("{} {}".format(_FORMAT, coefficient_count).encode())
    for face in folder.faces:
        coefficients = face_paths(folder.path, face.name).coefficients
        try:
            stats = [os.stat(path) for path in (face.image, face.landmarks, coefficients)]
        except OSError as error:
            raise InputError(
                "{}: missing; --supervision truth needs the coefficients that python -m synthesis "
                "writes".format(error.filename)
            ) from None
        if stats[-1].st_size != coefficient_bytes(coefficient_count):
            raise InputError(
                "{}: holds {} bytes instead of {} coefficients of the face model; choose the model "
                "it was made from with --face_model".format(
                    coefficients, stats[-1].st_size, coefficient_count
                )
            )
        line = "{} {}\n".format(face.name, [(s.st_size, s.st_mtime_ns) for s in stats])
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _write(folder: FaceFolder, coefficient_count: int, path: str) -> None:
    """Decode all faces into arrays, which appear at ``path`` all at once."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=_PARTIAL_PREFIX + _PREFIX, dir=os.path.dirname(path))
    try:
        with folder_lock(temporary):
            _write_arrays(folder, coefficient_count, temporary)
            os.chmod(temporary, 0o755)  # mkdtemp makes folders private
            try:
                os.rename(temporary, path)
            except OSError:
                if not os.path.isdir(path):  # else another process has put the same arrays there
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_arrays(folder: FaceFolder, coefficient_count: int, path: str) -> None:
    """Decode all faces into arrays in the folder ``path``; rows of broken faces remain zero."""
    # 1. Empty arrays with all their room on the disk.
    arrays = [
        np.lib.format.open_memmap(os.path.join(path, name + ".npy"), "w+", dtype, shape)
        for name, (shape, dtype) in _headers(folder, coefficient_count)
    ]
    for name in _ARRAYS:
        _allocate(os.path.join(path, name + ".npy"))

    # 2. One row of each array per face.
    def decode(index: int) -> None:
        face = folder.faces[index]
        try:
            sample = read_face(face)
            coefficients = read_coefficients(folder.path, face.name, coefficient_count)
        except BrokenFace:
            return
        row = (sample.image, sample.landmarks, coefficients, True)
        for array, value in zip(arrays, row):
            array[index] = value

    count = len(folder.faces)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, count, _CHUNK):
            list(pool.map(decode, range(start, min(start + _CHUNK, count))))
    for array in arrays:
        array.flush()


def _allocate(path: str) -> None:
    """Raise an OSError if the disk is full; otherwise a write to mapped memory would crash."""
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), 0, os.path.getsize(path))


def _load(folder: FaceFolder, path: str) -> FaceCache:
    """Open the arrays of a folder, and drop the faces that could not be read."""
    images, landmarks, coefficients, kept = (
        np.load(
            os.path.join(path, name + ".npy"),
            mmap_mode="r" if name == "images" else None,
            allow_pickle=False,
        )
        for name in _ARRAYS
    )
    if not kept.any():
        raise InputError(
            "{}: none of its {} faces can be read".format(folder.path, len(folder.faces))
        )
    broken = tuple(
        (face.name, "it is damaged") for face, is_kept in zip(folder.faces, kept) if not is_kept
    )
    rows = np.flatnonzero(kept)
    faces = tuple(folder.faces[row] for row in rows)
    return FaceCache(
        FaceFolder(folder.path, faces, folder.left_out + broken),
        images,  # not images[rows], which would copy gigabytes of mapped pictures into memory
        rows,
        landmarks[rows],
        coefficients[rows],
    )


def _remove_stale(cache_dir: str, prefix: str, current: str) -> None:
    """Remove the arrays of earlier states of a folder, and those of killed writers.

    A run that still reads old arrays keeps its files open. A running writer holds its folder.
    """
    for name in os.listdir(cache_dir):
        path = os.path.join(cache_dir, name)
        if name.startswith(_PARTIAL_PREFIX + _PREFIX):
            with contextlib.suppress(InputError), folder_lock(path):
                shutil.rmtree(path, ignore_errors=True)
        elif name.startswith(prefix) and path != current:
            shutil.rmtree(path, ignore_errors=True)
