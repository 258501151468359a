"""All photos of one person fitted at once: shared gradients, recovery, the case of one photo."""

import numpy as np
import pytest

from benchmarks.random_faces import sample_coefficients
from face_model.coefficients import coefficient_sizes, split_coefficients
from fitting import joint, photometric
from fitting.joint import PersonSteps, shared_columns
from fitting.objective import PhotoObjective
from fitting.photometric import FaceFitter, FitSettings
from geometry.similarity import fit_similarity
from tests.fitting.test_photometric import make_observation

SCALE = 200.0  # robust, gray levels


@pytest.fixture(scope="module")
def fitter(decoder):
    return FaceFitter(decoder, FitSettings(40))


@pytest.fixture(scope="module")
def person(decoder):
    """Five photos of one face: shared identity and albedo, other pose, expression and light."""
    coefficients = sample_coefficients(decoder.model, 5, 4)
    coefficients[:, 80:144] *= 0.3
    shared = shared_columns(decoder.model)
    coefficients[:, shared] = coefficients[0, shared]
    return decoder.decode(coefficients)


@pytest.fixture(scope="module")
def observations(person):
    return [make_observation(person, i) for i in range(5)]


def test_identity_and_albedo_are_shared(decoder):
    sizes = coefficient_sizes(decoder.model)
    parts = split_coefficients(shared_columns(decoder.model)[np.newaxis], sizes)
    assert parts.identity.all() and parts.albedo.all()
    assert shared_columns(decoder.model).sum() == sizes.identity + sizes.albedo


def test_shared_gradient_agrees_with_finite_differences(
    decoder, fitter, person, observations, monkeypatch
):
    for module in (joint, photometric):
        monkeypatch.setattr(module, "PHOTOS_AT_ONCE", 2)  # three batches, the last one of one photo
    objective = fitter._build_person(observations)
    shared = np.flatnonzero(shared_columns(decoder.model))
    coefficients = person.coefficients.copy()
    coefficients[:, shared] += np.random.RandomState(1).normal(0, 0.3, len(shared))
    _, gradient = objective.differentiate(coefficients, SCALE)
    np.testing.assert_array_equal(gradient[:, shared], gradient[:1, shared].repeat(5, axis=0))

    # along the gradient itself and along random directions; weights of pixels are constants of the
    # gradient but not of the loss, and edges of the mesh move over pixels, hence the tolerance
    for seed in range(3):
        direction = np.random.RandomState(seed).standard_normal(len(shared))
        if seed == 0:
            direction = gradient[0, shared].astype(float)
        step = np.zeros_like(coefficients)
        step[:, shared] = 0.02 * direction / np.linalg.norm(direction)
        ahead, behind = (
            objective.losses(coefficients + sign * step, 1e6).sum(dtype=float) for sign in (1, -1)
        )
        _, smooth = objective.differentiate(coefficients, 1e6)
        wanted = 2 * smooth[0, shared].dot(step[0, shared])
        assert ahead - behind == pytest.approx(wanted, rel=0.1, abs=2e-4)


def test_batches_do_not_change_the_gradient(decoder, fitter, person, observations, monkeypatch):
    coefficients = person.coefficients + np.float32(0.05)
    whole = fitter._build_person(observations).differentiate(coefficients, SCALE)
    for module in (joint, photometric):
        monkeypatch.setattr(module, "PHOTOS_AT_ONCE", 2)
    parts = fitter._build_person(observations).differentiate(coefficients, SCALE)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-4)
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-4 * np.abs(whole[1]).max())


def test_priors_and_landmarks_of_the_person_count_once(decoder, fitter, person, observations):
    """Two equal photos: twice the loss of one without these terms, and these terms once."""
    model, objective = decoder.model, fitter._build_objective()
    coefficients = person.coefficients[:1] + np.float32(0.05)
    alone = PhotoObjective(objective, decoder, observations[:1])
    free = PhotoObjective(objective, decoder, observations[:1], common_share=0.0)
    twice = fitter._build_person([observations[0]] * 2)
    _, by_all = alone.differentiate(coefficients, SCALE)
    _, by_pixels = free.differentiate(coefficients, SCALE)
    _, gradient = twice.differentiate(np.repeat(coefficients, 2, axis=0), SCALE)
    shared = shared_columns(model)
    wanted = by_pixels + by_all
    atol = 1e-4 * np.abs(by_all).max()
    np.testing.assert_allclose(gradient[0, shared], wanted[0, shared], atol=atol)
    np.testing.assert_allclose(gradient[0, ~shared], wanted[0, ~shared] / 2, atol=atol)
    angles = slice(model.identity_count + model.expression_count + model.albedo_count, -30)
    assert np.abs(by_all - by_pixels)[0, angles].max() > 0.1 * np.abs(by_all)[0, angles].max()
    assert np.abs(by_all - by_pixels)[0, shared].max() > 1e-4


def test_photos_follow_their_own_landmarks_at_the_end(decoder, fitter, observations, monkeypatch):
    """Landmarks count once for the person, and fully for pose and expression of each photo."""
    noise = np.random.RandomState(3).normal(0, 3, (2, 68, 2))
    moved = [
        one._replace(landmarks=one.landmarks + shift) for one, shift in zip(observations, noise)
    ]
    start = fitter.fit_landmarks(moved)
    whole = fitter.fit_person(moved, start).coefficients
    monkeypatch.setattr(photometric, "person_steps", lambda *_: PersonSteps(120, 0))
    together = fitter.fit_person(moved, start).coefficients
    shared = shared_columns(decoder.model)
    np.testing.assert_array_equal(whole[:, shared], together[:, shared])
    photos = PhotoObjective(fitter._build_objective(), decoder, moved)
    assert np.all(photos.losses(whole, SCALE) < photos.losses(together, SCALE))


def test_one_photo_is_fitted_as_by_itself(fitter, observations):
    start = fitter.fit_landmarks(observations[:1])
    single = fitter.fit(observations[:1], start)
    person = fitter.fit_person(observations[:1], start)
    np.testing.assert_allclose(person.coefficients, single.coefficients, atol=1e-3)
    np.testing.assert_allclose(person.loss, single.loss, rtol=1e-3)


def shape_errors(decoder, coefficients, truth):
    """Return the distance of each neutral face to the true one after rigid alignment, dm."""
    sizes = coefficient_sizes(decoder.model)
    expression = slice(sizes.identity, sizes.identity + sizes.expression)
    neutral, wanted = np.array(coefficients), np.array(truth)
    neutral[:, expression] = wanted[:, expression] = 0
    found, true = decoder.decode(neutral).world_shape, decoder.decode(wanted).world_shape
    return [
        np.linalg.norm(fit_similarity(one, other, False).apply(one) - other, axis=1).mean()
        for one, other in zip(found, true)
    ]


def test_several_photos_take_more_steps(fitter, observations):
    start = fitter.fit_landmarks(observations)
    told = []
    found = fitter.fit_person(observations[:2], start[:2], told.append)
    assert told == list(range(1, 161)) and found.history.shape == (120, 2)


def test_five_photos_give_a_better_face_than_one(decoder, fitter, person, observations):
    single = fitter.fit(observations).coefficients
    shared = shared_columns(decoder.model)
    start = single.copy()
    start[:, shared] = single[:, shared].mean(axis=0)
    together = fitter.fit_person(observations, start)
    np.testing.assert_array_equal(
        together.coefficients[:, shared], together.coefficients[:1, shared].repeat(5, axis=0)
    )
    alone = shape_errors(decoder, single, person.coefficients)
    jointly = shape_errors(decoder, together.coefficients, person.coefficients)
    assert np.mean(jointly) < 0.9 * np.mean(alone)
    assert np.mean(jointly) < np.min(alone)
    assert np.all(together.loss < together.history[0])
