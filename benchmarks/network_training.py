"""Accuracy of a coefficient network, checkpoint by checkpoint, as a curve.

    python -m benchmarks.network_training --run result/network_112 --photos PHOTOS \\
        --aflw AFLW2000 --faces data/faces_validation

The network alone is measured, without fitting: on photos with five given points (NAME.txt), the
mean distance to them in percent of the eye distance, median over the photos; on photos with the
annotations of AFLW2000-3D, the NME of nme.py; on processed synthetic faces, the NME and the
distance of the landmarks in pixels. Earlier measurements are kept in curve.json beside the
checkpoints; curve.png shows them.
"""

import argparse
import json
import os
from typing import List, Optional

import numpy as np

from alignment.align import align, crop_to_photo
from alignment.five_points import five_points_path, read_five_points
from benchmarks.curves import write_figure
from checkpoints.record import read_record, record_path
from dataset.processed_faces import find_faces, read_face
from evaluation.aflw2000 import read_annotated_photos
from evaluation.protocol import normalized_mean_error, summarize
from face_model import FACE_MODEL_HELP, load_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.landmark_basis import landmark_model
from geometry.camera import flip_y, project
from geometry.landmark_layout import five_from_68
from geometry.rotation import rotation_with_derivatives
from reconstruction.regressor import CoefficientRegressor
from training.saver import finished_steps
from utils.errors import run_main
from utils.json_files import write_json
from utils.photos import find_photos, read_photo

CURVE_FILE, PICTURE_FILE = "curve.json", "curve.png"
_BATCH = 32
_COLUMNS = (
    ("five_points_percent", "five points, photos (% of eye distance, median)"),
    ("aflw_nme", "AFLW2000-3D photos (NME, mean of bins)"),
    ("synthetic_nme", "unseen synthetic faces (NME)"),
)


def parse_arguments(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--run",
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders of checkpoints, in training order",
    )
    parser.add_argument(
        "--network", metavar="FILE", help="measure this frozen graph or checkpoint instead"
    )
    parser.add_argument(
        "--photos", metavar="DIR", help="photos with NAME.txt of five points beside them"
    )
    parser.add_argument("--aflw", metavar="DIR", help="photos with their AFLW2000-3D .mat files")
    parser.add_argument("--faces", metavar="DIR", help="processed synthetic faces")
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        metavar="STEPS",
        help="measure only checkpoints at multiples of this step",
    )
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    return parser.parse_args(argv)


class Measurement:
    """The faces on which every checkpoint is measured.

    Args:
        model: face model of the network.
        photos, aflw, faces: folders, or None.
    """

    def __init__(self, model, photos=None, aflw=None, faces=None):
        self._model = model
        self._mean, self._basis = landmark_model(model)
        self._photos = (
            [_aligned(read_photo(photo.path), photo.path) for photo in find_photos(photos)]
            if photos
            else []
        )
        self._aflw = read_annotated_photos(aflw)[0] if aflw else []
        self._aflw_crops = [
            (align(read_photo(item.photo.path), five_from_68(item.landmarks)), None)
            for item in self._aflw
        ]
        self._faces = [read_face(face) for face in find_faces(faces).faces] if faces else []

    def measure(self, path):
        """Return name -> figure for the network at ``path``."""
        network = CoefficientRegressor(path, self._model)
        try:
            figures = dict(self._five_points(network), **self._aflw_nme(network))
            return dict(figures, **self._synthetic(network))
        finally:
            network.close()

    def landmarks(self, coefficients):
        """Return [B, 68, 2] landmarks of coefficients [B, 257], crop pixels, y up."""
        parts = split_coefficients(coefficients.astype(np.float64), coefficient_sizes(self._model))
        shape = self._mean + np.einsum(
            "vck,bk->bvc", self._basis, np.hstack([parts.identity, parts.expression])
        )
        rotation = np.stack([rotation_with_derivatives(angles)[0] for angles in parts.angles])
        return project(np.matmul(shape, rotation) + parts.translation[:, np.newaxis])

    def _in_photo(self, network, crops):
        found = self.landmarks(network.predict(np.stack([crop.crop for crop, _ in crops])))
        return [
            crop_to_photo(flip_y(points), crop.trans_params)
            for points, (crop, _) in zip(found, crops)
        ]

    def _five_points(self, network):
        if not self._photos:
            return {}
        errors = []
        for points, (_, given) in zip(self._in_photo(network, self._photos), self._photos):
            eyes = np.linalg.norm(given[0] - given[1])
            errors.append(100 * np.linalg.norm(five_from_68(points) - given, axis=1).mean() / eyes)
        return {
            "five_points_percent": float(np.median(errors)),
            "five_points_worst": float(np.max(errors)),
        }

    def _aflw_nme(self, network):
        if not self._aflw:
            return {}
        errors = [
            normalized_mean_error(points, item.landmarks)
            for points, item in zip(self._in_photo(network, self._aflw_crops), self._aflw)
        ]
        summary = summarize(errors, [item.yaw for item in self._aflw])
        return {"aflw_nme": summary.mean_of_bins, "aflw_nme_all": summary.mean}

    def _synthetic(self, network):
        if not self._faces:
            return {}
        pixels, errors = [], []
        for start in range(0, len(self._faces), _BATCH):
            samples = self._faces[start : start + _BATCH]
            for points, sample in zip(
                self.landmarks(network.predict(np.stack([s.image for s in samples]))), samples
            ):
                pixels.append(np.linalg.norm(points - sample.landmarks, axis=1).mean())
                errors.append(normalized_mean_error(points, sample.landmarks))
        return {"synthetic_pixels": float(np.mean(pixels)), "synthetic_nme": float(np.mean(errors))}

    def mean_face_pixels(self):
        """Return the landmark error of the centered mean face on the synthetic faces, pixels."""
        middle = self.landmarks(np.zeros((1, sum(coefficient_sizes(self._model)))))[0]
        return float(
            np.mean([np.linalg.norm(middle - s.landmarks, axis=1).mean() for s in self._faces])
        )


def main(argv: Optional[List[str]] = None) -> int:
    """Measure the networks that the arguments name."""
    arguments = parse_arguments(argv)
    measurement = Measurement(
        load_face_model(arguments.face_model), arguments.photos, arguments.aflw, arguments.faces
    )
    if arguments.faces:
        print(
            "mean face: landmarks {:.2f} px on {}".format(
                measurement.mean_face_pixels(), arguments.faces
            )
        )
    if arguments.network:
        print(_line(arguments.network, measurement.measure(arguments.network)))
    curves = [_measure_run(folder, measurement, arguments.every) for folder in arguments.run]
    if curves:
        draw_curve(curves, os.path.join(arguments.run[-1], PICTURE_FILE))
    return 0


def _measure_run(folder, measurement, every):
    """Measure the new checkpoints of a run; return all figures by step."""
    path = os.path.join(folder, CURVE_FILE)
    curve = _read_curve(path)
    for step in finished_steps(folder):
        if step % every or str(step) in curve:
            continue
        prefix = os.path.join(folder, "iter_{}.ckpt".format(step))
        batch_size = (read_record(prefix) or {}).get("options", {}).get("batch_size", 0)
        hours = (os.path.getmtime(record_path(prefix)) - _start(folder)) / 3600
        curve[str(step)] = dict(measurement.measure(prefix), faces=step * batch_size, hours=hours)
        print(_line(prefix, curve[str(step)]), flush=True)
        write_json(path, curve)
    return curve


def _start(folder):
    """Return the start of a run, seconds since 1970, from the name of its first event file."""
    summaries = os.path.join(folder, "summary", "train")
    return min(float(name.split(".")[3]) for name in os.listdir(summaries))


def _read_curve(path):
    if not os.path.isfile(path):
        return {}
    with open(path) as file:
        return json.load(file)


def draw_curve(curves, path):
    """Draw the errors of successive runs over the hours of training, pauses included."""
    with write_figure(path, (8, 4.5)) as axes:
        for name, label in _COLUMNS:
            seen, before = [], 0
            for curve in curves:
                steps = sorted(curve, key=int)
                seen += [
                    (before + curve[step]["hours"], curve[step][name])
                    for step in steps
                    if name in curve[step]
                ]
                before += max([curve[step]["hours"] for step in steps] or [0])
            if seen:
                axes.plot(*zip(*seen), marker=".", label=label)
        axes.set(xlabel="hours of training", ylabel="error", ylim=(0, 15))
        axes.legend()
        axes.grid(alpha=0.3)


def _line(name, figures):
    return "{}: {}".format(
        name, ", ".join("{} {:.2f}".format(key, figures[key]) for key in sorted(figures))
    )


def _aligned(photo, path):
    """Return (alignment, five points) of a photo with a file of five points."""
    height, width = photo.shape[:2]
    points = read_five_points(five_points_path(path), width, height)
    return align(photo, points), points


if __name__ == "__main__":
    run_main(main)
