"""Random head poses, and pose in the convention of AFLW2000-3D."""

import numpy as np

_NEAR_FRONTAL = 0.55  # of the faces; the yaw of the others is uniform
_YAW_SPREAD, _PITCH_SPREAD, _ROLL_SPREAD = np.radians(22), np.radians(12), np.radians(11)
_TRIES = 20


def draw_angles(random, limits):
    """Draw angles [3] about x, y, z, radians.

    Yaw: normal with a standard deviation of 22 degrees for 55% of the faces, uniform within the
    limits for the rest. Pitch and roll: normal, 12 and 11 degrees. All are cut off at the limits, and
    yaw is within them both as the coefficient and as AFLW2000-3D measures it.

    Args:
        random: a ``RandomState``.
        limits: ``synthesis.sampling.PoseLimits``.
    """
    if random.uniform() < _NEAR_FRONTAL:
        yaw = np.clip(_YAW_SPREAD * random.standard_normal(), -limits.yaw, limits.yaw)
    else:
        yaw = random.uniform(-limits.yaw, limits.yaw)
    for _ in range(_TRIES):
        pitch, roll = random.standard_normal(2) * (_PITCH_SPREAD, _ROLL_SPREAD)
        angles = np.array([np.clip(pitch, -limits.pitch, limits.pitch), yaw, np.clip(roll, -limits.roll, limits.roll)])
        if abs(aflw_angles(angles)[1]) <= limits.yaw:
            return angles
    return np.array([0.0, yaw, 0.0])


def aflw_angles(angles):
    """Return pitch, yaw and roll [3], radians, as AFLW2000-3D's ``Pose_Para`` has them.

    There, positive pitch looks up, positive yaw looks to the left of the image and positive roll
    is clockwise in the image: world = Rx(-pitch) Ry(-yaw) Rz(-roll) model, for column vectors
    (Zhu et al., "Face Alignment Across Large Poses", CVPR 2016). The model's own order is Rz Ry Rx.

    Args:
        angles: [3] about x, y, z, radians, as in the coefficient vector.
    """
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles), np.cos(angles)
    # Entries of Rz Ry Rx that tell the angles of Rx Ry Rz.
    r00, r01 = cz * cy, cz * sy * sx - sz * cx
    r02, r12 = cz * sy * cx + sz * sx, sz * sy * cx - cz * sx
    r22 = cy * cx
    return np.array([-np.arctan2(-r12, r22), -np.arcsin(np.clip(r02, -1, 1)), -np.arctan2(-r01, r00)])
