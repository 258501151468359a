"""The two kinds of folder: processed faces for train.py, and photos with truth for nme.py."""

import io
import os

import numpy as np
import scipy.io

from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, IMAGE_SIZE
from mesh_renderer.png import encode_png
from synthesis.pose import aflw_angles
from utils.atomic import write_atomically
from utils.drawing import encode_jpeg
from utils.mat_files import write_mat

FORMATS = ("processed", "aflw2000")
_LANDMARK_BYTES = 68 * 2 * 8
_JPEG_QUALITY = 92
_UNITS_PER_DM = 1e5  # of AFLW2000-3D's face model, micrometres
_ENDS = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9", ".txt": b"\n"}


def item_name(index):
    """Return the name of face ``index``."""
    return "{:07d}".format(index)


def item_files(folder, kind, name):
    """Return the files of a face, in the order of writing: the picture last."""
    if kind == "aflw2000":
        return [os.path.join(folder, name + ".mat"), os.path.join(folder, name + ".jpg")]
    return [os.path.join(folder, "coeff", name + ".bin"), os.path.join(folder, "lm", name + ".txt"),
            os.path.join(folder, "lm_bin", name + ".bin"), os.path.join(folder, "mask", name + ".png"),
            os.path.join(folder, name + ".png")]


def is_whole(folder, kind, name, coefficient_count):
    """Tell whether all files of a face are there and end as they should."""
    return all(_is_whole(path, coefficient_count) for path in item_files(folder, kind, name))


def _is_whole(path, coefficient_count):
    extension = os.path.splitext(path)[1]
    try:
        size = os.path.getsize(path)
        if extension == ".bin":
            return size == (4 * coefficient_count if os.path.basename(os.path.dirname(path)) == "coeff"
                            else _LANDMARK_BYTES)
        if extension == ".mat":
            return set(scipy.io.loadmat(path)) >= {"pt3d_68", "Pose_Para"}
        with open(path, "rb") as file:
            end = _ENDS[extension]
            file.seek(max(size - len(end), 0))
            return size > len(end) and file.read() == end
    except Exception:  # whatever is wrong with it, it is made anew
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
    _write(item_files(folder, "aflw2000", name),
           (truth.getvalue(), encode_jpeg(np.asarray(image), _JPEG_QUALITY)))


def _write(paths, contents):
    for path, content in zip(paths, contents):
        write_atomically(path, content)


def write_processed(folder, name, picture, mask, landmarks, coefficients):
    """Write one face as ``preprocess_img.py`` does, and its coefficients; each file atomically.

    Args:
        folder, name: see :func:`item_files`.
        picture: [224, 224, 3] uint8 RGB.
        mask: [224, 224] uint8.
        landmarks: [68, 2] crop pixels, y up.
        coefficients: [257] float32.
    """
    landmarks = np.ascontiguousarray(landmarks, "<f8")
    text = len(landmarks) * "%.4f %.4f\n" % tuple(landmarks.reshape(-1).tolist())
    contents = (np.asarray(coefficients, "<f4").tobytes(), text.encode("ascii"), landmarks.tobytes(),
                encode_png(mask), encode_png(picture))
    _write(item_files(folder, "processed", name), contents)
