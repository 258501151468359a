"""Adam, by which photos were fitted before: the reference of ``benchmarks.convergence``.

Kingma & Ba, "Adam: A Method for Stochastic Optimization" (ICLR 2015), projected into bounds. The
step size of each part of the coefficients rises over five steps and falls to zero by a cosine.
"""

from typing import Any, Callable, Optional

import numpy as np

from face_model.coefficients import Coefficients, coefficient_sizes
from face_model.model import FaceModel
from fitting.descent import Result

# Numbers of steps from the landmarks, and from a network's prediction.
ADAM_STEPS, ADAM_REFINING_STEPS = 240, 120
# Step sizes in the units of each part, about equally visible (an angle of .01 moves the nose by
# half a pixel, .01 dm the whole face by one).
_STEP_SIZES = Coefficients(
    identity=0.04, expression=0.02, albedo=0.06, angles=0.004, gamma=0.02, translation=0.004
)
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.99, 1e-8  # short memory for a short run
_WARM_UP_STEPS = 5.0  # over which the step size rises


class Adam:
    """Minimizes a problem of ``fitting.descent.minimize`` by Adam.

    Args:
        model: face model, which has the numbers of coefficients.
    """

    def __init__(self, model: FaceModel) -> None:
        sizes = zip(coefficient_sizes(model), _STEP_SIZES)
        self._step_sizes = np.concatenate([np.full(size, step) for size, step in sizes])

    def minimize(
        self,
        problem: Any,
        start: np.ndarray,
        lower: np.ndarray,
        upper: np.ndarray,
        steps: int,
        constrain: Optional[Callable[[np.ndarray], Any]] = None,
        progress: Optional[Callable[[int], Any]] = None,
        watch: Optional[Callable[[np.ndarray], Any]] = None,
    ) -> Result:
        """Minimize functions of coefficients; see ``fitting.descent.minimize``."""
        x = start
        first, second = np.zeros_like(x), np.zeros_like(x)  # moments
        history = []
        for step in range(steps):
            # 1. loss and gradient; the robust scale falls over all steps, not over half of them
            fraction = step / float(steps)
            loss, gradient = problem.differentiate(x, fraction / 2)
            history.append(loss)

            # 2. the direction from the bias-corrected moments
            first = _BETA_1 * first + (1 - _BETA_1) * gradient
            second = _BETA_2 * second + (1 - _BETA_2) * gradient**2
            mean = first / (1 - _BETA_1 ** (step + 1))
            deviation = np.sqrt(second / (1 - _BETA_2 ** (step + 1)))

            # 3. a step along it, back into the bounds
            pace = min(1.0, (step + 1) / _WARM_UP_STEPS) * 0.5 * (1 + np.cos(np.pi * fraction))
            direction = mean / (deviation + _EPSILON)
            x = np.clip(x - pace * self._step_sizes * direction, lower, upper).astype(np.float32)
            if constrain:
                constrain(x)
            if watch:
                watch(x)
            if progress:
                progress(step + 1)
        return Result(x, np.array(history).reshape(len(history), len(x)))
