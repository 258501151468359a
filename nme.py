"""Measure landmarks on AFLW2000-3D: normalized mean error by bins of yaw.

    python nme.py --data_path AFLW2000/
    python nme.py --data_path AFLW2000/ --use_pb 0 --pretrain_weights result/NAME/iter_200000.ckpt
    python nme.py --data_path AFLW2000/ --predictions output/     # results of demo.py, or an .npz

Landmarks are predicted in the crop and mapped to the photo. NME is 100 times the mean distance of
the 68 points, divided by sqrt(w h) of the tight box around the true points. Crops are placed by
the true points, which serve as nothing else, and then by detected ones. Writes nme.csv, nme.json,
nme_curve.png and nme_worst.png, and the same with nme_detected. A photo without a prediction counts
with an NME of 100; if any photo lacks one, the averages over the other photos are printed as well.
With --refine the landmarks of the refined mesh are measured.
"""

if __name__ == "__main__":  # before the imports below, which take a second
    from utils.errors import end_on_interrupt

    end_on_interrupt()

import argparse
import contextlib
import functools
import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from evaluation.aflw2000 import (
    FAILURE_NME,
    AnnotatedPhoto,
    read_annotated_photos,
    read_predictions,
    write_summary,
    write_table,
)
from evaluation.plots import draw_curve, draw_worst
from evaluation.protocol import (
    BIN_NAMES,
    PUBLISHED,
    Summary,
    normalized_mean_error,
    summarize,
)
from face_model import load_face_model
from geometry.landmark_layout import five_from_68
from reconstruction.arguments import add_reconstruction_flags, make_pipeline
from reconstruction.face import LocatedFace, map_landmarks_to_photo, mesh_variants
from reconstruction.look_ahead import iterate_unit_batches
from reconstruction.network_choice import read_network_request
from reconstruction.pipeline import FacePipeline
from utils.errors import InputError, run_main
from utils.lock import output_folder
from utils.paths import INPUT_DIR, OUTPUT_DIR
from utils.report import Report
from utils.scheduler import Preparation, Workers, divide
from utils.version import VERSION

AFLW2000_DIR = os.path.join(INPUT_DIR, "AFLW2000")
_ROW = "{:<28}" + "{:>10}" * 3 + "{:>8}{:>10}{:>8}{:>7}"


class _Crops(NamedTuple):
    """The crops of a measurement, in words, and the stem of its files."""

    title: str  # of the row in the printed table
    five_points: str  # their origin, for the record
    stem: str


# By the values of --align.
_CROPS = {
    "gt": _Crops("crops from true points", "ground truth, for the crop only", "nme"),
    "detect": _Crops("crops detected", "detected", "nme_detected"),
}
_PREDICTED = _Crops("predictions", "as predicted", "nme")


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--data_path",
        default=AFLW2000_DIR,
        metavar="DIR",
        help="photos with their AFLW2000-3D .mat files",
    )
    parser.add_argument(
        "--output",
        default=os.path.join(OUTPUT_DIR, "nme"),
        metavar="DIR",
        help="folder for table, record and pictures",
    )
    parser.add_argument(
        "--align",
        choices=("both", "gt", "detect"),
        default="both",
        help="source of the crop; gt: five points of the true landmarks, which serve as nothing "
        "else; detect: the detected face nearest to the true landmarks; both: one after the other",
    )
    parser.add_argument(
        "--ground_truth",
        metavar="DIR|FILE.npy",
        help="folder of the .mat files, if they are not beside the photos; or other landmarks, "
        "[n, 68, 2] in the order of the file names, e.g. re-annotated ones",
    )
    parser.add_argument(
        "--yaw",
        metavar="FILE.npy",
        help="other yaw angles, [n] degrees, in the order of the file names",
    )
    parser.add_argument(
        "--predictions",
        metavar="DIR|FILE.npz",
        help="measure these instead of reconstructing: an output folder of demo.py, a folder of "
        "annotations in AFLW2000-3D's format, or an archive of name -> [68, 2]",
    )
    add_reconstruction_flags(parser)
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> int:
    """Measure the photos that the arguments name; return the exit status."""
    arguments = parse_arguments(argv)
    annotated, bare = read_annotated_photos(
        arguments.data_path, arguments.ground_truth, arguments.yaw
    )
    if arguments.predictions:
        names = [item.photo.name for item in annotated]
        predictions = read_predictions(arguments.predictions, names)
        with output_folder(arguments.output):
            source = "read from {}".format(arguments.predictions)
            return _measure(annotated, bare, predictions, source, _PREDICTED, arguments)

    pipeline = _make_pipeline(arguments)
    source = "{}, {}".format(pipeline.model.name, pipeline.description)
    status = 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(output_folder(arguments.output))  # predicting may take an hour
        workers = None
        if arguments.scheduler:
            prepare = functools.partial(_prepare, arguments)
            fingerprint = pipeline.model.fingerprint()
            workers = stack.enter_context(
                Workers(arguments.scheduler, arguments.output, (), fingerprint, prepare)
            )
        for align in ("gt", "detect") if arguments.align == "both" else (arguments.align,):
            predictions = _predict(annotated, pipeline, align == "gt", arguments, workers)
            crops = _CROPS[align]
            if arguments.align != "both":
                crops = crops._replace(stem="nme")
            status |= _measure(annotated, bare, predictions, source, crops, arguments)
    return status


def _measure(
    annotated: Sequence[AnnotatedPhoto],
    bare: Sequence[Any],
    predictions: Dict[str, np.ndarray],
    source: str,
    crops: _Crops,
    arguments: argparse.Namespace,
) -> int:
    """Print and write the errors of predictions; return the exit status.

    Args:
        annotated: the photos.
        bare: photos without annotation.
        predictions: name -> [68, 2].
        source: origin of the predictions, in words.
        crops: the crops of the predictions.
        arguments: the parsed flags.
    """
    # 1. the error of each photo
    failed = [item.photo.name not in predictions for item in annotated]
    errors = [
        FAILURE_NME
        if failure
        else normalized_mean_error(predictions[item.photo.name], item.landmarks)
        for item, failure in zip(annotated, failed)
    ]

    # 2. averages, with and without failures
    summary = summarize(errors, [item.yaw for item in annotated])
    found: Optional[Summary] = summary
    if all(failed):
        found = None
    elif any(failed):
        kept = [number for number, failure in enumerate(failed) if not failure]
        found = summarize([errors[i] for i in kept], [annotated[i].yaw for i in kept])

    # 3. output
    settings = _settings(arguments, source, crops.five_points, bare, failed)
    _print_results(crops.title, summary, found if any(failed) else None, settings)
    prefix = os.path.join(arguments.output, crops.stem)
    _write_results(prefix, annotated, errors, failed, predictions)
    write_summary(prefix + ".json", summary, found, settings)
    print("results in {}.csv, .json, _curve.png and _worst.png".format(prefix))
    return 1 if all(failed) else 0


def _make_pipeline(arguments: argparse.Namespace) -> FacePipeline:
    """Return the ``FacePipeline`` that the parsed flags describe."""
    request = read_network_request(arguments)  # complains before the face model is read
    model = load_face_model(arguments.face_model)
    return make_pipeline(arguments, request, model, all_faces=arguments.align != "gt")


def _predict(
    annotated: Sequence[AnnotatedPhoto],
    pipeline: FacePipeline,
    given: bool,
    arguments: argparse.Namespace,
    workers: Optional[Workers],
) -> Dict[str, np.ndarray]:
    """Reconstruct the photos; return a dict of name -> [68, 2].

    Args:
        annotated: the photos.
        pipeline: a ``FacePipeline``.
        given: place the crops by the true landmarks instead of detecting.
        arguments: the parsed flags.
        workers: those of a cluster, or None to work here.
    """
    report = Report(len(annotated), "face", "measured", arguments.quiet)
    predictions: Dict[str, np.ndarray] = {}
    if workers is None:
        predictions.update(_predict_unit(annotated, pipeline, given, arguments, report))
    else:
        units = ((part, given) for part in divide(annotated, arguments.batch_size))
        for _, found in workers.run(units, report):
            predictions.update(found)
    report.close()
    print(report.summary())
    return predictions


def _prepare(arguments: argparse.Namespace) -> Preparation:
    """Make a worker of the cluster ready."""
    pipeline = _make_pipeline(arguments)

    def do(unit: Tuple[Sequence[AnnotatedPhoto], bool], report: Report) -> Dict[str, np.ndarray]:
        annotated, given = unit
        return _predict_unit(annotated, pipeline, given, arguments, report)

    return Preparation(pipeline.model.fingerprint(), do)


def _predict_unit(
    annotated: Sequence[AnnotatedPhoto],
    pipeline: FacePipeline,
    given: bool,
    arguments: argparse.Namespace,
    report: Report,
) -> Dict[str, np.ndarray]:
    """Return the predictions of some photos; arguments of :func:`_predict`."""
    located = _iterate_located(annotated, pipeline, given, report)
    photos = [item.photo for item in annotated]
    predictions = {}
    for faces in iterate_unit_batches(located, photos, arguments.batch_size):
        for result in pipeline.reconstruct(faces):
            predictions[result.face.name] = map_landmarks_to_photo(mesh_variants(result)[-1])
            report.step()
    return predictions


def _iterate_located(
    annotated: Sequence[AnnotatedPhoto], pipeline: FacePipeline, given: bool, report: Report
) -> Iterator[LocatedFace]:
    """Yield the located faces; a photo without a face is reported.

    Args:
        annotated: the photos.
        pipeline: a ``FacePipeline``.
        given: align by the true landmarks instead of detecting.
        report: a ``Report``.
    """
    for item in annotated:
        truth = five_from_68(item.landmarks)
        try:
            faces = pipeline.locate(item.photo, truth if given else None)
        except InputError as error:
            report.skip(item.photo.name, error)
            continue
        distances = [np.linalg.norm(face.five_points - truth, axis=1).mean() for face in faces]
        face = faces[int(np.argmin(distances))]._replace(name=item.photo.name)
        if face.is_doubtful:
            report.doubt(face.name)
        yield face


def _settings(
    arguments: argparse.Namespace,
    source: str,
    five_points: str,
    bare: Sequence[Any],
    failed: Sequence[bool],
) -> Dict[str, Any]:
    """Return the settings that others need to repeat the measurement."""
    return {
        "data_path": arguments.data_path,
        "ground_truth": arguments.ground_truth or "pt3d_68 of the .mat files",
        "yaw": arguments.yaw or "Pose_Para of the .mat files",
        "five_points": five_points,
        "predictions": source,
        "failures": sum(failed),
        "photos_without_annotation": len(bare),
        "version": VERSION,
    }


def _print_results(
    title: str, summary: Summary, found: Optional[Summary], settings: Dict[str, Any]
) -> None:
    """Print the table of averages, and the numbers of photos behind it."""
    print(
        "landmarks: {predictions}; ground truth: {ground_truth}; yaw: {yaw}; five points: "
        "{five_points}".format(**settings)
    )

    # 1. the table
    print(_ROW.format("NME, % (|yaw| in degrees)", *BIN_NAMES, "mean", "all", "median", "count"))
    _print_row(title, summary)
    if found:
        _print_row("- without failures", found)
    for name, row in PUBLISHED:
        print(_ROW.format(name, *("{:.2f}".format(value) for value in row), "", "", ""))

    # 2. the numbers of photos
    print(
        "photos in the bins: {} / {} / {}; mean is that of the bins, all is over all photos".format(
            *summary.bin_counts
        )
    )
    if settings["failures"]:
        print(
            "{} photos without a prediction, each counted with an NME of {:.0f}".format(
                settings["failures"], FAILURE_NME
            )
        )
    if settings["photos_without_annotation"]:
        print(
            "{} photos without annotation were left out".format(
                settings["photos_without_annotation"]
            )
        )


def _print_row(name: str, summary: Summary) -> None:
    values = summary.bin_means + (summary.mean_of_bins, summary.mean, summary.median)
    cells = ("-" if np.isnan(value) else "{:.3f}".format(value) for value in values)
    print(_ROW.format(name, *cells, summary.count))


def _write_results(
    prefix: str,
    annotated: Sequence[AnnotatedPhoto],
    errors: Sequence[float],
    failed: Sequence[bool],
    predictions: Dict[str, np.ndarray],
) -> None:
    write_table(prefix + ".csv", annotated, errors, failed)
    draw_curve(
        prefix + "_curve.png",
        [np.inf if failure else error for error, failure in zip(errors, failed)],
        [item.yaw for item in annotated],
    )
    draw_worst(prefix + "_worst.png", annotated, errors, predictions)


if __name__ == "__main__":
    run_main(main)
