"""Checkpoints of a run: written atomically, the newest ones kept, the newest whole one restored.

A checkpoint consists of three files: ``iter_N.ckpt.data-00000-of-00001`` and ``iter_N.ckpt.index``
as TensorFlow writes them, and the record ``iter_N.json``, which holds the sizes of the other two.
The record is put in place last and removed first, so a checkpoint with a record is complete.

The file ``checkpoint`` beside them is TensorFlow's list of checkpoints, which
``tf.train.latest_checkpoint`` reads; it names complete ones only.
"""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from checkpoints.record import CHECKPOINT_EXTENSION, read_record, record_path
from checkpoints.variables import assign, read_variables
from utils.atomic import write_atomically
from utils.errors import InputError
from utils.json_files import write_json
from utils.tf_compat import tf

STATE_FILE = "checkpoint"
_RECORD_NAME = re.compile(r"iter_(\d+)\.json\Z")
_PARTIAL_PREFIX = ".partial-"


class CheckpointSaver:
    """Saves and restores the variables of the current graph.

    Args:
        folder: folder of the checkpoints.
        keep: number of checkpoints to keep.
        record: dict for JSON, written with each checkpoint.
    """

    def __init__(self, folder: str, keep: int, record: Dict[str, Any]) -> None:
        self._folder = folder
        self._keep = keep
        self._record = record
        self._variables = tf.global_variables()
        self._saver = tf.train.Saver(self._variables)

    def save(self, session: Any, step: int) -> str:
        """Write the checkpoint of ``step`` and remove the oldest ones.

        Returns:
            Its prefix, ``.../iter_N.ckpt``.

        Raises:
            InputError: the checkpoint cannot be written; older ones remain unchanged.
        """
        # 1. The checkpoints to keep and to remove.
        prefix = self.prefix(step)
        older = [other for other in finished_steps(self._folder) if other < step]
        surplus = max(0, len(older) + 1 - self._keep)

        # 2. The new checkpoint, first under a temporary name, and the list without surplus ones.
        try:
            _remove_partial(self._folder)
            temporary = tempfile.mkdtemp(prefix=_PARTIAL_PREFIX, dir=self._folder)
            try:
                self._saver.save(
                    session,
                    os.path.join(temporary, os.path.basename(prefix)),
                    write_meta_graph=False,
                    write_state=False,
                )
                self._put_in_place(temporary, prefix, step)
                self._write_state(older[surplus:] + [step])
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except (OSError, tf.errors.OpError) as error:
            raise InputError(
                "{}: the checkpoint cannot be written ({}); make room, then continue with "
                "--resume".format(prefix, describe_write_error(error))
            ) from None

        # 3. Surplus ones.
        for old in older[:surplus]:
            _remove(self.prefix(old))
        return prefix

    def prefix(self, step: int) -> str:
        """Return the prefix of the checkpoint of ``step``."""
        return os.path.join(self._folder, "iter_{}{}".format(step, CHECKPOINT_EXTENSION))

    def restore_newest(
        self, session: Any, check: Callable[[str], Any]
    ) -> Tuple[Optional[str], List[str]]:
        """Restore the newest checkpoint that is whole.

        Args:
            session: session with the variables.
            check: called with the prefix of a whole checkpoint; raises an InputError to refuse it.

        Returns:
            The prefix, or None if the folder has no checkpoint; and the reasons why newer
            checkpoints were passed over.

        Raises:
            InputError: ``check`` raised it, or no checkpoint of the folder can be used.
        """
        passed_over: List[str] = []
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
            raise InputError(
                "{}; no checkpoint of this run can be used, train under another "
                "--model_name".format(passed_over[0])
            )
        return None, passed_over

    def _read(self, prefix: str) -> Dict[str, np.ndarray]:
        return read_variables(prefix, {v.op.name: v.shape.as_list() for v in self._variables})

    def _put_in_place(self, temporary: str, prefix: str, step: int) -> None:
        """Move the files of a checkpoint into the folder, and write its record."""
        names = sorted(os.listdir(temporary))
        sizes = {name: os.path.getsize(os.path.join(temporary, name)) for name in names}
        with contextlib.suppress(FileNotFoundError):
            os.remove(record_path(prefix))  # of an earlier checkpoint of the same step
        for name in names:
            _flush_to_disk(os.path.join(temporary, name))
            os.replace(os.path.join(temporary, name), os.path.join(self._folder, name))
        _flush_to_disk(self._folder)
        write_json(record_path(prefix), dict(self._record, step=step, files=sizes))

    def _write_state(self, steps: Sequence[int]) -> None:
        """Write TensorFlow's list of checkpoints, ``steps`` from oldest to newest.

        Names are relative, so that the folder can be moved.
        """
        names = [os.path.basename(self.prefix(step)) for step in steps]
        lines = ['model_checkpoint_path: "{}"\n'.format(names[-1])]
        lines += ['all_model_checkpoint_paths: "{}"\n'.format(name) for name in names]
        write_atomically(os.path.join(self._folder, STATE_FILE), "".join(lines).encode("ascii"))


def finished_steps(folder: str) -> List[int]:
    """Return the steps of the checkpoints in a folder that have a record, ascending."""
    with contextlib.suppress(FileNotFoundError):
        matches = (_RECORD_NAME.match(name) for name in os.listdir(folder))
        return sorted(int(match.group(1)) for match in matches if match)
    return []


def _require_sizes(prefix: str) -> None:
    """Raise an InputError unless the files of a checkpoint have the sizes in its record."""
    files = (read_record(prefix) or {}).get("files")
    if not files:
        raise InputError("{}: not the record of a checkpoint".format(record_path(prefix)))
    for name, size in files.items():
        path = os.path.join(os.path.dirname(prefix), os.path.basename(name))
        if not os.path.isfile(path) or os.path.getsize(path) != size:
            raise InputError("{}: missing, or its size differs from its record".format(path))


def _remove(prefix: str) -> None:
    """Remove a checkpoint, its record first."""
    folder, base = os.path.split(prefix)
    os.remove(record_path(prefix))
    for name in os.listdir(folder):
        if name.startswith(base + "."):
            os.remove(os.path.join(folder, name))


def _remove_partial(folder: str) -> None:
    """Remove the temporary files of killed writers."""
    for name in os.listdir(folder):
        if name.startswith(_PARTIAL_PREFIX):
            path = os.path.join(folder, name)
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.remove(path)


def describe_write_error(error: Exception) -> str:
    """Return in a few words why a file could not be written.

    TensorFlow's exceptions contain the reason deep inside a long message.
    """
    full = os.strerror(errno.ENOSPC)
    if full in str(error):
        return full
    return getattr(error, "strerror", None) or type(error).__name__


def _flush_to_disk(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
