"""Measure meshes against scans of the same faces, in millimeters, as the NoW benchmark does.

    python -m evaluation.scans --scans SCANS/ --predictions output/
    python -m evaluation.scans --scans NoW_Evaluation/dataset --predictions output/ --neutral

Each mesh is aligned to its scan by seven landmarks and then by the motion that minimizes the
squared distances; the error is the distance from each vertex of the scan's face region to the mesh.
Printed are median, mean and standard deviation over all vertices of all faces: with a rigid
alignment, and with one that also scales. Writes scans.csv, scans.json, scans_curve.png, and a map
of errors for each face in maps/. docs/evaluation.md describes the folders.
"""

import argparse
import csv
import os
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np

from evaluation.scan_distance import Mesh, ScanDistances, in_face_region, measure_distances
from evaluation.scan_files import (
    MILLIMETERS,
    PredictionReader,
    ScanPair,
    Surface,
    find_pairs,
    read_surface,
)
from evaluation.scan_plots import draw_curves, draw_error_map
from face_model import FACE_MODEL_HELP, load_face_model
from utils.atomic import atomic_path
from utils.errors import InputError, run_main
from utils.json_files import write_json
from utils.lock import output_folder
from utils.paths import OUTPUT_DIR
from utils.report import Report
from utils.version import VERSION

ALIGNMENTS = ("rigid", "scaled")
_MAPS = "maps"
_ROW = "{:<28}{:>9}{:>9}{:>9}{:>9}"
# Sanyal et al.'s benchmark, test set, with scale: median, mean, standard deviation in mm.
PUBLISHED_NOW = (
    ("mean face (FLAME 2020)", (1.21, 1.53, 1.31)),
    ("Deep3D (Deng et al., PyTorch)", (1.11, 1.41, 1.21)),
    ("DECA (Feng et al. 2021)", (1.09, 1.38, 1.18)),
    ("MICA (Zielonka et al. 2022)", (0.90, 1.11, 0.92)),
)


class FaceErrors(NamedTuple):
    """The errors of one face."""

    name: str
    by_alignment: Dict[str, ScanDistances]  # for each of ALIGNMENTS


def measure_face(name: str, scan: Surface, predicted: Surface, whole: bool = False) -> FaceErrors:
    """Measure one mesh against its scan.

    Args:
        name: name of the face.
        scan: the scan.
        predicted: the mesh.
        whole: measure at all vertices of the scan, not only in the face region.

    Raises:
        InputError: the face region is empty, or libigl is not installed.
    """
    points = scan.mesh.vertices[_measured(scan, whole)]
    if not len(points):
        raise InputError(
            "{}: no vertex of its scan is near its landmarks; check their order and unit".format(
                name
            )
        )
    return FaceErrors(
        name,
        {
            kind: measure_distances(
                points, scan.landmarks, predicted.mesh, predicted.landmarks, kind == "scaled"
            )
            for kind in ALIGNMENTS
        },
    )


def _measured(scan: Surface, whole: bool) -> np.ndarray:
    """Return [N] bool: True for the vertices of a scan at which distances count."""
    if whole:
        return np.ones(len(scan.mesh.vertices), bool)
    return in_face_region(scan.mesh.vertices, scan.landmarks)


def summarize(distances: np.ndarray) -> Dict[str, float]:
    """Return median, mean and standard deviation of distances [P], mm."""
    return {
        "median": float(np.median(distances)),
        "mean": float(np.mean(distances)),
        "sd": float(np.std(distances)),
    }


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.scans",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--scans",
        required=True,
        metavar="DIR",
        help="NoW's data, or scans NAME.obj (.ply, .stl, .off) beside their landmarks NAME.pp, "
        ".txt or .npy",
    )
    parser.add_argument(
        "--predictions",
        required=True,
        metavar="DIR",
        help="results of demo.py, or meshes with landmarks, named after the scans",
    )
    parser.add_argument(
        "--list",
        metavar="FILE",
        help="NoW's list of photos; None: imagepathsvalidation.txt in the folder of the scans",
    )
    parser.add_argument(
        "--output",
        default=os.path.join(OUTPUT_DIR, "scans"),
        metavar="DIR",
        help="folder for table, record and pictures",
    )
    units = sorted(MILLIMETERS)
    parser.add_argument("--scan_unit", choices=units, default="mm", help="unit of the scans")
    parser.add_argument(
        "--unit",
        choices=units,
        default="mm",
        help="unit of predicted meshes that demo.py has not written",
    )
    parser.add_argument(
        "--neutral",
        action="store_true",
        help="measure the results of demo.py without their expression, for scans of neutral faces "
        "such as NoW's",
    )
    parser.add_argument(
        "--refined", action="store_true", help="measure the refined meshes of demo.py --refine"
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="measure at all vertices of the scans, not only in the face region",
    )
    parser.add_argument("--no_maps", action="store_true", help="draw no maps of errors")
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args(argv)
    if arguments.neutral and arguments.refined:
        parser.error("--neutral and --refined exclude each other: refined meshes have no neutral")
    return arguments


def main(argv: Optional[List[str]] = None) -> int:
    """Measure the predictions that the arguments name; return the exit status."""
    arguments = parse_arguments(argv)
    pairs, is_now = find_pairs(arguments.scans, arguments.predictions, arguments.list)
    reader = PredictionReader(
        load_face_model(arguments.face_model), arguments.unit, arguments.neutral, arguments.refined
    )
    with output_folder(arguments.output, [] if arguments.no_maps else [_MAPS]):
        report = Report(len(pairs), "face", "measured", arguments.quiet)
        errors = _measure_all(pairs, reader, arguments, report)
        report.close()
        print(report.summary())
        if not errors:
            return 1
        _print_results(errors, is_now)
        _write_results(errors, report, arguments)
    print("results in {}".format(arguments.output))
    return 0


def _measure_all(
    pairs: List[ScanPair],
    reader: PredictionReader,
    arguments: argparse.Namespace,
    report: Report,
) -> List[FaceErrors]:
    """Measure all pairs and draw their maps; one that fails is reported and skipped."""
    errors = []
    for pair in pairs:
        try:
            scan = read_surface(pair, arguments.scan_unit)
            measured = measure_face(pair.name, scan, reader.read(pair.prediction), arguments.whole)
        except InputError as error:
            report.skip(pair.name, error)
            continue
        errors.append(measured)
        if not arguments.no_maps:
            _draw_map(measured, scan, arguments)
        report.step()
    return errors


def _draw_map(errors: FaceErrors, scan: Surface, arguments: argparse.Namespace) -> None:
    """Draw the errors after rigid alignment, the scan turned as the predicted face is."""
    folder = os.path.join(arguments.output, _MAPS)
    os.makedirs(folder, exist_ok=True)
    found = errors.by_alignment["rigid"]
    inside = _measured(scan, arguments.whole)
    upright = scan.mesh.vertices.dot(_upright(scan.landmarks))
    title = "{}: median {median:.2f} mm, mean {mean:.2f} mm".format(
        errors.name, **summarize(found.distances)
    )
    draw_error_map(
        os.path.join(folder, errors.name + ".png"),
        title,
        Mesh(upright, scan.mesh.triangles),
        inside,
        found.distances,
    )


def _upright(landmarks: np.ndarray) -> np.ndarray:
    """Return the rotation [3, 3] for row vectors that turns a face upright and to the front.

    Args:
        landmarks: [7, 3].
    """
    right = landmarks[3] - landmarks[0]
    up = landmarks[:4].mean(axis=0) - landmarks[5:].mean(axis=0)
    forward = np.cross(right, up)
    up = np.cross(forward, right)
    return np.stack([axis / np.linalg.norm(axis) for axis in (right, up, forward)], axis=1)


def _pooled(errors: List[FaceErrors], kind: str) -> np.ndarray:
    """Return the distances of all faces together, as NoW pools them."""
    return np.concatenate([face.by_alignment[kind].distances for face in errors])


def _print_results(errors: List[FaceErrors], is_now: bool) -> None:
    print(_ROW.format("distance, mm", "median", "mean", "SD", "faces"))
    for kind in ALIGNMENTS:
        row = summarize(_pooled(errors, kind))
        values = ["{:.2f}".format(row[name]) for name in ("median", "mean", "sd")]
        print(_ROW.format("{} alignment".format(kind), *(values + [len(errors)])))
    if is_now:
        print("published for NoW's test set, scaled alignment:")
        for name, published in PUBLISHED_NOW:
            print(_ROW.format(name, *(["{:.2f}".format(value) for value in published] + [""])))


def _write_results(errors: List[FaceErrors], report: Report, arguments: argparse.Namespace) -> None:
    """Write table, record and curve."""
    # 1. one row a face
    prefix = os.path.join(arguments.output, "scans")
    names = ["{}_{}".format(kind, name) for kind in ALIGNMENTS for name in ("median", "mean", "sd")]
    with atomic_path(prefix + ".csv") as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "points"] + names + ["scale"])
        for face in errors:
            rows = [summarize(face.by_alignment[kind].distances) for kind in ALIGNMENTS]
            values = [repr(row[name]) for row in rows for name in ("median", "mean", "sd")]
            count = len(face.by_alignment["rigid"].distances)
            scale = face.by_alignment["scaled"].alignment.scale
            writer.writerow([face.name, count] + values + [repr(float(scale))])

    # 2. averages and settings
    content: Dict[str, Any] = {
        "scans": arguments.scans,
        "predictions": arguments.predictions,
        "neutral": arguments.neutral,
        "refined": arguments.refined,
        "whole": arguments.whole,
        "faces": len(errors),
        "skipped": [list(item) for item in report.skipped],
        "version": VERSION,
    }
    for kind in ALIGNMENTS:
        row = summarize(_pooled(errors, kind))
        medians = [np.median(face.by_alignment[kind].distances) for face in errors]
        content[kind] = dict(row, mean_of_medians=float(np.mean(medians)))
    write_json(prefix + ".json", content)

    # 3. the curve
    curves = {"{} alignment".format(kind): _pooled(errors, kind) for kind in ALIGNMENTS}
    draw_curves(prefix + "_curve.png", curves)


if __name__ == "__main__":
    run_main(main)
