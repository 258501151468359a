"""One writer at a time in a folder."""

import contextlib
import fcntl
import os

from utils.atomic import remove_partial_files
from utils.errors import InputError


@contextlib.contextmanager
def folder_lock(folder):
    """Hold an exclusive lock on a folder; it leaves no file behind and dies with the process.

    Args:
        folder: made if missing.

    Raises:
        InputError: another process holds it, or the folder cannot be made or written into.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError("{}: cannot be used as an output folder ({})".format(folder, error.strerror)) from None
    try:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError("{}: may not be written into; check its permissions or choose another folder".format(
                folder))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError("{}: another run is writing here; wait for it or choose another folder".format(
                folder)) from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def output_folder(folder, parts=(), photos=()):
    """Hold an output folder as :func:`folder_lock` does, without what killed writers left half-written.

    Args:
        folder: made if missing.
        parts: names of the folders in it that will be written into. A link in the place of one is refused: it
            may have come with somebody's data, and would let files be written elsewhere.
        photos: list of ``utils.photos.Photo`` to be read. Results bear the names of photos, and would
            replace one that lies in the folder.

    Raises:
        InputError: as :func:`folder_lock`, or one of ``parts`` is a link or a file, or a photo lies in the folder.
    """
    _require_no_photo(folder, photos)
    with folder_lock(folder):
        require_own_folders(folder, parts)
        for part in ("",) + tuple(parts):
            remove_partial_files(os.path.join(folder, part))
        yield


def _require_no_photo(folder, photos):
    folder = os.path.realpath(folder)
    for photo in photos:
        if folder in (os.path.realpath(os.path.dirname(photo.path)), os.path.dirname(os.path.realpath(photo.path))):
            raise InputError("{}: lies in the output folder, where results could replace it; choose another output "
                             "folder".format(photo.path))


def require_own_folders(folder, parts):
    """Raise an InputError if a link or a file is in the place of a folder in ``folder``; arguments as above."""
    for path in (os.path.join(folder, part) for part in parts):
        if os.path.islink(path) or os.path.lexists(path) and not os.path.isdir(path):
            raise InputError("{}: is not a folder of its own but a link or a file; remove it, or choose another "
                             "output folder".format(path))
