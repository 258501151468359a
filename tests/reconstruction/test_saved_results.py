"""Faces read back from the results of demo.py."""

import os

import numpy as np
import pytest
import scipy.io
from PIL import Image

import obj
import renderer
from face_decoder import FaceDecoder
from face_model import write_face_model
from reconstruction.arguments import make_face_source
from reconstruction.face_source import decode_faces
from reconstruction.network_choice import read_network_request
from reconstruction.result_files import write_reconstruction
from reconstruction.saved_results import SavedReconstructions
from tests.paths import TOY_MODEL
from tests.toy_reconstruction import toy_face_model, toy_reconstruction
from utils.errors import InputError
from utils.photos import Photo
from utils.report import Report


@pytest.fixture()
def saved(tmp_path):
    """A photo, the folder with its .mat, and the reconstruction in it."""
    model, toy = toy_face_model(), toy_reconstruction()
    path = str(tmp_path / "face.png")
    Image.fromarray(toy.face.photo).save(path)
    graph = FaceDecoder(model)
    written = decode_faces([toy.face], toy.coefficients[np.newaxis].astype(np.float32), graph)[0]
    graph.close()
    write_reconstruction(written, model, str(tmp_path / "results"))
    return Photo(path, "face"), str(tmp_path / "results"), written


def test_a_saved_face_is_restored(saved):
    photo, folder, written = saved
    faces = SavedReconstructions(folder, toy_face_model())
    (found,) = faces.reconstruct(faces.locate(photo))
    for name in ("coefficients", "world_shape", "colors", "landmarks", "rendered"):
        np.testing.assert_allclose(getattr(found, name), getattr(written, name), atol=1e-5)
    for name in ("photo", "landmarks", "landmark_confidence", "five_points"):
        np.testing.assert_array_equal(getattr(found.face, name), getattr(written.face, name))


def test_further_faces_of_a_photo_are_read_if_wanted(saved):
    photo, folder, written = saved
    model = toy_face_model()
    write_reconstruction(
        written._replace(face=written.face._replace(name="face_face2")), model, folder
    )
    assert [face.name for face in SavedReconstructions(folder, model).locate(photo)] == ["face"]
    assert [
        face.name for face in SavedReconstructions(folder, model, all_faces=True).locate(photo)
    ] == ["face", "face_face2"]


def test_mismatched_photos_models_and_results_are_refused(saved, tmp_path):
    photo, folder, _ = saved
    model = toy_face_model()
    with pytest.raises(InputError, match="nowhere: no such folder"):
        SavedReconstructions("nowhere", model)
    with pytest.raises(InputError, match="other.mat: missing"):
        SavedReconstructions(folder, model).locate(photo._replace(name="other"))
    with pytest.raises(InputError, match="face.mat: was made with another face model"):
        SavedReconstructions(folder, model._replace(mean_shape=model.mean_shape * 1.01)).locate(
            photo
        )
    other = str(tmp_path / "other.png")
    Image.fromarray(255 - np.asarray(Image.open(photo.path))).save(other)
    with pytest.raises(InputError, match="face.mat: was made from another photo than"):
        SavedReconstructions(folder, model).locate(photo._replace(path=other))
    write_face_model(model, os.path.join(folder, "face.mat"))
    with pytest.raises(InputError, match="face.mat: not a whole .mat file of demo.py"):
        SavedReconstructions(folder, model).locate(photo)


@pytest.mark.parametrize(
    "name, value",
    [
        ("coeff", np.full((1, 257), np.nan)),
        ("coeff", np.zeros((1, 256))),
        ("coeff", np.full((1, 257), 1e30)),
        ("coeff", np.full((1, 257), 1j)),
        ("lm_5p_photo", np.zeros((4, 2))),
        ("lm_5p_photo", np.full((5, 2), np.inf)),
        ("lm_68p_detected_photo", np.zeros((2, 68))),
        ("lm_68p_detected_weight", np.zeros((1, 9))),
        ("cropped_img", np.array("text")),
        ("face_model_fingerprint", np.zeros((0, 0))),
    ],
)
def test_implausible_fields_are_refused(saved, name, value):
    photo, folder, _ = saved
    path = os.path.join(folder, "face.mat")
    fields = {
        key: field for key, field in scipy.io.loadmat(path).items() if not key.startswith("__")
    }
    scipy.io.savemat(path, dict(fields, **{name: value}))
    with pytest.raises(InputError, match="face.mat: not a whole .mat file of demo.py"):
        SavedReconstructions(folder, toy_face_model()).locate(photo)


def test_saved_points_that_cannot_belong_to_a_face_are_refused(saved):
    photo, folder, _ = saved
    path = os.path.join(folder, "face.mat")
    fields = {
        key: field for key, field in scipy.io.loadmat(path).items() if not key.startswith("__")
    }
    for points in (np.zeros((5, 2)), np.full((5, 2), 9e5)):
        scipy.io.savemat(path, dict(fields, lm_5p_photo=points))
        with pytest.raises(InputError, match="face.mat: was made from another photo than"):
            SavedReconstructions(folder, toy_face_model()).locate(photo)


def test_unreadable_results_are_skipped_with_the_reason(saved):
    photo, folder, _ = saved
    report = Report(2, "face", "read", quiet=True)
    faces = list(
        SavedReconstructions(folder, toy_face_model()).iterate_located(
            [photo, photo._replace(name="other")], report
        )
    )
    report.close()
    assert [face.name for face in faces] == ["face"] and [name for name, _ in report.skipped] == [
        "other"
    ]


@pytest.mark.parametrize("command, wanted", [(obj, "face_mesh.obj"), (renderer, "face_depth.png")])
def test_commands_take_saved_faces(saved, tmp_path, command, wanted):
    photo, folder, _ = saved
    flags = {obj: ["--formats", "colors"], renderer: ["--kinds", "depth", "--frames", "0"]}[command]
    code = command.main(
        [
            "--input",
            photo.path,
            "--coefficients",
            folder,
            "--face_model",
            TOY_MODEL,
            "--output",
            str(tmp_path / "out"),
            "--quiet",
        ]
        + flags
    )
    assert code == 0 and wanted in os.listdir(str(tmp_path / "out"))


def test_the_flag_decides(saved):
    arguments = obj.parse_arguments(["--coefficients", saved[1]])
    assert isinstance(
        make_face_source(arguments, read_network_request(arguments), toy_face_model()),
        SavedReconstructions,
    )
