"""Random coefficient vectors for benchmarks and tests, from simple distributions."""

import numpy as np

from face_model import FaceModel
from face_model.coefficients import Coefficients, coefficient_sizes, expression_bounds

_ACTIONS_AT_ONCE = 5
_ANGLE_RANGE = np.radians(30)


def sample_coefficients(model: FaceModel, count: int, seed: int) -> np.ndarray:
    """Sample faces with uniform angles within 30 degrees about each axis, and soft white light.

    Args:
        model: face model.
        count: number of faces.
        seed: seed of the random numbers.

    Returns:
        [count, 257] float32.
    """
    random = np.random.RandomState(seed)
    sizes = coefficient_sizes(model)
    rows = []
    for _ in range(count):
        gamma = np.zeros((3, 9))
        gamma[:, 0] = random.uniform(-0.15, 0.25)
        gamma[:, 1:4] = random.normal(0, 0.2, 3)
        gamma[:, 4:] = random.normal(0, 0.05, 5)
        coefficients = Coefficients(
            identity=random.standard_normal(sizes.identity),
            expression=_sample_actions(model, random),
            albedo=random.standard_normal(sizes.albedo),
            angles=random.uniform(-_ANGLE_RANGE, _ANGLE_RANGE, 3),
            gamma=gamma.reshape(-1),
            translation=random.normal(0, 0.05, 3),
        )
        rows.append(np.concatenate(coefficients))
    return np.array(rows, np.float32)


def _sample_actions(model: FaceModel, random: np.random.RandomState) -> np.ndarray:
    """Sample five actions, all equally likely; or normal components if the model has no actions."""
    lower, upper = expression_bounds(model)
    actions = np.flatnonzero(lower == 0)
    if not len(actions):
        return np.clip(random.standard_normal(model.expression_count), lower, upper)
    chosen = random.choice(actions, _ACTIONS_AT_ONCE, replace=False)
    expression = np.zeros(model.expression_count)
    expression[chosen] = random.uniform(0, 0.8, _ACTIONS_AT_ONCE)
    return expression
