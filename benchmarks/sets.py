"""Accuracy of the shape of people of known shape, from one and from several photos.

    python -m benchmarks.sets [--people 12] [--photos 1 2 4 8]

People are drawn by the synthesis: each photo of a person has its own pose, expression, light, hair,
occluders and degradation. A photo is given by its crop and by its landmarks with the noise of a
good detector. Printed for each number of photos: the mean distance of the face without expression
from the true one after rigid alignment, as a share of the mean face's, for the plain average of the
network's identities, for C-Net's average, and for the joint fit. The model's own limit is 0 here,
because the people are of the model.
"""

import argparse
import json
import tempfile
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from alignment.skin import skin_mask
from dataset.processed_faces import find_faces, read_coefficients, read_face
from face_decoder import FaceDecoder
from face_model import FACE_MODEL_HELP, load_face_model
from face_model.coefficients import coefficient_sizes
from face_model.model import FaceModel
from fitting.joint import share_mean
from fitting.landmarks import LANDMARK_NOISE
from fitting.objective import FaceObservation
from fitting.photometric import REFINING_STEPS, FaceFitter, FitSettings
from geometry.camera import MILLIMETERS_PER_DM
from geometry.similarity import fit_similarity
from reconstruction.network_choice import SHIPPED_NETWORK
from reconstruction.regressor import CoefficientRegressor, find_shipped_c_net
from synthesis.dataset import DatasetOptions, SyntheticDataset
from utils.arguments import positive_int
from utils.atomic import atomic_path
from utils.errors import run_main
from utils.report import Report

METHODS = ("plain average", "C-Net", "joint fit")


def draw_people(model: FaceModel, people: int, photos: int, seed: int, max_yaw: float) -> List[Any]:
    """Draw people.

    Args:
        model: face model.
        people: number of people.
        photos: photos of each.
        seed: seed of the random numbers.
        max_yaw: degrees.

    Returns:
        For each person: true coefficients [photos, 257], and the observations of the photos.
    """
    random = np.random.RandomState(seed)
    options = DatasetOptions(seed=seed, max_yaw=max_yaw, photos_per_person=photos)
    with tempfile.TemporaryDirectory() as folder:
        report = Report(0, "face", "made", quiet=True)
        SyntheticDataset(folder, model, options).generate(people * photos, 2, report)
        report.close()
        count = sum(coefficient_sizes(model))
        drawn = []
        for face in find_faces(folder).faces:
            sample = read_face(face)
            noise = random.normal(0, LANDMARK_NOISE, sample.landmarks.shape)
            observation = FaceObservation(
                sample.image,
                skin_mask(sample.image).astype(np.float32) / 255,
                sample.landmarks + noise,
                np.ones(len(noise)),
            )
            drawn.append((read_coefficients(folder, face.name, count), observation))
    sets = [drawn[i : i + photos] for i in range(0, len(drawn), photos)]
    return [(np.stack([c for c, _ in one]), [o for _, o in one]) for one in sets]


class Measurement:
    """Measures the three methods on sets of photos.

    Args:
        model: face model.
        steps: photometric steps of the joint fit; 0 leaves it out.
        c_net: weights of C-Net; None for the shipped one.
    """

    def __init__(self, model: FaceModel, steps: int, c_net: Optional[str]) -> None:
        self._decoder = FaceDecoder(model)
        self._model = model
        self._fitter = FaceFitter(self._decoder, FitSettings(steps)) if steps else None
        c_net = c_net or find_shipped_c_net(SHIPPED_NETWORK)
        self._regressor = CoefficientRegressor(SHIPPED_NETWORK, model, c_net=c_net)

    def measure(self, truth: np.ndarray, photos: Sequence[FaceObservation]) -> Dict[str, float]:
        """Return the distance of each method and of the mean face, mm.

        Args:
            truth: [257] coefficients of the person.
            photos: the observations of the photos.
        """
        crops = [photo.crop for photo in photos]
        predicted = self._regressor.predict(crops)
        confidence = self._regressor.predict_confidence(crops)
        found = {
            "mean face": np.zeros_like(truth),
            "plain average": share_mean(predicted, self._model)[0],
        }
        if confidence is not None:
            found["C-Net"] = share_mean(predicted, self._model, confidence)[0]
        if self._fitter is not None:
            start = self._fitter.choose_person_start(photos, predicted, confidence)
            found["joint fit"] = self._fitter.fit_person(photos, start).coefficients[0]
        true_shape = self._neutral(truth)
        return {name: self._distance(self._neutral(one), true_shape) for name, one in found.items()}

    def _neutral(self, coefficients: np.ndarray) -> np.ndarray:
        basis = self._model.identity_basis
        moved = basis.dot(coefficients[: self._model.identity_count])
        return (self._model.mean_shape + moved.reshape(-1, 3)).astype(np.float64)

    def _distance(self, shape: np.ndarray, true_shape: np.ndarray) -> float:
        motion = fit_similarity(shape, true_shape, with_scale=False)
        distances = np.linalg.norm(motion.apply(shape) - true_shape, axis=1)
        return MILLIMETERS_PER_DM * float(distances.mean())


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--people", type=positive_int, default=12, help="number of people")
    parser.add_argument(
        "--photos", type=positive_int, nargs="+", default=[1, 2, 4, 8], help="photos of a person"
    )
    parser.add_argument(
        "--steps", type=int, default=REFINING_STEPS, help="steps of the joint fit; 0: none"
    )
    parser.add_argument("--max_yaw", type=float, default=75.0, help="largest yaw, degrees")
    parser.add_argument("--c_net", metavar="PATH", help="C-Net; None: the shipped one")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random people")
    parser.add_argument("--face_model", default=None, help=FACE_MODEL_HELP)
    parser.add_argument("--json", metavar="FILE", help="also write the figures of everybody there")
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> None:
    """Measure and print."""
    # 1. measurements
    arguments = parse_arguments(argv)
    model = load_face_model(arguments.face_model)
    people = draw_people(
        model, arguments.people, max(arguments.photos), arguments.seed, arguments.max_yaw
    )
    measurement = Measurement(model, arguments.steps, arguments.c_net)
    rows = []
    for truth, photos in people:
        for count in sorted(set(arguments.photos)):
            rows.append(dict(measurement.measure(truth[0], photos[:count]), photos=count))

    # 2. table
    print("{} people of {}, yaw to {:g} degrees".format(len(people), model.name, arguments.max_yaw))
    print("share of the mean face's distance ({:.2f} mm)".format(_mean(rows, "mean face")))
    print(("{:<8}" + "{:>16}" * len(METHODS)).format("photos", *METHODS))
    for count in sorted(set(arguments.photos)):
        own = [row for row in rows if row["photos"] == count]
        shares = [
            "{:.1%}".format(_mean(own, name) / _mean(own, "mean face")) if name in own[0] else "-"
            for name in METHODS
        ]
        print(("{:<8}" + "{:>16}" * len(METHODS)).format(count, *shares))
    if arguments.json:
        with atomic_path(arguments.json) as temporary, open(temporary, "w") as file:
            json.dump(rows, file, indent=1)


def _mean(rows: Sequence[Dict[str, float]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


if __name__ == "__main__":
    run_main(main)
