"""NAME.json: its matrices project the mesh to the landmarks, its angles and weights are right."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from alignment.align import align
from face_decoder import FaceDecoder
from face_model.coefficients import coefficient_sizes, split_coefficients
from geometry.landmark_layout import STANDARD_POINTS_3D
from geometry.rotation import picture_rotation
from reconstruction.face import LocatedFace, map_landmarks_to_photo
from reconstruction.face_data import describe_face, encode_face_data
from reconstruction.face_source import decode_faces
from tests.toy_reconstruction import toy_face_model

WIDTH, HEIGHT = 500, 400
ACTIONS = ("jawOpen", "eyeBlinkLeft", "browInnerUp")
ANGLES, TRANSLATION = (0.15, -0.4, 0.1), (0.1, -0.05, 0.2)


def decoded(degrees):
    """A face of known coefficients in a photo that is turned by so many degrees."""
    model = toy_face_model()._replace(expression_names=ACTIONS)
    coefficients = np.zeros((1, sum(coefficient_sizes(model))), np.float32)
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    parts.expression[0, :3] = (0.5, 1.0, 0.25)
    parts.angles[0], parts.translation[0] = ANGLES, TRANSLATION
    upright = STANDARD_POINTS_3D[:, :2] * [170, -170]
    five_points = [260, 190] + upright.dot(picture_rotation(degrees).T)
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    face = LocatedFace(
        "me",
        "me.png",
        photo,
        align(photo, five_points, degrees),
        np.zeros((68, 2)),
        np.ones(68),
        five_points,
    )
    return model, decode_faces([face], coefficients, FaceDecoder(model))[0]


def project(camera, content, shape):
    """Project a mesh in model space by the matrices of a file."""
    head, view = np.array(content["head_to_world"]), np.array(camera["opencv"]["world_to_camera"])
    posed = np.concatenate([shape, np.ones((len(shape), 1))], axis=1).dot(head.T).dot(view.T)
    pixels = posed[:, :3].dot(np.array(camera["opencv"]["intrinsics"]).T)
    return pixels[:, :2] / pixels[:, 2:]


@pytest.mark.parametrize("degrees", [0.0, 60.0])
def test_the_written_matrices_project_the_mesh_to_the_landmarks(degrees):
    model, found = decoded(degrees)
    content = json.loads(encode_face_data(describe_face(found, model)).decode("utf-8"))
    centered = model.mean_shape - model.mean_shape.mean(axis=0)
    moved = model.expression_basis[:, :3].dot(list(content["weights"].values())).reshape(-1, 3)
    points = (centered + moved)[model.landmarks].astype(np.float64)
    in_crop = project(content["camera_crop"], content, points)
    np.testing.assert_allclose(in_crop, found.landmarks * [1, -1] + [0, 223], atol=2e-3)
    in_photo = project(content["camera_photo"], content, points)
    np.testing.assert_allclose(in_photo, map_landmarks_to_photo(found), atol=4e-3)
    assert (content["camera_photo"]["width"], content["camera_photo"]["height"]) == (WIDTH, HEIGHT)


def test_weights_have_the_names_of_the_actions():
    model, found = decoded(0.0)
    content = describe_face(found, model)
    assert content["weights"] == {"jawOpen": 0.5, "eyeBlinkLeft": 1.0, "browInnerUp": 0.25}
    assert describe_face(found, toy_face_model())["weights"] == {}


def test_head_angles_are_degrees_in_the_picture_of_the_photo():
    """A photo turned clockwise by 60 degrees shows a head that leans by as much."""
    model, found = decoded(0.0)
    angles = describe_face(found, model)["head_degrees"]
    wanted = np.degrees(ANGLES)
    np.testing.assert_allclose([angles[k] for k in ("pitch", "yaw", "roll")], wanted, atol=1e-4)
    model, found = decoded(60.0)
    angles = describe_face(found, model)["head_degrees"]
    expected = Rotation.from_euler("z", -60, degrees=True) * Rotation.from_euler("xyz", ANGLES)
    found_turn = Rotation.from_euler(
        "xyz", [angles[k] for k in ("pitch", "yaw", "roll")], degrees=True
    )
    assert np.degrees((expected.inv() * found_turn).magnitude()) < 0.2
