"""The two kinds of folder: processed faces (``dataset.processed_faces``), and AFLW2000-3D's."""

import io
import os

import numpy as np
import scipy.io

from dataset.processed_faces import ends_with, written_files
from dataset.processed_faces import is_whole as is_whole_processed_face
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, IMAGE_SIZE
from synthesis.pose import aflw_angles
from utils.atomic import write_atomically
from utils.drawing import encode_jpeg
from utils.mat_files import write_mat

FORMATS = ("processed", "aflw2000")
_JPEG_QUALITY = 92
_UNITS_PER_DM = 1e5  # of AFLW2000-3D's face model, micrometres
_JPEG_END = b"\xff\xd9"


def item_name(index):
    """Return the name of face ``index``."""
    return "{:07d}".format(index)


def item_files(folder, kind, name):
    """Return the files of a face, in the order of writing: the picture last."""
    if kind == "aflw2000":
        return [os.path.join(folder, name + ".mat"), os.path.join(folder, name + ".jpg")]
    return written_files(folder, name, with_coefficients=True)


def is_whole(folder, kind, name, coefficient_count):
    """Return True if all files of a face are present and not truncated."""
    if kind == "processed":
        return is_whole_processed_face(folder, name, coefficient_count)
    truth, photo = item_files(folder, kind, name)
    try:
        return set(scipy.io.loadmat(truth)) >= {"pt3d_68", "Pose_Para"} and ends_with(photo, _JPEG_END)
    except Exception:  # scipy raises many kinds of errors on damaged files
        return False


def write_photo(folder, name, image, landmarks, world_landmarks, angles, translation):
    """Write one photo and its truth as AFLW2000-3D has them; each file atomically.

    ``pt3d_68`` [3, 68]: x to the right and y down from the top left, pixel centres at integers;
    z towards the camera, in pixels, 0 at the origin of the model. ``Pose_Para`` [1, 7]: pitch, yaw,
    roll (see :func:`synthesis.pose.aflw_angles`), the model's origin in the photo (x; y up) and 0,
    and pixels per micrometre.

    Args:
        folder, name: see :func:`item_files`.
        image: Pillow RGB image, square.
        landmarks: [68, 2] crop pixels, y up.
        world_landmarks: [68, 3] dm.
        angles, translation: [3], of the coefficients.
    """
    size = image.size[0]
    zoom = size / IMAGE_SIZE
    scale = FOCAL_LENGTH * zoom / (CAMERA_DISTANCE - translation[2])  # pixels per dm
    points = np.stack([landmarks[:, 0] * zoom - 0.5, size - landmarks[:, 1] * zoom - 0.5,
                       (world_landmarks[:, 2] - translation[2]) * scale])
    origin = translation[:2] * scale + size / 2 - 0.5
    pose = np.concatenate([aflw_angles(angles), origin, [0], [scale / _UNITS_PER_DM]])
    truth = io.BytesIO()
    write_mat(truth, {"pt3d_68": points.astype(np.float64), "Pose_Para": pose.reshape(1, -1)})
    contents = (truth.getvalue(), encode_jpeg(np.asarray(image), _JPEG_QUALITY))
    for path, content in zip(item_files(folder, "aflw2000", name), contents):
        write_atomically(path, content)
