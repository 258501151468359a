"""Folders with one writer at a time."""

import contextlib
import fcntl
import os
from typing import Iterator, Sequence

from utils.atomic import remove_partial_files
from utils.errors import InputError
from utils.photos import Photo


@contextlib.contextmanager
def folder_lock(folder: str) -> Iterator[None]:
    """Hold an exclusive lock on a folder; it leaves no file behind and ends with the process.

    Args:
        folder: path, made if missing.

    Raises:
        InputError: another process holds the lock, or the folder cannot be made or written into.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError(
            "{}: cannot be used as an output folder ({})".format(folder, error.strerror)
        ) from None
    try:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(
                "{}: may not be written into; check its permissions or choose another "
                "folder".format(folder)
            )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "{}: another run is writing here; wait for it or choose another folder".format(
                    folder
                )
            ) from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def output_folder(
    folder: str, parts: Sequence[str] = (), photos: Sequence[Photo] = ()
) -> Iterator[None]:
    """Hold an output folder as :func:`folder_lock` does, and remove files of killed writers.

    Args:
        folder: path, made if missing.
        parts: names of its subfolders that will be written into. A link in place of one is
            refused: it may have been copied with foreign data, and would let files be written
            elsewhere.
        photos: photos to be read. Results are named after photos, and would replace a photo that
            lies in the folder.

    Raises:
        InputError: another process holds the folder, it cannot be made or written into, one of
            ``parts`` is a link or a file, or a photo lies in the folder.
    """
    for part in ("",) + tuple(parts):
        _require_no_photo(os.path.join(folder, part), photos)
    with folder_lock(folder):
        require_own_folders(folder, parts)
        for part in ("",) + tuple(parts):
            remove_partial_files(os.path.join(folder, part))
        yield


def _require_no_photo(folder: str, photos: Sequence[Photo]) -> None:
    folder = os.path.realpath(folder)
    for photo in photos:
        # The photo itself, or the target of a link.
        places = (
            os.path.realpath(os.path.dirname(photo.path)),
            os.path.dirname(os.path.realpath(photo.path)),
        )
        if folder in places:
            raise InputError(
                "{}: lies in the output folder, where results could replace it; choose another "
                "output folder".format(photo.path)
            )


def require_own_folders(folder: str, parts: Sequence[str]) -> None:
    """Refuse a folder some of whose subfolders are links or files.

    Args:
        folder: path.
        parts: names of its subfolders; missing ones are accepted.

    Raises:
        InputError: one of ``parts`` is a link or a file.
    """
    for path in (os.path.join(folder, part) for part in parts):
        if os.path.islink(path) or (os.path.lexists(path) and not os.path.isdir(path)):
            raise InputError(
                "{}: is not a folder of its own but a link or a file; remove it, or choose another "
                "output folder".format(path)
            )
