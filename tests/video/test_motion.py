"""Poses enter and leave crops exactly; many frames are fitted together; a person is placed."""

import numpy as np
import pytest

from alignment.align import align, crop_to_photo_matrix
from face_decoder import FaceDecoder
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.dense_points import dense_points
from face_model.landmark_basis import vertex_model
from geometry.camera import flip_y, project
from geometry.landmark_layout import STANDARD_POINTS_3D
from geometry.rotation import rotation_with_derivatives
from tests.toy_reconstruction import toy_face_model
from video.frame_fit import FramePoints, PersonFitter
from video.motion import Motion, Person, Placer, enter_crop, leave_crop, smooth_motion
from video.people import LightSolver

PICTURE = np.zeros((400, 500, 3), np.uint8)


def known_frames(model, count=5):
    """Return identity, poses and expressions of some frames, and their points in crops."""
    random = np.random.RandomState(0)
    identity = random.normal(0, 0.5, model.identity_count)
    angles = random.uniform(-0.4, 0.4, (count, 3))
    translation = random.uniform(-0.1, 0.1, (count, 3))
    expression = random.normal(0, 0.5, (count, model.expression_count))
    vertices = np.concatenate([dense_points(model).vertices, model.landmarks])
    mean, basis = vertex_model(model, vertices)
    points = []
    for a, t, e in zip(angles, translation, expression):
        shape = mean + basis.dot(np.concatenate([identity, e]))
        points.append(project(shape.dot(rotation_with_derivatives(a)[0]) + t))
    points = np.array(points)
    return identity, angles, translation, expression, points


@pytest.mark.parametrize("is_predicted", [False, True])
def test_pose_of_exact_points_is_found_in_all_frames(is_predicted):
    model = toy_face_model()
    identity, angles, translation, expression, points = known_frames(model)
    predicted = None
    if is_predicted:
        noise = np.random.RandomState(1).normal(0, 0.02, (5, 6 + model.expression_count))
        predicted = np.concatenate([angles, translation, expression], axis=1) + noise
    frames = FramePoints(points[:, :478], points[:, 478:], np.ones((5, 68)), predicted)
    found = PersonFitter(model, identity).fit(frames)
    assert np.degrees(np.abs(found.angles - angles)).max() < 6
    assert np.abs(found.translation - translation)[:, :2].max() < 0.05  # across
    assert found.error.max() < 0.6  # pixels


def test_frames_do_not_depend_on_each_other():
    model = toy_face_model()
    identity, _, _, _, points = known_frames(model)
    fitter = PersonFitter(model, identity)

    def fit(rows):
        return fitter.fit(
            FramePoints(points[rows, :478], points[rows, 478:], np.ones((5, 68))[rows])
        )

    together, alone = fit(np.arange(5)), fit(np.array([3]))
    np.testing.assert_allclose(together.angles[3], alone.angles[0], atol=1e-5)
    np.testing.assert_allclose(together.expression[3], alone.expression[0], atol=1e-3)


@pytest.mark.parametrize("degrees", [0.0, 70.0])
def test_poses_leave_a_crop_and_enter_it_again(degrees):
    five_points = [260, 190] + STANDARD_POINTS_3D[:, :2] * [170, -170]
    alignment = align(PICTURE, five_points, degrees)
    matrix = crop_to_photo_matrix(alignment.trans_params, alignment.degrees)
    angles, translation = np.array([0.2, -0.5, 0.1]), np.array([0.1, -0.2, 0.3])
    rotation, position, size = leave_crop(matrix, angles, translation)
    origin = alignment.to_photo(flip_y(project(translation)))
    np.testing.assert_allclose(position, origin, atol=1e-9)
    step = alignment.to_photo(flip_y(project(translation + [1e-3, 0, 0]))) - origin
    assert np.linalg.norm(step) * 1000 == pytest.approx(size, rel=0.01)
    back = enter_crop(matrix, rotation, position, size)
    np.testing.assert_allclose(back[0], angles, atol=1e-9)
    np.testing.assert_allclose(back[1], translation, atol=1e-9)


def known_motion(model, count=30):
    """Return a person who turns and moves through a picture, with noise."""
    random = np.random.RandomState(0)
    seconds = np.arange(count) / 25.0
    yaw = 0.3 * np.sin(2 * np.pi * 0.5 * seconds)
    rotations = [rotation_with_derivatives([0.1, angle, 0.05])[0].T for angle in yaw]
    motion = Motion(
        frames=np.arange(count),
        seconds=seconds,
        segments=(np.arange(count) >= 20).astype(int),
        confidence=np.ones(count),
        rotation=np.array(rotations),
        position=np.array([250.0, 200.0]) + random.normal(0, 0.3, (count, 2)),
        size=np.full(count, 150.0),
        expression=random.normal(0, 0.02, (count, model.expression_count)),
        light=np.zeros((count, 27)),
        trust=np.ones(count),
    )
    identity = random.normal(0, 0.5, model.identity_count)
    return Person("me", identity, np.zeros(model.albedo_count), motion)


def test_a_person_is_placed_where_the_motion_is():
    model = toy_face_model()
    person = known_motion(model)
    placement = Placer(model, person).place(PICTURE, 7)
    parts = split_coefficients(placement.coefficients[np.newaxis], coefficient_sizes(model))
    np.testing.assert_allclose(parts.identity[0], person.identity, atol=1e-6)
    matrix = crop_to_photo_matrix(placement.alignment.trans_params, placement.alignment.degrees)
    rotation, position, size = leave_crop(matrix, parts.angles[0], parts.translation[0])
    np.testing.assert_allclose(rotation, person.motion.rotation[7], atol=1e-6)
    np.testing.assert_allclose(position, person.motion.position[7], atol=1e-3)
    assert size == pytest.approx(150.0, rel=1e-4)
    assert np.abs(parts.translation).max() < 0.6  # about as far from the camera as in photos


def test_smoothing_keeps_the_parts_of_a_motion_apart():
    model = toy_face_model()
    motion = known_motion(model).motion
    motion.position[20:] += 100  # another shot
    smooth = smooth_motion(motion, model)
    still = np.diff(smooth.position, axis=0)
    assert np.abs(still[19]).min() > 90 and np.abs(np.delete(still, 19, axis=0)).max() < 0.5
    np.testing.assert_array_equal(smooth.frames, motion.frames)


def test_light_is_found_from_the_colors_of_the_points():
    model = toy_face_model()
    random = np.random.RandomState(0)
    coefficients = np.zeros((1, sum(coefficient_sizes(model))), np.float32)
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    parts.gamma[0] = random.normal(0, 0.15, 27)
    parts.angles[0] = (0.1, 0.2, 0.0)
    decoder = FaceDecoder(model)
    colors = decoder.decode(coefficients).colors[0, dense_points(model).vertices]
    solver = LightSolver(model, parts.identity[0], parts.albedo[0], np.zeros(27))
    seen = np.clip(colors, 0, 255).astype(np.uint8)[np.newaxis]
    found = solver.solve(parts.angles, seen)
    parts.gamma[:] = found
    again = decoder.decode(coefficients).colors[0, dense_points(model).vertices]
    assert np.median(np.abs(again - colors)) < 6  # gray levels
