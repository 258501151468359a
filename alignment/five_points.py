"""The five points of a photo: reading their file, checking them, and estimating the head's pose."""

import codecs
import itertools
import os
from typing import NamedTuple, Optional, Tuple

import numpy as np

from geometry.landmark_layout import STANDARD_POINTS_3D
from utils.errors import InputError

ORDER = "left eye, right eye, nose tip, left and right mouth corner, as seen in the image"
_NAMES = ("left eye", "right eye", "nose tip", "left mouth corner", "right mouth corner")
_MIRRORED = [1, 0, 2, 4, 3]
_MAX_FILE_BYTES = 1 << 12  # read at most; five points have a hundred characters
_MARGIN = 0.25  # of the photo's size, by which points of a cut face may lie outside of the photo
_MIN_EXTENT = 5  # pixels
_YOLO_COUNT = 5  # numbers in a line of a YOLO label: class and box

# Residual of a scaled orthographic camera, in dm of the face: up to .07 on detected points of 22
# photos up to 66 degrees of yaw. In between, an order that fits twice as well is the right one.
_SURE_RESIDUAL, _CREDIBLE_RESIDUAL = 0.08, 0.16
_MIN_UPRIGHT = 0.0  # cosine of the roll: beyond a quarter turn a face is upside down
_MIN_FRONTAL = -0.25  # cosine of the yaw: profiles are estimated to 10 degrees, some beyond 90
_START_YAWS = (0, -60, 60, 180)  # degrees; starts of the fit of a camera
_POSE_ITERATIONS = 15
_POSE_COST = 0.1  # dm of residual that outweigh a pose a quarter turn away


class _Pose(NamedTuple):
    """A scaled orthographic camera, fitted to five points."""

    rotation: np.ndarray  # [3, 3]; its rows are the image's x, y (up) and viewing axes in the face
    residual: float  # root mean square, dm of the standard face


def five_points_path(photo_path: str) -> str:
    """Return the path of a photo's file of five points, NAME.txt beside it."""
    return os.path.splitext(photo_path)[0] + ".txt"


class NoFivePoints(InputError):
    """The text file beside a photo holds something else: a caption, a label, nothing."""


def read_five_points(path: str, width: int, height: int) -> np.ndarray:
    """Read the five points of a photo: one ``x y`` per line, pixels, y down.

    Args:
        path: the text file; UTF-8, or UTF-16 with a byte-order mark.
        width: width of the photo, pixels.
        height: height of the photo, pixels.

    Returns:
        [5, 2] float64.

    Raises:
        NoFivePoints: the file does not contain five points.
        InputError: the file cannot be read, or no face has the points in this order.
    """
    # 1. ten numbers, but not as two lines of five
    try:
        with open(path, "rb") as file:
            text = file.read(_MAX_FILE_BYTES)
        is_utf16 = text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        lines = text.decode("utf-16" if is_utf16 else "utf-8-sig").replace(",", " ").splitlines()
        rows = [[float(word) for word in line.split()] for line in lines if line.strip()]
    except OSError as error:
        raise InputError("{}: cannot be read ({})".format(path, error.strerror)) from None
    except ValueError:
        raise NoFivePoints(
            "{}: not numbers; expected five lines 'x y': {}".format(path, ORDER)
        ) from None
    values = sum(rows, [])
    is_label = any(len(row) == _YOLO_COUNT for row in rows)
    if len(values) != 10 or is_label or not np.all(np.isfinite(values)):
        raise NoFivePoints(
            "{}: expected five lines 'x y' ({}), found {} numbers in {} lines".format(
                path, ORDER, len(values), len(rows)
            )
        )

    # 2. the points of a face
    points = np.array(values).reshape(5, 2)
    problem = diagnose_five_points(points, width, height)
    if problem:
        raise InputError("{}: {}; the order is {}".format(path, problem, ORDER))
    return points


def diagnose_five_points(points: np.ndarray, width: int, height: int) -> Optional[str]:
    """Return a description of the problem with five points; None if they may be a face's.

    Args:
        points: [5, 2] photo pixels, y down.
        width: width of the photo, pixels.
        height: height of the photo, pixels.
    """
    # 1. place and extent
    outside = _names_outside(points, np.array([width, height]))
    if outside:
        return "the {} {} outside of the photo ({} x {} pixels)".format(
            " and the ".join(outside), "lies" if len(outside) == 1 else "lie", width, height
        )
    if np.linalg.norm(np.ptp(points, axis=0)) < _MIN_EXTENT:
        return "the five points lie on one spot"

    # 2. shape and order
    pose = _fit_pose(points)
    is_credible = pose.residual <= _CREDIBLE_RESIDUAL and _shows_face(pose)
    if is_credible and pose.residual <= _SURE_RESIDUAL:
        return None
    problem = _diagnose_order(points, pose, pose.residual / 2 if is_credible else np.inf)
    if problem is None and not is_credible:
        return "the five points do not form a face"
    return problem


def estimate_yaw_and_roll(points: np.ndarray) -> Tuple[float, float]:
    """Return the yaw and roll of the standard face whose projection fits five points, in degrees.

    Args:
        points: [5, 2], y down.

    Returns:
        Yaw, positive if the face turns to the right of the image (AFLW2000-3D has the other sign),
        and roll, positive if it leans to the right of the image.
    """
    rotation = _fit_pose(np.asarray(points, np.float64)).rotation
    yaw = np.degrees(np.arctan2(rotation[0, 2], rotation[2, 2]))
    roll = np.degrees(np.arctan2(rotation[0, 1], rotation[1, 1]))
    return float(yaw), float(roll)


def _names_outside(points: np.ndarray, size: np.ndarray) -> Tuple[str, ...]:
    """Return the names of points far outside of a photo with the size [2] (width, height)."""
    low, high = -_MARGIN * size, (1 + _MARGIN) * size
    is_outside = np.any((points < low) | (points > high), axis=1)
    return tuple(name for name, outside in zip(_NAMES, is_outside) if outside)


def _diagnose_order(points: np.ndarray, pose: _Pose, limit: float) -> Optional[str]:
    """Return a description of the points' disorder; None if no order explains them.

    Args:
        points: [5, 2], y down.
        pose: their pose in the given order.
        limit: residual that another order must reach, dm.
    """
    # 1. mirrored or upside down
    limit = min(limit, _CREDIBLE_RESIDUAL)
    mirrored = _fit_pose(points[_MIRRORED])
    if mirrored.residual <= limit and _shows_face(mirrored):
        return (
            "left and right are exchanged (left is the left side of the image, not the person's "
            "left)"
        )
    if pose.residual <= _CREDIBLE_RESIDUAL and pose.rotation[1, 1] <= _MIN_UPRIGHT:
        return (
            "the face is upside down, or y was counted upwards (y counts from the top); turn the "
            "photo"
        )

    # 2. of the permutations that fit, the one with the most usual pose
    best = None
    for order in itertools.permutations(range(5)):
        other = _fit_pose(points[list(order)])
        if other.residual <= limit and _shows_face(other):
            turn = 2 - other.rotation[2, 2] - other.rotation[1, 1]
            cost = other.residual + _POSE_COST * turn
            if best is None or cost < best[0]:
                best = cost, order
    if best is None:
        return None
    names = [_NAMES[best[1].index(i)] for i in range(5)]
    return "the points seem to be in another order ({})".format(", ".join(names))


def _shows_face(pose: _Pose) -> bool:
    """Return True if a pose shows the face's front or at least its profile, upright."""
    is_frontal = pose.rotation[2, 2] > _MIN_FRONTAL
    return bool(is_frontal and pose.rotation[1, 1] > _MIN_UPRIGHT)


def _fit_pose(points: np.ndarray) -> _Pose:
    """Fit a scaled orthographic camera to five points [5, 2], y down.

    Horn, "Closed-form solution of absolute orientation" (1987), with the unseen depth of the
    points iterated (DeMenthon & Davis, "Model-based object pose", 1995). The iteration runs from
    several yaws, because each may end in another local minimum.
    """
    # 1. centered points, and depths of the standard face at the yaws to start from
    image = np.array(points, np.float64) * [1, -1]
    image -= image.mean(axis=0)
    face = STANDARD_POINTS_3D - STANDARD_POINTS_3D.mean(axis=0)
    yaws = np.radians(_START_YAWS)
    axes = np.stack([-np.sin(yaws), np.zeros(len(yaws)), np.cos(yaws)])
    depth = face.dot(axes).T  # [starts, 5]

    # 2. rotations from image and depth, depth from rotations
    for _ in range(_POSE_ITERATIONS):
        unseen = np.maximum((face**2).sum() - (depth**2).sum(axis=1), 1e-9)
        spread = np.sqrt(np.maximum((image**2).sum() / unseen, 1e-12))
        seen = image.T.dot(face) / spread[:, np.newaxis, np.newaxis]  # [starts, 2, 3]
        u, _, vt = np.linalg.svd(np.concatenate([seen, depth.dot(face)[:, np.newaxis]], axis=1))
        u[:, :, 2] *= np.sign(np.linalg.det(np.matmul(u, vt)))[:, np.newaxis]
        rotation = np.matmul(u, vt)
        depth = rotation[:, 2].dot(face.T)

    # 3. scales by least squares, and the best start
    seen = np.matmul(face, rotation[:, :2].transpose(0, 2, 1))  # [starts, 5, 2]
    products = (seen * image).sum(axis=(1, 2))
    scale = np.maximum(products / np.maximum((seen**2).sum(axis=(1, 2)), 1e-12), 1e-9)
    differences = image / scale[:, np.newaxis, np.newaxis] - seen
    residuals = np.sqrt((differences**2).sum(axis=2).mean(axis=1))
    best = residuals.argmin()
    return _Pose(rotation[best], residuals[best])
