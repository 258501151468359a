"""The folder of a run, ``result/NAME``, and the rule that one process writes into it."""

import contextlib
import fcntl
import os

from training.saver import finished_steps
from workspace.errors import InputError

OPTIONS_FILE = "options.json"
_LOCK_FILE = ".lock"


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
        lock = open(os.path.join(path, _LOCK_FILE), "w")
    except OSError as error:
        raise InputError("{}: cannot be written ({}); choose another --result_path".format(
            path, error.strerror)) from None
    with lock:
        _lock(lock, path)
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
