"""One writer at a time in a folder."""

import contextlib
import fcntl
import os

from workspace.errors import InputError


@contextlib.contextmanager
def folder_lock(folder):
    """Hold an exclusive lock on a folder; it leaves no file behind and dies with the process.

    Args:
        folder: made if missing.

    Raises:
        InputError: another process holds it, or the folder cannot be made.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError("{}: cannot be used as an output folder ({})".format(folder, error.strerror)) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError("{}: another run is writing here; wait for it or choose another folder".format(
                folder)) from None
        yield
    finally:
        os.close(descriptor)
