import os

import numpy as np
import pytest
from PIL import Image

from dataset.face_stream import FaceStream, build_batch_queue
from dataset.processed_faces import BrokenFace, find_faces, read_face
from tests.training_data import SIZE, write_faces
from utils.tf_compat import tf


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("faces"), 5)


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


@pytest.mark.parametrize(
    "damage",
    [damage_by_truncation, damage_by_size, damage_the_mask, damage_a_landmark, damage_by_removal],
)
def test_face_that_breaks_during_a_run_is_named_and_replaced(tmp_path, damage):
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


def test_each_epoch_has_every_face_once_in_a_new_order(folder):
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
def test_queue_follows_the_stream_from_any_position(folder, threads):
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
                    np.testing.assert_allclose(
                        batch.attention[row, ..., 0] * 255, sample.attention, atol=1e-4
                    )
                    np.testing.assert_array_equal(batch.landmarks[row], sample.landmarks)
                    assert batch.indices[row] == index


def test_stream_fails_with_a_reason_if_nothing_can_be_read(tmp_path):
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
