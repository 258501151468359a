"""Faces located with the landmarks of the fitted open face model, on the portrait."""

import os

import numpy as np
import pytest
from PIL import Image

from face_model import load_face_model
from face_model.loading import OPEN_MODEL_FILE
from fitting.face_locator import ModelFaceLocator
from tests.alignment.test_locate import EYE_DISTANCE, PORTRAIT_POINTS
from utils.paths import BFM_DIR

pytestmark = pytest.mark.skipif(
    not os.path.isfile(os.path.join(BFM_DIR, OPEN_MODEL_FILE)), reason="no open face model"
)


@pytest.fixture(scope="module")
def portrait():
    return pytest.importorskip("skimage.data").astronaut()


@pytest.fixture(scope="module")
def locator():
    return ModelFaceLocator(load_face_model("open"))


def distance(points, truth=PORTRAIT_POINTS):
    return np.linalg.norm(points - truth, axis=1).mean() / EYE_DISTANCE


def test_the_portrait_is_located(locator, portrait):
    (face,) = locator.locate(portrait, "portrait.jpg")
    assert distance(face.five_points) < 0.1 and face.trust > 0.9
    assert face.alignment.degrees == 0 and face.evidence is None
    np.testing.assert_allclose(face.alignment.five_points.mean(axis=0), [112, 112], atol=15)


def test_turned_landmarks_are_those_of_the_upright_photo(locator, portrait):
    photo = portrait[0:240, 100:340]
    (upright,) = locator.locate(photo, "a.jpg")
    (turned,) = locator.locate(np.ascontiguousarray(np.rot90(photo)), "b.jpg")
    assert abs(turned.alignment.degrees) > 60
    x, y = upright.landmarks.T
    expected = np.stack([y, photo.shape[1] - 1 - x], axis=1)
    errors = np.linalg.norm(turned.landmarks - expected, axis=1)[17:]
    assert errors.mean() < 0.06 * EYE_DISTANCE


def test_given_points_place_the_crop_and_serve_as_nothing_else(locator, portrait):
    face = locator.locate_at(portrait, PORTRAIT_POINTS)
    np.testing.assert_array_equal(face.five_points, PORTRAIT_POINTS)
    assert face.evidence is None
    moved = locator.locate_at(portrait, PORTRAIT_POINTS + [4, -3])
    # another crop, the same face
    assert np.linalg.norm(moved.landmarks - face.landmarks, axis=1)[17:].mean() < 2.0


def test_a_covered_face_is_trusted_less(locator, portrait):
    photo = np.array(portrait)
    photo[112:160, 190:262] = [225, 230, 235]  # from under the eyes to the chin
    photo = np.asarray(Image.fromarray(photo[0:300, 60:400]))
    face = locator.locate_at(photo, PORTRAIT_POINTS - [60, 0])
    assert face.trust < locator.locate(portrait, "portrait.jpg")[0].trust
