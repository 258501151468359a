"""The number of photos in memory at once."""

import collections
import time
from concurrent import futures

import numpy as np

from reconstruction import look_ahead
from utils import scheduler
from utils.photos import Photo

Face = collections.namedtuple("Face", "photo")


def faces(*sides):
    return [Face(np.broadcast_to(np.uint8(0), (side, side, 3))) for side in sides]


def test_batches_end_with_their_size():
    assert [len(batch) for batch in look_ahead.iterate_batches(faces(*[10] * 7), 3)] == [3, 3, 1]
    assert list(look_ahead.iterate_batches([], 3)) == []


def test_batches_of_large_photos_are_small():
    assert [
        len(batch) for batch in look_ahead.iterate_batches(faces(5000, 5000, 5000, 5000, 100), 8)
    ] == [3, 2]


def test_faces_of_one_photo_count_its_pixels_once():
    assert [len(batch) for batch in look_ahead.iterate_batches(faces(7000) * 12, 8)] == [8, 4]


def test_batches_end_with_work_units_whichever_photos_show_no_face(monkeypatch):
    monkeypatch.setattr(scheduler, "UNIT_SIZE", 4)
    photos = [Photo("{}.png".format(number), str(number)) for number in range(10)]
    located = collections.namedtuple("Located", "photo photo_path")
    found = [located(np.zeros((9, 9, 3), np.uint8), photos[i].path) for i in (0, 2, 3, 4, 5, 6, 9)]
    together = list(look_ahead.iterate_unit_batches(found, photos, 2))
    assert [[face.photo_path[0] for face in batch] for batch in together] == [
        ["0", "2"],
        ["3"],
        ["4", "5"],
        ["6"],
        ["9"],
    ]
    apart = [
        look_ahead.iterate_unit_batches(found[i:j], photos[4 * n : 4 * n + 4], 2)
        for n, (i, j) in enumerate(((0, 3), (3, 6), (6, 7)))
    ]
    assert sum(map(list, apart), []) == together


def run_ahead(monkeypatch, sides, limit):
    """Return the number of later photos already located when each photo is requested."""
    monkeypatch.setattr(look_ahead, "_PIXELS_TOGETHER", limit)
    looked_at, ahead = [], []

    def locate(photo):
        looked_at.append(photo)
        return faces(sides[int(photo.name)])

    photos = [Photo("", str(number)) for number in range(len(sides))]
    with futures.ThreadPoolExecutor(max_workers=1) as executor:
        for photo, future in look_ahead.iterate_ahead(executor, locate, photos):
            future.result()
            time.sleep(0.05)  # lets location run ahead
            ahead.append(len(looked_at) - 1 - int(photo.name))
    assert looked_at == photos
    return ahead


def test_several_photos_are_looked_at_ahead(monkeypatch):
    ahead = run_ahead(monkeypatch, [10] * 12, 10**6)
    assert max(ahead) == look_ahead._PHOTOS_AHEAD and ahead[-1] == 0


def test_few_large_photos_are_looked_at_ahead(monkeypatch):
    ahead = run_ahead(monkeypatch, [100] * 6 + [10] * 6, 15000)
    assert max(ahead[:4]) == 2 and max(ahead) > 2


def test_stopping_early_leaves_nobody_waiting(monkeypatch):
    """The executor's end would hang if its worker still waited."""
    monkeypatch.setattr(look_ahead, "_PIXELS_TOGETHER", 1)
    with futures.ThreadPoolExecutor(max_workers=1) as executor:
        photos = [Photo("", str(number)) for number in range(5)]
        ahead = look_ahead.iterate_ahead(executor, lambda photo: faces(10), photos)
        next(ahead)[1].result()
        ahead.close()
