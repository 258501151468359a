"""Minimization within bounds: minima of quadratic functions, alone and side by side."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from fitting.descent import damped, hold, minimize

SIZE = 12


class Quadratics:
    """Functions |A x - b|^2 / 2 of the rows; the start matrix is that of other functions."""

    def __init__(self, count, seed=0):
        random = np.random.RandomState(seed)
        self.factors = random.standard_normal((count, 20, SIZE))
        self.targets = 3 * random.standard_normal((count, 20))
        self.matrices = np.matmul(self.factors.transpose(0, 2, 1), self.factors)
        self.spoilt = self.matrices + np.diag(10 * random.uniform(size=SIZE))
        self.evaluations = 0

    def differentiate(self, x, fraction):
        assert 0 <= fraction <= 1
        self.evaluations += 1
        offsets = np.einsum("pij,pj->pi", self.factors, x) - self.targets
        gradient = np.einsum("pij,pi->pj", self.factors, offsets)
        return 0.5 * np.sum(offsets**2, axis=1), gradient

    def total(self, losses):
        return losses

    def dot(self, a, b):
        return np.sum(a * b, axis=1, keepdims=True)

    def curvature(self, x):
        def solve(gradient, free):
            held = hold(self.spoilt, free)
            return np.linalg.solve(held, (gradient * free)[..., np.newaxis])[..., 0]

        return solve


def run(problem, count, steps=30, **flags):
    bounds = np.full(SIZE, -0.4), np.full(SIZE, 0.3)
    return minimize(problem, np.zeros((count, SIZE), np.float32), *bounds, steps, **flags)


def test_the_minimum_within_bounds_is_found():
    problem = Quadratics(3)
    found = run(problem, 3)
    for row in range(3):
        wanted = lsq_linear(problem.factors[row], problem.targets[row], (-0.4, 0.3))
        assert 0 < wanted.active_mask.astype(bool).sum() < SIZE
        np.testing.assert_allclose(found.x[row], wanted.x, atol=2e-3)
    assert problem.evaluations == 31
    assert found.history.shape == (30, 3)
    assert np.all(found.history[-1] < found.history[0])


def test_curvature_is_renewed_where_the_steps_have_come():
    problem, asked, path = Quadratics(2), [], [np.zeros((2, SIZE))]
    curvature = problem.curvature
    problem.curvature = lambda x: asked.append(x) or curvature(x)
    run(problem, 2, watch=path.append)
    assert len(path) == 31 and len(asked) == 3
    for x, place in zip(asked, path[::12]):
        np.testing.assert_array_equal(x, place)


def test_problems_side_by_side_do_not_touch_each_other():
    together, alone = Quadratics(3), Quadratics(3)
    for name in ("factors", "targets", "matrices", "spoilt"):
        setattr(alone, name, getattr(together, name)[1:2])
    np.testing.assert_allclose(run(together, 3).x[1], run(alone, 1).x[0], atol=1e-6)


def test_a_constraint_holds_and_progress_is_told():
    def halve_the_first(x):
        np.minimum(x[:, 0], x[:, 1] / 2, out=x[:, 0])

    told = []
    found = run(Quadratics(2), 2, 7, constrain=halve_the_first, progress=told.append)
    assert np.all(found.x[:, 0] <= found.x[:, 1] / 2 + 1e-6)
    assert told == list(range(1, 8))


def test_no_steps_leave_the_start():
    problem = Quadratics(2)
    found = run(problem, 2, 0)
    assert not np.any(found.x) and found.history.shape == (0, 2) and problem.evaluations == 0


def test_a_loss_that_is_no_number_moves_nothing():
    class Broken(Quadratics):
        def differentiate(self, x, fraction):
            losses, gradient = super().differentiate(x, fraction)
            return losses * (np.nan if np.any(x) else 1.0), gradient

    assert not np.any(run(Broken(1), 1).x)


def test_held_coefficients_are_connected_to_nothing():
    matrices = np.arange(8.0).reshape(2, 2, 2) + 10
    held = hold(matrices, np.array([[True, False], [True, True]]))
    np.testing.assert_array_equal(held[0], [[10, 0], [0, 1]])
    np.testing.assert_array_equal(held[1], matrices[1])


def test_damping_enlarges_the_diagonal_alone():
    matrices = np.ones((1, 3, 3), np.float32)
    result = damped(matrices)
    assert np.all(np.diag(result[0]) > 1.2)
    np.testing.assert_array_equal(result[0] - np.diag(np.diag(result[0])), 1 - np.eye(3))
    assert np.all(matrices == 1)


@pytest.mark.parametrize("seed", range(3))
def test_a_poor_start_matrix_is_made_up_for(seed):
    """Plain steps with it alone end far from the minimum that those with memory reach."""
    problem = Quadratics(1, seed)
    problem.spoilt = problem.spoilt + 300 * np.eye(SIZE)
    wanted = lsq_linear(problem.factors[0], problem.targets[0], (-0.4, 0.3))
    assert run(problem, 1, 40).history[-1, 0] < wanted.cost * 1.001 + 1e-3
