"""A tolerant fingerprint of a face model, which recognizes it when rebuilt on another machine.

The builder uses LAPACK, whose last bits depend on the processor. ``FaceModel.fingerprint`` then
differs, although every coefficient has the same effect within a hundredth of a millimeter. The
approximate fingerprint is compared with a tolerance instead.
"""

from typing import Any, Dict, List

import numpy as np

from face_model.model import FaceModel

# Relative to the norm of the array behind each number; another sign or order of components differs
# by far more.
_TOLERANCE = 2e-3
_DIGITS = 7


def approximate_fingerprint(model: FaceModel) -> Dict[str, Any]:
    """Return one number for each mean and each component of a model, and its landmark vertices.

    Args:
        model: a ``FaceModel``.

    Returns:
        A dict for JSON: ``counts``, ``landmarks``, ``numbers`` and ``scales``.
    """
    columns = [
        model.mean_shape.reshape(-1, 1),
        model.identity_basis,
        model.expression_basis,
        model.mean_albedo.reshape(-1, 1),
        model.albedo_basis,
    ]
    # A fixed, aperiodic pattern: no component is orthogonal to it by construction.
    pattern = np.cos(0.618 * np.arange(3 * model.vertex_count) ** 1.5)
    numbers, scales = [], []
    for column in columns:
        # not matrix products: threads of OpenBLAS may wait for ever while other threads compute
        numbers.extend(np.einsum("i,ij->j", pattern, column, dtype=np.float64))
        scales.extend(np.sqrt(np.einsum("ij,ij->j", column, column, dtype=np.float64)))
    return {
        "counts": _counts(model),
        "landmarks": [int(vertex) for vertex in model.landmarks],
        "numbers": [float("{:.{}g}".format(value, _DIGITS)) for value in numbers],
        "scales": [float("{:.{}g}".format(value, _DIGITS)) for value in scales],
    }


def describe_face_model(model: FaceModel) -> Dict[str, Any]:
    """Return name and fingerprints of a model, for the records of what belongs to it."""
    return {
        "name": model.name,
        "fingerprint": model.fingerprint(),
        "sketch": approximate_fingerprint(model),
    }


def matches_fingerprint(model: FaceModel, fingerprint: Any) -> bool:
    """Return True if coefficients have the same meaning for a model as for the recorded one.

    Args:
        model: a ``FaceModel``.
        fingerprint: a result of :func:`approximate_fingerprint`; any other value matches no model.
    """
    try:
        if _counts(model) != fingerprint["counts"]:
            return False  # told without reading the model
        own = approximate_fingerprint(model)
        if own["landmarks"] != fingerprint["landmarks"]:
            return False
        numbers = np.array(own["numbers"], np.float64)
        expected = np.array(fingerprint["numbers"], np.float64)
        scales = np.array(fingerprint["scales"], np.float64)
        return bool(
            np.all(np.abs(numbers - expected) <= _TOLERANCE * scales)
            and np.all(np.abs(np.array(own["scales"]) - scales) <= _TOLERANCE * scales)
        )
    except (TypeError, KeyError, ValueError):
        return False


def _counts(model: FaceModel) -> List[int]:
    return [
        model.vertex_count,
        model.triangle_count,
        model.identity_count,
        model.expression_count,
        model.albedo_count,
    ]
