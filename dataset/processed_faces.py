"""The format of processed faces: their files, written, checked, listed and read.

A folder holds, for each face NAME:

- ``NAME.png``: the crop, 224x224 RGB;
- ``mask/NAME.png``: the skin attention mask, gray, or RGB of equal channels;
- ``lm_bin/NAME.bin``: 68 landmarks, 136 float64: x and y of each, crop pixels, y up;
- ``lm/NAME.txt``: the same landmarks as text in full precision, read if there is no ``.bin``;
- ``coeff/NAME.bin`` (synthetic faces only): the true coefficients, float32;
- ``mesh/NAME.npy`` (optional): the true vertices, [N, 3] float, see ``dataset.mesh_targets``.

Photos of several people are kept in such a folder for each person: the face ``anna/1`` of a folder
is the face ``1`` of its subfolder ``anna``.

``preprocess_img.py`` and ``python -m synthesis`` write this format, ``train.py`` reads it.
"""

import contextlib
import os
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from geometry.camera import IMAGE_SIZE
from geometry.landmark_layout import LANDMARK_COUNT
from mesh_renderer.png import encode_png
from utils.atomic import write_atomically
from utils.errors import InputError
from utils.photos import open_image

MASK_FOLDER, BINARY_FOLDER, TEXT_FOLDER = "mask", "lm_bin", "lm"
COEFFICIENT_FOLDER, MESH_FOLDER = "coeff", "mesh"
IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg")
LANDMARK_VALUES = 2 * LANDMARK_COUNT
MAX_TEXT_SIZE = 1 << 16  # bytes; 68 lines have some 3,500
MAX_COORDINATE = 1e4  # pixels; a point farther outside the crop is no landmark

_LANDMARK_TYPE, _COEFFICIENT_TYPE = np.dtype("<f8"), np.dtype("<f4")
_ENDINGS = {".png": b"IEND\xaeB`\x82", ".txt": b"\n"}  # of whole files


class FacePaths(NamedTuple):
    """Paths of the files that a face can have."""

    image: str
    mask: str
    landmarks: str
    landmark_text: str
    coefficients: str
    mesh: str


class FaceFiles(NamedTuple):
    """Files of a complete face that was found in a folder."""

    name: str
    image: str
    mask: str
    landmarks: str  # .bin or .txt


class FaceFolder(NamedTuple):
    """Faces of a folder."""

    path: str
    faces: Tuple[FaceFiles, ...]  # sorted by name
    left_out: Tuple[Tuple[str, str], ...]  # (name, reason) of each incomplete face


class Sample(NamedTuple):
    """A training face as read from disk."""

    image: np.ndarray  # [224, 224, 3] uint8 RGB
    attention: np.ndarray  # [224, 224] uint8; the photometric loss has full weight at 255
    landmarks: np.ndarray  # [68, 2] float32, crop pixels, y up


class BrokenFace(Exception):
    """A face that cannot be read; the message names the file and the reason."""


def face_paths(folder: str, name: str) -> FacePaths:
    """Return the paths of all files that face ``name`` of a folder can have."""
    person, name = os.path.split(name)
    folder = os.path.join(folder, person) if person else folder
    return FacePaths(
        image=os.path.join(folder, name + ".png"),
        mask=os.path.join(folder, MASK_FOLDER, name + ".png"),
        landmarks=os.path.join(folder, BINARY_FOLDER, name + ".bin"),
        landmark_text=os.path.join(folder, TEXT_FOLDER, name + ".txt"),
        coefficients=os.path.join(folder, COEFFICIENT_FOLDER, name + ".bin"),
        mesh=os.path.join(folder, MESH_FOLDER, name + ".npy"),
    )


def written_files(folder: str, name: str, with_coefficients: bool = False) -> List[str]:
    """Return the files of :func:`write_face` in the order of writing: the image last.

    A face with an image is therefore complete, unless a file was damaged or removed later.
    """
    paths = face_paths(folder, name)
    files = [paths.landmark_text, paths.landmarks, paths.mask, paths.image]
    return [paths.coefficients] + files if with_coefficients else files


def written_folders(with_coefficients: bool = False) -> List[str]:
    """Return the names of the subfolders that :func:`write_face` writes into, sorted."""
    folders = {os.path.dirname(path) for path in written_files("", "", with_coefficients)}
    return sorted(folders - {""})


def write_face(
    folder: str,
    name: str,
    crop: np.ndarray,
    mask: np.ndarray,
    landmarks: np.ndarray,
    coefficients: Optional[np.ndarray] = None,
) -> None:
    """Write a face, each file atomically, in the order of :func:`written_files`.

    Args:
        folder: processed folder; subfolders are made if missing.
        name: name of the face.
        crop: [224, 224, 3] uint8 RGB.
        mask: [224, 224] uint8, or [224, 224, 3] of equal channels. Both are stored as RGB, but
            compressed differently.
        landmarks: [68, 2] crop pixels, y up.
        coefficients: [C] coefficients, or None if they are unknown.
    """
    landmarks = np.ascontiguousarray(landmarks, _LANDMARK_TYPE)
    # The numbers as np.savetxt writes them.
    text = len(landmarks) * "%.18e %.18e\n" % tuple(landmarks.reshape(-1).tolist())
    contents = [text.encode("ascii"), landmarks.tobytes(), encode_png(mask), encode_png(crop)]
    if coefficients is not None:
        contents.insert(0, np.asarray(coefficients, _COEFFICIENT_TYPE).tobytes())

    for path, content in zip(written_files(folder, name, coefficients is not None), contents):
        write_atomically(path, content)


def is_whole(folder: str, name: str, coefficient_count: Optional[int] = None) -> bool:
    """Return True if all files of :func:`write_face` are present and not truncated.

    Args:
        folder: processed folder.
        name: name of the face.
        coefficient_count: number of coefficients that the face must have; None if it needs none.
    """
    paths = face_paths(folder, name)
    sizes = {paths.landmarks: LANDMARK_VALUES * _LANDMARK_TYPE.itemsize}
    if coefficient_count is not None:
        sizes[paths.coefficients] = coefficient_bytes(coefficient_count)
    return all(
        _has_size(path, sizes[path])
        if path in sizes
        else ends_with(path, _ENDINGS[os.path.splitext(path)[1]])
        for path in written_files(folder, name, coefficient_count is not None)
    )


def oldest_change(folder: str, name: str) -> int:
    """Return the time of the first change among the files of :func:`write_face`, nanoseconds.

    Raises:
        OSError: a file is missing.
    """
    return min(os.stat(path).st_mtime_ns for path in written_files(folder, name))


def remove_face(folder: str, name: str) -> None:
    """Remove the files of :func:`write_face` that exist, the image first."""
    for path in reversed(written_files(folder, name)):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def ends_with(path: str, ending: bytes) -> bool:
    """Return True if a regular file is longer than ``ending`` and ends with it."""
    try:
        size = os.path.getsize(path)
        if not os.path.isfile(path) or size <= len(ending):
            return False
        with open(path, "rb") as file:
            file.seek(size - len(ending))
            return file.read() == ending
    except OSError:
        return False


def _has_size(path: str, size: int) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) == size


def find_faces(path: str) -> FaceFolder:
    """List the faces of a processed folder by the names and sizes of its files.

    Args:
        path: the folder.

    Returns:
        The complete faces; images without landmarks or mask, or with empty files, are left out.
        Those of a folder without images are the faces of its subfolders, one for each person.

    Raises:
        InputError: the folder is missing, or holds no complete face.
    """
    faces, left_out = _list_faces(path)
    if not faces and not left_out:
        for person in _subfolders(path):
            inside, outside = _list_faces(os.path.join(path, person))
            faces += [face._replace(name=os.path.join(person, face.name)) for face in inside]
            left_out += [(os.path.join(person, name), reason) for name, reason in outside]
    if not faces:
        example = " ({}: {})".format(*left_out[0]) if left_out else ""
        raise InputError(
            "{}: no training faces here{}; run preprocess_img.py or python -m synthesis "
            "first".format(path, example)
        )
    return FaceFolder(path, tuple(faces), tuple(left_out))


def _subfolders(path: str) -> List[str]:
    """Return the names of the subfolders that can hold the faces of a person, sorted."""
    own = {MASK_FOLDER, BINARY_FOLDER, TEXT_FOLDER, COEFFICIENT_FOLDER, MESH_FOLDER}
    return sorted(
        name
        for name in os.listdir(path)
        if name not in own and name[0] != "." and os.path.isdir(os.path.join(path, name))
    )


def _list_faces(path: str) -> Tuple[List[FaceFiles], List[Tuple[str, str]]]:
    """Return the complete faces of one folder, and name and reason of each incomplete one."""
    # 1. Names and sizes of all files.
    image_sizes = {
        name: size
        for name, size in _file_sizes(path, required=True).items()
        if name.lower().endswith(IMAGE_EXTENSIONS)
    }
    companion_sizes = {
        kind: _file_sizes(os.path.join(path, kind))
        for kind in (MASK_FOLDER, BINARY_FOLDER, TEXT_FOLDER)
    }

    # 2. A face for each image with mask and landmarks.
    faces: List[FaceFiles] = []
    left_out: List[Tuple[str, str]] = []
    for image in sorted(image_sizes):
        name = os.path.splitext(image)[0]
        reason = _missing_part(name, companion_sizes)
        if not image_sizes[image]:
            reason = "the image is empty"
        if reason:
            left_out.append((name, reason))
        else:
            faces.append(_face_files(path, image, companion_sizes))
    return faces, left_out


def _file_sizes(path: str, required: bool = False) -> Dict[str, int]:
    """Return file name -> size in bytes, of a folder that may be missing unless ``required``."""
    try:
        with os.scandir(path) as entries:
            return {
                entry.name: entry.stat().st_size
                for entry in entries
                if not entry.name.startswith(".") and entry.is_file()
            }
    except OSError as error:
        if required:
            raise InputError(
                "{}: cannot be read as a data folder ({}); give one that preprocess_img.py or "
                "python -m synthesis wrote".format(path, error.strerror)
            ) from None
        return {}


def _missing_part(name: str, sizes: Dict[str, Dict[str, int]]) -> Optional[str]:
    """Return the reason why mask or landmarks of a face are missing or damaged, or None."""
    if not sizes[MASK_FOLDER].get(name + ".png"):
        return "no mask"
    expected = LANDMARK_VALUES * _LANDMARK_TYPE.itemsize
    found = sizes[BINARY_FOLDER].get(name + ".bin", expected)
    if found != expected:
        return "the landmark file has {} bytes instead of {}".format(found, expected)
    if name + ".bin" not in sizes[BINARY_FOLDER] and not sizes[TEXT_FOLDER].get(name + ".txt"):
        return "no landmarks"
    return None


def _face_files(folder: str, image: str, sizes: Dict[str, Dict[str, int]]) -> FaceFiles:
    """Return the files of a complete face; binary landmarks precede text."""
    name = os.path.splitext(image)[0]
    paths = face_paths(folder, name)
    has_binary = os.path.basename(paths.landmarks) in sizes[BINARY_FOLDER]
    landmarks = paths.landmarks if has_binary else paths.landmark_text
    return FaceFiles(name, os.path.join(folder, image), paths.mask, landmarks)


def read_face(files: FaceFiles) -> Sample:
    """Read a face.

    Raises:
        BrokenFace: a file is missing, damaged, or of the wrong size.
    """
    return Sample(
        _read_pixels(files.image, "RGB"),
        _read_pixels(files.mask, "L"),
        _read_landmarks(files.landmarks),
    )


def read_coefficients(folder: str, name: str, count: int) -> np.ndarray:
    """Read the true coefficients of a face, [count] float32.

    Raises:
        BrokenFace: the file is missing, or does not hold ``count`` finite numbers.
    """
    path = face_paths(folder, name).coefficients
    try:
        coefficients = np.fromfile(path, _COEFFICIENT_TYPE, count + 1)
    except OSError:
        raise BrokenFace("{}: it cannot be read".format(path)) from None
    if coefficients.size != count or not np.isfinite(coefficients).all():
        raise BrokenFace("{}: it does not hold {} finite coefficients".format(path, count))
    return coefficients


def coefficient_bytes(count: int) -> int:
    """Return the size of a file of ``count`` coefficients."""
    return count * _COEFFICIENT_TYPE.itemsize


def _read_pixels(path: str, mode: str) -> np.ndarray:
    """Read a 224x224 picture in a Pillow mode."""
    try:
        with open_image(path) as image:
            if image.size == (IMAGE_SIZE, IMAGE_SIZE):
                return np.asarray(image.convert(mode))
            reason = "it has {}x{} pixels instead of {}x{}".format(*image.size, *(IMAGE_SIZE,) * 2)
    except FileNotFoundError:
        reason = "it is gone"
    except Exception:  # Pillow's decoders raise many kinds of errors on damaged files
        reason = "it is damaged"
    raise BrokenFace("{}: {}".format(path, reason))


def _read_landmarks(path: str) -> np.ndarray:
    """Read landmarks from a ``.bin`` or ``.txt`` file, [68, 2] float32."""
    try:
        if path.endswith(".bin"):
            values = np.fromfile(path, _LANDMARK_TYPE, LANDMARK_VALUES + 1)
        else:
            with open(path, encoding="ascii") as file:
                values = np.array(file.read(MAX_TEXT_SIZE).split(), np.float64)
    except (OSError, ValueError):
        raise BrokenFace("{}: it cannot be read".format(path)) from None
    if values.size != LANDMARK_VALUES:
        raise BrokenFace("{}: it does not hold 68 landmarks".format(path))
    if not np.isfinite(values).all() or np.abs(values).max() > MAX_COORDINATE:
        raise BrokenFace("{}: a landmark is not a number, or far outside of the crop".format(path))
    return values.reshape(-1, 2).astype(np.float32)
