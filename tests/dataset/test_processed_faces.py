"""The format of processed faces: writing, wholeness, listing, reading."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from dataset import processed_faces
from dataset.processed_faces import find_faces, read_face
from tests.training_data import SIZE, write_faces
from tests.training_data import write_face as write_test_face
from utils.errors import InputError

COEFFICIENTS = 7


def random_face(seed=0):
    """Return crop, mask, landmarks and coefficients."""
    random = np.random.RandomState(seed)
    crop = random.randint(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    mask = random.randint(0, 256, (SIZE, SIZE)).astype(np.uint8)
    landmarks = random.uniform(0, SIZE, (68, 2))
    return crop, mask, landmarks, random.standard_normal(COEFFICIENTS)


@pytest.mark.parametrize("channels", [1, 3])
def test_written_face_is_found_and_read(tmp_path, channels):
    crop, mask, landmarks, coefficients = random_face()
    stored_mask = mask if channels == 1 else np.repeat(mask[..., np.newaxis], 3, axis=2)
    processed_faces.write_face(str(tmp_path), "a", crop, stored_mask, landmarks, coefficients)
    (face,) = find_faces(str(tmp_path)).faces
    sample = read_face(face)
    np.testing.assert_array_equal(sample.image, crop)
    np.testing.assert_array_equal(sample.attention, mask)
    np.testing.assert_array_equal(sample.landmarks, landmarks.astype(np.float32))
    np.testing.assert_array_equal(
        processed_faces.read_coefficients(str(tmp_path), "a", COEFFICIENTS),
        coefficients.astype(np.float32),
    )
    with Image.open(face.mask) as image:
        assert image.mode == "RGB"


def test_landmark_text_is_that_of_savetxt(tmp_path):
    crop, mask, landmarks, _ = random_face()
    landmarks[:3] = [[-1e-5, 1e4], [-12.34567, 0], [223.99996, 5e-5]]
    processed_faces.write_face(str(tmp_path), "a", crop, mask, landmarks)
    expected = io.BytesIO()
    np.savetxt(expected, landmarks)
    assert (tmp_path / "lm" / "a.txt").read_bytes() == expected.getvalue()
    np.testing.assert_array_equal(np.loadtxt(str(tmp_path / "lm" / "a.txt")), landmarks)


def test_without_coefficients_no_folder_is_made_for_them(tmp_path):
    processed_faces.write_face(str(tmp_path), "a", *random_face()[:3])
    assert sorted(os.listdir(str(tmp_path))) == ["a.png"] + processed_faces.written_folders()
    assert processed_faces.written_folders() == ["lm", "lm_bin", "mask"]
    assert processed_faces.written_folders(with_coefficients=True) == [
        "coeff",
        "lm",
        "lm_bin",
        "mask",
    ]


def test_names_may_be_as_long_as_file_names(tmp_path):
    name = 251 * "n"
    processed_faces.write_face(str(tmp_path), name, *random_face()[:3])
    assert processed_faces.is_whole(str(tmp_path), name)


@pytest.mark.parametrize("count", [None, COEFFICIENTS])
@pytest.mark.parametrize("damage", ["remove", "truncate", "empty", "pipe"])
def test_damaged_faces_are_not_whole(tmp_path, count, damage):
    folder, face = str(tmp_path), random_face()
    with_coefficients = count is not None
    for path in processed_faces.written_files(folder, "a", with_coefficients):
        processed_faces.write_face(folder, "a", *face)
        assert processed_faces.is_whole(folder, "a", count)
        if damage in ("remove", "pipe"):
            os.remove(path)
        if damage == "truncate":
            os.truncate(path, os.path.getsize(path) - 1)
        if damage == "empty":
            os.truncate(path, 0)
        if damage == "pipe":
            os.mkfifo(path)
        assert not processed_faces.is_whole(folder, "a", count)
        if os.path.lexists(path):
            os.remove(path)


def test_other_number_of_coefficients_is_not_whole(tmp_path):
    processed_faces.write_face(str(tmp_path), "a", *random_face())
    assert not processed_faces.is_whole(str(tmp_path), "a", COEFFICIENTS + 1)
    with pytest.raises(processed_faces.BrokenFace, match="a.bin: it does not hold 8 finite"):
        processed_faces.read_coefficients(str(tmp_path), "a", COEFFICIENTS + 1)


def test_reading_returns_the_written_face(tmp_path):
    image = np.random.RandomState(0).randint(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    landmarks = np.random.RandomState(1).uniform(0, SIZE, (68, 2))
    path = write_faces(tmp_path, 0)
    write_test_face(path, "a face", image, landmarks)
    sample = read_face(find_faces(path).faces[0])
    np.testing.assert_array_equal(sample.image, image)
    np.testing.assert_array_equal(sample.landmarks, landmarks.astype(np.float32))
    assert sample.attention[112, 112] == 255 and sample.attention[0, 0] == 0
    os.remove(os.path.join(path, "lm_bin", "a face.bin"))
    np.testing.assert_allclose(read_face(find_faces(path).faces[0]).landmarks, landmarks, atol=1e-4)


def test_incomplete_faces_are_left_out_with_a_reason(tmp_path):
    path = write_faces(tmp_path, 6)
    os.remove(os.path.join(path, "mask", "face_01.png"))
    os.truncate(os.path.join(path, "lm_bin", "face_02.bin"), 1000)
    os.truncate(os.path.join(path, "face_03.png"), 0)
    os.remove(os.path.join(path, "lm_bin", "face_04.bin"))
    os.remove(os.path.join(path, "lm", "face_04.txt"))
    (tmp_path / "README.md").write_text("not a face")
    found = find_faces(path)
    assert [face.name for face in found.faces] == ["face_00", "face_05"]
    reasons = dict(found.left_out)
    assert reasons["face_01"] == "no mask" and reasons["face_04"] == "no landmarks"
    assert "1000 bytes" in reasons["face_02"] and "empty" in reasons["face_03"]


def test_folders_without_faces_are_named(tmp_path):
    with pytest.raises(InputError, match="absent: cannot be read"):
        find_faces(str(tmp_path / "absent"))
    with pytest.raises(InputError, match="no training faces here"):
        find_faces(str(tmp_path))


def test_faces_of_people_lie_in_a_folder_for_each(tmp_path):
    random = np.random.RandomState(0)
    landmarks = random.uniform(0, 223, (68, 2))
    crop = random.randint(0, 256, (224, 224, 3)).astype(np.uint8)
    for name in ("anna/1", "anna/2", "bert/1"):
        processed_faces.write_face(str(tmp_path), name, crop, crop[..., 0], landmarks)
        assert processed_faces.is_whole(str(tmp_path), name)
    assert sorted(os.listdir(str(tmp_path / "anna"))) == ["1.png", "2.png", "lm", "lm_bin", "mask"]
    os.remove(str(tmp_path / "anna" / "mask" / "2.png"))
    folder = processed_faces.find_faces(str(tmp_path))
    assert [face.name for face in folder.faces] == ["anna/1", "bert/1"]
    assert folder.left_out == (("anna/2", "no mask"),)
    sample = processed_faces.read_face(folder.faces[1])
    np.testing.assert_array_equal(sample.image, crop)
    # the folder of one person is a folder of faces too
    assert len(processed_faces.find_faces(str(tmp_path / "bert")).faces) == 1
