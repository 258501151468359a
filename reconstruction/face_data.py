"""A reconstructed face as data for other programs, ``NAME.json``: action weights, pose, cameras."""

import json
from typing import Any, Dict

import numpy as np

from face_model.coefficients import coefficient_sizes, is_blendshape, split_coefficients
from face_model.model import FaceModel
from geometry.camera import IMAGE_SIZE
from geometry.camera_matrices import PictureCamera, crop_camera, head_matrix
from reconstruction.face import Reconstruction, camera_of_photo, head_pose

_DIGITS = 6  # decimals of the numbers in the file


def describe_face(reconstruction: Reconstruction, model: FaceModel) -> Dict[str, Any]:
    """Return the content of ``NAME.json``, as docs/formats.md describes it.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.
    """
    # 1. coefficients
    values = np.asarray(reconstruction.coefficients, np.float64)[np.newaxis]
    parts = split_coefficients(values, coefficient_sizes(model))
    expression = _plain(parts.expression[0])
    angles, translation = parts.angles[0], parts.translation[0]

    # 2. the pose and the cameras
    height, width = reconstruction.face.photo.shape[:2]
    pose = head_pose(reconstruction, model)
    camera = camera_of_photo(reconstruction.face)

    return {
        "name": reconstruction.face.name,
        "face_model": model.name,
        "weights": {
            name: weight
            for name, weight in zip(model.expression_names, expression)
            if is_blendshape(name)
        },
        "head_degrees": dict(zip(("pitch", "yaw", "roll"), _plain(pose))),
        "head_to_world": _plain(head_matrix(angles, translation)),
        "camera_crop": _describe_camera(crop_camera(), IMAGE_SIZE, IMAGE_SIZE),
        "camera_photo": _describe_camera(camera, width, height),
    }


def encode_face_data(content: Dict[str, Any]) -> bytes:
    """Return the bytes of ``NAME.json``."""
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode("utf-8")


def _describe_camera(camera: PictureCamera, width: int, height: int) -> Dict[str, Any]:
    intrinsics = camera.intrinsics
    return {
        "width": width,
        "height": height,
        "focal_length": _plain(intrinsics[[0, 1], [0, 1]]),
        "principal_point": _plain(intrinsics[:2, 2]),
        "opencv": {
            "intrinsics": _plain(intrinsics),
            "world_to_camera": _plain(camera.view_opencv),
        },
        "opengl": {
            "world_to_camera": _plain(camera.view_opengl),
            "projection": _plain(camera.projection_opengl),
        },
    }


def _plain(values: np.ndarray) -> Any:
    """Return an array as lists of rounded numbers, without negative zeros."""
    return (np.round(np.asarray(values, np.float64), _DIGITS) + 0.0).tolist()
