"""Files that exist either whole or not at all."""

import contextlib
import glob
import os
import tempfile
from typing import Iterator

PARTIAL_PREFIX = ".partial-"  # of temporary files


@contextlib.contextmanager
def atomic_path(path: str) -> Iterator[str]:
    """Yield a temporary path beside ``path``; move it into place if the block succeeds.

    The temporary name keeps the extension, because writers such as Pillow choose the format
    by it. On an exception the temporary file is removed and ``path`` stays as it was.

    Args:
        path: final file name; its folder is created if missing.
    """
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(
        prefix=PARTIAL_PREFIX, suffix=os.path.splitext(path)[1], dir=folder
    )
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


def write_atomically(path: str, content: bytes) -> None:
    """Write bytes to ``path`` as :func:`atomic_path` does."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(content)


def remove_partial_files(folder: str) -> None:
    """Remove temporary files of killed writers from a folder.

    The caller must hold the folder (see ``utils.lock``): the files of a running writer look alike.
    """
    for path in glob.glob(os.path.join(glob.escape(folder), PARTIAL_PREFIX + "*")):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
