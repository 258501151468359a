"""A short numeric description of a face model, to recognise it when it was built on another machine.

The builder uses LAPACK, whose last bits depend on the processor; a fingerprint then differs although
every coefficient means the same to a hundredth of a millimetre. A sketch tells such models from others.
"""

import numpy as np

_TOLERANCE = 2e-3  # of the norm of each number's sources; another sign or order of components is far beyond
_DIGITS = 7


def approximate_fingerprint(model):
    """Return one number for each mean and each component of a ``FaceModel``, and the landmark vertices.

    Args:
        model: a ``FaceModel``.

    Returns:
        A dict for JSON: ``counts``, ``landmarks``, ``numbers`` and ``scales``.
    """
    columns = [model.mean_shape.reshape(-1, 1), model.identity_basis, model.expression_basis,
               model.mean_albedo.reshape(-1, 1), model.albedo_basis]
    # A fixed, aperiodic pattern: no component is orthogonal to it by construction.
    pattern = np.cos(0.618 * np.arange(3 * model.vertex_count) ** 1.5)
    numbers, scales = [], []
    for column in columns:
        column = np.asarray(column, np.float64)
        numbers.extend(pattern.dot(column))
        scales.extend(np.linalg.norm(column, axis=0))
    return {
        "counts": [model.vertex_count, model.triangle_count, model.identity_count, model.expression_count,
                   model.albedo_count],
        "landmarks": [int(vertex) for vertex in model.landmarks],
        "numbers": [float("{:.{}g}".format(value, _DIGITS)) for value in numbers],
        "scales": [float("{:.{}g}".format(value, _DIGITS)) for value in scales],
    }


def matches_fingerprint(model, sketch):
    """Say whether coefficients mean the same to a ``FaceModel`` as to the one that was sketched.

    Args:
        model: a ``FaceModel``.
        sketch: what :func:`approximate_fingerprint` returned; anything else fits no model.
    """
    try:
        own = approximate_fingerprint(model)
        if own["counts"] != sketch["counts"] or own["landmarks"] != sketch["landmarks"]:
            return False
        numbers, wanted, scales = (np.array(values, np.float64) for values in (
            own["numbers"], sketch["numbers"], sketch["scales"]))
        own_scales = np.array(own["scales"])
        return bool(np.all(np.abs(numbers - wanted) <= _TOLERANCE * scales)
                    and np.all(np.abs(own_scales - scales) <= _TOLERANCE * scales))
    except (TypeError, KeyError, ValueError):
        return False
