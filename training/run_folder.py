"""The folder of a run, ``result/NAME``, which one process at a time writes into."""

import contextlib
import fcntl
import os
from typing import IO, Iterator

from training.options import TrainingOptions
from training.saver import finished_steps
from utils.errors import InputError
from utils.lock import require_own_folders

OPTIONS_FILE = "options.json"
SUMMARY_FOLDERS = ("summary",) + tuple(os.path.join("summary", side) for side in ("train", "val"))
_LOCK_FILE = ".lock"
# In place of the lock file, a link would cause another file to be locked, and a pipe would block.
_LOCK_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK


@contextlib.contextmanager
def locked_run_folder(options: TrainingOptions) -> Iterator[str]:
    """Make the folder of a run and hold it; yields its path.

    Args:
        options: options of the run.

    Raises:
        InputError: the folder cannot be made, another process trains there, or it holds checkpoints
            and the options do not include ``resume``.
    """
    # 1. Folder and lock file.
    path = os.path.join(options.result_path, plain_run_name(options.model_name))
    try:
        os.makedirs(path, exist_ok=True)
        lock = os.fdopen(os.open(os.path.join(path, _LOCK_FILE), _LOCK_FLAGS, 0o666), "wb")
    except OSError as error:
        raise InputError(
            "{}: cannot be written ({}); choose another --result_path".format(path, error.strerror)
        ) from None

    # 2. Checks under the lock.
    with lock:
        _lock(lock, path)
        require_own_folders(path, SUMMARY_FOLDERS)
        steps = finished_steps(path)
        if steps and not options.resume:
            raise InputError(
                "{}: holds a run of {} steps; continue it with --resume, or choose another "
                "--model_name".format(path, steps[-1])
            )
        yield path


def plain_run_name(name: str) -> str:
    """Return the name of a run without the ``./`` of the published examples.

    Args:
        name: ``--model_name``.

    Raises:
        InputError: the run's folder would not lie directly in the result folder.
    """
    plain = os.path.normpath(name)
    if os.path.basename(plain) != plain or plain == "." or os.pardir in name.split(os.sep):
        raise InputError("--model_name {!r}: must be a plain folder name".format(name))
    return plain


def _lock(file: IO[bytes], path: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when the process ends
    except OSError:
        raise InputError(
            "{}: another training run writes here; wait for it, or choose another "
            "--model_name".format(path)
        ) from None
