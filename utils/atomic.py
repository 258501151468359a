"""Files that exist either whole or not at all."""

import contextlib
import glob
import os
import tempfile

_PREFIX = ".partial-"


@contextlib.contextmanager
def atomic_path(path):
    """Yield a temporary path beside ``path``; move it into place if the block succeeds.

    The temporary name keeps the extension, because writers such as Pillow choose the format
    by it. On an exception the temporary file is removed and ``path`` stays as it was.

    Args:
        path: the final file name; its folder is created if missing.
    """
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(
        prefix=_PREFIX, suffix=os.path.splitext(path)[1], dir=folder)
    os.close(descriptor)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes files private
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise


def write_atomically(path, content):
    """Write bytes to ``path``, whose folder exists, as :func:`atomic_path` does; for many small files.

    The temporary name is made of the process and the name instead of being searched for, hence
    threads of one process must not write the same file at the same time.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, "{}{}-{}".format(_PREFIX, os.getpid(), name))
    try:
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise


def remove_partial_files(folder):
    """Remove what killed writers of :func:`atomic_path` left in a folder.

    Only for a folder that this process alone writes into (see ``utils.lock``).
    """
    for path in glob.glob(os.path.join(glob.escape(folder), _PREFIX + "*")):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
