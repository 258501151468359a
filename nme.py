"""Measure landmarks on AFLW2000-3D: normalised mean error by bins of yaw.

    python nme.py --data_path AFLW2000/
    python nme.py --data_path AFLW2000/ --use_pb 0 --pretrain_weights result/my_model/iter_200000.ckpt
    python nme.py --data_path AFLW2000/ --predictions output/        # what demo.py wrote, or an .npz

Landmarks are predicted in the crop and taken back to the photo. NME is 100 times the mean
distance of the 68 points over sqrt(w h) of the tight box around the true ones. nme.csv, nme.json,
nme_curve.png and nme_worst.png are written. A photo without a prediction counts with an NME of
100; where there are any, the averages without them are printed as well. With --refine the
landmarks are those of the refined mesh.
"""

import argparse
import os

import numpy as np

from evaluation.aflw2000 import FAILURE_NME, read_annotated_photos, read_predictions, write_summary, write_table
from evaluation.plots import draw_curve, draw_worst
from evaluation.protocol import BIN_NAMES, PUBLISHED, normalised_mean_error, summarize
from face_model import load_face_model
from geometry.landmarks import five_from_68
from reconstruction.arguments import add_reconstruction_flags, make_pipeline, network_weights
from reconstruction.face import landmarks_in_photo, versions
from reconstruction.pipeline import batches
from utils.errors import InputError, run_main
from utils.lock import output_folder
from utils.paths import OUTPUT_DIR
from utils.report import Report

_ROW = "{:<28}" + "{:>10}" * 3 + "{:>8}{:>10}{:>8}{:>7}"


def parse_arguments(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data_path", required=True, metavar="DIR", help="photos with their AFLW2000-3D .mat files")
    parser.add_argument("--output", default=os.path.join(OUTPUT_DIR, "nme"), metavar="DIR",
                        help="folder for table, record and pictures")
    parser.add_argument("--align", choices=("gt", "detect"), default="gt",
                        help="where the five points of the crop come from: the ground truth's 68, or the detector, of "
                             "whose faces the one nearest to the ground truth is measured")
    parser.add_argument("--ground_truth", metavar="FILE.npy",
                        help="other landmarks, [n, 68, 2] in the order of the file names, e.g. the re-annotated ones")
    parser.add_argument("--yaw", metavar="FILE.npy", help="other yaw angles, [n] degrees, in that order")
    parser.add_argument("--predictions", metavar="DIR|FILE.npz",
                        help="measure these instead of reconstructing: an output folder of demo.py, annotations like "
                             "those of AFLW2000-3D, or name -> [68, 2]")
    add_reconstruction_flags(parser)
    return parser.parse_args(argv)


def main(argv=None):
    """Measure the photos that the arguments name."""
    arguments = parse_arguments(argv)
    annotated, bare = read_annotated_photos(arguments.data_path, arguments.ground_truth, arguments.yaw)
    pipeline = None
    if arguments.predictions:
        source = "read from {}".format(arguments.predictions)
        predictions = read_predictions(arguments.predictions, [item.photo.name for item in annotated])
    else:
        pipeline = _pipeline(arguments)
        source = "{}, {}".format(pipeline.model.name, pipeline.description)
    with output_folder(arguments.output):  # from here on, because predicting may take an hour
        if pipeline:
            predictions = _predict(annotated, pipeline, arguments)
        return _measure(annotated, bare, predictions, source, arguments)


def _measure(annotated, bare, predictions, source, arguments):
    """Print and write the errors of predictions; return the exit status."""
    failed = np.array([item.photo.name not in predictions for item in annotated])
    errors = np.array([FAILURE_NME if failure else normalised_mean_error(predictions[item.photo.name], item.landmarks)
                       for item, failure in zip(annotated, failed)])
    yaws = np.array([item.yaw for item in annotated])
    summary = summarize(errors, yaws)
    found = summarize(errors[~failed], yaws[~failed]) if failed.any() and not failed.all() else None
    settings = _settings(arguments, source, bare, failed)
    _print_results(summary, found, settings)
    _write_results(arguments.output, annotated, errors, failed, predictions)
    write_summary(os.path.join(arguments.output, "nme.json"), summary,
                  None if failed.all() else found or summary, settings)
    print("results in {}".format(arguments.output))
    return 1 if failed.all() else 0


def _pipeline(arguments):
    """Return the ``FacePipeline`` that the parsed flags ask for."""
    network_weights(arguments)  # complain before the face model is read
    return make_pipeline(arguments, load_face_model(arguments.face_model), all_faces=arguments.align == "detect")


def _predict(annotated, pipeline, arguments):
    """Reconstruct the photos; return a dict of name -> [68, 2]."""
    report = Report(len(annotated), "face", "measured", arguments.quiet)
    predictions = {}
    for faces in batches(_located(annotated, pipeline, arguments.align == "gt", report), arguments.batch_size):
        for result in pipeline.reconstruct(faces):
            predictions[result.face.name] = landmarks_in_photo(versions(result)[-1])
            report.step()
    report.close()
    print(report.summary())
    return predictions


def _located(annotated, pipeline, given, report):
    """Yield the located faces; a photo without one is reported."""
    for item in annotated:
        truth = five_from_68(item.landmarks)
        try:
            faces = pipeline.locate(item.photo, truth if given else None)
        except InputError as error:
            report.skip(item.photo.name, error)
            continue
        nearest = min(faces, key=lambda face: np.linalg.norm(face.five_points - truth, axis=1).mean())
        yield nearest._replace(name=item.photo.name)


def _settings(arguments, source, bare, failed):
    """Return what belongs to the figures for others to repeat them."""
    return {
        "data_path": arguments.data_path,
        "ground_truth": arguments.ground_truth or "pt3d_68 of the .mat files",
        "yaw": arguments.yaw or "Pose_Para of the .mat files",
        "five_points": ("as predicted" if arguments.predictions else
                        "ground truth" if arguments.align == "gt" else "detected"),
        "predictions": source,
        "failures": int(failed.sum()),
        "photos_without_annotation": len(bare),
    }


def _print_results(summary, found, settings):
    print("landmarks: {predictions}; ground truth: {ground_truth}; yaw: {yaw}; five points: {five_points}".format(
        **settings))
    print(_ROW.format("NME, % (|yaw| in degrees)", *BIN_NAMES, "mean", "all", "median", "count"))
    _print_row("this run", summary)
    if found:
        _print_row("this run, without failures", found)
    for name, row in PUBLISHED:
        print(_ROW.format(name, *("{:.2f}".format(value) for value in row), "", "", ""))
    print("photos in the bins: {} / {} / {}; mean is that of the bins, all is over all photos".format(
        *summary.bin_counts))
    if settings["failures"]:
        print("{} photos without a prediction, each counted with an NME of {:.0f}".format(
            settings["failures"], FAILURE_NME))
    if settings["photos_without_annotation"]:
        print("{} photos without annotation were left out".format(settings["photos_without_annotation"]))


def _print_row(name, summary):
    values = summary.bin_means + (summary.mean_of_bins, summary.mean, summary.median)
    print(_ROW.format(name, *("-" if np.isnan(value) else "{:.3f}".format(value) for value in values), summary.count))


def _write_results(folder, annotated, errors, failed, predictions):
    write_table(os.path.join(folder, "nme.csv"), annotated, errors, failed)
    draw_curve(os.path.join(folder, "nme_curve.png"), np.where(failed, np.inf, errors),
               [item.yaw for item in annotated])
    draw_worst(os.path.join(folder, "nme_worst.png"), annotated, errors, predictions)


if __name__ == "__main__":
    run_main(main)
