"""The expected identity: learning, files, the fit that keeps it, and its prior."""

import os

import numpy as np
import pytest

from face_decoder import FaceDecoder
from face_model import read_face_model
from fitting import identity_map
from fitting.identity_map import (
    IdentityMap,
    find_identity_map,
    fit_parameters,
    learn_identity_map,
    read_identity_map,
    write_identity_map,
)
from fitting.landmarks import LandmarkFit, LandmarkFitter
from fitting.objective import FaceObservation
from fitting.photometric import FaceFitter, FitSettings
from losses import LossWeights
from tests.fitting.test_landmarks import landmarks_of
from tests.paths import TOY_MODEL
from utils.errors import InputError

PARAMETERS, IDENTITIES = 150, 80


@pytest.fixture(scope="module")
def model():
    return read_face_model(TOY_MODEL)


@pytest.fixture
def random():
    return np.random.RandomState(5)


def make_fit(parameters):
    parts = np.split(parameters, [80, 144, 147])
    return LandmarkFit(*parts, landmarks=np.zeros((68, 2)), error=0.0)


def test_a_linear_relation_is_learned(random):
    parameters = 3 + random.standard_normal((3000, PARAMETERS)) * random.uniform(0.1, 2, PARAMETERS)
    matrix, offset = random.standard_normal((PARAMETERS, 80)), random.standard_normal(80)
    learned = learn_identity_map(parameters, parameters.dot(matrix) + offset)
    expected = learned.expect(fit_parameters(make_fit(parameters[0])))
    # The ridge takes 100 of 3,100 parts of every effect.
    wanted = parameters[0].dot(matrix) + offset
    spread = np.std(parameters.dot(matrix), axis=0)
    assert np.abs(expected - wanted).max() < 0.2 * spread.max()
    assert np.corrcoef(expected, wanted)[0, 1] > 0.995


def test_without_a_relation_the_average_is_expected(random):
    identities = 0.7 + random.standard_normal((4000, 3))
    learned = learn_identity_map(random.standard_normal((4000, 2)), identities)
    np.testing.assert_allclose(
        learned.offset + np.array([3.0, -3.0]).dot(learned.matrix),
        identities.mean(axis=0),
        atol=0.25,
    )


def test_the_error_on_others_is_that_of_the_regression_and_smaller_than_the_fits(random):
    """Half of each identity is reported, with noise: the best estimate is neither half nor all."""
    identities = random.standard_normal((4000, 6))
    fits = 0.5 * identities + 0.3 * random.standard_normal((4000, 6))
    learned = learn_identity_map(fits[:2000], identities[:2000])
    expected = fits[2000:].dot(learned.matrix) + learned.offset
    rest = np.sqrt(np.mean((expected - identities[2000:]) ** 2))
    # the posterior's deviation: 1 / sqrt(1 + .5^2 / .3^2)
    assert abs(rest - 1 / np.sqrt(1 + 0.25 / 0.09)) < 0.02
    assert rest < 0.9 * np.sqrt(np.mean((fits[2000:] - identities[2000:]) ** 2))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in the place of network/."""
    paths = [str(tmp_path / os.path.basename(path)) for path in identity_map.IDENTITY_MAPS]
    monkeypatch.setattr(identity_map, "IDENTITY_MAPS", paths)
    return paths


def random_map(random):
    return IdentityMap(
        random.standard_normal((PARAMETERS, IDENTITIES)), random.standard_normal(IDENTITIES)
    )


def test_a_written_map_is_found_for_its_model_only(model, folder, random):
    own, shipped = folder
    assert find_identity_map(model) is None
    written = random_map(random)
    write_identity_map(shipped, written, model)
    found = find_identity_map(model)
    np.testing.assert_allclose(found.matrix, written.matrix, rtol=1e-6)
    np.testing.assert_allclose(found.offset, written.offset, rtol=1e-6)

    other = model._replace(mean_shape=1.5 * model.mean_shape)
    assert find_identity_map(other) is None
    write_identity_map(own, written._replace(offset=written.offset + 1), model)
    np.testing.assert_allclose(find_identity_map(model).offset, written.offset + 1, rtol=1e-6)


@pytest.mark.parametrize("damage", ["cut", "shape", "nan", "integers", "missing", "lost"])
def test_a_damaged_map_is_named(model, folder, random, damage):
    path, good = folder[0], random_map(random)
    write_identity_map(path, good, model)
    if damage == "cut":
        with open(path, "r+b") as file:
            file.truncate(1000)
    elif damage == "lost":
        os.remove(path)
    else:
        bad = {
            "shape": {"matrix": good.matrix[:, :79], "offset": good.offset},
            "nan": {"matrix": good.matrix * np.nan, "offset": good.offset},
            "integers": {"matrix": good.matrix.astype(int), "offset": good.offset},
            "missing": {"matrix": good.matrix},
        }[damage]
        np.savez(path, **bad)
    with pytest.raises(InputError, match="identity_map.npz"):
        find_identity_map(model)
    with pytest.raises(InputError, match="identity_map.npz"):
        read_identity_map(path, model)


def test_a_kept_identity_leaves_pose_and_expression_to_fit(model, random):
    pose = np.array([0.1, 0.3, -0.15, 0.05, -0.1, 0.2])
    identity, expression = random.standard_normal(80) * 0.5, random.standard_normal(64) * 0.3
    landmarks = landmarks_of(model, pose, identity, expression)
    fitter = LandmarkFitter(model)
    free = fitter.fit(landmarks, np.ones(68))
    assert not free.is_expected and not np.allclose(free.identity, identity, atol=0.1)

    kept = fitter.fit(landmarks, np.ones(68), start=free, identity=identity)
    assert kept.is_expected
    np.testing.assert_array_equal(kept.identity, identity)
    assert np.linalg.norm(kept.landmarks - landmarks, axis=1).mean() < 1.0
    # Knowing the person, the fit knows the expression better.
    errors = [np.linalg.norm(fit.expression - expression) for fit in (kept, free)]
    assert errors[0] < errors[1]


def test_without_pixels_fitting_ends_at_the_expected_identity(model, random):
    """The prior is centered there; that of a fit without expectation at the mean face."""
    identity = random.standard_normal(80) * 0.5
    blank = FaceObservation(
        np.zeros((224, 224, 3), np.uint8), np.zeros((224, 224)), np.zeros((68, 2)), np.ones(68)
    )
    fit = make_fit(np.concatenate([identity, np.zeros(70)]))
    weights = LossWeights(photometric=0.0, landmark=0.0, reflectance=0.0, gamma=0.0)
    decoder = FaceDecoder(model)
    fitter = FaceFitter(decoder, FitSettings(15, weights))
    start = np.zeros((1, 257), np.float32)
    start[0, :80] = random.standard_normal(80)
    for is_expected, wanted in ((True, identity), (False, np.zeros(80))):
        observation = blank._replace(fit=fit._replace(is_expected=is_expected))
        found = fitter.fit([observation], start).coefficients[0, :80]
        np.testing.assert_allclose(found, wanted, atol=0.02)
    decoder.close()
