"""Who a person most likely is, given the face that was fitted to points.

Detectors of points keep to an average face of their own, and a wide smile can pass for a wide
mouth: the identity of the fit to points is too small in some directions and mixed with expression
and pose in others. On drawn faces, whose identity is known, a linear regression learns the mean
identity of all people with such a fit. ``python -m synthesis.identity_map`` measures it.
"""

import os
from typing import Any, NamedTuple, Optional

import numpy as np

from checkpoints.record import matches_face_model, read_record, record_path
from face_model.fingerprint import describe_face_model
from face_model.model import FaceModel
from fitting.landmarks import LandmarkFit
from utils.atomic import atomic_path
from utils.errors import InputError
from utils.json_files import write_json
from utils.numpy_files import read_npz
from utils.paths import NETWORK_DIR

# The user's own comes first.
IDENTITY_MAPS = tuple(
    os.path.join(NETWORK_DIR, name) for name in ("identity_map.npz", "open_identity_map.npz")
)
# Ridge regression's weight of the squared coefficients of standardized parameters. The error on
# other drawn faces is the same within half a percent from 30 to 300.
_RIDGE = 100.0


class IdentityMap(NamedTuple):
    """A linear map from the parameters of a fit to points to the expected identity."""

    matrix: np.ndarray  # [parameters, identities]
    offset: np.ndarray  # [identities]

    def expect(self, parameters: np.ndarray) -> np.ndarray:
        """Return the mean identity of people with such a fit, [..., identities].

        Args:
            parameters: [..., parameters] of the fit, see :func:`fit_parameters`.
        """
        return self.offset + parameters.dot(self.matrix)


def fit_parameters(fit: LandmarkFit) -> np.ndarray:
    """Return identity, expression, angles and translation of a fit, [parameters]."""
    return np.concatenate([fit.identity, fit.expression, fit.angles, fit.translation])


def learn_identity_map(parameters: np.ndarray, identities: np.ndarray) -> IdentityMap:
    """Return the map of least squares, with a ridge.

    Args:
        parameters: [F, parameters] of the fits to F faces, see :func:`fit_parameters`.
        identities: [F, identities], the true ones.
    """
    mean, spread = parameters.mean(axis=0), parameters.std(axis=0) + 1e-6
    standard = (parameters - mean) / spread
    average = identities.mean(axis=0)
    matrix = np.linalg.solve(
        standard.T.dot(standard) + _RIDGE * np.eye(standard.shape[1]),
        standard.T.dot(identities - average),
    )
    matrix /= spread[:, np.newaxis]
    return IdentityMap(matrix, average - mean.dot(matrix))


def find_identity_map(model: FaceModel) -> Optional[IdentityMap]:
    """Return the map of a face model, or None if no record beside a map names the model.

    Raises:
        InputError: a record names it, but the map is damaged or missing.
    """
    for path in IDENTITY_MAPS:
        if matches_face_model(read_record(path), model):
            return read_identity_map(path, model)
    return None


def read_identity_map(path: str, model: FaceModel) -> IdentityMap:
    """Read the map of a face model.

    Raises:
        InputError: the file is missing, damaged, or of another shape.
    """
    if not os.path.isfile(path):
        raise InputError(
            "{}: missing; restore it, or remove {} to reconstruct without it".format(
                path, os.path.basename(record_path(path))
            )
        )
    arrays = read_npz(path, IdentityMap._fields)
    count = model.identity_count
    parameters = count + model.expression_count + 6
    wanted = {"matrix": (parameters, count), "offset": (count,)}
    for name, shape in wanted.items():
        values = arrays.get(name)
        if values is None or values.shape != shape or values.dtype.kind != "f":
            raise InputError(
                "{}: {!r} is not an array of {} numbers; make the map again with "
                "python -m synthesis.identity_map".format(path, name, " x ".join(map(str, shape)))
            )
        if not np.isfinite(values).all():
            raise InputError("{}: {!r} is not finite; make the map again".format(path, name))
    return IdentityMap(**{name: arrays[name].astype(np.float64) for name in wanted})


def write_identity_map(
    path: str, identity_map: IdentityMap, model: FaceModel, **notes: Any
) -> None:
    """Write a map as ``.npz``, and its record as JSON beside it.

    Args:
        path: the file.
        identity_map: the map.
        model: its face model, which the record names.
        notes: further entries of the record.
    """
    arrays = {name: part.astype(np.float32) for name, part in identity_map._asdict().items()}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
    write_json(record_path(path), dict(notes, face_model=describe_face_model(model)))
