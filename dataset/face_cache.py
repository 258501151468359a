"""Processed faces as memory-mapped arrays: what a network is trained on quickly.

Decoding the pictures of a batch takes longer than a small network takes to learn from them. So
a folder is decoded once, into arrays beside each other in ``.cache``; a change in the folder
(names, sizes or times of its files) makes other arrays.
"""

import concurrent.futures
import contextlib
import hashlib
import os
import shutil
import tempfile
from typing import NamedTuple

import numpy as np

from dataset.processed_faces import BrokenFace, FaceFolder, read_face
from geometry.camera import IMAGE_SIZE
from utils.errors import InputError
from utils.lock import folder_lock
from utils.numpy_files import npy_header
from utils.paths import CACHE_DIR

COEFFICIENT_FOLDER = "coeff"
_FORMAT = "1"  # of the arrays: raise it when they change
_PREFIX, _PARTIAL_PREFIX = "faces-", ".partial-"
_ARRAYS = ("images", "landmarks", "coefficients", "kept")
_CHUNK = 64  # faces decoded at once; bounds what is in memory


class FaceCache(NamedTuple):
    """The faces of a folder that could be read, n of them."""

    folder: FaceFolder  # of the n faces; ``left_out`` has those that could not be read too
    images: np.ndarray  # [m, 224, 224, 3] uint8 RGB, memory-mapped, of all m >= n faces, broken ones included
    rows: np.ndarray  # [n] int64, where in ``images`` each face is
    landmarks: np.ndarray  # [n, 68, 2] float32 crop pixels, y up
    coefficients: np.ndarray  # [n, coefficients] float32

    def photos(self, indices):
        """Return the pictures of faces, [B, 224, 224, 3] uint8 RGB; only these are read."""
        return self.images[self.rows[indices]]


def open_face_cache(folder, coefficient_count, cache_dir=CACHE_DIR):
    """Return the arrays of a folder, making them first where they are missing or stale.

    Args:
        folder: ``dataset.processed_faces.FaceFolder`` with the true coefficients in ``coeff/NAME.bin``.
        coefficient_count: how many each face has.
        cache_dir: where the arrays are kept; old ones of the same folder are removed.

    Returns:
        A :class:`FaceCache`.

    Raises:
        InputError: coefficients are missing or of another number, no face can be read, or there is no
            room for the arrays.
    """
    place = hashlib.sha256(os.path.realpath(folder.path).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    path = os.path.join(cache_dir, "{}{}-{}".format(_PREFIX, place, _digest(folder, coefficient_count)))
    if not _is_whole(folder, coefficient_count, path):
        try:
            _remove(path)
            _write(folder, coefficient_count, path)
        except OSError as error:
            raise InputError("{}: the cache of the training faces cannot be written ({}); make room for it".format(
                cache_dir, error.strerror or error)) from None
        _remove_stale(cache_dir, _PREFIX + place, path)
    return _load(folder, path)


def _is_whole(folder, coefficient_count, path):
    """Tell whether arrays of the right types and sizes are at ``path``; others are made anew."""
    try:
        return all(npy_header(os.path.join(path, name + ".npy")) == wanted
                   for name, wanted in _headers(folder, coefficient_count))
    except InputError:  # one is missing or damaged
        return False


def _headers(folder, coefficient_count):
    """Return (name, (shape, type)) of each array."""
    count = len(folder.faces)
    shapes = ((count, IMAGE_SIZE, IMAGE_SIZE, 3), (count, 68, 2), (count, coefficient_count), (count,))
    return list(zip(_ARRAYS, zip(shapes, map(np.dtype, (np.uint8, np.float32, np.float32, np.bool_)))))


def _remove(path):
    """Remove the arrays at ``path``, or what lies there instead."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def _digest(folder, coefficient_count):
    """Return what changes with the faces, and raise an InputError where coefficients are missing."""
    digest = hashlib.sha256("{} {}".format(_FORMAT, coefficient_count).encode())
    for face in folder.faces:
        coefficients = _coefficient_path(folder, face)
        try:
            stats = [os.stat(path) for path in (face.image, face.landmarks, coefficients)]
        except OSError as error:
            raise InputError("{}: missing; --supervision truth needs the coefficients that python -m synthesis writes".format(
                error.filename)) from None
        if stats[-1].st_size != 4 * coefficient_count:
            raise InputError("{}: holds {} bytes instead of {} coefficients of the face model; choose the model it was "
                             "made from with --face_model".format(coefficients, stats[-1].st_size, coefficient_count))
        digest.update("{} {}\n".format(face.name, [(s.st_size, s.st_mtime_ns) for s in stats]).encode(
            "utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _coefficient_path(folder, face):
    return os.path.join(folder.path, COEFFICIENT_FOLDER, face.name + ".bin")


def _write(folder, coefficient_count, path):
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
                if not os.path.isdir(path):  # else another process was first, with the same arrays
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_arrays(folder, coefficient_count, path):
    count = len(folder.faces)
    arrays = [np.lib.format.open_memmap(os.path.join(path, name + ".npy"), "w+", dtype, shape)
              for name, (shape, dtype) in _headers(folder, coefficient_count)]
    for name in _ARRAYS:
        _take_room(os.path.join(path, name + ".npy"))

    def decode(index):
        face = folder.faces[index]
        try:
            sample = read_face(face)
        except BrokenFace:
            return
        coefficients = np.fromfile(_coefficient_path(folder, face), "<f4")
        if coefficients.size == coefficient_count and np.isfinite(coefficients).all():
            for array, value in zip(arrays, (sample.image, sample.landmarks, coefficients, True)):
                array[index] = value

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, count, _CHUNK):
            list(pool.map(decode, range(start, min(start + _CHUNK, count))))
    for array in arrays:
        array.flush()


def _take_room(path):
    """Raise an OSError now if the disk is full; writing to mapped memory would end the process then."""
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), 0, os.path.getsize(path))


def _load(folder, path):
    images, landmarks, coefficients, kept = (
        np.load(os.path.join(path, name + ".npy"), mmap_mode="r" if name == "images" else None,
                allow_pickle=False) for name in _ARRAYS)
    if not kept.any():
        raise InputError("{}: none of its {} faces can be read".format(folder.path, len(folder.faces)))
    broken = tuple((face.name, "it is damaged") for face, whole in zip(folder.faces, kept) if not whole)
    rows = np.flatnonzero(kept)
    faces = tuple(folder.faces[row] for row in rows)
    # Not images[rows]: that would copy gigabytes of mapped pictures into memory.
    return FaceCache(FaceFolder(folder.path, faces, folder.left_out + broken), images, rows, landmarks[rows],
                     coefficients[rows])


def _remove_stale(cache_dir, prefix, current):
    """Remove arrays of earlier states of a folder; a run that still reads them keeps its files open.

    What killed writers left goes too: a living one would hold its folder.
    """
    for name in os.listdir(cache_dir):
        path = os.path.join(cache_dir, name)
        if name.startswith(_PARTIAL_PREFIX + _PREFIX):
            with contextlib.suppress(InputError), folder_lock(path):
                shutil.rmtree(path, ignore_errors=True)
        elif name.startswith(prefix) and path != current:
            shutil.rmtree(path, ignore_errors=True)
