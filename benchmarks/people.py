"""Shape of people from outside the face model, one photo each: the person, not the average.

    python -m benchmarks.people --faces ict_face.npz [--count 200] [--views 1] [--json FILE]

People of another face model are drawn by ``synthesis`` with hair, light and camera, and
reconstructed from each photo by itself. The distance from their neutral scan to the neutral
reconstruction is measured as ``evaluation.scans`` does (median over the face region, mean over the
photos), with a rigid alignment and with one that scales; it is printed in millimeters and as a
share of the mean face's.

With --stages, the table is one of variants of the default instead: where the identity is lost.

Methods: the mean face; our model fitted to the average of these people, for all of them; the
landmarks alone; the network alone; the default, both refined by fitting; and, as the limit, our
model fitted to the scan itself. Without --faces, people are our model's, deformed smoothly outside
of its span.
"""

import argparse
import itertools
import json
import os
import tempfile
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from benchmarks.people_models import (
    Population,
    fit_to_scan,
    load_population,
    near_triangles,
    neutral_millimeters,
)
from benchmarks.people_photos import PeopleOptions, PeoplePainter, PersonPhoto, contact_sheet
from evaluation.scan_distance import (
    SEVEN_FROM_68,
    Mesh,
    in_face_region,
    measure_distances,
)
from face_decoder import FaceDecoder
from face_model import FACE_MODEL_HELP, load_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.model import FaceModel
from fitting.landmarks import LandmarkFitter
from fitting.objective import FaceObservation
from fitting.photometric import FIT_WEIGHTS, FaceFitter, FitSettings
from geometry.camera import flip_y
from reconstruction.face import LocatedFace
from reconstruction.network_choice import NetworkRequest, choose_networks
from reconstruction.pipeline import FacePipeline, make_observation
from reconstruction.regressor import CoefficientRegressor
from utils.arguments import non_negative_int, positive_float, positive_int
from utils.atomic import atomic_path
from utils.errors import InputError, run_main
from utils.report import Report
from utils.workers import one_blas_thread

# Weights of the losses that --stages varies, and factors.
VARIANTS = (
    ("regularization", 0.3),
    ("regularization", 3.0),
    ("photometric", 0.25),
    ("landmark", 4.0),
)
ALIGNMENTS = ("rigid", "scaled")
YAW_EDGES = (15.0, 30.0, 45.0)  # degrees
_TARGET_YAW = 45.0  # degrees, of the last row of the table
_MOST_POINTS = 2000  # of a scan that distances are measured at
_SHEET = (8, 160)  # columns and side of the pictures of --sheet


class Measured(NamedTuple):
    """The distances of one photo's reconstructions, mm: method -> (rigid, scaled)."""

    person: int
    yaw: float  # degrees
    distances: Dict[str, Tuple[float, float]]


class ScanMeasure:
    """Measures neutral faces of a model against the scans of a population.

    Args:
        model: our face model.
        population: the people.
    """

    def __init__(self, model: FaceModel, population: Population) -> None:
        self._model = model
        self._population = population
        self._triangles = near_triangles(model)
        self._seven = model.landmarks[list(SEVEN_FROM_68)]
        with one_blas_thread():
            self._average = fit_to_scan(model, *population.scan(population.mean_identity))

    def measure(self, identity: np.ndarray, person: np.ndarray) -> Tuple[float, float]:
        """Return the median distance from a person's scan to a face, mm: (rigid, scaled).

        Args:
            identity: [identities] of our model.
            person: [identities] of the population.
        """
        scan, landmarks = self._population.scan(person)
        seven = landmarks[list(SEVEN_FROM_68)]
        points = scan.vertices[in_face_region(scan.vertices, seven)]
        points = points[:: max(1, len(points) // _MOST_POINTS)]
        shape = neutral_millimeters(self._model, identity)
        mesh = Mesh(shape, self._triangles)
        with one_blas_thread():
            rigid, scaled = (
                float(
                    np.median(
                        measure_distances(
                            points, seven, mesh, shape[self._seven], kind == "scaled"
                        ).distances
                    )
                )
                for kind in ALIGNMENTS
            )
        return rigid, scaled

    def measure_limits(self, person: np.ndarray) -> Dict[str, Tuple[float, float]]:
        """Return the distances of faces that no photo tells of.

        They are the mean face, and our model fitted to the people's average and to the scan itself.
        """
        with one_blas_thread():
            fitted = fit_to_scan(self._model, *self._population.scan(person))
        faces = {
            "mean face": np.zeros(self._model.identity_count),
            "people's average": self._average,
            "limit": fitted,
        }
        return {name: self.measure(face, person) for name, face in faces.items()}


class Reconstructor:
    """Reconstructs photos by each method.

    Args:
        model: our face model.
        steps: photometric steps of fitting; None for the default.
        stages: also reconstruct by variants of the default.
    """

    def __init__(self, model: FaceModel, steps: Optional[int] = None, stages: bool = False) -> None:
        self.model = model
        self._sizes = coefficient_sizes(model)
        network = choose_networks(NetworkRequest("both", steps), model)
        self.pipeline = FacePipeline(model, network)
        self.description = self.pipeline.description
        self._regressor = CoefficientRegressor(str(network.weights), model)
        decoder = FaceDecoder(model)
        self._fitter = FaceFitter(decoder, FitSettings(network.steps))
        self._landmark_fitter = LandmarkFitter(model)
        self._stages = stages
        self._variants = {
            "{} x {:g}".format(name, factor): FaceFitter(
                decoder,
                FitSettings(
                    network.steps,
                    FIT_WEIGHTS._replace(**{name: factor * getattr(FIT_WEIGHTS, name)}),
                ),
            )
            for name, factor in (VARIANTS if stages else ())
        }

    def locate(self, photo: PersonPhoto) -> LocatedFace:
        """Return the face of a photo that is nearest to the truth.

        Raises:
            InputError: no face is found.
        """
        return self.pipeline.locate(photo.photo)[0]

    def reconstruct(
        self, photos: Sequence[PersonPhoto], faces: Sequence[LocatedFace]
    ) -> Dict[str, np.ndarray]:
        """Return method -> [B, identities].

        Args:
            photos: the photos.
            faces: the face of each.
        """
        observations = [make_observation(face) for face in faces]
        predicted = self._regressor.predict([face.alignment.crop for face in faces])
        found = {
            "landmarks": self._fitter.fit_landmarks(observations),
            "network": predicted,
            "default": self.pipeline.find_coefficients(faces),
        }
        if self._stages:
            found.update(self._vary(photos, faces, observations, predicted))
        return {
            method: split_coefficients(rows, self._sizes).identity for method, rows in found.items()
        }

    def _vary(
        self,
        photos: Sequence[PersonPhoto],
        faces: Sequence[LocatedFace],
        observations: Sequence[FaceObservation],
        predicted: np.ndarray,
    ) -> Dict[str, np.ndarray]:
        """Return variant -> [B, 257]."""
        found = {}
        for name, fitter in self._variants.items():
            start = fitter.choose_start(observations, predicted)
            found[name] = fitter.fit(observations, start).coefficients
        landmarks = self._fitter.fit_landmarks(observations)
        found["no network"] = self._fitter.fit(observations).coefficients
        sizes = self._sizes
        split_coefficients(landmarks, sizes).identity[:] = 0
        found["from the mean face"] = self._fitter.fit(observations, landmarks).coefficients
        true = [self._observe_truth(*row) for row in zip(photos, faces, observations)]
        start = self._fitter.choose_start(true, predicted)
        found["true landmarks"] = self._fitter.fit(true, start).coefficients
        return found

    def _observe_truth(
        self, photo: PersonPhoto, face: LocatedFace, observation: FaceObservation
    ) -> FaceObservation:
        """Return an observation with the true landmarks in place of the detected ones."""
        landmarks = flip_y(face.alignment.to_crop(photo.landmarks))
        weights = np.ones(len(landmarks))
        return observation._replace(
            landmarks=landmarks,
            landmark_confidence=weights,
            five_points=None,
            fit=self._landmark_fitter.fit(landmarks, weights),
        )


def measure_people(
    reconstructor: Reconstructor,
    population: Population,
    photos: Iterator[PersonPhoto],
    report: Report,
    batch_size: int = 8,
) -> List[Measured]:
    """Reconstruct and measure photos; one without a face is reported and skipped.

    Args:
        reconstructor: the methods.
        population: the people of the photos.
        photos: their photos, person by person.
        report: counts them.
        batch_size: photos reconstructed together.
    """
    measure = ScanMeasure(reconstructor.model, population)
    limits: Dict[int, Dict[str, Tuple[float, float]]] = {}
    rows = []
    located = locate_all(reconstructor, photos, report)
    for batch in iter(lambda: list(itertools.islice(located, batch_size)), []):
        found = reconstructor.reconstruct(*zip(*batch))
        for i, (photo, _) in enumerate(batch):
            if photo.person not in limits:
                limits[photo.person] = measure.measure_limits(photo.identity)
            distances = dict(limits[photo.person])
            for method in found:
                distances[method] = measure.measure(found[method][i], photo.identity)
            rows.append(Measured(photo.person, photo.yaw, distances))
            report.step()
    return rows


def locate_all(
    reconstructor: Any, photos: Iterator[PersonPhoto], report: Report
) -> Iterator[Tuple[PersonPhoto, LocatedFace]]:
    """Yield photos with their faces; one without a face is reported and skipped.

    Args:
        reconstructor: has the method ``locate``, see :meth:`Reconstructor.locate`.
        photos: the photos.
        report: counts those that are skipped.
    """
    for photo in photos:
        try:
            yield photo, reconstructor.locate(photo)
        except InputError as error:
            report.skip(photo.photo.name, error)


def mean_distances(rows: Sequence[Measured], method: str) -> Tuple[float, float]:
    """Return the mean over photos of a method's distances, mm: (rigid, scaled)."""
    rigid, scaled = np.mean([row.distances[method] for row in rows], axis=0)
    return float(rigid), float(scaled)


def print_table(rows: Sequence[Measured]) -> None:
    """Print distances by method, and shares of the mean face's by method and yaw."""
    # 1. groups of photos
    yaws = np.abs([row.yaw for row in rows])
    edges = (0.0,) + YAW_EDGES + (np.inf,)
    groups = [("yaw {:.0f}-{:.0f}".format(*pair), pair) for pair in zip(edges, edges[1:])]
    groups[-1] = ("yaw over {:.0f}".format(edges[-2]), groups[-1][1])
    groups.append(("yaw 0-{:.0f}".format(_TARGET_YAW), (0.0, _TARGET_YAW)))

    # 2. one line a method
    head = "{:<22}{:>9}{:>9}" + "{:>13}" * len(groups)
    print("median distance, mm, and share of the mean face's (rigid / scaled alignment)")
    print(head.format("", "rigid", "scaled", *[name for name, _ in groups]))
    for method in sorted(rows[0].distances, key=lambda name: name == "limit"):
        values = ["{:.2f}".format(value) for value in mean_distances(rows, method)]
        for _, (low, high) in groups:
            chosen = [row for row, yaw in zip(rows, yaws) if low <= yaw < high]
            values.append(_share(chosen, method))
        print(head.format(method, *values))
    counts = [int(np.sum((yaws >= low) & (yaws < high))) for _, (low, high) in groups]
    print(head.format("photos", "", "", *counts))


def _share(rows: Sequence[Measured], method: str) -> str:
    if not rows:
        return "-"
    found, mean = mean_distances(rows, method), mean_distances(rows, "mean face")
    return " / ".join("{:.0f}%".format(100 * a / b) for a, b in zip(found, mean))


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.people",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_people_flags(parser)
    parser.add_argument("--views", type=positive_int, default=1, help="photos of each, up to 8")
    parser.add_argument("--steps", type=non_negative_int, help="photometric steps of fitting")
    parser.add_argument(
        "--stages", action="store_true", help="also measure variants of the default"
    )
    parser.add_argument("--json", metavar="FILE", help="also write the figures of all photos there")
    parser.add_argument("--sheet", metavar="FILE.png", help="also draw the photos in one picture")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(argv)


def add_people_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose the people, and how they are photographed."""
    parser.add_argument(
        "--faces",
        default="",
        metavar="FILE",
        help="ict_face.npz of ICT-FaceKit, or a face model FILE.mat; by default our own model's "
        "people, deformed outside of its span",
    )
    parser.add_argument("--count", type=positive_int, default=200, help="number of people")
    parser.add_argument("--seed", type=non_negative_int, default=0, help="seed of the people")
    parser.add_argument(
        "--max_yaw", type=float, default=60.0, help="largest yaw to either side, degrees"
    )
    parser.add_argument(
        "--distance",
        type=positive_float,
        default=1.0,
        help="distance of the camera, relative to the usual 10 dm; the lens grows in proportion",
    )
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)


def people_options(arguments: argparse.Namespace, views: int) -> PeopleOptions:
    """Return the options that parsed flags describe, for a number of photos of each person."""
    return PeopleOptions(
        arguments.count, views, arguments.seed, arguments.max_yaw, arguments.distance
    )


def main(argv: Optional[List[str]] = None) -> int:
    """Measure and print; return the exit status."""
    arguments = parse_arguments(argv)
    model = load_face_model(arguments.face_model)
    with one_blas_thread():
        population = load_population(arguments.faces, model)
    reconstructor = Reconstructor(model, arguments.steps, arguments.stages)
    options = people_options(arguments, arguments.views)
    report = Report(options.count * options.views, "photo", "measured", arguments.quiet)
    with tempfile.TemporaryDirectory() as folder:
        photos = PeoplePainter(population, options).paint(folder)
        rows = measure_people(reconstructor, population, photos, report)
        if arguments.sheet:
            _write_sheet(arguments.sheet, folder)
    report.close()

    print(
        "{} people of {}, {} photo{} each; {}, {}".format(
            options.count,
            population.name,
            options.views,
            "" if options.views == 1 else "s",
            model.name,
            reconstructor.description,
        )
    )
    print(report.summary())
    if not rows:
        return 1
    print_table(rows)
    if arguments.json:
        with atomic_path(arguments.json) as temporary, open(temporary, "w") as file:
            json.dump([dict(row._asdict()) for row in rows], file, indent=1)
    return 0


def _write_sheet(path: str, folder: str) -> None:
    names = sorted(name for name in os.listdir(folder) if name.endswith(".png"))
    sheet = contact_sheet([os.path.join(folder, name) for name in names], *_SHEET)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        Image.fromarray(sheet).save(file, "PNG")


if __name__ == "__main__":
    run_main(main)
