"""Processed faces on disk: crop, skin attention mask and 68 landmarks of each.

The format is what ``preprocess_img.py`` and ``synthesis.__main__.py`` write: ``NAME.png`` (224x224 RGB),
``mask/NAME.png`` (grey or RGB of equal channels), and ``lm_bin/NAME.bin`` (136 float64: x and y
of each landmark, crop pixels, y up) or else ``lm/NAME.txt`` (the same as text).
"""

import os
from typing import NamedTuple

import numpy as np

from dataset.augmentation import Sample
from geometry.camera import IMAGE_SIZE
from mesh_renderer.png import encode_png
from utils.atomic import atomic_path
from utils.errors import InputError
from utils.photos import open_image

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg")
LANDMARK_VALUES = 2 * 68
MAX_TEXT_SIZE = 1 << 16  # bytes; 68 lines are some 3,000
MAX_COORDINATE = 1e4  # pixels; what lies farther outside the crop is no landmark


class FaceFiles(NamedTuple):
    """Where a face lies."""

    name: str
    image: str
    mask: str
    landmarks: str  # .bin or .txt


class FaceFolder(NamedTuple):
    """The faces of a folder."""

    path: str
    faces: tuple  # of FaceFiles, sorted by name
    left_out: tuple  # of (name, reason)


class BrokenFace(Exception):
    """A face that cannot be read; the message names the file and says why."""


def find_faces(path):
    """List the faces of a processed folder, looking at names and sizes only.

    Args:
        path: the folder.

    Returns:
        A :class:`FaceFolder`; images without landmarks or mask, or with empty files, are left out.

    Raises:
        InputError: there is no such folder, or no complete face in it.
    """
    images = {name: size for name, size in _sizes(path, required=True).items()
              if name.lower().endswith(IMAGE_EXTENSIONS)}
    companions = {kind: _sizes(os.path.join(path, kind)) for kind in ("mask", "lm_bin", "lm")}
    faces, left_out = [], []
    for image in sorted(images):
        name = os.path.splitext(image)[0]
        files, reason = _companions(path, name, companions)
        if not images[image]:
            reason = "the image is empty"
        if reason:
            left_out.append((name, reason))
        else:
            faces.append(FaceFiles(name, os.path.join(path, image), *files))
    if not faces:
        raise InputError("{}: no training faces here{}; run preprocess_img.py or python -m synthesis first".format(
            path, " ({}: {})".format(*left_out[0]) if left_out else ""))
    return FaceFolder(path, tuple(faces), tuple(left_out))


def read_face(files):
    """Read a face.

    Args:
        files: :class:`FaceFiles`.

    Returns:
        A ``dataset.augmentation.Sample``.

    Raises:
        BrokenFace: a file is missing, damaged, or of the wrong size.
    """
    return Sample(_read_pixels(files.image, "RGB"), _read_pixels(files.mask, "L"), _read_landmarks(files.landmarks))


def _sizes(path, required=False):
    """Return file name -> size in bytes, of a folder that may be missing unless ``required``."""
    try:
        with os.scandir(path) as entries:
            return {entry.name: entry.stat().st_size for entry in entries
                    if not entry.name.startswith(".") and entry.is_file()}
    except OSError as error:
        if required:
            raise InputError("{}: cannot be read as a data folder ({}); give one that preprocess_img.py or "
                             "python -m synthesis wrote".format(path, error.strerror)) from None
        return {}


def _companions(path, name, sizes):
    """Return ((mask, landmarks), None), or (None, reason) if either is missing or cannot be whole."""
    mask, binary, text = name + ".png", name + ".bin", name + ".txt"
    if not sizes["mask"].get(mask):
        return None, "no mask"
    mask = os.path.join(path, "mask", mask)
    if sizes["lm_bin"].get(binary) == 8 * LANDMARK_VALUES:
        return (mask, os.path.join(path, "lm_bin", binary)), None
    if binary in sizes["lm_bin"]:
        return None, "the landmark file has {} bytes instead of {}".format(
            sizes["lm_bin"][binary], 8 * LANDMARK_VALUES)
    if not sizes["lm"].get(text):
        return None, "no landmarks"
    return (mask, os.path.join(path, "lm", text)), None


def _read_pixels(path, mode):
    try:
        with open_image(path) as image:
            if image.size == (IMAGE_SIZE, IMAGE_SIZE):
                return np.asarray(image.convert(mode))
            reason = "it has {}x{} pixels instead of {}x{}".format(*(image.size + (IMAGE_SIZE,) * 2))
    except FileNotFoundError:
        reason = "it is gone"
    except Exception:  # decoders raise whatever a broken file makes them stumble on
        reason = "it is damaged"
    raise BrokenFace("{}: {}".format(path, reason))


def _read_landmarks(path):
    try:
        if path.endswith(".bin"):
            values = np.fromfile(path, np.float64, LANDMARK_VALUES + 1)
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


OUTPUT_PARTS = ("lm", "lm_bin", "mask")  # folders in the output folder


def output_files(folder, name):
    """Return the four files of a photo; the last is written last and so tells that all are there."""
    return (os.path.join(folder, "lm", name + ".txt"), os.path.join(folder, "lm_bin", name + ".bin"),
            os.path.join(folder, "mask", name + ".png"), os.path.join(folder, name + ".png"))


def is_done(folder, name):
    """Tell whether a photo has been preprocessed completely."""
    return all(os.path.isfile(path) for path in output_files(folder, name))


def write_example(folder, name, crop, landmarks, mask):
    """Write one training example, each file atomically, the crop last.

    Args:
        folder, name: see :func:`output_files`.
        crop: [224, 224, 3] uint8 RGB.
        landmarks: [68, 2] crop pixels, y up.
        mask: [224, 224] uint8 skin attention.
    """
    text_path, binary_path, mask_path, crop_path = output_files(folder, name)
    landmarks = np.ascontiguousarray(landmarks, dtype="<f8")
    with atomic_path(text_path) as temporary:
        np.savetxt(temporary, landmarks, fmt="%.4f")
    with atomic_path(binary_path) as temporary, open(temporary, "wb") as file:
        file.write(landmarks.tobytes())  # numpy's tofile says nothing when the disk is full
    with atomic_path(mask_path) as temporary, open(temporary, "wb") as file:
        file.write(encode_png(np.repeat(mask[..., np.newaxis], 3, axis=2)))
    with atomic_path(crop_path) as temporary, open(temporary, "wb") as file:
        file.write(encode_png(crop))
