"""The AFLW2000-3D protocol: the error of a face, and its averages.

Zhu et al., "Face Alignment Across Large Poses: A 3D Solution" (CVPR 2016), section 6.1, as
later work reports it: mean distance of the 68 landmarks, in percent of sqrt(w h) of the tight
box around the ground truth, averaged in three bins of absolute yaw.
"""

from typing import NamedTuple, Sequence, Tuple

import numpy as np

from geometry.landmark_layout import LANDMARK_COUNT
from utils.errors import InputError
from utils.mat_files import read_mat
from utils.numpy_files import read_npy

BIN_NAMES = ("[0, 30]", "(30, 60]", "over 60")
BIN_EDGES = (30.0, 60.0)  # degrees; an edge belongs to the bin below it

# Mean NME of the three bins and their unweighted mean, as the papers report them.
PUBLISHED = (
    ("3DDFA (Zhu et al. 2016)", (3.78, 4.54, 7.93, 5.42)),
    ("3DDFA_V2 (Guo et al. 2020)", (2.63, 3.42, 4.48, 3.51)),
    ("SynergyNet (Wu et al. 2021)", (2.65, 3.30, 4.27, 3.41)),
    ("Deep3D (Deng et al. 2019)", (2.56, 3.11, 4.45, 3.37)),
)


class GroundTruth(NamedTuple):
    """Ground truth of one photo."""

    landmarks: np.ndarray  # [68, 2] photo pixels, y down
    yaw: float  # degrees


class Summary(NamedTuple):
    """Averages over a set of photos; a bin without photos is nan."""

    bin_means: Tuple[float, float, float]
    bin_counts: Tuple[int, int, int]
    mean_of_bins: float  # unweighted, over the bins that have photos; "mean" in the literature
    mean: float  # over all photos
    median: float
    count: int  # type: ignore[assignment]  # hides tuple.count


class ForeignFile(InputError):
    """A ``.mat`` file is whole, but was written for another purpose."""


def read_ground_truth(path: str) -> GroundTruth:
    """Read an AFLW2000-3D ``.mat`` file.

    Args:
        path: file with ``pt3d_68`` [3, 68] (x, y in pixels, y down) and ``Pose_Para`` [1, 7]
            (pitch, yaw, roll in radians, ...).

    Returns:
        A :class:`GroundTruth`.

    Raises:
        ForeignFile: the file lacks a field.
        InputError: the file is missing or damaged.
    """
    fields = read_mat(path)
    landmarks = np.asarray(fields.get("pt3d_68"))
    pose = np.asarray(fields.get("Pose_Para"))
    if (
        landmarks.ndim != 2
        or landmarks.shape[0] < 2
        or landmarks.shape[1] != LANDMARK_COUNT
        or pose.size < 2
        or landmarks.dtype.kind not in "fiu"
        or pose.dtype.kind not in "fiu"
    ):
        raise ForeignFile(
            "{}: not an AFLW2000-3D annotation; pt3d_68 [3, 68] or Pose_Para [1, 7] is "
            "missing".format(path)
        )
    landmarks = landmarks[:2].T.astype(np.float64)
    yaw = float(np.degrees(np.ravel(pose)[1]))
    if not np.all(np.isfinite(landmarks)) or not np.isfinite(yaw):
        raise InputError("{}: the annotation holds NaN or infinity".format(path))
    return GroundTruth(landmarks, yaw)


def read_annotations(path: str, count: int) -> np.ndarray:
    """Read the landmarks of a whole set, such as the re-annotated AFLW2000-3D ``.npy``.

    Args:
        path: ``.npy`` with [count, 68, 2 or 3] or [count, 2 or 3, 68], in the order of the file
            names.
        count: number of photos.

    Returns:
        [count, 68, 2] float64.

    Raises:
        InputError: the file is missing, damaged or of another shape.
    """
    values = _load_npy(path)
    if values.ndim == 3 and values.shape[2] == LANDMARK_COUNT:
        values = values.transpose(0, 2, 1)
    if (
        values.ndim != 3
        or values.shape[0] != count
        or values.shape[1] != LANDMARK_COUNT
        or values.shape[2] < 2
    ):
        raise InputError(
            "{}: expected landmarks [{}, 68, 2], found {}".format(path, count, list(values.shape))
        )
    return values[..., :2].astype(np.float64)


def read_yaws(path: str, count: int) -> np.ndarray:
    """Read the yaw angles of a whole set from a ``.npy`` in the order of the file names.

    Args:
        path: ``.npy`` with ``count`` angles, degrees.
        count: number of photos.

    Returns:
        [count] float64.

    Raises:
        InputError: the file is missing, damaged or of another length.
    """
    values = _load_npy(path).reshape(-1)
    if len(values) != count:
        raise InputError("{}: expected {} yaw angles, found {}".format(path, count, len(values)))
    return values.astype(np.float64)


def _load_npy(path: str) -> np.ndarray:
    values = read_npy(path)
    if values.dtype.kind not in "fiu":
        raise InputError("{}: not an array of numbers".format(path))
    return values


def normalized_mean_error(points: np.ndarray, truth: np.ndarray) -> float:
    """Return 100 * mean distance / sqrt(w h), w and h of the tight box around the truth.

    Args:
        points: [68, 2] predicted landmarks.
        truth: [68, 2] true landmarks, in the same pixels.
    """
    width, height = np.ptp(truth, axis=0)
    return float(
        100 * np.linalg.norm(np.asarray(points) - truth, axis=1).mean() / np.sqrt(width * height)
    )


def yaw_bin(yaw: float) -> int:
    """Return 0, 1 or 2: the bin of a yaw angle in degrees, by its absolute value."""
    return int(np.searchsorted(BIN_EDGES, abs(yaw), side="left"))


def summarize(errors: Sequence[float], yaws: Sequence[float]) -> Summary:
    """Average errors by bins of yaw.

    Args:
        errors: [n] NME of each photo.
        yaws: [n] degrees.

    Returns:
        A :class:`Summary`.
    """
    values = np.asarray(errors, np.float64)
    bins = np.array([yaw_bin(yaw) for yaw in yaws], int)
    counts = [int(np.sum(bins == i)) for i in range(len(BIN_NAMES))]
    means = [
        float(values[bins == i].mean()) if count else float("nan") for i, count in enumerate(counts)
    ]
    return Summary(
        bin_means=(means[0], means[1], means[2]),
        bin_counts=(counts[0], counts[1], counts[2]),
        mean_of_bins=float(np.nanmean(means)),
        mean=float(values.mean()),
        median=float(np.median(values)),
        count=len(values),
    )
