"""Gain of fitting that starts from a network's coefficients.

    python -m benchmarks.network_start --photos PHOTOS [--json FILE]

Faces of photos are fitted from the mean face in the center of the crop, from the landmarks, and
from the start that ``FaceFitter.choose_start`` derives from the network's coefficients, with
several numbers of steps. Printed: mean and median final loss over the photos (the same losses,
weights and robust scale for all), and the time per face.
"""

import argparse
import json
import time
from typing import List, Optional

import numpy as np

from face_decoder import FaceDecoder
from face_model import FACE_MODEL_HELP, load_face_model
from face_model.coefficients import coefficient_sizes
from face_model.model import FaceModel
from fitting.photometric import DEFAULT_STEPS, REFINING_STEPS, FaceFitter, FitSettings
from reconstruction.face import LocatedFace
from reconstruction.look_ahead import iterate_batches
from reconstruction.network_choice import NetworkChoice, find_shipped_network
from reconstruction.pipeline import FacePipeline, make_observation
from reconstruction.regressor import CoefficientRegressor
from utils.atomic import atomic_path
from utils.errors import InputError, run_main
from utils.photos import find_photos

_BATCH = 8


def parse_arguments(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--photos", required=True, metavar="DIR", help="photos, or a folder of them"
    )
    parser.add_argument(
        "--network", metavar="FILE", help="graph or checkpoint; by default the bundled one"
    )
    parser.add_argument(
        "--steps",
        type=int,
        nargs="+",
        default=[5, 10, REFINING_STEPS, 40],
        help="numbers of steps from the network's coefficients",
    )
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    return parser.parse_args(argv)


def find_network(path: Optional[str], model: FaceModel) -> str:
    """Return the path of a network: the named one, or the one that is bundled.

    Raises:
        InputError: none is named, and none is bundled for the face model.
    """
    path = path or find_shipped_network(model)
    if path is None:
        raise InputError(
            "there is no bundled network for the face model {}; give one as --network".format(
                model.name
            )
        )
    return path


def locate_faces(folder: str, model: FaceModel) -> List[LocatedFace]:
    """Return the largest face of each photo of a folder.

    Raises:
        InputError: there is no photo, or no face in one of them.
    """
    photos = find_photos(folder)
    if not photos:
        raise InputError("{} holds no photo; give another folder".format(folder))
    locator = FacePipeline(model, NetworkChoice("fit", steps=0))
    return [locator.locate(photo)[0] for photo in photos]


def main(argv: Optional[List[str]] = None) -> int:
    """Fit and print."""
    arguments = parse_arguments(argv)
    model = load_face_model(arguments.face_model)
    path = find_network(arguments.network, model)
    faces = locate_faces(arguments.photos, model)
    network = CoefficientRegressor(path, model)
    graph = FaceDecoder(model)
    rows = []
    fitter = FaceFitter(graph)
    for kind, steps in [("mean face", DEFAULT_STEPS), ("landmarks", DEFAULT_STEPS)] + [
        ("network", steps) for steps in arguments.steps
    ]:
        fitter.settings = FitSettings(steps)
        rows.append(_fit_all(faces, fitter, network, kind))
        rows[-1].update(start=kind, steps=steps)
        print(
            "from {start}, {steps} steps: loss {mean:.4f} (median {median:.4f}), "
            "{seconds:.2f} s a face".format(**rows[-1]),
            flush=True,
        )
    if arguments.json:
        with atomic_path(arguments.json) as temporary, open(temporary, "w") as file:
            json.dump(rows, file, indent=1)
    return 0


def _fit_all(faces, fitter, network, kind):
    """Return the mean and median final loss and the time per face."""
    begin, losses = time.monotonic(), []
    for batch in iterate_batches(faces, _BATCH):
        observations = [make_observation(face) for face in batch]
        # the mean face
        start = np.zeros((len(batch), sum(coefficient_sizes(fitter.model))), np.float32)
        if kind == "network":
            start = fitter.choose_start(
                observations, network.predict([face.alignment.crop for face in batch])
            )
        losses.extend(fitter.fit(observations, None if kind == "landmarks" else start).loss)
    return {
        "mean": float(np.mean(losses)),
        "median": float(np.median(losses)),
        "seconds": (time.monotonic() - begin) / len(faces),
    }


if __name__ == "__main__":
    run_main(main)
