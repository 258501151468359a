"""Faces drawn from the open face model, found and fitted: profiles, eyelids and gaze."""

import os

import numpy as np
import pytest

from alignment.detect import FaceDetector
from evaluation.aflw2000 import read_annotated_photos
from evaluation.protocol import normalized_mean_error
from face_model import load_face_model
from face_model.dense_points import dense_points
from face_model.landmark_basis import vertex_model
from face_model.loading import OPEN_MODEL_FILE
from fitting.face_locator import ModelFaceLocator
from geometry.camera import flip_y, project
from geometry.rotation import rotation_with_derivatives
from synthesis.dataset import DatasetOptions, SyntheticDataset
from utils.errors import InputError
from utils.paths import BFM_DIR
from utils.photos import read_photo
from utils.report import Report

pytestmark = pytest.mark.skipif(
    not os.path.isfile(os.path.join(BFM_DIR, OPEN_MODEL_FILE)), reason="no open face model"
)

# Of the 478 points: corners of the left eye in the image and its iris, and those of the right eye.
EYES_OF_478 = ((33, 133, 468), (362, 263, 473))


@pytest.fixture(scope="module")
def model():
    return load_face_model("open")


@pytest.fixture(scope="module")
def locator(model):
    return ModelFaceLocator(model)


@pytest.fixture(scope="module")
def drawn(model, tmp_path_factory):
    """Photos without anything before the face, with their true landmarks."""
    folder = str(tmp_path_factory.mktemp("drawn"))
    options = DatasetOptions(
        kind="aflw2000", seed=7, size=300, occluders=0, augment=0.3, max_pitch=20, max_roll=15
    )
    SyntheticDataset(folder, model, options).generate(24, 1, Report(0, "face", "made", quiet=True))
    return read_annotated_photos(folder)[0]


def openness(landmarks):
    """Height by width of both eyes."""
    eyes = landmarks[36:48].reshape(2, 6, 2)
    heights = np.linalg.norm(eyes[:, [1, 2]] - eyes[:, [5, 4]], axis=2).mean(axis=1)
    return heights / np.linalg.norm(eyes[:, 0] - eyes[:, 3], axis=1)


def gaze(points):
    """Place of each iris between the corners of its eye, 0 left to 1 right, of the 478 points."""
    left, right, iris = points[np.transpose(EYES_OF_478)]
    across = right - left
    return np.sum((iris - left) * across, axis=1) / np.sum(across**2, axis=1)


def fitted_478(model, face):
    """Project the vertices of the fitted model that show the 478 points; photo pixels, y down."""
    mean, basis = vertex_model(model, dense_points(model).vertices)
    shape = mean + basis.dot(np.concatenate([face.fit.identity, face.fit.expression]))
    world = shape.dot(rotation_with_derivatives(face.fit.angles)[0]) + face.fit.translation
    return face.alignment.to_photo(flip_y(project(world)))


def test_profiles_are_found_where_they_are(locator, drawn):
    profiles = [item for item in drawn if abs(item.yaw) > 60]
    found = 0
    for item in profiles:
        try:
            (face,) = locator.locate(read_photo(item.photo.path), item.photo.path)
        except InputError:
            continue
        found += 1
        assert normalized_mean_error(face.landmarks, item.landmarks) < 6 and face.trust > 0.8
        assert abs(np.degrees(face.fit.angles[1]) + item.yaw) < 12
    assert found >= 3 and found >= 0.7 * len(profiles)


def test_lids_and_irises_are_where_the_evidence_has_them(model, locator, drawn):
    detector = FaceDetector()
    for item in [item for item in drawn if abs(item.yaw) < 20][:6]:
        photo = read_photo(item.photo.path)
        (seen,), (face,) = detector.detect(photo), locator.locate(photo, item.photo.path)
        np.testing.assert_allclose(
            openness(face.landmarks), openness(seen.dense.landmarks()), atol=0.12
        )
        # without evidence, all would look ahead: the places are .23 to .58
        np.testing.assert_allclose(
            gaze(fitted_478(model, face)), gaze(seen.dense.points), atol=0.08
        )
