"""The camera of a photo: from the world of a reconstructed face to the photo's pixels."""

from typing import NamedTuple

import numpy as np
import scipy.linalg

from alignment.align import Alignment, crop_to_photo_matrix
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, IMAGE_SIZE

# The world has y up and z toward the camera; cameras of computer vision look along +z, y down.
_WORLD_TO_CAMERA_AXES = np.diag([1.0, -1.0, -1.0])


class PhotoCamera(NamedTuple):
    """A pinhole camera in the convention of computer vision: x right, y down, z forward.

    A point X of the world (dm) is at ``rotation @ X + translation`` in the camera; its pixel is
    ``intrinsics`` times that, divided by depth. Pixel centers are at integers.
    """

    intrinsics: np.ndarray  # [3, 3] pixels of the photo, upper triangular
    rotation: np.ndarray  # [3, 3]
    translation: np.ndarray  # [3] dm

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points [..., 3] of the world, dm, to the photo, [..., 2] pixels, y down."""
        seen = (np.asarray(points).dot(self.rotation.T) + self.translation).dot(self.intrinsics.T)
        return seen[..., :2] / seen[..., 2:]


def photo_camera(alignment: Alignment) -> PhotoCamera:
    """Return the camera of the photo from which a crop was cut.

    It is the camera of the crop, followed by the affine map from the crop to the photo: scale and
    place of the crop change the intrinsics, and its turn the rotation about the viewing axis.
    """
    # 1. the crop's camera in pixels of the photo: [2, 2] by the normalized image plane, and center
    to_photo = crop_to_photo_matrix(alignment.trans_params, alignment.degrees)
    center = to_photo.dot([(IMAGE_SIZE - 1) / 2] * 2 + [1.0])
    plane = FOCAL_LENGTH * to_photo[:, :2]

    # 2. an upper triangular part of positive focal lengths, and a rotation
    upper, turn = scipy.linalg.rq(plane)
    signs = np.sign(np.diag(upper))
    intrinsics, rotation = np.eye(3), np.eye(3)
    intrinsics[:2, :2], intrinsics[:2, 2] = upper * signs, center
    rotation[:2, :2] = signs[:, np.newaxis] * turn

    return PhotoCamera(
        intrinsics,
        rotation.dot(_WORLD_TO_CAMERA_AXES),
        rotation.dot([0.0, 0.0, CAMERA_DISTANCE]),
    )
