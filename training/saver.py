"""Checkpoints of a run: written whole or not at all, the newest few kept, the newest good one found.

A checkpoint is three files: ``iter_N.ckpt.data-00000-of-00001`` and ``iter_N.ckpt.index`` as
TensorFlow writes them, and the record ``iter_N.json``, which knows the sizes of the other two. The
record is put in place last and removed first, so a checkpoint with a record is a whole one.
"""

import contextlib
import errno
import os
import re
import shutil
import tempfile

from checkpoints.record import CHECKPOINT_EXTENSION, read_record, record_path
from checkpoints.variables import assign, read_variables
from utils.errors import InputError
from utils.json_files import write_json
from utils.tf_compat import tf

_RECORD_NAME = re.compile(r"iter_(\d+)\.json\Z")
_PARTIAL_PREFIX = ".partial-"


class CheckpointSaver:
    """Saves and restores the variables of the current graph.

    Args:
        folder: where the checkpoints go.
        keep: how many are kept.
        record: dict for JSON, written with each checkpoint.
    """

    def __init__(self, folder, keep, record):
        self._folder, self._keep, self._record = folder, keep, record
        self._variables = tf.global_variables()
        self._saver = tf.train.Saver(self._variables)

    def save(self, session, step):
        """Write the checkpoint of ``step`` and remove the oldest ones.

        Returns:
            Its prefix, ``.../iter_N.ckpt``.

        Raises:
            InputError: it cannot be written; older checkpoints are as they were.
        """
        prefix = self.prefix(step)
        try:
            _remove_partial(self._folder)
            temporary = tempfile.mkdtemp(prefix=_PARTIAL_PREFIX, dir=self._folder)
            try:
                self._saver.save(session, os.path.join(temporary, os.path.basename(prefix)),
                                 write_meta_graph=False, write_state=False)
                self._put_in_place(temporary, prefix, step)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except (OSError, tf.errors.OpError) as error:
            raise InputError("{}: the checkpoint cannot be written ({}); make room, then go on with --resume".format(
                prefix, write_fault(error))) from None
        older = [other for other in finished_steps(self._folder) if other < step]
        for old in older[:max(0, len(older) + 1 - self._keep)]:
            _remove(self.prefix(old))
        return prefix

    def prefix(self, step):
        """Return the prefix of the checkpoint of ``step``."""
        return os.path.join(self._folder, "iter_{}{}".format(step, CHECKPOINT_EXTENSION))

    def restore_newest(self, session, check):
        """Restore the newest checkpoint that is whole.

        Args:
            session: a session with the variables.
            check: called with the prefix of a whole checkpoint; raises an InputError to refuse it.

        Returns:
            (prefix or None if there is none, reasons why newer ones were passed over).

        Raises:
            InputError: from ``check``, or because there are checkpoints and none can be used.
        """
        passed_over = []
        for step in reversed(finished_steps(self._folder)):
            prefix = self.prefix(step)
            try:
                _require_sizes(prefix)
            except InputError as error:
                passed_over.append(str(error))
                continue
            check(prefix)
            try:
                values = self._read(prefix)
            except InputError as error:
                passed_over.append(str(error))
                continue
            assign(session, self._variables, values)
            return prefix, passed_over
        if passed_over:
            raise InputError("{}; no checkpoint of this run can be used, train under another --model_name".format(
                passed_over[0]))
        return None, passed_over

    def _read(self, prefix):
        return read_variables(
            prefix, {v.op.name: v.shape.as_list() for v in self._variables})

    def _put_in_place(self, temporary, prefix, step):
        names = sorted(os.listdir(temporary))
        sizes = {name: os.path.getsize(os.path.join(temporary, name)) for name in names}
        with contextlib.suppress(FileNotFoundError):
            os.remove(record_path(prefix))  # of an earlier checkpoint of the same step, now to be replaced
        for name in names:
            _flush_to_disk(os.path.join(temporary, name))
            os.replace(os.path.join(temporary, name), os.path.join(self._folder, name))
        _flush_to_disk(self._folder)
        write_json(record_path(prefix), dict(self._record, step=step, files=sizes))


def finished_steps(folder):
    """Return the steps of the checkpoints in a folder, ascending; those that have their record."""
    with contextlib.suppress(FileNotFoundError):
        matches = (_RECORD_NAME.match(name) for name in os.listdir(folder))
        return sorted(int(match.group(1)) for match in matches if match)
    return []


def _require_sizes(prefix):
    """Raise an InputError unless the files of a checkpoint have the sizes that its record names."""
    files = (read_record(prefix) or {}).get("files")
    if not files:
        raise InputError("{}: not the record of a checkpoint".format(record_path(prefix)))
    for name, size in files.items():
        path = os.path.join(os.path.dirname(prefix), os.path.basename(name))
        if not os.path.isfile(path) or os.path.getsize(path) != size:
            raise InputError("{}: missing, or not of the size that its record names".format(path))


def _remove(prefix):
    """Remove a checkpoint, its record first."""
    folder, base = os.path.split(prefix)
    os.remove(record_path(prefix))
    for name in os.listdir(folder):
        if name.startswith(base + "."):
            os.remove(os.path.join(folder, name))


def _remove_partial(folder):
    """Remove what a killed writer left behind."""
    for name in os.listdir(folder):
        if name.startswith(_PARTIAL_PREFIX):
            path = os.path.join(folder, name)
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.remove(path)


def write_fault(error):
    """Return why a file could not be written, in a few words; TensorFlow tells it deep in a long message."""
    full = os.strerror(errno.ENOSPC)
    return full if full in str(error) else getattr(error, "strerror", None) or type(error).__name__


def _flush_to_disk(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
