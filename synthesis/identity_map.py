"""Learn the identity that people have, given the face that is fitted to their points.

``python -m synthesis.identity_map FOLDER`` looks at drawn faces as at photos and writes
``network/identity_map.npz`` for their face model (``fitting.identity_map``). The folder comes
from::

    python -m synthesis --output FOLDER --count 7000 --seed 11 --max_pitch 30 --max_roll 20 \\
        --hair 0.7 --occluders 0.3 --augment 0.7
"""

import argparse
from typing import List, NamedTuple, Optional, Sequence

import numpy as np
from tqdm import tqdm

from alignment.landmark_network import LANDMARK_NETWORK
from dataset.processed_faces import find_faces, read_coefficients, read_face
from face_model import FACE_MODEL_HELP, load_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.model import FaceModel
from fitting.face_locator import ModelFaceLocator
from fitting.identity_map import (
    IDENTITY_MAPS,
    fit_parameters,
    learn_identity_map,
    write_identity_map,
)
from geometry.camera import MILLIMETERS_PER_DM
from utils.errors import InputError, run_main
from utils.workers import one_blas_thread

_TESTED = 5  # every fifth face tests the map of the others
_LEAST_FACES = 1000  # several per number of a column of the map
_MAX_YAW = 45.0  # degrees; the printed figures are of faces within it, and of the others


class _Looks(NamedTuple):
    """The fits to drawn faces, and the truth about these."""

    parameters: np.ndarray  # [F, parameters] of the fits to their points
    identities: np.ndarray  # [F, identities] true
    yaws: np.ndarray  # [F] degrees, absolute


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Learn and write the map, and print its error."""
    parser = argparse.ArgumentParser(
        prog="python -m synthesis.identity_map",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("folder", help="drawn faces, from python -m synthesis")
    parser.add_argument("--output", default=IDENTITY_MAPS[0], metavar="FILE", help="the map")
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument("--quiet", action="store_true", help="hide the progress bar")
    arguments = parser.parse_args(argv)
    model = load_face_model(arguments.face_model)

    looks = _look(arguments.folder, model, arguments.quiet)
    if len(looks.yaws) < _LEAST_FACES:
        raise InputError(
            "{}: a face was found in {} of its pictures only; draw at least {} with "
            "python -m synthesis".format(arguments.folder, len(looks.yaws), _LEAST_FACES)
        )
    with one_blas_thread():
        _print_errors(model, looks)
        identity_map = learn_identity_map(looks.parameters, looks.identities)
    write_identity_map(arguments.output, identity_map, model, data={"faces": len(looks.yaws)})
    print("{} faces; map in {}".format(len(looks.yaws), arguments.output))  # noqa: T201


def _look(folder: str, model: FaceModel, quiet: bool) -> _Looks:
    """Fit the faces of a folder to their points; those that are not found are left out."""
    locator = ModelFaceLocator(model, expect_identity=False)
    sizes = coefficient_sizes(model)
    parameters: List[np.ndarray] = []
    rows: List[np.ndarray] = []
    for face in tqdm(find_faces(folder).faces, unit="face", leave=False, disable=quiet):
        try:
            (location,) = locator.locate(read_face(face).image, "")
        except InputError:
            continue
        if location.fit is None:
            raise InputError(
                "{}: move it away; the map is of the 478 points that it replaces".format(
                    LANDMARK_NETWORK
                )
            )
        parameters.append(fit_parameters(location.fit))
        rows.append(read_coefficients(folder, face.name, sum(sizes)))
    parts = split_coefficients(np.array(rows).reshape(-1, sum(sizes)), sizes)
    yaws = np.abs(np.degrees(parts.angles[:, 1]))
    return _Looks(np.array(parameters), parts.identity.astype(np.float64), yaws)


def _print_errors(model: FaceModel, looks: _Looks) -> None:
    """Print the distances of the front region of fitted and expected faces from the true ones."""
    tested = np.arange(len(looks.yaws)) % _TESTED == 0
    learned = learn_identity_map(looks.parameters[~tested], looks.identities[~tested])
    fitted = looks.parameters[tested]
    found = {
        "average of the others": np.tile(looks.identities[~tested].mean(axis=0), (len(fitted), 1)),
        "fit to points": fitted[:, : model.identity_count],
        "expected identity": learned.expect(fitted),
    }
    within = looks.yaws[tested] <= _MAX_YAW
    print("distance of vertices, mm, of {} other faces".format(int(tested.sum())))  # noqa: T201
    head = "{:<24}{:>16}{:>16}"
    print(head.format("", "yaw to {:.0f}".format(_MAX_YAW), "beyond"))  # noqa: T201
    for name, identities in found.items():
        distances = _front_distances(model, identities - looks.identities[tested])
        means = (distances[within].mean(), distances[~within].mean())
        print(head.format(name, *map("{:.2f}".format, means)))  # noqa: T201


def _front_distances(model: FaceModel, differences: np.ndarray) -> np.ndarray:
    """Return the root mean square distance in the front region, after centering, [F] mm.

    Args:
        model: face model.
        differences: [F, identities].
    """
    basis = model.identity_basis.reshape(model.vertex_count, 3, -1)[model.front_vertices]
    basis = basis.astype(np.float64) - basis.mean(axis=0)
    gram = np.einsum("pdi,pdj->ij", basis, basis) / len(basis)
    squared = np.einsum("fi,ij,fj->f", differences, gram, differences)
    return MILLIMETERS_PER_DM * np.sqrt(squared)


if __name__ == "__main__":
    run_main(main)
