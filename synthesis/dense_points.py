"""Find the 478 points of MediaPipe's face mesh on the open face model.

``python -m synthesis.dense_points FOLDER`` looks with the network at drawn faces and writes
``face_model/dense_points.json``. The folder comes from::

    python -m synthesis --output FOLDER --count 600 --seed 5 --max_yaw 45 --max_pitch 20 \\
        --max_roll 15 --hair 0.5 --occluders 0 --augment 0.3 --misplacement 0.5
"""

import argparse
from typing import List, Optional, Sequence

import numpy as np
from tqdm import tqdm

from alignment.detect import FaceDetector
from dataset.processed_faces import find_faces, read_coefficients, read_face
from face_model import load_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.dense_points import write_measured
from face_model.landmark_basis import vertex_model
from face_model.model import FaceModel
from geometry.camera import flip_y, project
from geometry.rotation import rotation_with_derivatives
from utils.errors import InputError, run_main

_MAX_YAW = 25.0  # degrees, of faces that decide a point's vertex: all of them show it
_CANDIDATES = 400  # vertices compared for a point
_EVERY = 8  # of the faces, which pick the candidates


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Find and write the points."""
    parser = argparse.ArgumentParser(
        prog="python -m synthesis.dense_points", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", help="drawn faces, see above")
    folder = parser.parse_args(argv).folder
    model = load_face_model(None)

    # 1. detected points and true vertices of all faces, crop pixels, y up
    detected, vertices, yaws = _look(folder, model)
    frontal = np.abs(yaws) < _MAX_YAW

    # 2. the vertex that is closest to each point
    found, spread = [], []
    for k in range(detected.shape[1]):
        some = np.linalg.norm(
            vertices[frontal][::_EVERY] - detected[frontal][::_EVERY, k, np.newaxis], axis=2
        )
        candidates = np.argsort(np.median(some, axis=0))[:_CANDIDATES]
        distances = np.linalg.norm(
            vertices[frontal][:, candidates] - detected[frontal][:, k, np.newaxis], axis=2
        )
        medians = np.median(distances, axis=0)
        found.append(candidates[medians.argmin()])
        spread.append(medians.min())
    write_measured(model, np.array(found), np.array(spread))
    print(  # noqa: T201
        "{} of {} faces; median distance {:.2f} pixels".format(
            int(frontal.sum()), len(yaws), float(np.median(spread))
        )
    )


def _look(folder: str, model: FaceModel) -> List[np.ndarray]:
    """Return [F, 478, 2] detected points, [F, V, 2] vertices, and [F] yaws in degrees."""
    mean, basis = vertex_model(model, np.arange(model.vertex_count))
    basis = basis.astype(np.float32)
    sizes, detector = coefficient_sizes(model), FaceDetector()
    detected, vertices, yaws = [], [], []
    for face in tqdm(find_faces(folder).faces, unit="face", leave=False):
        found = detector.detect(read_face(face).image)
        if not found or found[0].dense is None:
            continue
        row = read_coefficients(folder, face.name, sum(sizes))[np.newaxis]
        parts = split_coefficients(row, sizes)
        shape = mean + basis.dot(np.concatenate([parts.identity[0], parts.expression[0]]))
        world = shape.dot(rotation_with_derivatives(parts.angles[0])[0]) + parts.translation[0]
        detected.append(flip_y(found[0].dense.points))
        vertices.append(project(world).astype(np.float32))
        yaws.append(np.degrees(parts.angles[0, 1]))
    if not yaws:
        raise InputError("{}: no face was found in these pictures".format(folder))
    return [np.array(detected), np.array(vertices), np.array(yaws)]


if __name__ == "__main__":
    run_main(main)
