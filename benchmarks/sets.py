"""Shape of people from outside the face model, from one and from several photos of each.

    python -m benchmarks.sets [--faces ict_face.npz] [--count 16] [--photos 1 2 4 8] [--json FILE]

People and photos are those of ``benchmarks.people``; faces are detected. The photos of a person are
divided into sets of one, of two and so on, so that all of them count in each row. Printed is the
distance from the neutral scan to the neutral reconstruction (median over the face region, mean over
the sets, rigid alignment) as a share of the mean face's: of the plain average of the network's
identities, of C-Net's average, and of the joint fit. The way is that from the fit to one photo to
the limit, our model fitted to the scan itself.
"""

import argparse
import itertools
import json
import tempfile
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from benchmarks.people import ScanMeasure, add_people_flags, locate_all, people_options
from benchmarks.people_models import load_population
from benchmarks.people_photos import PeoplePainter, PersonPhoto
from face_model import load_face_model
from face_model.model import FaceModel
from reconstruction.face import LocatedFace
from reconstruction.network_choice import NetworkRequest, choose_networks
from reconstruction.pipeline import FacePipeline
from utils.arguments import non_negative_int, positive_int
from utils.atomic import atomic_path
from utils.errors import run_main
from utils.report import Report
from utils.workers import one_blas_thread

MEAN_FACE, LIMIT = "mean face", "limit"
AVERAGE, C_NET, JOINT = METHODS = ("plain average", "C-Net", "joint fit")


class Measured(NamedTuple):
    """The distances of a person, reconstructed from a set of photos, mm, rigid alignment."""

    person: int
    photos: int
    distances: Dict[str, float]  # of the methods, the mean face and the limit


class Reconstructor:
    """Reconstructs people from sets of photos by each method.

    Args:
        model: our face model.
        steps: photometric steps of a single photo; 0 leaves the joint fit out, None: the default.
        c_net: weights of C-Net; None for the shipped one.
    """

    def __init__(
        self, model: FaceModel, steps: Optional[int] = None, c_net: Optional[str] = None
    ) -> None:
        self._identities = model.identity_count
        request = NetworkRequest("network", c_net=c_net)
        self._network = FacePipeline(model, choose_networks(request, model))
        self._fitting = None
        if steps != 0:
            request = NetworkRequest("both", steps, c_net=c_net)
            self._fitting = FacePipeline(model, choose_networks(request, model))

    def locate(self, photo: PersonPhoto) -> LocatedFace:
        """Return the largest face of a photo.

        Raises:
            InputError: no face is found.
        """
        return self._network.locate(photo.photo)[0]

    def reconstruct(self, faces: Sequence[LocatedFace]) -> Dict[str, np.ndarray]:
        """Return method -> identity of the person of some faces, [identities]."""
        average = self._network.find_person(faces, with_confidence=False)
        weighted = self._network.find_person(faces)
        found = {AVERAGE: average}
        if weighted.confidence is not None:
            found[C_NET] = weighted
        if self._fitting is not None:
            found[JOINT] = self._fitting.find_person(faces)
        return {
            method: person.coefficients[0, : self._identities] for method, person in found.items()
        }


def measure_sets(
    reconstructor: Reconstructor,
    measure: ScanMeasure,
    photos: Iterator[PersonPhoto],
    counts: Sequence[int],
    report: Report,
) -> List[Measured]:
    """Reconstruct people from sets of their photos; a photo without a face is skipped.

    Args:
        reconstructor: the methods.
        measure: the scans.
        photos: photos of all people, person by person.
        counts: sizes of the sets; photos that fill no set are left out.
        report: counts the photos.
    """
    rows = []
    located = locate_all(reconstructor, photos, report)
    for person, pairs in itertools.groupby(located, lambda pair: pair[0].person):
        own = list(pairs)
        report.step(len(own))
        identity, faces = own[0][0].identity, [face for _, face in own]
        limits = measure.measure_limits(identity)
        known = {name: limits[name][0] for name in (MEAN_FACE, LIMIT)}
        for count in counts:
            for begin in range(0, len(faces) - count + 1, count):
                found = reconstructor.reconstruct(faces[begin : begin + count])
                distances = {
                    method: measure.measure(shape, identity)[0] for method, shape in found.items()
                }
                rows.append(Measured(person, count, dict(known, **distances)))
    return rows


def describe(rows: Sequence[Measured]) -> str:
    """Return the table of shares of the mean face's distance, one line a number of photos."""
    mean_face, limit = (_mean(rows, name) for name in (MEAN_FACE, LIMIT))
    lines = [
        "share of the mean face's distance ({:.2f} mm); limit {:.1%}".format(
            mean_face, limit / mean_face
        ),
        ("{:<8}{:>8}" + "{:>16}" * len(METHODS) + "{:>14}").format(
            "photos", "sets", *METHODS, "of the way"
        ),
    ]
    counts = sorted({row.photos for row in rows})
    for count in counts:
        own = [row for row in rows if row.photos == count]
        shares = [
            "{:.1%}".format(_mean(own, name) / _mean(own, MEAN_FACE))
            if name in own[0].distances
            else "-"
            for name in METHODS
        ]
        line = ("{:<8}{:>8}" + "{:>16}" * len(METHODS)).format(count, len(own), *shares)
        first = [row for row in rows if row.photos == counts[0]]
        if JOINT in own[0].distances and count > counts[0]:
            begin, end = _mean(first, JOINT), _mean(own, JOINT)
            line += "{:>14.1%}".format((begin - end) / (begin - limit))
        lines.append(line)
    return "\n".join(lines)


def _mean(rows: Sequence[Measured], name: str) -> float:
    return float(np.mean([row.distances[name] for row in rows]))


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sets",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_people_flags(parser)
    parser.set_defaults(count=16)
    parser.add_argument(
        "--photos", type=positive_int, nargs="+", default=[1, 2, 4, 8], help="sizes of the sets"
    )
    parser.add_argument(
        "--steps", type=non_negative_int, help="steps of fitting a single photo; 0: no joint fit"
    )
    parser.add_argument("--c_net", metavar="PATH", help="C-Net; None: the shipped one")
    parser.add_argument("--json", metavar="FILE", help="also write the figures of everybody there")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> int:
    """Measure and print; return the exit status."""
    # 1. measurements
    arguments = parse_arguments(argv)
    model = load_face_model(arguments.face_model)
    with one_blas_thread():
        population = load_population(arguments.faces, model)
    reconstructor = Reconstructor(model, arguments.steps, arguments.c_net)
    options = people_options(arguments, max(arguments.photos))
    report = Report(options.count * options.views, "photo", "found", arguments.quiet)
    with tempfile.TemporaryDirectory() as folder:
        photos = PeoplePainter(population, options).paint(folder)
        counts = sorted(set(arguments.photos))
        measure = ScanMeasure(model, population)
        rows = measure_sets(reconstructor, measure, photos, counts, report)
    report.close()

    # 2. table
    print(
        "{} people of {}, yaw to {:g} degrees; {}".format(
            options.count, population.name, options.max_yaw, model.name
        )
    )
    print(report.summary())
    if not rows:
        return 1
    print(describe(rows))
    if arguments.json:
        figures: List[Dict[str, Any]] = [row._asdict() for row in rows]
        with atomic_path(arguments.json) as temporary, open(temporary, "w") as file:
            json.dump(figures, file, indent=1)
    return 0


if __name__ == "__main__":
    run_main(main)
