"""Head poses: random ones, their projection, and the convention of AFLW2000-3D."""

from typing import NamedTuple

import numpy as np

from geometry.camera import project
from geometry.rotation import rotation_with_derivatives

_NEAR_FRONTAL = 0.55  # fraction of faces with normal yaw; the yaw of the others is uniform
_YAW_SPREAD, _PITCH_SPREAD, _ROLL_SPREAD = np.radians(22), np.radians(12), np.radians(11)
_TRIES = 20


class PoseLimits(NamedTuple):
    """The largest rotation about each axis, radians."""

    pitch: float = np.radians(40)
    yaw: float = np.radians(90)
    roll: float = np.radians(40)


class HeadPose(NamedTuple):
    """Rotation and translation of a head."""

    rotation: np.ndarray  # [3, 3], for row vectors: world = model @ rotation + translation
    translation: np.ndarray  # [3] dm

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points [..., 3] of model space into the 224x224 crop, [..., 2], y up."""
        return project(points.dot(self.rotation) + self.translation)


def head_pose(angles: np.ndarray, translation: np.ndarray) -> HeadPose:
    """Return the head pose of two parts of a coefficient vector.

    Args:
        angles: [3] about x, y, z, radians.
        translation: [3] dm.
    """
    rotation = rotation_with_derivatives(np.asarray(angles, np.float64))[0]
    return HeadPose(rotation, np.asarray(translation, np.float64))


def sample_angles(random: np.random.RandomState, limits: PoseLimits) -> np.ndarray:
    """Sample angles [3] about x, y, z, radians.

    Yaw: normal with a standard deviation of 22 degrees for 55% of the faces, uniform within the
    limits for the rest. Pitch and roll: normal, 12 and 11 degrees. All are clipped at the limits,
    and yaw is within its limit both as a coefficient and in AFLW2000-3D's convention.

    Args:
        random: random number generator.
        limits: the largest angles.
    """
    if random.uniform() < _NEAR_FRONTAL:
        yaw = np.clip(_YAW_SPREAD * random.standard_normal(), -limits.yaw, limits.yaw)
    else:
        yaw = random.uniform(-limits.yaw, limits.yaw)

    for _ in range(_TRIES):
        pitch, roll = random.standard_normal(2) * (_PITCH_SPREAD, _ROLL_SPREAD)
        pitch = np.clip(pitch, -limits.pitch, limits.pitch)
        roll = np.clip(roll, -limits.roll, limits.roll)
        angles = np.array([pitch, yaw, roll])
        if abs(aflw_angles(angles)[1]) <= limits.yaw:
            return angles
    return np.array([0.0, yaw, 0.0])


def aflw_angles(angles: np.ndarray) -> np.ndarray:
    """Convert angles to pitch, yaw and roll [3], radians, of AFLW2000-3D's ``Pose_Para``.

    There, positive pitch looks up, positive yaw looks to the left of the image and positive roll
    is clockwise in the image: world = Rx(-pitch) Ry(-yaw) Rz(-roll) model, for column vectors
    (Zhu et al., "Face Alignment Across Large Poses", CVPR 2016). The model's own order is Rz Ry Rx.

    Args:
        angles: [3] about x, y, z, radians, as in the coefficient vector.
    """
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles), np.cos(angles)
    # Entries of Rz Ry Rx, from which the angles of Rx Ry Rz follow.
    r00 = cz * cy
    r01 = cz * sy * sx - sz * cx
    r02 = cz * sy * cx + sz * sx
    r12 = sz * sy * cx - cz * sx
    r22 = cy * cx
    pitch = -np.arctan2(-r12, r22)
    yaw = -np.arcsin(np.clip(r02, -1, 1))
    roll = -np.arctan2(-r01, r00)
    return np.array([pitch, yaw, roll])
