"""preprocess_img.py: its files, its errors, and its resumption after a kill."""

import concurrent.futures
import contextlib
import functools
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import preprocess_img
from alignment import detect, locate
from alignment.align import align, photo_to_crop
from alignment.dlib_landmarks import LandmarkPredictor
from alignment.five_points import diagnose_five_points, estimate_yaw_and_roll
from alignment.landmark_confidence import landmark_confidence
from alignment.landmark_network import LandmarkNetwork
from alignment.skin import skin_mask
from dataset.processed_faces import is_whole, written_files
from geometry.landmark_layout import INNER_LANDMARKS, STANDARD_POINTS_3D
from utils import photos as photo_files
from utils.errors import InputError
from utils.paths import REPO_ROOT
from utils.photos import read_photo
from utils.tf_compat import tf

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


@pytest.mark.slow
@pytest.mark.any_tensorflow
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
@pytest.mark.slow
@pytest.mark.any_tensorflow
@pytest.mark.parametrize("seed", range(int(os.environ.get("KILLS", "2"))))
def test_killed_and_resumed_run_gives_the_same_bytes(undisturbed, photos, tmp_path, seed):
    folder = str(tmp_path)
    kill_amid(command(photos, folder), folder, random.Random(seed))
    for name in ("face{}".format(i) for i in range(8)):
        if is_whole(folder, name):
            Image.open(written_files(folder, name)[3]).verify()
    assert run(photos, folder, "--check", os.path.join(folder, "check.png")).returncode == 0
    assert digest(folder) == digest(undisturbed[0])


@pytest.mark.slow
@pytest.mark.any_tensorflow
def test_half_written_photos_are_repeated(undisturbed, photos, tmp_path):
    folder = str(tmp_path / "data")
    shutil.copytree(undisturbed[0], folder)
    os.remove(written_files(folder, "face1")[1])
    (tmp_path / "data" / ".partial-left.png").write_bytes(b"half")
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
        InputError, match="needs a predictor of the 68 landmarks.*pip install dlib-bin"
    ):
        preprocess_img.main(one_photo + ["--detector", "dlib"])
    assert not (tmp_path / "data").exists()


def test_missing_detector_is_named_once(one_photo, monkeypatch, tmp_path):
    monkeypatch.setattr(LandmarkPredictor, "available", staticmethod(lambda: True))
    monkeypatch.setattr(detect, "is_installed", lambda module: module != "dlib")
    with pytest.raises(InputError, match="detector dlib is not installed"):
        preprocess_img.main(one_photo + ["--detector", "dlib"])
    assert not (tmp_path / "data").exists()


@pytest.fixture()
def in_process(monkeypatch):
    """Preprocess in a thread of this process, so that tests can replace parts of it."""
    monkeypatch.setattr(
        preprocess_img, "_executor", lambda workers: concurrent.futures.ThreadPoolExecutor(1)
    )
    preprocess_img._preprocessor.cache_clear()
    yield
    preprocess_img._preprocessor.cache_clear()


def preprocess(source, folder, *flags):
    """Run the command in this process; returns its status."""
    return preprocess_img.main(
        ["--img_path", str(source), "--save_path", str(folder), "--quiet"] + list(flags)
    )


@pytest.fixture()
def two_photos(photos, tmp_path, in_process):
    """(folder of two photos, folder of their data), both preprocessed, the data newer."""
    source, folder = tmp_path / "photos", tmp_path / "data"
    source.mkdir()
    for name in ("face0", "face1"):
        for extension in (".png", ".txt"):
            shutil.copy(os.path.join(photos, name + extension), str(source))
    assert preprocess(source, folder) == 0
    return source, folder


def touch(path, reference, nanoseconds):
    """Set the time of a file to that of another one plus some nanoseconds."""
    time_ns = os.stat(str(reference)).st_mtime_ns + nanoseconds
    os.utime(str(path), ns=(time_ns, time_ns))


def oldest_file(folder, name):
    return min(written_files(str(folder), name), key=lambda path: os.stat(path).st_mtime_ns)


def test_photo_or_points_newer_than_the_data_are_done_again(two_photos, capsys):
    source, folder = two_photos
    before = digest(str(folder))
    oldest = oldest_file(folder, "face0")
    for changed in ("face0.png", "face0.txt"):
        touch(source / changed, oldest, 0)  # not newer
        assert preprocess(source, folder) == 0
        assert "0 photos preprocessed" in capsys.readouterr().out
        touch(source / changed, oldest, 1)  # a nanosecond newer
        assert preprocess(source, folder) == 0
        assert "1 photo preprocessed" in capsys.readouterr().out
        touch(source / changed, oldest, -(10**9))
    assert digest(str(folder)) == before

    np.savetxt(str(source / "face1.txt"), np.array(FIVE_POINTS) - [1, 0])
    touch(source / "face1.txt", oldest_file(folder, "face1"), 10**9)
    assert preprocess(source, folder) == 0
    assert "1 photo preprocessed" in capsys.readouterr().out
    after = digest(str(folder))
    assert {name for name in after if after[name] != before[name]} == {
        os.path.relpath(path, str(folder)) for path in written_files(str(folder), "face1")
    }


def test_data_of_an_earlier_version_of_a_bad_photo_is_removed(two_photos, capsys):
    source, folder = two_photos
    (source / "face0.png").write_bytes(b"not a photo any more")
    touch(source / "face0.png", oldest_file(folder, "face0"), 1)
    assert preprocess(source, folder) == 0
    said = capsys.readouterr()
    assert "0 photos preprocessed, 1 skipped" in said.out and "1 were done before" in said.out
    assert not any(os.path.exists(path) for path in written_files(str(folder), "face0"))
    assert is_whole(str(folder), "face1")


def test_overwrite_repeats_everything(two_photos, capsys):
    source, folder = two_photos
    before = digest(str(folder))
    times = [os.stat(path).st_mtime_ns for path in written_files(str(folder), "face1")]
    assert preprocess(source, folder, "--overwrite") == 0
    assert "2 photos preprocessed in" in capsys.readouterr().out
    assert digest(str(folder)) == before
    again = [os.stat(path).st_mtime_ns for path in written_files(str(folder), "face1")]
    assert all(new > old for new, old in zip(again, times))


def test_portrait_is_used_if_input_is_empty(tmp_path, monkeypatch, capsys):
    pytest.importorskip("skimage")
    taken = []
    monkeypatch.setattr(
        preprocess_img, "_work", lambda photos, arguments, report: taken.extend(photos)
    )
    monkeypatch.setattr(LandmarkPredictor, "available", staticmethod(lambda: True))
    for module in (preprocess_img, photo_files):
        monkeypatch.setattr(module, "INPUT_DIR", str(tmp_path / "input"))
    (tmp_path / "input").mkdir()
    preprocess_img.main(["--save_path", str(tmp_path / "data"), "--quiet"])
    assert [photo.name for photo in taken] == ["astronaut"]
    assert "no photos here yet; using the public-domain portrait" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="other: no photos here"):
        preprocess(tmp_path / "other", tmp_path / "data")


PROFILE_YAW = 70.0  # degrees


def profile_points():
    """Return five points of a face in profile, in a photo of 320 pixels."""
    angle = np.radians(PROFILE_YAW)
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    x, y, _ = (STANDARD_POINTS_3D.dot(turn.T) * 80).T
    return np.stack([160 + x, 160 - y], axis=1)


def landmarks_with(five_points):
    """Return 68 points whose five are given."""
    points = np.tile(five_points.mean(axis=0), (68, 1))
    for index, five in ((36, 0), (39, 0), (42, 1), (45, 1), (30, 2), (48, 3), (54, 4)):
        points[index] = five_points[five]
    return points


@pytest.fixture()
def profile(tmp_path, in_process, monkeypatch):
    """A photo of a profile with its five points, and a function that installs a network for it.

    The network gives perfect labels, after an operation of choice.
    """
    random, five_points = np.random.RandomState(0), profile_points()
    photo = random.randint(0, 256, (320, 320, 3)).astype(np.uint8)
    (tmp_path / "photos").mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(photo).save(str(tmp_path / "photos" / (name + ".png")))
        np.savetxt(str(tmp_path / "photos" / (name + ".txt")), five_points)
    trans_params = align(photo, five_points).trans_params
    labels = photo_to_crop(landmarks_with(five_points), trans_params)[:, ::-1].astype(np.float32)

    def install(change=tf.identity):
        with tf.Graph().as_default() as graph:
            images = tf.placeholder(tf.float32, [None, 224, 224, 3], name="input_imgs")
            zeros = 0.0 * tf.reduce_mean(images, [1, 2, 3])[:, tf.newaxis, tf.newaxis]
            tf.identity(change(labels[np.newaxis] + zeros), name="landmark")
            path = tmp_path / "landmark68_detector.pb"
            path.write_bytes(graph.as_graph_def().SerializeToString())
        for module in (locate, preprocess_img):
            monkeypatch.setattr(module, "LANDMARK_NETWORK", str(path))
        monkeypatch.setattr(
            locate, "LandmarkNetwork", functools.partial(LandmarkNetwork, str(path))
        )
        return tmp_path / "photos", tmp_path / "data"

    return install


def test_labels_of_the_landmark_network_are_kept_in_profile(profile, capsys):
    five_points = profile_points()
    assert diagnose_five_points(five_points, 320, 320) is None
    yaw, _ = estimate_yaw_and_roll(five_points)
    hidden = landmark_confidence(landmarks_with(five_points), five_points, yaw)
    assert hidden[INNER_LANDMARKS].mean() < 0.7  # by visibility alone, of a predictor in 2-D
    source, folder = profile()
    assert preprocess(source, folder) == 0
    assert "3 photos preprocessed in" in capsys.readouterr().out
    found = np.fromfile(written_files(str(folder), "a")[1], "<f8").reshape(68, 2)
    expected = photo_to_crop(
        landmarks_with(five_points),
        align(read_photo(str(source / "a.png")), five_points).trans_params,
    )
    np.testing.assert_allclose(found, [[x, 223 - y] for x, y in expected], atol=1e-3)


def test_labels_of_the_landmark_network_that_disagree_are_dropped(profile, capsys):
    source, folder = profile(lambda labels: labels + 40.0)
    assert preprocess(source, folder) == 1
    assert capsys.readouterr().err.count("its 68 landmarks disagree") == 3
    assert preprocess(source, folder, "--keep_uncertain") == 0


def test_landmark_network_with_foreign_operations_is_one_error(profile):
    source, folder = profile(lambda labels: tf.real(tf.cast(labels, tf.complex64)))
    with pytest.raises(
        InputError, match=r"landmark68_detector.pb: refused.*\(Real\).*--trust_graph"
    ):
        preprocess(source, folder)
    assert not os.path.exists(str(folder / "a.png")) and not (folder / "skipped.txt").exists()
    assert preprocess(source, folder, "--trust_graph") == 0
    assert is_whole(str(folder), "c")


def test_unusable_landmark_network_is_one_error_and_removes_nothing(profile):
    source, folder = profile()
    assert preprocess(source, folder) == 0
    before = digest(str(folder))
    preprocess_img._preprocessor.cache_clear()
    profile(lambda labels: labels * np.float32(np.nan))
    with pytest.raises(InputError, match="landmark68_detector.pb: .*plausible numbers"):
        preprocess(source, folder, "--overwrite")
    assert digest(str(folder)) == before


def test_error_of_a_worker_is_the_error_of_the_command(tmp_path):
    """The exception survives the way from a worker process."""
    settings = (str(tmp_path), "dlib", False, False)
    with preprocess_img._executor(1) as executor:
        future = executor.submit(_fail_like_the_check, settings)
        with pytest.raises(InputError, match="cannot be used"):
            future.result()


def _fail_like_the_check(settings):
    raise InputError("network.pb: cannot be used")


def test_second_writer_is_refused(photos, tmp_path):
    import fcntl

    descriptor = os.open(str(tmp_path), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    process = run(photos, str(tmp_path))
    os.close(descriptor)
    assert process.returncode == 1 and "another run is writing here" in process.stderr
    assert os.listdir(str(tmp_path)) == []
