"""The curvature of the objective against finite differences of the decoder and the losses."""

import numpy as np
import pytest

import losses
from face_model.coefficients import coefficient_sizes
from fitting import curvature
from fitting.curvature import Curvature, Priors, View, normal_derivatives
from fitting.descent import damped, hold
from fitting.joint import OnePerson, shared_columns
from fitting.objective import PhotoObjective, SeparatePhotos
from fitting.photometric import FaceFitter, FitSettings
from fitting.robustness import FIRST_ROBUST_SCALE
from tests.fitting.test_photometric import make_observation

NO_PIXELS = losses.LossWeights(photometric=0.0)


@pytest.fixture(scope="module")
def observations(truth):
    return [make_observation(truth, 0), make_observation(truth, 1)]


def test_normals_by_coefficients(decoder):
    model, step = decoder.model, 0.02
    vertices = model.front_vertices[::50]
    derivatives = normal_derivatives(model, vertices)
    count = model.identity_count + model.expression_count
    assert derivatives.shape == (len(vertices), 3, count)
    for column in (0, 3, 40, model.identity_count, count - 1):
        coefficients = np.zeros((2, sum(coefficient_sizes(model))), np.float32)
        coefficients[:, column] = step, -step
        ahead, behind = decoder.decode(coefficients).normals[:, vertices].astype(float)
        np.testing.assert_allclose(
            derivatives[..., column], (ahead - behind) / (2 * step), atol=2e-3
        )


def test_colors_of_pixels_by_coefficients(decoder, truth):
    """The rendering moves, turns and changes color as predicted, but for edges of the mesh."""
    model = decoder.model
    rendering = decoder.build_rendering()
    fetches = [rendering.image, rendering.front_mask]

    def render(coefficients):
        pictures, masks = decoder.session.run(fetches, {decoder.coefficients: coefficients})
        return pictures[0, ..., ::-1].astype(float), masks[0, ..., 0]

    coefficients = truth.coefficients[:1]
    picture, mask = render(coefficients)
    view = View(
        truth.world_shape[0],
        truth.normals[0],
        truth.albedo[0],
        picture,
        np.full(mask.shape, 20.0),
        mask,
    )
    rows, columns, derivatives, weights = Curvature(model, losses.LossWeights()).color_derivatives(
        coefficients[0], view
    )
    assert len(rows) > 100 and np.all(weights > 0)
    sizes = coefficient_sizes(model)
    starts = np.cumsum((0,) + tuple(sizes))
    # One coefficient of each kind, and each angle and translation.
    checked = [int(start) + 1 for start in starts[[0, 1, 2, 4]]]
    checked += list(range(starts[3], starts[4])) + list(range(starts[5], starts[6]))
    for column in checked:
        step = 0.003 if starts[3] <= column < starts[4] or column >= starts[5] else 0.05
        ahead, behind = coefficients.copy(), coefficients.copy()
        ahead[0, column] += step
        behind[0, column] -= step
        measured = (render(ahead)[0] - render(behind)[0])[rows, columns] / (2 * step)
        predicted = derivatives[..., column]
        off = np.abs(measured - predicted).max(axis=1)
        assert np.median(off) < 0.3 * np.abs(measured).mean(), column


def test_other_terms_agree_with_finite_differences(decoder, truth, observations):
    """Without pixels, at landmarks without error, the matrix is the second derivative."""
    objective = FaceFitter(decoder, FitSettings(1, NO_PIXELS))._build_objective()
    photos = PhotoObjective(objective, decoder, observations)
    coefficients = truth.coefficients.copy()
    matrices = photos.curvature(coefficients, FIRST_ROBUST_SCALE)
    for seed in range(4):
        direction = np.random.RandomState(seed).standard_normal(coefficients.shape)
        step = 1e-3 * direction.astype(np.float32)
        ahead, behind = (
            photos.differentiate(coefficients + sign * step, FIRST_ROBUST_SCALE)[1].astype(float)
            for sign in (1, -1)
        )
        measured = np.einsum("bk,bk->b", step, ahead - behind) / 2
        predicted = np.einsum("bk,bkl,bl->b", step, matrices, step)
        np.testing.assert_allclose(predicted, measured, rtol=0.03)


def test_uncertain_landmarks_stiffen_the_priors(decoder):
    weights = losses.LossWeights()
    own = Curvature(decoder.model, weights)
    blank = np.zeros((224, 224))
    count = decoder.model.vertex_count
    view = View(
        np.zeros((count, 3)), np.zeros((count, 3)), np.zeros((count, 3)),
        np.zeros((224, 224, 3)), blank, blank,
    )  # fmt: skip
    size = sum(coefficient_sizes(decoder.model))
    matrix = own.matrix(np.zeros(size, np.float32), view, Priors(np.zeros(68), 2.0, 3.0, 0.0, 0.0))
    sizes = coefficient_sizes(decoder.model)
    np.testing.assert_allclose(np.diag(matrix)[: sizes.identity], 4.0)
    np.testing.assert_allclose(np.diag(matrix)[sizes.identity :][: sizes.expression], 6.0)
    assert not np.any(matrix[: sizes.identity, sizes.identity :])


def test_one_vertex_in_each_cell_is_the_foremost(decoder, truth):
    model = decoder.model
    mask = truth.front_mask[0].astype(float)
    view = View(
        truth.world_shape[0], truth.normals[0], truth.albedo[0],
        truth.rendered[0, ..., :3].astype(float), np.full(mask.shape, 40.0), mask,
    )  # fmt: skip
    own = Curvature(model, losses.LossWeights())
    chosen, rows, columns, weights = own._choose_pixels(view)
    cells = rows // curvature._CELL * 224 + columns // curvature._CELL
    assert len(np.unique(cells)) == len(cells)
    assert np.all(truth.front_mask[0][rows, columns])
    # the shares add up to the loss of a picture that is 40 gray levels off everywhere
    assert weights.sum() * 40.0 == pytest.approx(losses.LossWeights().photometric / 255.0, rel=1e-4)


def test_eliminating_what_photos_have_for_themselves_solves_the_whole(decoder, truth, observations):
    """Schur's complement against the solution of the one large system."""
    objective = FaceFitter(decoder, FitSettings(1))._build_objective()
    batches = [PhotoObjective(objective, decoder, [one], 0.5) for one in observations]

    class Person:
        def curvature(self, coefficients, scale):
            return np.concatenate(
                [b.curvature(coefficients[i : i + 1], scale) for i, b in enumerate(batches)]
            )

    coefficients = truth.coefficients.copy()
    shared = shared_columns(decoder.model)
    coefficients[1, shared] = coefficients[0, shared]
    random = np.random.RandomState(0)
    gradient = random.standard_normal(coefficients.shape)
    gradient[1, shared] = gradient[0, shared]
    free = random.uniform(size=coefficients.shape) > 0.2
    free[1, shared] = free[0, shared]
    step = OnePerson(Person(), decoder.model).curvature(coefficients)(gradient, free)
    np.testing.assert_array_equal(step[0, shared], step[1, shared])

    # the same system, of shared columns and the others of each photo
    alone = SeparatePhotos(Person()).curvature(coefficients)
    assert not np.allclose(alone(gradient, free), step)
    held = hold(damped(Person().curvature(coefficients, FIRST_ROBUST_SCALE)), free)
    count, own = int(shared.sum()), int((~shared).sum())
    whole = np.zeros((count + 2 * own,) * 2)
    right = np.zeros(count + 2 * own)
    right[:count] = (gradient * free)[0, shared]
    for i in range(2):
        place = slice(count + i * own, count + (i + 1) * own)
        whole[:count, :count] += held[i][np.ix_(shared, shared)]
        whole[place, place] = held[i][np.ix_(~shared, ~shared)]
        whole[:count, place] = held[i][np.ix_(shared, ~shared)]
        whole[place, :count] = whole[:count, place].T
        right[place] = (gradient * free)[i, ~shared]
    wanted = np.linalg.solve(whole, right)
    np.testing.assert_allclose(step[0, shared], wanted[:count], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        step[:, ~shared], wanted[count:].reshape(2, own), rtol=1e-6, atol=1e-9
    )
