"""How many photos are in memory at once."""

import collections
from concurrent import futures

import numpy as np
from PIL import Image

import face_pipeline
from workspace.photos import Photo

Face = collections.namedtuple("Face", "photo")


def faces(*sides):
    return [Face(np.broadcast_to(np.uint8(0), (side, side, 3))) for side in sides]


def test_batches_end_with_their_size():
    assert [len(batch) for batch in face_pipeline.batches(faces(*[10] * 7), 3)] == [3, 3, 1]
    assert list(face_pipeline.batches([], 3)) == []


def test_batches_of_large_photos_are_small():
    assert [len(batch) for batch in face_pipeline.batches(faces(5000, 5000, 5000, 5000, 100), 8)] == [3, 2]


def test_faces_of_one_photo_count_its_pixels_once():
    assert [len(batch) for batch in face_pipeline.batches(faces(7000) * 12, 8)] == [8, 4]


def test_few_large_photos_are_looked_at_ahead(tmp_path, monkeypatch):
    monkeypatch.setattr(face_pipeline, "_PIXELS_TOGETHER", 2 * 64 * 64)
    started = []
    photos = [Photo(str(tmp_path / "{}.png".format(i)), str(i)) for i in range(12)]
    for i, photo in enumerate(photos):
        Image.new("L", (64, 64) if i < 5 else (32, 32)).save(photo.path)
    with futures.ThreadPoolExecutor(max_workers=1) as executor:
        ahead = []
        for photo, future in face_pipeline._ahead(executor, started.append, photos):
            ahead.append(len(started) - int(photo.name))
            future.result()
    assert [photo.name for photo in started] == [photo.name for photo in photos]
    assert max(ahead[:3]) <= 2 and max(ahead) <= face_pipeline._PHOTOS_AHEAD
