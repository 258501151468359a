"""The five points of a face: where they lie in 3-D, in files, and among 68 landmarks."""

import numpy as np

# Left eye, right eye, nose tip, left and right mouth corner as seen in the image, of a standard
# face; 1 unit = 1 dm, x right, y up, z toward the camera (Deng et al., CVPRW 2019).
STANDARD_POINTS_3D = np.array([
    [-0.31148657, 0.29036078, 0.13377953],
    [0.30979887, 0.28972036, 0.13179526],
    [0.0032535, -0.04617932, 0.55244243],
    [-0.25216928, -0.38133916, 0.22405732],
    [0.2484662, -0.38128236, 0.22235769],
])


def five_from_68(landmarks):
    """Return the five points [..., 5, 2] of the 68 iBUG landmarks [..., 68, 2].

    Counted from 1, the eyes are the means of their corners, (37, 40) and (43, 46), the nose tip
    is 31 and the mouth corners are 49 and 55.
    """
    landmarks = np.asarray(landmarks, dtype=np.float64)
    first = landmarks[..., [36, 42, 30, 48, 54], :]
    second = landmarks[..., [39, 45, 30, 48, 54], :]
    return (first + second) / 2
