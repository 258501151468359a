"""A queue of photos, reconstructed one at a time; results are deleted soon."""

import collections
import os
import secrets
import shutil
import threading
import time
from typing import Any, Callable, Deque, Dict, Optional

from utils.errors import InputError

_SWEEP_SECONDS = 1.0  # between looks for jobs that have expired

# Takes the path of a photo, a folder for the results, and a callable taking the finished steps.
Work = Callable[[str, str, Callable[[int], Any]], Any]


class QueueFull(InputError):
    """Too many photos are waiting."""


class Job:
    """One photo, from its arrival to the deletion of its results.

    Attributes:
        id: a secret name; whoever knows it may see the results.
        folder: folder of the results, and of the photo while the job is waiting.
        state: ``"waiting"``, ``"running"``, ``"done"`` or ``"failed"``.
        step: finished steps of fitting.
        message: the reason of a failure, or a doubt about the result; "" without one.
    """

    def __init__(self, folder: str) -> None:
        self.id = secrets.token_urlsafe(16)
        self.folder = os.path.join(folder, self.id)
        self.state = "waiting"
        self.step = 0
        self.message = ""
        self.is_unwanted = False
        self.last_seen = time.monotonic()

    @property
    def photo_path(self) -> str:
        """Path of the uploaded photo; its format is recognized by content."""
        return os.path.join(self.folder, "upload")


class JobQueue:
    """Runs jobs one after the other in a thread.

    Args:
        work: reconstructs a photo; returns a doubt about the result, or None. It must call its
            progress function often, which raises an ``InputError`` to end it.
        folder: an existing folder, for photos and results.
        most_waiting: photos that may wait.
        seconds_to_run: a job that takes longer is ended.
        seconds_to_keep: results are deleted if nobody asks for them for so long, and waiting
            photos likewise after a tenth of it.
    """

    def __init__(
        self,
        work: Work,
        folder: str,
        most_waiting: int = 8,
        seconds_to_run: float = 180.0,
        seconds_to_keep: float = 900.0,
    ) -> None:
        self._work = work
        self._folder = folder
        self._most_waiting = most_waiting
        self._seconds_to_run = seconds_to_run
        self._seconds_to_keep = seconds_to_keep
        self._jobs: Dict[str, Job] = {}
        self._waiting: Deque[Job] = collections.deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="faces", daemon=True)
        self._thread.start()

    def submit(self, photo: bytes) -> Job:
        """Queue a photo.

        Raises:
            QueueFull: too many photos are waiting.
        """
        with self._changed:
            if len(self._waiting) >= self._most_waiting:
                raise QueueFull("{} photos are waiting; try again later".format(self._most_waiting))
            job = Job(self._folder)
            os.makedirs(job.folder)
            with open(job.photo_path, "wb") as file:
                file.write(photo)
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._changed.notify()
            return job

    def find(self, name: str) -> Optional[Job]:
        """Return the job of that id, and note that somebody asks for it; None if it is gone."""
        with self._changed:
            job = self._jobs.get(name)
            if job:
                job.last_seen = time.monotonic()
            return job

    def count_before(self, job: Job) -> int:
        """Return the number of photos that come before a waiting one, the running one included."""
        with self._changed:
            running = any(other.state == "running" for other in self._jobs.values())
            return (list(self._waiting).index(job) if job in self._waiting else 0) + running

    def remove(self, job: Job) -> None:
        """Delete a job with its files; a running one ends at its next step."""
        with self._changed:
            job.is_unwanted = True
            self._jobs.pop(job.id, None)
            if job in self._waiting:
                self._waiting.remove(job)
            if job.state != "running":
                shutil.rmtree(job.folder, ignore_errors=True)

    def close(self) -> None:
        """End the running job, wait for it, and delete everything."""
        with self._changed:
            self._is_closed = True
            for job in list(self._jobs.values()):
                self.remove(job)
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed, _SWEEP_SECONDS)
                if self._is_closed:
                    return
                self._remove_expired()
                if not self._waiting:
                    continue
                job = self._waiting.popleft()
                job.state = "running"
            self._finish(job)

    def _finish(self, job: Job) -> None:
        """Run one job."""
        start = time.monotonic()

        def note_progress(step: int) -> None:
            job.step = step
            if job.is_unwanted:
                raise InputError("not wanted any more")
            if time.monotonic() - start > self._seconds_to_run:
                raise InputError(
                    "it takes longer than {:.0f} seconds; give a smaller photo".format(
                        self._seconds_to_run
                    )
                )

        state, message = "done", ""
        try:
            message = self._work(job.photo_path, job.folder, note_progress) or ""
        except InputError as error:
            state, message = "failed", str(error).replace(job.photo_path, "this file")
        except Exception as error:  # one photo fails, the page lives on
            state, message = "failed", "an unexpected error ({})".format(type(error).__name__)
        with self._changed:
            job.state, job.message, job.last_seen = state, message, time.monotonic()
            if job.is_unwanted:
                shutil.rmtree(job.folder, ignore_errors=True)
            elif os.path.exists(job.photo_path):
                os.remove(job.photo_path)

    def _remove_expired(self) -> None:
        for job in list(self._jobs.values()):
            patience = self._seconds_to_keep * (0.1 if job.state == "waiting" else 1.0)
            if job.state != "running" and time.monotonic() - job.last_seen > patience:
                self.remove(job)
