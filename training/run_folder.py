"""The folder of a run, ``result/NAME``, and the rule that one process writes into it."""

import contextlib
import fcntl
import os

from training.saver import finished_steps
from utils.errors import InputError
from utils.lock import require_own_folders

OPTIONS_FILE = "options.json"
SUMMARY_FOLDERS = ("summary",) + tuple(os.path.join("summary", side) for side in ("train", "val"))
_LOCK_FILE = ".lock"
# A link in its place would have another file made or locked, and a pipe would be waited for.
_LOCK_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK


@contextlib.contextmanager
def locked_run_folder(options):
    """Make the folder of a run and hold it; yields its path.

    Args:
        options: ``training.options.TrainingOptions``.

    Raises:
        InputError: it cannot be made, another process trains there, or it holds checkpoints and the
            options do not say to resume.
    """
    if os.path.basename(options.model_name) != options.model_name or options.model_name in ("", ".", ".."):
        raise InputError("--model_name {!r}: must be a plain folder name".format(options.model_name))
    path = os.path.join(options.result_path, options.model_name)
    try:
        os.makedirs(path, exist_ok=True)
        lock = os.fdopen(os.open(os.path.join(path, _LOCK_FILE), _LOCK_FLAGS, 0o666), "wb")
    except OSError as error:
        raise InputError("{}: cannot be written ({}); choose another --result_path".format(
            path, error.strerror)) from None
    with lock:
        _lock(lock, path)
        require_own_folders(path, SUMMARY_FOLDERS)
        steps = finished_steps(path)
        if steps and not options.resume:
            raise InputError("{}: holds a run of {} steps; continue it with --resume, or choose another "
                             "--model_name".format(path, steps[-1]))
        yield path


def _lock(file, path):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however that ends
    except OSError:
        raise InputError("{}: another training run writes here; wait for it, or choose another "
                         "--model_name".format(path)) from None
