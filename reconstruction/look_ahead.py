"""Bounds of the photos in memory: how far detection runs ahead, and how large batches are."""

import collections
import itertools
import threading
from concurrent import futures
from typing import Callable, Deque, Dict, Iterable, Iterator, List, Sequence, Tuple

from reconstruction.face import LocatedFace
from utils.photos import Photo
from utils.scheduler import divide

# Faces on the page of demo.py or the contact sheet of renderer.py, which are kept until the end.
SHOWN_FACES = 100
_PHOTOS_AHEAD = 8  # photos prefetched: detection runs ahead of reconstruction
# Pixels of the photos ahead, and of a batch: 180 MB each. A single photo may be larger.
_PIXELS_TOGETHER = 60 * 10**6

_LocatedPhoto = Tuple[Photo, "futures.Future[List[LocatedFace]]"]


def iterate_ahead(
    executor: futures.Executor,
    locate: Callable[[Photo], List[LocatedFace]],
    photos: Sequence[Photo],
) -> Iterator[_LocatedPhoto]:
    """Yield each photo with the future of ``locate(photo)``, while later photos are in progress.

    Args:
        executor: an executor with one worker. It starts the next photo when the pixels of those
            waiting are below the limit.
        locate: callable returning the faces of a photo.
        photos: the photos.
    """
    pending: Deque[_LocatedPhoto] = collections.deque()
    waiting: Dict[Photo, int] = {}  # pixels of each photo that is not taken yet
    changed = threading.Condition()

    def locate_when_there_is_room(photo: Photo) -> List[LocatedFace]:
        with changed:
            changed.wait_for(lambda: sum(waiting.values()) <= _PIXELS_TOGETHER)
        faces = locate(photo)
        with changed:
            if photo in waiting:
                waiting[photo] = _pixel_count(faces[0])
        return faces

    def take() -> _LocatedPhoto:
        photo, future = pending.popleft()
        with changed:
            del waiting[photo]
            changed.notify()
        return photo, future

    try:
        for photo in photos:
            waiting[photo] = 0
            pending.append((photo, executor.submit(locate_when_there_is_room, photo)))
            if len(pending) > _PHOTOS_AHEAD:
                yield take()
        while pending:
            yield take()
    finally:
        for _, future in pending:
            future.cancel()
        with changed:
            waiting.clear()
            changed.notify()


def iterate_batches(faces: Iterable[LocatedFace], size: int) -> Iterator[List[LocatedFace]]:
    """Yield lists of up to ``size`` faces, fewer where their photos are large."""
    batch: List[LocatedFace] = []
    pixels = 0
    for face in faces:
        if not batch or face.photo is not batch[-1].photo:
            pixels += _pixel_count(face)
        batch.append(face)
        if len(batch) == size or pixels >= _PIXELS_TOGETHER:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def iterate_unit_batches(
    faces: Iterable[LocatedFace], photos: Sequence[Photo], size: int
) -> Iterator[List[LocatedFace]]:
    """Yield batches as :func:`iterate_batches` does, none with photos of two work units.

    The last bits of a face depend on the size of its batch. So they are the same wherever the
    units are computed, and whichever photos of other units show no face.

    Args:
        faces: the faces of ``photos``, in their order.
        photos: all photos of a command, or those of one unit.
        size: most faces in a batch.
    """
    units = {
        photo.path: number for number, unit in enumerate(divide(photos, size)) for photo in unit
    }
    for _, group in itertools.groupby(faces, lambda face: units[face.photo_path]):
        yield from iterate_batches(group, size)


def _pixel_count(face: LocatedFace) -> int:
    return face.photo.shape[0] * face.photo.shape[1]
