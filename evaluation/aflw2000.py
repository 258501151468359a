"""Files of a run of the AFLW2000-3D protocol: annotated photos, predictions, results."""

import csv
import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from evaluation.protocol import (
    BIN_NAMES,
    PUBLISHED,
    ForeignFile,
    GroundTruth,
    Summary,
    read_annotations,
    read_ground_truth,
    read_yaws,
    yaw_bin,
)
from geometry.landmark_layout import LANDMARK_COUNT
from utils.atomic import atomic_path
from utils.errors import InputError, log_notes
from utils.mat_files import read_mat
from utils.numpy_files import all_within, read_npz
from utils.photos import Photo, find_photos

# A photo without a prediction counts as if every landmark were one face size away, so that a
# method cannot gain by giving up on hard photos.
FAILURE_NME = 100.0

# Beyond these a number is damage, and drawing or averaging it would overflow.
MAX_COORDINATE = 1e6  # pixels, to any side of the photo
MAX_YAW = 360.0  # degrees
_LEAST_SIDE = 1e-3  # pixels; of the box around the true landmarks


class AnnotatedPhoto(NamedTuple):
    """A photo and its ground truth."""

    photo: Photo
    landmarks: np.ndarray  # [68, 2] photo pixels, y down
    yaw: float  # degrees


def read_annotated_photos(
    folder: str, truth_path: Optional[str] = None, yaws_path: Optional[str] = None
) -> Tuple[List[AnnotatedPhoto], List[str]]:
    """Read the annotations of a folder of photos.

    Args:
        folder: photos; NAME.mat of AFLW2000-3D is beside NAME.jpg unless ``truth_path`` names
            another place.
        truth_path: folder of the NAME.mat files, or ``.npy`` with other landmarks in the order of
            the file names, or None.
        yaws_path: ``.npy`` with other yaw angles in degrees, in that order, or None.

    Returns:
        (photos with annotations in the order of the file names, paths of photos without
        annotation). A ``.mat`` of another kind is no annotation and is noted on stderr. With both
        ``.npy`` files no ``.mat`` is read.

    Raises:
        InputError: there are no photos or no annotations, or one is damaged.
    """
    # 1. photos, and the NAME.mat of each if any is needed
    photos = _find_photos(folder)
    bare: List[str] = []
    truths: List[GroundTruth] = []
    landmarks_path = truth_path
    annotations = folder
    if truth_path and os.path.isdir(truth_path):
        landmarks_path = None
        annotations = truth_path
    if not (landmarks_path and yaws_path):
        found = [_find_truth(_annotation_path(photo, annotations)) for photo in photos]
        bare = [photo.path for photo, truth in zip(photos, found) if truth is None]
        photos = [photo for photo, truth in zip(photos, found) if truth is not None]
        truths = [truth for truth in found if truth is not None]
    if not photos:
        raise InputError(
            "{}: no annotations here; each NAME.jpg needs its NAME.mat of AFLW2000-3D".format(
                annotations
            )
        )

    # 2. landmarks and yaw of each, from the .npy files or from its .mat
    annotated = _annotate(photos, truths, landmarks_path, yaws_path)
    for item in annotated:
        _require_usable(item)
    return annotated, bare


def _find_photos(folder: str) -> List[Photo]:
    """Return the photos of a folder, at least one."""
    if not os.path.isdir(folder):
        raise InputError(
            "{}: no such folder; put the photos of AFLW2000-3D there with their .mat files, or "
            "name their folder by --data_path".format(folder)
        )
    photos = find_photos(folder)
    if not photos:
        raise InputError("{}: no photos here".format(folder))
    return photos


def _annotation_path(photo: Photo, folder: str) -> str:
    """Return the path of a photo's annotation in a folder."""
    stem = os.path.splitext(os.path.basename(photo.path))[0]
    return os.path.join(folder, stem + ".mat")


def _find_truth(path: str) -> Optional[GroundTruth]:
    """Return the ground truth in a NAME.mat; None if there is no file, or one of another kind."""
    if not os.path.isfile(path):
        return None
    try:
        return read_ground_truth(path)
    except ForeignFile as error:
        log_notes([str(error)])
        return None


def _annotate(
    photos: List[Photo],
    truths: List[GroundTruth],
    landmarks_path: Optional[str],
    yaws_path: Optional[str],
) -> List[AnnotatedPhoto]:
    """Return the photos with their ground truth."""
    landmarks = (
        list(read_annotations(landmarks_path, len(photos)))
        if landmarks_path
        else [truth.landmarks for truth in truths]
    )
    yaws = (
        [float(yaw) for yaw in read_yaws(yaws_path, len(photos))]
        if yaws_path
        else [truth.yaw for truth in truths]
    )
    return [AnnotatedPhoto(*row) for row in zip(photos, landmarks, yaws)]


def _require_usable(item: AnnotatedPhoto) -> None:
    """Raise an InputError if a ground truth cannot be measured against."""
    is_finite = all_within(item.landmarks, MAX_COORDINATE) and all_within(item.yaw, MAX_YAW)
    if not is_finite or np.any(np.ptp(item.landmarks, axis=0) < _LEAST_SIDE):
        raise InputError(
            "{}: invalid ground truth; it needs 68 finite landmarks with a non-empty bounding box, "
            "and a finite yaw".format(item.photo.path)
        )


def read_predictions(path: str, names: Sequence[str]) -> Dict[str, np.ndarray]:
    """Read predicted landmarks, in pixels of the photos, y down.

    Args:
        path: a folder with the NAME.mat files of ``demo.py`` or with annotations NAME.mat like
            those of AFLW2000-3D, or an ``.npz`` of NAME -> [68, 2].
        names: names of the photos.

    Returns:
        Name -> [68, 2] float64; names without a prediction are absent. A ``.mat`` of another kind
        is no prediction and is noted on stderr.

    Raises:
        InputError: there is no prediction for these photos, or one is damaged.
    """
    if os.path.isdir(path):
        found = {}
        for name in names:
            file = os.path.join(path, name + ".mat")
            try:
                if os.path.isfile(file):
                    found[name] = _landmarks_of_result(file)
            except ForeignFile as error:
                log_notes([str(error)])
    else:
        found = read_npz(path, names)
    if not found:
        raise InputError(
            "{}: holds no prediction for any of the {} photos, such as {}".format(
                path, len(names), names[0]
            )
        )
    for name, points in found.items():
        is_array = points.shape == (LANDMARK_COUNT, 2) and points.dtype.kind in "fiu"
        if not is_array or not all_within(points, MAX_COORDINATE):
            raise InputError(
                "{}: the prediction for {} is not [68, 2] finite numbers".format(path, name)
            )
    return {name: points.astype(np.float64) for name, points in found.items()}


def _landmarks_of_result(path: str) -> np.ndarray:
    """Return the landmarks that a NAME.mat of demo.py or of AFLW2000-3D holds."""
    fields = read_mat(path)
    if "pt3d_68" in fields:
        return read_ground_truth(path).landmarks
    if "lm_68p_photo" not in fields:
        raise ForeignFile(
            "{}: holds no lm_68p_photo; give the output folder of demo.py".format(path)
        )
    return fields["lm_68p_photo"]


def write_table(
    path: str,
    annotated: Sequence[AnnotatedPhoto],
    errors: Sequence[float],
    failed: Sequence[bool],
) -> None:
    """Write one row per photo: name, yaw in degrees, bin, NME in percent, 1 for a failure."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "yaw", "bin", "nme", "failed"])
        for (photo, _, yaw), error, failure in zip(annotated, errors, failed):
            writer.writerow(
                [photo.name, repr(yaw), BIN_NAMES[yaw_bin(yaw)], repr(float(error)), int(failure)]
            )


def write_summary(
    path: str, summary: Summary, found_summary: Optional[Summary], settings: Dict[str, Any]
) -> None:
    """Write the averages, the published ones and the settings as JSON.

    Args:
        path: the file to write.
        summary: averages over all photos.
        found_summary: averages without failures, or None if no face was found.
        settings: further entries of the record.
    """
    content = dict(settings)
    content.update(
        bins=BIN_NAMES,
        failure_nme=FAILURE_NME,
        all=_plain(summary),
        without_failures=_plain(found_summary),
        published={name: dict(bin_means=row[:3], mean_of_bins=row[3]) for name, row in PUBLISHED},
    )
    with atomic_path(path) as temporary, open(temporary, "w") as file:
        json.dump(content, file, indent=2, allow_nan=False)
        file.write("\n")


def _plain(summary: Optional[Summary]) -> Optional[Dict[str, Any]]:
    """Return a summary for JSON, which has no nan: the mean of an empty bin is null."""
    if summary is None:
        return None
    values = dict(summary._asdict())
    values["bin_means"] = [None if np.isnan(mean) else mean for mean in summary.bin_means]
    return values
