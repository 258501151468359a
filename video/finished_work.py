"""Finished work on a clip, kept beside its output, so that a stopped run goes on where it was.

A run that is repeated asks the networks the same questions in the same order. Their answers are
kept in files, in that order, and so are the pieces of the overlay video that are encoded; a later
run reads them instead of computing them, and gets the same bytes. All files appear whole, in the
hidden folder ``.unfinished-NAME``, which goes when the clip is done.
"""

import glob
import hashlib
import json
import os
import shutil
import time
import zipfile
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np

from utils.atomic import atomic_path, remove_partial_files
from utils.errors import InputError
from utils.json_files import read_json_object, write_json
from utils.lock import require_own_folders
from utils.numpy_files import read_npz

FOLDER_PREFIX = ".unfinished-"
_SAVE_SECONDS = 5.0  # of work that a killed process loses at most, about
_KEY_FILE = "clip.json"


class FinishedWork:
    """The steps and pieces of one clip that are finished.

    Attributes:
        is_continued: whether there was finished work at the start.
        is_replaying: whether the next step may be finished already.

    Args:
        folder: the output folder, which the caller holds (see ``utils.lock``); None to keep
            nothing.
        name: stem of the clip's output files.
        settings: everything the results depend on, JSON values; work under others is removed.

    Raises:
        InputError: the hidden folder is a link or a file.
    """

    def __init__(
        self,
        folder: Optional[str] = None,
        name: str = "",
        settings: Optional[Dict[str, Any]] = None,
    ) -> None:
        # 1. the folder, if it is of the same clip and settings
        self._folder = ""
        if folder is not None:
            self._folder = os.path.join(folder, FOLDER_PREFIX + name)
            require_own_folders(folder, [FOLDER_PREFIX + name])
            text = json.dumps(settings, sort_keys=True)
            self._key = {"settings": hashlib.sha256(text.encode("utf-8")).hexdigest()}
            if read_json_object(os.path.join(self._folder, _KEY_FILE)) != self._key:
                self.remove()
            remove_partial_files(self._folder)

        # 2. the steps in it
        self._waiting: Dict[str, np.ndarray] = {}  # finished, not yet in a file
        self._waiting_count = 0
        self._saved = time.monotonic()
        self._file_count = 0  # read or written
        self._known: List[List[np.ndarray]] = []  # of the file that is being read, last step first
        self._known_names: List[str] = []
        self.is_replaying = bool(self._folder)
        if self._folder:
            self._read_next_file()
        self.is_continued = self.is_replaying or self.count_pieces() > 0

    def recall(self, name: str, compute: Callable[[], Sequence[Any]]) -> List[np.ndarray]:
        """Return the arrays of the next step, computed unless an earlier run has finished it.

        Args:
            name: of the kind of step.
            compute: callable that returns the arrays.

        Raises:
            InputError: the finished work is that of another step.
        """
        # 1. a finished step
        if self.is_replaying:
            values, known = self._known.pop(), self._known_names.pop()
            if known != name:
                raise InputError(
                    "{}: does not fit this clip; remove this folder".format(self._folder)
                )
            if not self._known:
                self._read_next_file()
            return values

        # 2. a new one
        values = [np.asarray(value) for value in compute()]
        if not self._folder:
            return values
        for i, value in enumerate(values):
            self._waiting["{}-{}-{}".format(self._waiting_count, name, i)] = value
        self._waiting_count += 1
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self.save()
        return values

    def save(self) -> None:
        """Write the new steps into a file."""
        if self._waiting:
            self._write("steps-{:06d}.npz".format(self._file_count), self._waiting)
            self._file_count += 1
            self._waiting, self._waiting_count = {}, 0
        self._saved = time.monotonic()

    def count_pieces(self) -> int:
        """Return the number of finished pieces from the first on."""
        count = 0
        while zipfile.is_zipfile(self._piece_path(count)):  # and not cut off
            count += 1
        return count

    def write_piece(self, number: int, piece: Dict[str, np.ndarray]) -> None:
        """Keep a piece, numbered from 0, by the names of its arrays."""
        self.save()
        self._write(os.path.basename(self._piece_path(number)), piece)

    def read_piece(self, number: int) -> Dict[str, np.ndarray]:
        """Return a piece.

        Raises:
            InputError: its file is damaged.
        """
        return read_npz(self._piece_path(number))

    def remove(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _piece_path(self, number: int) -> str:
        return os.path.join(self._folder, "piece-{:06d}.npz".format(number))

    def _write(self, name: str, arrays: Dict[str, np.ndarray]) -> None:
        key_path = os.path.join(self._folder, _KEY_FILE)
        if not os.path.isfile(key_path):
            write_json(key_path, self._key)
        with atomic_path(os.path.join(self._folder, name)) as temporary:
            with open(temporary, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())

    def _read_next_file(self) -> None:
        """Read the steps of the next file; none are left if it is missing or damaged."""
        path = os.path.join(self._folder, "steps-{:06d}.npz".format(self._file_count))
        try:
            arrays = read_npz(path)
        except InputError:
            self.is_replaying = False
            self._remove_files_from(self._file_count)
            return
        steps: Dict[int, List[np.ndarray]] = {}
        names: Dict[int, str] = {}
        for key in sorted(arrays, key=_step_and_place):
            step, name, _ = key.split("-")
            steps.setdefault(int(step), []).append(arrays[key])
            names[int(step)] = name
        order = sorted(steps, reverse=True)
        self._known = [steps[step] for step in order]
        self._known_names = [names[step] for step in order]
        self._file_count += 1

    def _remove_files_from(self, number: int) -> None:
        """Remove the files of steps behind a damaged or missing one."""
        for path in glob.glob(os.path.join(glob.escape(self._folder), "steps-*.npz")):
            if os.path.basename(path) >= "steps-{:06d}.npz".format(number):
                os.remove(path)


def _step_and_place(key: str) -> List[int]:
    step, _, place = key.split("-")
    return [int(step), int(place)]
