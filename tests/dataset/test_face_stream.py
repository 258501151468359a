import os

import numpy as np
import pytest
from PIL import Image

from dataset import augmentation
from dataset.augmentation import Augmentation, Sample
from dataset.face_stream import FaceStream, build_batch_queue
from dataset.processed_faces import BrokenFace, find_faces, read_face
from tests.training_data import SIZE, write_face, write_faces
from utils.errors import InputError
from utils.tf_compat import tf

# iBUG 68, counted from 1: what a mirror makes of a few that everybody knows.
MIRRORED = {1: 17, 9: 9, 18: 27, 28: 28, 31: 31, 32: 36, 37: 46, 40: 43, 41: 48, 42: 47, 49: 55, 52: 52, 58: 58,
            59: 57, 60: 56, 61: 65, 66: 68, 67: 67}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("faces"), 5)


def dotted(row, column):
    """A sample with one bright blob, marked by landmark 0 and shown by the mask."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    blob = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8.0)
    image = np.repeat(np.uint8(200 * blob)[..., None], 3, axis=2)
    landmarks = np.full((68, 2), [column, SIZE - 1 - row], np.float32)
    return Sample(image, np.uint8(255 * blob), landmarks)


def center_of_mass(image):
    weights = image.astype(np.float64)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("scale, shift", [(1.0, (0.0, 0.0)), (1.08, (-7.3, 4.6)), (0.92, (9.0, -10.0))])
def test_landmarks_and_mask_follow_the_pixels(flip, scale, shift):
    change = Augmentation(flip, scale, shift, 1.0, (1.0, 1.0, 1.0))
    sample = augmentation.augment(dotted(70, 140), change)
    x, y = sample.landmarks[0]
    for pixels in (sample.image[..., 1], sample.attention):
        np.testing.assert_allclose(center_of_mass(pixels), [x, SIZE - 1 - y], atol=0.05)


def test_a_move_by_whole_pixels_is_exact(folder):
    sample = read_face(find_faces(folder).faces[0])
    moved = augmentation.move(sample, 1.0, (3, -2))
    np.testing.assert_array_equal(moved.image[:-2, 3:], sample.image[2:, :-3])
    assert not moved.image[:, :3].any() and not moved.attention[-2:].any()
    np.testing.assert_allclose(moved.landmarks, sample.landmarks + [3, 2], atol=1e-4)


def test_mirroring_swaps_what_is_left_and_right():
    order = augmentation.mirrored_landmarks()
    assert sorted(order) == list(range(68))
    assert {number: order[number - 1] + 1 for number in MIRRORED} == MIRRORED


def test_mirroring_twice_changes_nothing(folder):
    sample = read_face(find_faces(folder).faces[0])
    for before, after in zip(sample, augmentation.flip(augmentation.flip(sample))):
        np.testing.assert_allclose(before, after, atol=1e-4)


def test_colours_change_as_asked():
    sample = dotted(70, 140)._replace(image=np.full((SIZE, SIZE, 3), (100, 150, 200), np.uint8))
    changed = augmentation.jitter_colors(sample, 0.5, (1.0, 2.0, 1.0))
    np.testing.assert_array_equal(changed.image[0, 0], [114, 255, 164])


def test_drawn_parameters_stay_in_their_ranges():
    draws = [augmentation.sample_augmentation(np.random.RandomState(seed)) for seed in range(300)]
    assert 100 < sum(draw.flip for draw in draws) < 200
    assert 0.92 <= min(d.scale for d in draws) < 0.94 and 1.06 < max(d.scale for d in draws) <= 1.08
    assert 9 < np.abs([d.shift for d in draws]).max() <= 10
    assert 0.8 < np.min([d.gain for d in draws]) < 0.85 and 1.15 < np.max([d.gain for d in draws]) < 1.21


def test_a_face_is_read_as_it_was_written(folder, tmp_path):
    image = np.random.RandomState(0).randint(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    landmarks = np.random.RandomState(1).uniform(0, SIZE, (68, 2))
    path = write_faces(tmp_path, 0)
    write_face(path, "a face", image, landmarks)
    sample = read_face(find_faces(path).faces[0])
    np.testing.assert_array_equal(sample.image, image)
    np.testing.assert_array_equal(sample.landmarks, landmarks.astype(np.float32))
    assert sample.attention[112, 112] == 255 and sample.attention[0, 0] == 0
    os.remove(os.path.join(path, "lm_bin", "a face.bin"))
    np.testing.assert_allclose(read_face(find_faces(path).faces[0]).landmarks, landmarks, atol=1e-4)


def test_what_cannot_be_whole_is_left_out_with_a_reason(tmp_path):
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


def damage_by_truncation(path):
    os.truncate(os.path.join(path, "face_02.png"), 500)


def damage_by_size(path):
    Image.new("RGB", (SIZE, SIZE - 1)).save(os.path.join(path, "face_02.png"))


def damage_the_mask(path):
    with open(os.path.join(path, "mask", "face_02.png"), "wb") as file:
        file.write(b"not a picture")


def damage_a_landmark(path):
    values = np.full(136, 50.0)
    values[77] = np.nan
    values.tofile(os.path.join(path, "lm_bin", "face_02.bin"))


def damage_by_removal(path):
    os.remove(os.path.join(path, "face_02.png"))


@pytest.mark.parametrize("damage", [damage_by_truncation, damage_by_size, damage_the_mask, damage_a_landmark,
                                    damage_by_removal])
def test_a_face_that_breaks_on_the_way_is_named_and_replaced(tmp_path, damage):
    path = write_faces(tmp_path, 4)
    stream = FaceStream(find_faces(path), seed=3, augmented=False)
    before = [stream.sample(position)[1] for position in range(8)]
    damage(path)
    after = [stream.sample(position)[1] for position in range(8)]
    assert [a for a, b in zip(after, before) if b != 2] == [b for b in before if b != 2]
    assert 2 in before and 2 not in after
    assert list(stream.broken) == ["face_02"]
    errors = stream.pop_errors()
    assert len(errors) == 1 and "face_02" in errors[0] and not stream.pop_errors()
    with pytest.raises(BrokenFace, match="face_02"):
        read_face(stream.folder.faces[2])


def test_every_epoch_has_every_face_once_in_its_own_order(folder):
    faces = find_faces(folder)
    stream = FaceStream(faces, seed=7, augmented=False)
    epochs = [[stream.sample(5 * epoch + place)[1] for place in range(5)] for epoch in range(6)]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 2
    again = FaceStream(faces, seed=7, augmented=False)
    assert [again.sample(position)[1] for position in range(30)] == sum(epochs, [])
    other = FaceStream(faces, seed=8, augmented=False)
    assert [other.sample(position)[1] for position in range(30)] != sum(epochs, [])


@pytest.mark.parametrize("threads", [1, 4])
def test_the_queue_follows_the_stream_from_any_position(folder, threads):
    stream = FaceStream(find_faces(folder), seed=1, augmented=True)
    with tf.Graph().as_default():
        queue = build_batch_queue(stream, 3, threads)
        with tf.Session() as session:
            session.run(queue.initializer, {queue.first: 6})
            for start in (6, 9, 12):
                batch = session.run(queue.batch)
                for row, position in enumerate(range(start, start + 3)):
                    sample, index = stream.sample(position)
                    np.testing.assert_array_equal(batch.photos[row], sample.image[..., ::-1])
                    np.testing.assert_allclose(batch.attention[row, ..., 0] * 255, sample.attention, atol=1e-4)
                    np.testing.assert_array_equal(batch.landmarks[row], sample.landmarks)
                    assert batch.indices[row] == index


def test_the_stream_ends_with_a_reason_when_nothing_can_be_read(tmp_path):
    path = write_faces(tmp_path, 3)
    stream = FaceStream(find_faces(path), seed=1, augmented=False)
    for name in os.listdir(path):
        if name.endswith(".png"):
            os.remove(os.path.join(path, name))
    with tf.Graph().as_default():
        queue = build_batch_queue(stream, 2)
        with tf.Session() as session:
            session.run(queue.initializer, {queue.first: 0})
            with pytest.raises(tf.errors.OpError):
                session.run(queue.batch)
    assert "none of its 3 faces can be read" in str(stream.failure) and len(stream.broken) == 3
