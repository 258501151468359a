"""Pose, identity and expression from landmarks."""

import numpy as np
import pytest

from face_model import read_face_model
from face_model.coefficients import expression_bounds
from face_model.dense_points import dense_points
from face_model.landmark_basis import vertex_model
from fitting.landmarks import LandmarkFitter, _cost, _flatten_basis, _join, _linearize
from geometry.camera import project
from geometry.rotation import rotation_with_derivatives
from tests.paths import TOY_MODEL


@pytest.fixture(scope="module")
def model():
    return read_face_model(TOY_MODEL)


@pytest.fixture(scope="module")
def fitter(model):
    return LandmarkFitter(model)


def landmarks_of(model, pose, identity, expression):
    """Decode the landmarks from first principles."""
    shape = (
        model.mean_shape.reshape(-1)
        + model.identity_basis.dot(identity)
        + model.expression_basis.dot(expression)
    ).reshape(-1, 3) - model.mean_shape.mean(axis=0)
    return project(shape[model.landmarks].dot(rotation_with_derivatives(pose[:3])[0]) + pose[3:])


@pytest.mark.parametrize("yaw", [0, 30, -60])
def test_known_pose_and_shape_are_found(model, fitter, yaw):
    random = np.random.RandomState(3)
    pose = np.array([0.1, np.radians(yaw), -0.15, 0.05, -0.1, 0.2])
    identity, expression = random.standard_normal(80) * 0.5, random.standard_normal(64) * 0.3
    landmarks = landmarks_of(model, pose, identity, expression)
    fit = fitter.fit(landmarks, np.ones(68))
    found = landmarks_of(
        model, np.concatenate([fit.angles, fit.translation]), fit.identity, fit.expression
    )
    assert np.linalg.norm(found - landmarks, axis=1).mean() < 1.0
    # The toy model's random bases can imitate a few degrees of rotation.
    np.testing.assert_allclose(fit.angles, pose[:3], atol=0.15)


def test_a_landmark_without_weight_may_lie_anywhere(model, fitter):
    landmarks = landmarks_of(model, np.zeros(6), np.zeros(80), np.zeros(64))
    spoilt, weights = landmarks.copy(), np.ones(68)
    spoilt[:17], weights[:17] = 1000, 0
    fit = fitter.fit(spoilt, weights)
    np.testing.assert_allclose(fit.angles, 0, atol=1e-3)


def test_five_points_alone_give_the_pose(model, fitter):
    pose = np.array([0.05, 0.5, 0.1, 0, 0, 0])
    landmarks = landmarks_of(model, pose, np.zeros(80), np.zeros(64))
    five = np.stack(
        [
            landmarks[[36, 39]].mean(0),
            landmarks[[42, 45]].mean(0),
            landmarks[30],
            landmarks[48],
            landmarks[54],
        ]
    )
    fit = fitter.fit(np.zeros((68, 2)), np.zeros(68), five)
    found = landmarks_of(
        model, np.concatenate([fit.angles, fit.translation]), fit.identity, fit.expression
    )
    assert np.linalg.norm(found - landmarks, axis=1).mean() < 3


def test_gradient_agrees_with_finite_differences(fitter):
    random = np.random.RandomState(0)
    parameters = random.standard_normal(6 + 144) * 0.1
    dense = random.uniform(0, 224, (478, 2))
    points = _join(
        fitter._collect(
            random.uniform(0, 224, (68, 2)),
            random.uniform(0, 1, 68),
            random.uniform(0, 224, (5, 2)),
        ),
        fitter._collect_dense(dense, np.full(478, 0.5)),
    )
    inverse = np.concatenate([np.zeros(6), random.uniform(1, 2, 144)])
    cost, gradient, matrix = _linearize(points, _flatten_basis(points), parameters, inverse)
    assert cost == pytest.approx(_cost(points, parameters, inverse), rel=1e-12)
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-9)
    for index in list(range(6)) + [6, 85, 86, 149]:
        step = np.zeros_like(parameters)
        step[index] = 1e-6
        ahead, behind = (_cost(points, parameters + sign * step, inverse) for sign in (1, -1))
        assert gradient[index] == pytest.approx((ahead - behind) / 2e-6, rel=1e-4)


def test_outliers_among_the_478_points_lose_their_weight(model, fitter):
    random = np.random.RandomState(1)
    truth = random.standard_normal(model.identity_count) * 0.5
    vertices = dense_points(model).vertices
    mean, basis = vertex_model(model, vertices)
    shape = mean + basis[:, :, : model.identity_count].dot(truth)
    pose = np.array([0.1, -0.3, 0.05, 0.1, 0.0, -0.2])
    dense = project(shape.dot(rotation_with_derivatives(pose[:3])[0]) + pose[3:])
    dense[::10] += [0, 60]
    fit = fitter.fit(np.zeros((68, 2)), np.zeros(68), dense=dense)
    np.testing.assert_allclose(fit.angles, pose[:3], atol=0.15)
    true_landmarks = landmarks_of(model, pose, truth, np.zeros(model.expression_count))
    assert np.linalg.norm(fit.landmarks - true_landmarks, axis=1).mean() < 1.0


def test_actions_stay_between_rest_and_full_strength(model):
    names = tuple("action{}".format(i) for i in range(52))
    lower, upper = expression_bounds(model._replace(expression_names=names))
    assert np.all(lower[:52] == 0) and np.all(upper[:52] == 1.2) and np.all(lower[52:] < 0)
