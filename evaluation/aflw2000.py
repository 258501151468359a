"""What a run of the AFLW2000-3D protocol is made of: annotated photos, predictions, results."""

import csv
import json
import os
from typing import NamedTuple

import numpy as np

from evaluation.protocol import (
    BIN_NAMES,
    PUBLISHED,
    read_annotations,
    read_ground_truth,
    read_yaws,
    yaw_bin,
)
from geometry.landmarks import LANDMARK_COUNT
from utils.atomic import atomic_path
from utils.errors import InputError
from utils.mat_files import read_mat
from utils.numpy_files import all_within, read_npz
from utils.photos import Photo, find_photos

# A photo without a prediction counts as if every landmark were one face size away: so a method
# cannot gain by giving up on hard photos.
FAILURE_NME = 100.0


# Beyond these a number is damage, and drawing or averaging it would overflow.
MAX_COORDINATE = 1e6  # pixels, to any side of the photo
MAX_YAW = 360.0  # degrees
_LEAST_SIDE = 1e-3  # pixels; of the box around the true landmarks


class AnnotatedPhoto(NamedTuple):
    """A photo and the truth about it."""

    photo: Photo
    landmarks: np.ndarray  # [68, 2] photo pixels, y down
    yaw: float  # degrees


def read_annotated_photos(folder, landmarks_path=None, yaws_path=None):
    """Read the annotations of a folder of photos; NAME.mat lies beside NAME.jpg.

    Args:
        folder: photos with their AFLW2000-3D ``.mat`` files.
        landmarks_path: ``.npy`` with other landmarks, in the order of the file names, or None.
        yaws_path: ``.npy`` with other yaw angles in degrees, in that order, or None.

    Returns:
        (list of :class:`AnnotatedPhoto` in the order of the file names, list of paths of photos
        that have no annotation). With both ``.npy`` files no ``.mat`` is read.

    Raises:
        InputError: there are no photos or no annotations, or one is damaged.
    """
    if not os.path.isdir(folder):
        raise InputError("{}: no such folder; give the folder of AFLW2000-3D with --data_path".format(folder))
    photos = find_photos(folder)
    if not photos:
        raise InputError("{}: no photos here".format(folder))
    if landmarks_path and yaws_path:
        truths, bare = [None] * len(photos), []
    else:
        with_truth = [photo for photo in photos if os.path.isfile(_annotation_path(photo))]
        bare = [photo.path for photo in photos if photo not in with_truth]
        if not with_truth:
            raise InputError("{}: no annotations here; each NAME.jpg needs its NAME.mat of AFLW2000-3D".format(folder))
        photos, truths = with_truth, [read_ground_truth(_annotation_path(photo)) for photo in with_truth]
    landmarks = (read_annotations(landmarks_path, len(photos)) if landmarks_path
                 else [truth.landmarks for truth in truths])
    yaws = read_yaws(yaws_path, len(photos)) if yaws_path else [truth.yaw for truth in truths]
    found = [AnnotatedPhoto(*row) for row in zip(photos, landmarks, map(float, yaws))]
    for photo, points, yaw in found:
        is_usable = all_within(points, MAX_COORDINATE) and all_within(yaw, MAX_YAW)
        if not is_usable or np.any(np.ptp(points, axis=0) < _LEAST_SIDE):
            raise InputError("{}: its ground truth is not 68 finite points in a box with an area, and a yaw".format(
                photo.path))
    return found, bare


def _annotation_path(photo):
    return os.path.splitext(photo.path)[0] + ".mat"


def read_predictions(path, names):
    """Read predicted landmarks, in pixels of the photos, y down.

    Args:
        path: a folder in which ``demo.py`` left NAME.mat files, or with annotations NAME.mat like those of
            AFLW2000-3D, or an ``.npz`` of NAME -> [68, 2].
        names: names of the photos.

    Returns:
        A dict of name -> [68, 2] float64; names without a prediction are absent.

    Raises:
        InputError: nothing there is about these photos, or what is there is damaged.
    """
    if os.path.isdir(path):
        files = {name: os.path.join(path, name + ".mat") for name in names}
        found = {name: _landmarks_of_result(file) for name, file in files.items() if os.path.isfile(file)}
    else:
        found = read_npz(path, names)
    if not found:
        raise InputError("{}: holds no prediction for any of the {} photos, such as {}".format(
            path, len(names), names[0]))
    for name, points in found.items():
        if points.shape != (LANDMARK_COUNT, 2) or points.dtype.kind not in "fiu" or not all_within(points, MAX_COORDINATE):
            raise InputError("{}: the prediction for {} is not [68, 2] finite numbers".format(path, name))
    return {name: points.astype(np.float64) for name, points in found.items()}


def _landmarks_of_result(path):
    fields = read_mat(path)
    if "pt3d_68" in fields:
        return read_ground_truth(path).landmarks
    if "lm_68p_photo" not in fields:
        raise InputError("{}: holds no lm_68p_photo; give the output folder of demo.py".format(path))
    return fields["lm_68p_photo"]


def write_table(path, annotated, errors, failed):
    """Write one row per photo: name, yaw in degrees, bin, NME in percent, whether it failed."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "yaw", "bin", "nme", "failed"])
        for (photo, _, yaw), error, failure in zip(annotated, errors, failed):
            writer.writerow([photo.name, repr(yaw), BIN_NAMES[yaw_bin(yaw)], repr(float(error)), int(failure)])


def write_summary(path, summary, found_summary, settings):
    """Write the averages, the published ones and how they were obtained as JSON.

    Args:
        path: the file to write.
        summary: ``evaluation.Summary`` over all photos.
        found_summary: the same without failures, or None if nothing was found.
        settings: dict of what else belongs to the record.
    """
    content = dict(settings)
    content.update(
        bins=BIN_NAMES, failure_nme=FAILURE_NME, all=_plain(summary), without_failures=_plain(found_summary),
        published={name: dict(bin_means=row[:3], mean_of_bins=row[3]) for name, row in PUBLISHED})
    with atomic_path(path) as temporary, open(temporary, "w") as file:
        json.dump(content, file, indent=2, allow_nan=False)
        file.write("\n")


def _plain(summary):
    """Return a summary as a dict; the mean of an empty bin is null, because JSON knows no nan."""
    if summary is None:
        return None
    values = dict(summary._asdict())
    values["bin_means"] = [None if np.isnan(mean) else mean for mean in summary.bin_means]
    return values
