"""The identity map of drawn people, by its command and as it is shipped."""

import contextlib
import os

import numpy as np
import pytest

from checkpoints.record import matches_face_model, read_record
from dataset.processed_faces import find_faces, read_coefficients, read_face
from face_model import load_face_model
from face_model.loading import OPEN_MODEL_FILE
from fitting.face_locator import ModelFaceLocator
from fitting.identity_map import fit_parameters, learn_identity_map, read_identity_map
from synthesis import identity_map
from synthesis.dataset import DatasetOptions, SyntheticDataset
from utils.errors import InputError
from utils.paths import BFM_DIR
from utils.report import Report

pytestmark = pytest.mark.skipif(
    not os.path.isfile(os.path.join(BFM_DIR, OPEN_MODEL_FILE)), reason="no open face model"
)


@pytest.fixture(scope="module")
def model():
    return load_face_model("open")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """People seen from the front; the shipped map was learned from other ones."""
    path = str(tmp_path_factory.mktemp("people"))
    options = DatasetOptions(seed=31, occluders=0, augment=0.3, max_yaw=30, max_pitch=15)
    SyntheticDataset(path, model, options).generate(32, 1, Report(0, "face", "made", quiet=True))
    return path


@pytest.fixture(scope="module")
def located(model, folder):
    """The faces that are found, each with its place without an expected identity."""
    locator = ModelFaceLocator(model, expect_identity=False)
    places = []
    for face in find_faces(folder).faces:
        with contextlib.suppress(InputError):
            places.append((face, locator.locate(read_face(face).image, "")[0]))
    assert len(places) >= 24
    return places


def test_the_expected_person_is_closer_to_the_true_one(model, folder, located):
    locator = ModelFaceLocator(model, expect_identity=True)
    basis = model.identity_basis.reshape(model.vertex_count, 3, -1)[model.front_vertices]
    errors = []
    for face, fitted in located:
        (expected,) = locator.locate(read_face(face).image, "")
        assert expected.fit.is_expected and not fitted.fit.is_expected
        # The points of the photo stay; the person changes.
        np.testing.assert_array_equal(expected.landmarks, fitted.landmarks)
        true = read_coefficients(folder, face.name, 257)[:80]
        moved = [basis.dot(place.fit.identity - true) for place in (fitted, expected)]
        errors.append([np.linalg.norm(m - m.mean(axis=0), axis=1).mean() for m in moved])
    before, after = np.mean(errors, axis=0)
    assert after < 0.95 * before


def test_the_command_writes_a_map_of_its_model(
    model, folder, located, tmp_path, monkeypatch, capsys
):
    path = str(tmp_path / "made" / "identity_map.npz")
    arguments = [folder, "--output", path, "--face_model", "open", "--quiet"]
    with pytest.raises(InputError, match="draw at least 1000"):
        identity_map.main(arguments)
    assert not os.path.exists(path)

    monkeypatch.setattr(identity_map, "_LEAST_FACES", 10)
    identity_map.main(arguments)
    assert matches_face_model(read_record(path), model)
    shown = capsys.readouterr().out
    assert "expected identity" in shown and "yaw to 45" in shown

    # It is the regression of all faces.
    parameters = np.array([fit_parameters(place.fit) for _, place in located])
    identities = [read_coefficients(folder, face.name, 257)[:80] for face, _ in located]
    learned = learn_identity_map(parameters, np.array(identities, np.float64))
    written = read_identity_map(path, model)
    np.testing.assert_allclose(written.matrix, learned.matrix, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(written.offset, learned.offset, rtol=1e-3, atol=1e-5)
