import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dataset.cached_stream import CachedFaceStream, build_cached_batch_queue, shrink_photos
from dataset.face_cache import open_face_cache
from dataset.photo_jitter import PhotoJitter
from dataset.processed_faces import find_faces, read_face
from tests.training_data import write_faces
from training.options import TrainingOptions, learning_rate_at
from utils.errors import InputError
from utils.lock import folder_lock
from utils.paths import REPO_ROOT
from utils.tf_compat import tf

COEFFICIENTS = 9


def write_truth(folder, seed=0):
    os.makedirs(os.path.join(folder, "coeff"), exist_ok=True)
    random = np.random.RandomState(seed)
    for face in find_faces(folder).faces:
        random.standard_normal(COEFFICIENTS).astype("<f4").tofile(
            os.path.join(folder, "coeff", face.name + ".bin")
        )


@pytest.fixture
def folder(tmp_path):
    path = write_faces(tmp_path / "faces", 5)
    write_truth(path)
    return path


def test_arrays_equal_the_files(folder, tmp_path):
    faces = find_faces(folder)
    for _ in ("made", "found"):
        cache = open_face_cache(faces, COEFFICIENTS, str(tmp_path))
        assert cache.folder.faces == faces.faces and len(cache.images) == 5
        for index, face in enumerate(faces.faces):
            sample = read_face(face)
            np.testing.assert_array_equal(cache.images[index], sample.image)
            np.testing.assert_array_equal(cache.landmarks[index], sample.landmarks)
            path = os.path.join(folder, "coeff", face.name + ".bin")
            np.testing.assert_array_equal(cache.coefficients[index], np.fromfile(path, "<f4"))
    assert isinstance(cache.images, np.memmap)


def cached_folders(path):
    return sorted(name for name in os.listdir(str(path)) if name.startswith("faces-"))


def test_changed_faces_give_new_arrays(folder, tmp_path):
    open_face_cache(find_faces(folder), COEFFICIENTS, str(tmp_path))
    before = cached_folders(tmp_path)
    write_truth(folder, seed=1)
    cache = open_face_cache(find_faces(folder), COEFFICIENTS, str(tmp_path))
    path = os.path.join(folder, "coeff", cache.folder.faces[2].name + ".bin")
    np.testing.assert_array_equal(cache.coefficients[2], np.fromfile(path, "<f4"))
    assert (
        len(before) == 1
        and len(cached_folders(tmp_path)) == 1
        and cached_folders(tmp_path) != before
    )


@pytest.mark.parametrize("name", ["images", "landmarks", "coefficients", "kept"])
@pytest.mark.parametrize(
    "damage", ["missing", "cut off", "of another shape", "of another type", "a file instead"]
)
def test_damaged_arrays_are_rebuilt(folder, tmp_path, name, damage):
    open_face_cache(find_faces(folder), COEFFICIENTS, str(tmp_path))
    place = tmp_path / cached_folders(tmp_path)[0]
    path = str(place / (name + ".npy"))
    array = np.load(path, allow_pickle=False)
    if damage == "missing":
        os.remove(path)
    elif damage == "cut off":
        os.truncate(path, os.path.getsize(path) - 1)
    elif damage == "a file instead":
        shutil.rmtree(str(place))
        place.write_text("x")
    else:
        np.save(path, array[:-1] if damage == "of another shape" else array.astype(np.float64))
    cache = open_face_cache(find_faces(folder), COEFFICIENTS, str(tmp_path))
    assert len(cache.folder.faces) == 5 and cached_folders(tmp_path) == [place.name]
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), array)


def test_broken_face_is_left_out(folder, tmp_path):
    with open(find_faces(folder).faces[1].image, "wb") as file:
        file.write(b"no picture")
    cache = open_face_cache(find_faces(folder), COEFFICIENTS, str(tmp_path))
    assert [face.name for face in cache.folder.faces] == [
        "face_00",
        "face_02",
        "face_03",
        "face_04",
    ]
    assert (
        cache.rows.tolist() == [0, 2, 3, 4] and len(cache.landmarks) == len(cache.coefficients) == 4
    )
    assert [name for name, _ in cache.folder.left_out] == ["face_01"]


def test_broken_face_leaves_pictures_memory_mapped(folder, tmp_path):
    with open(find_faces(folder).faces[1].image, "wb") as file:
        file.write(b"no picture")
    cache = open_face_cache(find_faces(folder), COEFFICIENTS, str(tmp_path))
    # The pictures are mapped with the broken one, not copied without it.
    assert isinstance(cache.images, np.memmap) and len(cache.images) == 5
    batch = CachedFaceStream(cache, 0, augmented=False).batch(0, 4)
    assert sorted(batch.indices) == [0, 1, 2, 3]
    for photo, landmarks, index, coefficients in zip(*batch):
        face = cache.folder.faces[index]
        np.testing.assert_array_equal(photo[..., ::-1], read_face(face).image)
        np.testing.assert_array_equal(landmarks, read_face(face).landmarks)
        path = os.path.join(folder, "coeff", face.name + ".bin")
        np.testing.assert_array_equal(coefficients, np.fromfile(path, "<f4"))


def test_missing_and_unfit_coefficients_are_named(folder, tmp_path):
    with pytest.raises(InputError, match="face_00.bin: holds 36 bytes instead of 10 coefficients"):
        open_face_cache(find_faces(folder), COEFFICIENTS + 1, str(tmp_path))
    os.remove(os.path.join(folder, "coeff", "face_03.bin"))
    with pytest.raises(InputError, match="face_03.bin: missing.*python -m synthesis"):
        open_face_cache(find_faces(folder), COEFFICIENTS, str(tmp_path))


def test_killed_writer_leaves_no_arrays(folder, tmp_path):
    script = (
        "import os, signal, sys\n"
        "from dataset import face_cache\n"
        "from dataset.processed_faces import find_faces\n"
        "read = face_cache.read_face\n"
        "def kill(face):\n"
        "    if face.name == 'face_03': os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return read(face)\n"
        "face_cache.read_face = kill\n"
        "face_cache.open_face_cache(find_faces(sys.argv[1]), 9, sys.argv[2])\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script, folder, str(tmp_path / "cache")], cwd=REPO_ROOT
    )
    assert process.returncode == -signal.SIGKILL
    assert cached_folders(tmp_path / "cache") == []
    living = tmp_path / "cache" / ".partial-faces-living"
    living.mkdir()
    with folder_lock(str(living)):
        open_face_cache(find_faces(folder), COEFFICIENTS, str(tmp_path / "cache"))
        partial = [
            name for name in os.listdir(str(tmp_path / "cache")) if name.startswith(".partial-")
        ]
    assert partial == [living.name]  # only the killed writer's folder is removed
    cache = open_face_cache(find_faces(folder), COEFFICIENTS, str(tmp_path / "cache"))
    np.testing.assert_array_equal(cache.images[4], read_face(find_faces(folder).faces[4]).image)


def test_stream_depends_on_seed_and_position_only(folder, tmp_path):
    cache = open_face_cache(find_faces(folder), COEFFICIENTS, str(tmp_path))
    first, second = (CachedFaceStream(cache, 3, True, 112) for _ in range(2))
    first.batch(0, 4)
    for mine, other in zip(first.batch(4, 4), second.batch(4, 4)):  # across the end of an epoch
        np.testing.assert_array_equal(mine, other)
    plain = CachedFaceStream(cache, 3, False).batch(0, 5)
    assert sorted(plain.indices) == list(range(5))
    np.testing.assert_array_equal(plain.photos, cache.images[plain.indices][..., ::-1])
    np.testing.assert_array_equal(plain.coefficients, cache.coefficients[plain.indices])


def test_queue_keeps_the_order_of_batches(folder, tmp_path):
    stream = CachedFaceStream(
        open_face_cache(find_faces(folder), COEFFICIENTS, str(tmp_path)), 0, True, 56
    )
    with tf.Graph().as_default(), tf.Session() as session:
        queue = build_cached_batch_queue(stream, 2)
        session.run(queue.initializer, {queue.first: 6})
        batches = [session.run(queue.batch) for _ in range(3)]
    for number, batch in enumerate(batches):
        for mine, expected in zip(batch, stream.batch(6 + 2 * number, 2)):
            np.testing.assert_array_equal(mine, expected)


def test_shrinking_agrees_with_pillow():
    photos = np.random.RandomState(0).randint(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    for size in (56, 112, 224):
        expected = [
            np.asarray(Image.fromarray(photo).resize((size, size), Image.BOX)) for photo in photos
        ]
        assert np.abs(shrink_photos(photos, size).astype(int) - expected).max() <= 1


def test_jitter_stays_in_range_and_is_repeatable():
    photos = np.random.RandomState(0).randint(0, 256, (6, 56, 56, 3)).astype(np.uint8)
    before = photos.copy()
    first, again = (PhotoJitter().apply(np.random.RandomState(7), photos) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(photos, before)
    assert first.dtype == np.float32 and first.min() >= 0 and first.max() <= 255
    assert all(np.abs(mine - photo).mean() > 1 for mine, photo in zip(first, photos))


def test_cool_down_schedule_rises_stays_and_falls():
    options = TrainingOptions(
        schedule="cool_down", learning_rate=1.0, warm_up=10, cool_down=20, steps=100
    )
    rates = [learning_rate_at(step, options) for step in range(100)]
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10.0)
    assert rates[10:81] == [1.0] * 71
    assert np.all(np.diff(rates[80:]) < 0) and 0 < rates[-1] < 0.01
    longer = options._replace(steps=200)
    assert rates[:80] == [learning_rate_at(step, longer) for step in range(80)]
    assert [learning_rate_at(s, TrainingOptions()) for s in (0, 100000, 100001)] == [
        1e-4,
        1e-4,
        2e-5,
    ]
