"""Accuracy of fitting on faces of known shape.

    python -m benchmarks.recovery [--faces 50] [--json FILE]

Faces are sampled from the face model's prior, with random pose, expression and light, and
rendered; each is fitted from its 68 true landmarks and its pixels. Printed: the mean distance of
the recovered vertices to the true ones after rigid alignment, the same distance of the mean face,
and the landmark error (NME, percent of the face's box as in nme.py).
"""

import argparse
import json
from typing import List, Optional

import numpy as np
from tqdm import tqdm

from benchmarks.random_faces import sample_coefficients
from evaluation.protocol import normalized_mean_error
from face_decoder import FaceDecoder
from face_model import FACE_MODEL_HELP, load_face_model
from fitting.objective import FaceObservation
from fitting.photometric import DEFAULT_STEPS, FaceFitter, FitSettings
from geometry.camera import MILLIMETERS_PER_DM
from geometry.similarity import fit_similarity
from utils.atomic import atomic_path
from utils.errors import run_main


def measure(model, count, steps, batch_size, seed):
    """Fit ``count`` known faces; return one row (recovered mm, mean face mm, NME) each."""
    graph = FaceDecoder(model)
    fitter = FaceFitter(graph, FitSettings(steps))
    truth = sample_coefficients(model, count, seed)
    rows = []
    with tqdm(total=count, unit="face", leave=False) as bar:
        for begin in range(0, count, batch_size):
            true = graph.decode(truth[begin : begin + batch_size])
            observations = [
                FaceObservation(rgba[..., :3], rgba[..., 3] / 255.0, landmarks, np.ones(68))
                for rgba, landmarks in zip(true.rendered, true.landmarks)
            ]
            found = graph.decode(fitter.fit(observations).coefficients)
            for i in range(len(observations)):
                rows.append(
                    _compare(
                        found.world_shape[i],
                        found.landmarks[i],
                        true.world_shape[i],
                        true.landmarks[i],
                        model.mean_shape,
                    )
                )
            bar.update(len(observations))
    return np.array(rows)


def _compare(shape, landmarks, true_shape, true_landmarks, mean_shape):
    def distance(points):
        motion = fit_similarity(points, true_shape, with_scale=False)
        return MILLIMETERS_PER_DM * np.linalg.norm(motion.apply(points) - true_shape, axis=1).mean()

    return distance(shape), distance(mean_shape), normalized_mean_error(landmarks, true_landmarks)


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--faces", type=int, default=50, help="number of faces")
    parser.add_argument(
        "--steps", type=int, default=DEFAULT_STEPS, help="photometric steps of fitting"
    )
    parser.add_argument("--batch_size", type=int, default=10, help="faces fitted together")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random faces")
    parser.add_argument("--face_model", default=None, help=FACE_MODEL_HELP)
    parser.add_argument("--json", metavar="FILE", help="also write the figures of every face there")
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> None:
    """Measure and print."""
    arguments = parse_arguments(argv)
    model = load_face_model(arguments.face_model)
    rows = measure(model, arguments.faces, arguments.steps, arguments.batch_size, arguments.seed)
    recovered, mean_face, nme = rows.mean(axis=0)
    print("{} faces of {}, {} steps".format(len(rows), model.name, arguments.steps))
    print(
        "mean vertex distance after rigid alignment: {:.2f} mm; the mean face's: {:.2f} mm; "
        "{:.0f}%".format(recovered, mean_face, 100 * recovered / mean_face)
    )
    print("NME of the 68 landmarks: {:.2f} (worst face {:.2f})".format(nme, rows[:, 2].max()))
    if arguments.json:
        names = ("recovered_mm", "mean_face_mm", "nme")
        with atomic_path(arguments.json) as temporary, open(temporary, "w") as file:
            json.dump([dict(zip(names, row)) for row in rows.tolist()], file, indent=1)


if __name__ == "__main__":
    run_main(main)
