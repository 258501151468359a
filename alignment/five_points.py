"""The five points of a face: where they lie in 3-D, in files, and among 68 landmarks."""

import codecs
import itertools
import os

import numpy as np

from geometry.landmarks import STANDARD_POINTS_3D
from utils.errors import InputError

ORDER = "left eye, right eye, nose tip, left and right mouth corner, as seen in the image"
_NAMES = ("left eye", "right eye", "nose tip", "left mouth corner", "right mouth corner")
_LONGEST_TEXT = 1 << 12  # bytes that are read; five points have a hundred characters
_MARGIN = 0.25  # of the photo's size, that points of a face cut by the photo's edge may lie outside
# Residual of a scaled orthographic camera, in dm of the face: up to .07 on detected points of 22
# photos up to 66 degrees of yaw. In between, an order that fits twice as well is the right one.
_SURE_RESIDUAL, _CREDIBLE_RESIDUAL = 0.08, 0.16
_LEAST_UPRIGHT = 0.0  # cosine of the roll: beyond a quarter turn a face is upside down
_LEAST_FRONTAL = -0.25  # cosine of the yaw: estimates of profiles err by 10 degrees, and a bit beyond 90
_START_YAWS, _POSE_ITERATIONS = (0, -60, 60, 180), 15  # degrees; of the fit of a camera
_POSE_COST = 0.1  # dm of residual that a pose a quarter turn away is worth


def five_points_path(photo_path):
    """Return where the five points of a photo may lie: NAME.txt beside it."""
    return os.path.splitext(photo_path)[0] + ".txt"


def read_five_points(path, width, height):
    """Read the five points of a photo: one ``x y`` per line, pixels, y down; UTF-8, or UTF-16 with its mark.

    Args:
        path: the text file.
        width, height: of the photo.

    Returns:
        [5, 2] float64.

    Raises:
        InputError: the file does not hold five points, or they cannot be a face's in this order.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(_LONGEST_TEXT)
        # Editors under Windows put a mark of the encoding first.
        encoding = "utf-16" if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        values = [float(word) for word in text.decode(encoding).replace(",", " ").split()]
    except OSError as error:
        raise InputError("{}: cannot be read ({})".format(path, error.strerror)) from None
    except ValueError:
        raise InputError("{}: not numbers; expected five lines 'x y': {}".format(path, ORDER)) from None
    if len(values) != 10 or not np.all(np.isfinite(values)):
        raise InputError("{}: expected five lines 'x y' ({}), found {} numbers".format(path, ORDER, len(values)))
    points = np.array(values).reshape(5, 2)
    problem = five_points_problem(points, width, height)
    if problem:
        raise InputError("{}: {}; the order is {}".format(path, problem, ORDER))
    return points


def five_points_problem(points, width, height):
    """Say what is wrong with five points, or return None.

    Args:
        points: [5, 2] photo pixels, y down.
        width, height: of the photo.
    """
    low, high = -_MARGIN * np.array([width, height]), (1 + _MARGIN) * np.array([width, height])
    outside = [name for name, point in zip(_NAMES, points) if np.any(point < low) or np.any(point > high)]
    if outside:
        return "the {} {} outside of the photo ({} x {} pixels)".format(
            " and the ".join(outside), "lies" if len(outside) == 1 else "lie", width, height)
    if np.linalg.norm(np.ptp(points, axis=0)) < 5:
        return "the five points lie on one spot"
    rotation, residual = _orthographic_pose(points)
    credible = residual <= _CREDIBLE_RESIDUAL and _shows_face(rotation)
    if credible and residual <= _SURE_RESIDUAL:
        return None
    problem = _wrong_order(points, rotation, residual, residual / 2 if credible else np.inf)
    return problem or (None if credible else "the five points do not form a face")


def yaw_and_roll(points):
    """Return the yaw and roll that five points suggest, in degrees.

    Args:
        points: [5, 2], y down.

    Returns:
        Yaw, positive where the face turns to the right of the image (AFLW2000-3D counts the other
        way), and roll, positive where it leans to the right of the image.
    """
    rotation = _orthographic_pose(np.asarray(points, np.float64))[0]
    return (float(np.degrees(np.arctan2(rotation[0, 2], rotation[2, 2]))),
            float(np.degrees(np.arctan2(rotation[0, 1], rotation[1, 1]))))


def _wrong_order(points, rotation, residual, limit):
    """Name the disorder (mirrored, upside down, permuted) that explains the points within ``limit``, or None."""
    limit = min(limit, _CREDIBLE_RESIDUAL)
    mirrored = _orthographic_pose(points[[1, 0, 2, 4, 3]])
    if mirrored[1] <= limit and _shows_face(mirrored[0]):
        return "left and right are exchanged (left is the left side of the image, not the person's left)"
    if residual <= _CREDIBLE_RESIDUAL and rotation[1, 1] <= _LEAST_UPRIGHT:
        return "the face is upside down, or y was counted upwards (y counts from the top); turn the photo"
    best = None
    for order in itertools.permutations(range(5)):
        other, error = _orthographic_pose(points[list(order)])
        if error <= limit and _shows_face(other):
            # of orders that fit, the one that asks for the least unusual pose
            unlikeliness = error + _POSE_COST * (2 - other[2, 2] - other[1, 1])
            if best is None or unlikeliness < best[0]:
                best = unlikeliness, order
    if best is None:
        return None
    return "the points seem to be in another order ({})".format(", ".join(
        _NAMES[best[1].index(i)] for i in range(5)))


def _shows_face(rotation):
    """Tell whether a pose shows the face's front or at least its profile, upright."""
    return rotation[2, 2] > _LEAST_FRONTAL and rotation[1, 1] > _LEAST_UPRIGHT


def _orthographic_pose(points):
    """Fit a scaled orthographic camera to five points (y down).

    Returns:
        The rotation [3, 3] whose rows are the image's x, y (up) and viewing axes in the face, and the
        root mean square residual in dm of the standard face.
    """
    image = np.array(points, np.float64) * [1, -1]
    image -= image.mean(axis=0)
    face = STANDARD_POINTS_3D - STANDARD_POINTS_3D.mean(axis=0)
    # Horn, "Closed-form solution of absolute orientation" (1987), with the unseen depth of the
    # points iterated (DeMenthon & Davis, "Model-based object pose", 1995); each start may end in
    # another local minimum. All starts go on side by side.
    yaws = np.radians(_START_YAWS)
    depth = face.dot(np.stack([-np.sin(yaws), np.zeros(len(yaws)), np.cos(yaws)])).T  # [starts, 5]
    for _ in range(_POSE_ITERATIONS):
        unseen = np.maximum((face ** 2).sum() - (depth ** 2).sum(axis=1), 1e-9)
        spread = np.sqrt(np.maximum((image ** 2).sum() / unseen, 1e-12))
        seen = (image.T.dot(face) / spread[:, np.newaxis, np.newaxis])  # [starts, 2, 3]
        u, _, vt = np.linalg.svd(np.concatenate([seen, depth.dot(face)[:, np.newaxis]], axis=1))
        u[:, :, 2] *= np.sign(np.linalg.det(np.matmul(u, vt)))[:, np.newaxis]
        rotation = np.matmul(u, vt)
        depth = rotation[:, 2].dot(face.T)
    seen = np.matmul(face, rotation[:, :2].transpose(0, 2, 1))  # [starts, 5, 2]
    scale = np.maximum((seen * image).sum(axis=(1, 2)) / np.maximum((seen ** 2).sum(axis=(1, 2)), 1e-12), 1e-9)
    differences = image / scale[:, np.newaxis, np.newaxis] - seen
    residuals = np.sqrt((differences ** 2).sum(axis=2).mean(axis=1))
    best = residuals.argmin()
    return rotation[best], residuals[best]
