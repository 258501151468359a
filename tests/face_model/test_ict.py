"""Conversion of a clone of ICT-FaceKit: a made-up one, laid out as the real one is."""

import os
import shutil

import numpy as np
import pytest

from face_model import load_face_model, read_face_model
from face_model.coefficients import expression_bounds
from face_model.ict import __main__ as command
from face_model.ict.clone import END, GUMS, LANDMARKS, LEFT_EYE, MOUTH, RIGHT_EYE, TEETH, read_clone
from face_model.model import check_face_model
from geometry.landmark_layout import STANDARD_POINTS_3D, five_from_68
from tests.face_model.ict_clone import EXPRESSIONS, EYE_RADIUS, write_clone
from utils.errors import InputError
from utils.paths import BFM_DIR

OPEN_MODEL = os.path.join(BFM_DIR, "open_face_model.mat")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("clone") / "ICT-FaceKit")
    return (folder,) + write_clone(folder)


@pytest.fixture(scope="module")
def model(clone, tmp_path_factory):
    if not os.path.isfile(OPEN_MODEL):
        pytest.skip("the open face model is not built yet")
    pytest.importorskip("igl")
    path = str(tmp_path_factory.mktemp("model") / "ict_face_model.mat")
    command.main([clone[0], "--output", path])
    return load_face_model("ict", os.path.dirname(path))


def test_a_clone_is_read_as_written(clone):
    folder, vertices, changes = clone
    read = read_clone(folder)
    np.testing.assert_allclose(read.neutral, vertices[:END], atol=1e-6)
    np.testing.assert_allclose(read.identity[1], changes["identity001"][:END], atol=2e-6)
    np.testing.assert_allclose(read.expression[2], changes["jawOpen"][:END], atol=2e-6)
    assert read.expression_names == EXPRESSIONS and len(read.identity) == 2
    assert read.triangles.max() < END and len(set(LANDMARKS)) == 68
    assert len(read_clone(os.path.join(folder, "FaceXModel")).triangles) == len(read.triangles)


def test_the_model_is_complete_and_in_the_frame_of_bfm(clone, model):
    check_face_model(model, "ict")
    assert model.vertex_count == END and model.albedo_count == 80
    assert model.expression_names == ("browInnerUpLeft", "eyeBlinkLeft", "jawOpen", "mouthClose")
    lower, upper = expression_bounds(model)
    assert np.all(lower == 0) and np.all(upper == 1.2)

    # sizes are those of the scans, and the five points look along +z like the standard ones
    points = model.mean_shape
    np.testing.assert_allclose(np.ptp(points[LEFT_EYE:RIGHT_EYE, 1]), 0.2 * EYE_RADIUS, rtol=0.01)
    five = five_from_68(points[model.landmarks])
    offsets = five - five.mean(axis=0) - STANDARD_POINTS_3D + STANDARD_POINTS_3D.mean(axis=0)
    assert np.abs(offsets).max() < 0.05

    # displacements are turned as the mean shape is
    vertices, changes = clone[1:]
    moved = model.mean_shape + model.identity_basis[:, 0].reshape(-1, 3)
    wanted = vertices[:END] + changes["identity000"][:END]
    for one, other in ((points, vertices[:END]), (moved, wanted)):
        np.testing.assert_allclose(
            np.linalg.norm(one - one[0], axis=1),
            0.1 * np.linalg.norm(other - other[0], axis=1),
            atol=1e-4,
        )


def test_colors_and_masks_come_from_the_same_places_of_the_open_model(model):
    own = read_face_model(OPEN_MODEL)
    cheek, lip = [1, 2, 14, 15], [51, 57]
    for marks, tolerance in ((cheek, 12), (lip, 25)):
        found, wanted = (one.mean_albedo[one.landmarks[marks]] for one in (model, own))
        assert np.abs(found - wanted).max() < tolerance
    # a pupil in front of each eyeball, white around it
    for first, last, side in ((LEFT_EYE, RIGHT_EYE, 1), (RIGHT_EYE, END, -1)):
        ball = model.mean_shape[first:last]
        colors = model.mean_albedo[first:last]
        assert np.sign(ball[:, 0].mean()) == side
        assert colors[ball[:, 2].argmax()].max() < 60 < 110 < colors.min(axis=1).max()
    assert model.mean_albedo[TEETH:LEFT_EYE, 1].max() > 150
    mouth = model.mean_albedo[MOUTH:TEETH].mean(axis=0)
    assert mouth[1] < 0.6 * mouth[0]
    front = np.isin(np.arange(END), model.front_vertices)
    assert front[model.landmarks[27:68]].all() and 0.2 < front[:MOUTH].mean() < 0.6
    assert not model.skin_mask[GUMS:].any() and model.skin_mask[front].max() > 0.9


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda folder: shutil.rmtree(folder), "no clone of ICT-FaceKit"),
        (lambda folder: os.remove(folder + "/identity000.obj"), "identity000.obj is missing"),
        (lambda folder: os.remove(folder + "/jawOpen.obj"), "jawOpen.obj: cannot be read"),
        (lambda folder: cut(folder + "/jawOpen.obj", 5000), "jawOpen.obj: holds no vertices"),
        (lambda folder: cut(folder + "/vertex_indices.json", 9), "holds no list of expressions"),
    ],
)
def test_a_damaged_clone_is_one_sentence(clone, tmp_path, damage, message):
    folder = str(tmp_path / "clone")
    os.makedirs(folder + "/FaceXModel")
    for name in os.listdir(clone[0] + "/FaceXModel"):
        os.symlink(clone[0] + "/FaceXModel/" + name, folder + "/FaceXModel/" + name)
    damage(folder + "/FaceXModel")
    with pytest.raises(InputError, match=message):
        read_clone(folder)


def cut(path, size):
    """Keep the first bytes of a file; a link is replaced."""
    with open(path, "rb") as file:
        content = file.read(size)
    os.remove(path)
    with open(path, "wb") as file:
        file.write(content)


def test_a_model_that_is_not_converted_names_the_command(tmp_path):
    with pytest.raises(InputError, match="python -m face_model.ict ICT-FaceKit"):
        load_face_model("ict", str(tmp_path))
