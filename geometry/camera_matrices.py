"""Matrices of the crop's camera for other programs, in OpenCV's and OpenGL's conventions.

OpenCV: the camera looks along +z, x is right and y is down; pixels count their centers as
integers, y down. OpenGL: the camera looks along -z, x is right and y is up; clip coordinates lie
within -w..w, and the bottom row of a picture is the first. Matrices are for column vectors.
"""

from typing import NamedTuple

import numpy as np

from geometry.camera import (
    CAMERA_DISTANCE,
    FAR_PLANE,
    FOCAL_LENGTH,
    IMAGE_SIZE,
    NEAR_PLANE,
    PRINCIPAL_POINT,
    row_from_y_up,
)
from geometry.rotation import rotation_with_derivatives

_DOWN_AND_AHEAD = np.diag([1.0, -1.0, -1.0, 1.0])  # from OpenGL's camera axes to OpenCV's


class PictureCamera(NamedTuple):
    """A camera, and the picture that it draws."""

    intrinsics: np.ndarray  # [3, 3] of OpenCV
    view_opencv: np.ndarray  # [4, 4] world to camera, dm
    view_opengl: np.ndarray  # [4, 4] world to camera, dm
    projection_opengl: np.ndarray  # [4, 4] camera to clip coordinates

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points [..., 3] of the world, dm, to pixels [..., 2], y down."""
        seen = np.asarray(points).dot(self.view_opencv[:3, :3].T) + self.view_opencv[:3, 3]
        pixels = seen.dot(self.intrinsics.T)
        return pixels[..., :2] / pixels[..., 2:]


def crop_camera() -> PictureCamera:
    """Return the camera of the 224x224 crop; it projects vertices to where landmarks are."""
    intrinsics = np.array(
        [
            [FOCAL_LENGTH, 0.0, PRINCIPAL_POINT],
            [0.0, FOCAL_LENGTH, row_from_y_up(PRINCIPAL_POINT)],
            [0.0, 0.0, 1.0],
        ]
    )
    view = np.eye(4)
    view[2, 3] = -CAMERA_DISTANCE
    return _make_camera(intrinsics, view, IMAGE_SIZE, IMAGE_SIZE)


def photo_camera(crop_to_photo: np.ndarray, width: int, height: int) -> PictureCamera:
    """Return the camera of the photo that the crop was cut from.

    A photo that is turned is seen by a camera that is turned about its axis. If its pixels are also
    scaled unequally, by the rounding of the crop's size, the intrinsics get a little skew.

    Args:
        crop_to_photo: [2, 3] affine matrix, crop pixels to photo pixels, both y down with integers
            at pixel centers.
        width: of the photo, pixels.
        height: of the photo, pixels.
    """
    crop = crop_camera()
    affine = np.vstack([crop_to_photo, [0.0, 0.0, 1.0]]).dot(crop.intrinsics)

    # The affine matrix as upper triangle times rotation.
    bottom = affine[1, :2] / np.linalg.norm(affine[1, :2])
    turn = np.array([[bottom[1], -bottom[0]], bottom])
    intrinsics = affine.copy()
    intrinsics[:2, :2] = affine[:2, :2].dot(turn.T)
    roll = np.eye(4)
    roll[:2, :2] = turn
    view = _DOWN_AND_AHEAD.dot(roll).dot(_DOWN_AND_AHEAD).dot(crop.view_opengl)
    return _make_camera(intrinsics, view, width, height)


def head_matrix(angles: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Return the matrix [4, 4] from model space to the world, dm.

    Args:
        angles: [3] about x, y and z, radians.
        translation: [3] dm.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_with_derivatives(angles)[0].T
    matrix[:3, 3] = translation
    return matrix


def _make_camera(
    intrinsics: np.ndarray, view_opengl: np.ndarray, width: int, height: int
) -> PictureCamera:
    """Return a :class:`PictureCamera`; OpenGL's projection follows from OpenCV's intrinsics."""
    # Window coordinates of OpenGL count pixel corners as integers, from the bottom.
    (f_x, skew, c_x), (_, f_y, c_y) = intrinsics[:2]
    near, far = NEAR_PLANE, FAR_PLANE
    projection = np.array(
        [
            [2 * f_x / width, -2 * skew / width, 1 - 2 * (c_x + 0.5) / width, 0.0],
            [0.0, 2 * f_y / height, 2 * (c_y + 0.5) / height - 1, 0.0],
            [0.0, 0.0, -(far + near) / (far - near), -2 * far * near / (far - near)],
            [0.0, 0.0, -1.0, 0.0],
        ]
    )
    view_opencv = _DOWN_AND_AHEAD.dot(view_opengl)
    return PictureCamera(intrinsics, view_opencv, view_opengl, projection)
