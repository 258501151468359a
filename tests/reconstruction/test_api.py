"""The surface for use from Python: arrays in, arrays out."""

import numpy as np
import pytest

from reconstruction import api
from tests.toy_reconstruction import toy_face_model, toy_reconstruction
from utils.errors import InputError


class StandInPipeline:
    """Finds the toy face in every photo."""

    def __init__(self, model, networks, detector, all_faces):
        self.asked = []

    def locate_in(self, pixels, photo):
        self.asked.append((pixels, photo))
        return [toy_reconstruction().face]

    def reconstruct(self, faces, progress=None):
        return [toy_reconstruction()]


@pytest.fixture
def reconstructor(monkeypatch):
    monkeypatch.setattr(api, "FacePipeline", StandInPipeline)
    return api.FaceReconstructor(toy_face_model(), method="fit")


def test_a_face_in_the_words_of_the_photo(reconstructor):
    photo = toy_reconstruction().face.photo
    (face,) = reconstructor.reconstruct(photo)
    assert face.triangles is reconstructor.model.triangles
    corners = face.reconstruction.face.alignment.to_photo(np.array([[0.0, 0], [223, 223]]))
    seen = face.camera.project(face.vertices)
    assert np.all(seen > corners[0]) and np.all(seen < corners[1])
    parts = face.split()
    assert parts.angles.shape == (3,) and parts.angles[1] == pytest.approx(0.35)
    np.testing.assert_array_equal(parts.translation, face.coefficients[-3:])


def test_an_array_has_no_file_beside_it(reconstructor, tmp_path, monkeypatch):
    monkeypatch.chdir(str(tmp_path))
    reconstructor.reconstruct(toy_reconstruction().face.photo)
    ((_, photo),) = reconstructor.pipeline.asked
    assert photo.path == ""


@pytest.mark.parametrize(
    "photo, words",
    [
        (np.zeros((100, 100, 3), np.float32), r"array \[100, 100, 3\] of float32"),
        (np.zeros((100, 100), np.uint8), r"array \[100, 100\] of uint8"),
        (np.zeros((100, 10, 3), np.uint8), "less than 32 pixels"),
    ],
)
def test_other_arrays_are_refused(reconstructor, photo, words):
    with pytest.raises(InputError, match=words):
        reconstructor.reconstruct(photo)
