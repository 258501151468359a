"""The layout of the coefficient vector, and the bounds of each kind of coefficient.

Deng et al., CVPRW 2019, section 3: identity, expression, albedo, angles, light, translation.
"""

from typing import Any, NamedTuple, Sequence, Tuple

import numpy as np

from face_model.model import FaceModel
from geometry.spherical_harmonics import SH_COUNT

ANGLE_COUNT = 3
GAMMA_COUNT = 3 * SH_COUNT
TRANSLATION_COUNT = 3

# An ARKit blend shape is at rest at 0 and complete at 1; strong expressions exceed that a little.
BLENDSHAPE_BOUNDS = (0.0, 1.2)
STATISTICAL_BOUND = 3.0  # standard deviations; faces beyond it are implausible
# A tongue is rarely out, and would otherwise be fitted to teeth and lips.
_NOT_FITTED = {"tongueOut"}
_NARROWEST = 1e-3  # interval of these: bounded least squares needs a positive one


class Coefficients(NamedTuple):
    """The coefficient vector, split. Tensors (or arrays) with the batch first."""

    identity: Any  # [B, 80] standard deviations
    expression: Any  # [B, 64] standard deviations (open model: blend shape weights)
    albedo: Any  # [B, 80] standard deviations
    angles: Any  # [B, 3] rotation about x, y, z
    gamma: Any  # [B, 27] light, nine coefficients for red, then green, then blue
    translation: Any  # [B, 3] dm


def coefficient_sizes(model: FaceModel) -> Coefficients:
    """Return the length of each part of the coefficient vector, in the order of the vector.

    Args:
        model: a ``FaceModel``.

    Returns:
        A :class:`Coefficients` of ints; (80, 64, 80, 3, 27, 3) for BFM09.
    """
    return Coefficients(
        model.identity_count,
        model.expression_count,
        model.albedo_count,
        ANGLE_COUNT,
        GAMMA_COUNT,
        TRANSLATION_COUNT,
    )


def split_coefficients(coefficients: Any, sizes: Sequence[int]) -> Coefficients:
    """Split coefficient vectors into their parts.

    Args:
        coefficients: [B, sum(sizes)] tensor or array.
        sizes: the lengths from :func:`coefficient_sizes`.

    Returns:
        :class:`Coefficients` of views with the same batch.
    """
    ends = np.cumsum(sizes)
    return Coefficients(*(coefficients[:, end - size : end] for size, end in zip(sizes, ends)))


def is_blendshape(name: str) -> bool:
    """Return True if a name is that of a blend shape such as ``jawOpen``.

    Other components (``mouth-elevation``) are statistical, whether they have a name or not.
    """
    return name.isidentifier()


def expression_bounds(model: FaceModel) -> Tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest value of each expression coefficient, two arrays.

    Blend shapes lie between rest and full strength. All others are statistical, with unit standard
    deviation.
    """
    lower = np.full(model.expression_count, -STATISTICAL_BOUND)
    upper = np.full(model.expression_count, STATISTICAL_BOUND)
    blendshapes = [i for i, name in enumerate(model.expression_names) if is_blendshape(name)]
    lower[blendshapes], upper[blendshapes] = BLENDSHAPE_BOUNDS
    for name in _NOT_FITTED.intersection(model.expression_names):
        upper[model.expression_names.index(name)] = _NARROWEST
    return lower, upper
