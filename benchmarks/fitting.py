"""Time fitting, 240 steps in a batch of 8: ``python -m benchmarks.fitting [--json]``.

Faces are drawn from the face model and rendered; each is fitted from its landmarks and pixels,
start-up apart.
"""

import numpy as np

from benchmarks.commands import absolute
from benchmarks.measuring import alternate, peak_memory, row_main, seconds_of
from benchmarks.random_faces import sample_coefficients
from face_decoder import FaceDecoder
from face_model import FACE_MODEL_HELP, load_face_model
from fitting.objective import FaceObservation
from fitting.photometric import FaceFitter, FitSettings
from utils.errors import run_main

GOAL = 2.5  # seconds a photo
BATCH = 8


def measure(arguments):
    """Return the row."""
    model = load_face_model(arguments.face_model)
    graph = FaceDecoder(model)
    fitter = FaceFitter(graph, FitSettings())
    true = graph.decode(sample_coefficients(model, BATCH, seed=0))
    observations = [FaceObservation(rgba[..., :3], rgba[..., 3] / 255.0, landmarks, np.ones(68))
                    for rgba, landmarks in zip(true.rendered, true.landmarks)]
    seconds = alternate({"ours": lambda: seconds_of(lambda: fitter.fit(observations))}, arguments.repetitions)["ours"]
    row = absolute("fitting, batch of {}, {} steps".format(BATCH, fitter.settings.steps), seconds / BATCH,
                   "s/photo", GOAL, False)
    return dict(row, memory_mib=peak_memory(), face_model=model.name)


def _flags(parser):
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.set_defaults(repetitions=7)


def main(argv=None):
    """Measure and print."""
    return row_main(__doc__.splitlines()[0], measure, argv, _flags)


if __name__ == "__main__":
    run_main(main)
