"""Time fitting from landmarks in a batch of 8: ``python -m benchmarks.fitting [--json]``.

Faces are sampled from the face model and rendered; each is fitted from its landmarks and pixels,
start-up excluded.
"""

import argparse

import numpy as np

from benchmarks.commands import goal_row
from benchmarks.measuring import Row, alternate, measure_seconds, peak_memory, row_command
from benchmarks.random_faces import sample_coefficients
from face_decoder import FaceDecoder
from face_model import FACE_MODEL_HELP, load_face_model
from fitting.objective import FaceObservation
from fitting.photometric import FaceFitter, FitSettings
from utils.errors import run_main

GOAL = 2.5  # seconds a photo
BATCH = 8


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    model = load_face_model(arguments.face_model)
    graph = FaceDecoder(model)
    fitter = FaceFitter(graph, FitSettings())
    true = graph.decode(sample_coefficients(model, BATCH, seed=0))
    observations = [
        FaceObservation(rgba[..., :3], rgba[..., 3] / 255.0, landmarks, np.ones(68))
        for rgba, landmarks in zip(true.rendered, true.landmarks)
    ]
    seconds = alternate(
        {"ours": lambda: measure_seconds(lambda: fitter.fit(observations))}, arguments.repetitions
    )["ours"]
    row = goal_row(
        "fitting, batch of {}, {} steps".format(BATCH, fitter.settings.steps),
        seconds / BATCH,
        "s/photo",
        GOAL,
        False,
    )
    return dict(row, memory_mib=peak_memory(), face_model=model.name)


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.set_defaults(repetitions=7)


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
