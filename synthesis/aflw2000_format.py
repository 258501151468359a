"""Photos with ground truth in the format of AFLW2000-3D, the input of nme.py."""

import io
import os
from typing import NamedTuple

import numpy as np

from dataset.processed_faces import ends_with
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, IMAGE_SIZE
from synthesis.pose import aflw_angles
from utils.atomic import write_atomically
from utils.drawing import encode_jpeg
from utils.errors import InputError
from utils.mat_files import read_mat, write_mat

_JPEG_QUALITY = 92
_JPEG_END = b"\xff\xd9"
_UNITS_PER_DM = 1e5  # of AFLW2000-3D's face model, micrometers


class PhotoFiles(NamedTuple):
    """Paths of a photo and its ground truth, in the order of writing."""

    truth: str
    photo: str


def photo_files(folder: str, name: str) -> PhotoFiles:
    """Return the files of photo ``name`` in a folder."""
    path = os.path.join(folder, name)
    return PhotoFiles(path + ".mat", path + ".jpg")


def is_whole(folder: str, name: str) -> bool:
    """Return True if the files of a photo are present and not truncated."""
    files = photo_files(folder, name)
    try:
        fields = read_mat(files.truth)
    except (InputError, OSError):
        return False
    return {"pt3d_68", "Pose_Para"} <= set(fields) and ends_with(files.photo, _JPEG_END)


def write_photo(
    folder: str,
    name: str,
    picture: np.ndarray,
    landmarks: np.ndarray,
    world_landmarks: np.ndarray,
    angles: np.ndarray,
    translation: np.ndarray,
) -> None:
    """Write one photo and its ground truth, each file atomically, the photo last.

    ``pt3d_68`` [3, 68]: x right and y down from the top left, pixel centers at integers; z towards
    the camera, in pixels, 0 at the origin of the model. ``Pose_Para`` [1, 7]: pitch, yaw, roll (see
    :func:`synthesis.pose.aflw_angles`), the model's origin in the photo (x; y up) and 0, and pixels
    per micrometer.

    Args:
        folder: existing folder.
        name: name of the photo.
        picture: [S, S, 3] uint8 RGB.
        landmarks: [68, 2] crop pixels, y up.
        world_landmarks: [68, 3] dm.
        angles: [3] of the coefficients.
        translation: [3] of the coefficients.
    """
    # 1. Landmarks.
    size = len(picture)
    zoom = size / IMAGE_SIZE
    scale = FOCAL_LENGTH * zoom / (CAMERA_DISTANCE - translation[2])  # pixels per dm
    x = landmarks[:, 0] * zoom - 0.5
    y = size - landmarks[:, 1] * zoom - 0.5
    z = (world_landmarks[:, 2] - translation[2]) * scale
    points = np.stack([x, y, z]).astype(np.float64)

    # 2. Pose.
    origin = translation[:2] * scale + size / 2 - 0.5
    pose = np.concatenate([aflw_angles(angles), origin, [0], [scale / _UNITS_PER_DM]])

    # 3. Files.
    truth = io.BytesIO()
    write_mat(truth, {"pt3d_68": points, "Pose_Para": pose.reshape(1, -1)})
    files = photo_files(folder, name)
    write_atomically(files.truth, truth.getvalue())
    write_atomically(files.photo, encode_jpeg(picture, _JPEG_QUALITY))
