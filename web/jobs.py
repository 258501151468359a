"""A queue of jobs, run one at a time: a photo, or the photos of one person; nothing is kept."""

import collections
import os
import secrets
import shutil
import threading
import time
from typing import Any, Callable, Deque, Dict, Iterable, Optional, Sequence, Tuple

from utils.errors import InputError
from utils.photos import Photo

_SWEEP_SECONDS = 1.0  # between looks for jobs that have expired

# Takes the current activity, and its finished share 0..1, or None if that is unknown.
Progress = Callable[[str, Optional[float]], Any]
# Takes the photos, a folder for the results, and a function for the progress.
Work = Callable[[Sequence[Photo], str, Progress], Any]


class QueueFull(InputError):
    """Too many photos are waiting."""


class Job:
    """Photos that are reconstructed together, from their arrival to the deletion of the results.

    Args:
        folder: the folder of all jobs.
        names: names of the photos, for messages.

    Attributes:
        id: a secret name; whoever knows it may see the results.
        folder: folder of the results.
        photos: the photos; their files are there until the job ends.
        state: ``"waiting"``, ``"running"``, ``"done"`` or ``"failed"``.
        activity: the current step of a running job, in words.
        share: the finished share of that step, 0..1; None if it is unknown.
        message: the reason of a failure, or doubts about the result, one a line; "" without one.
    """

    def __init__(self, folder: str, names: Sequence[str]) -> None:
        self.id = secrets.token_urlsafe(16)
        self.folder = os.path.join(folder, self.id)
        paths = (os.path.join(self.uploads, "{:03d}".format(i)) for i in range(len(names)))
        self.photos = tuple(Photo(*pair) for pair in zip(paths, names))
        self.state = "waiting"
        self.activity = ""
        self.share: Optional[float] = None
        self.message = ""
        self.is_unwanted = False
        self.last_seen = time.monotonic()

    @property
    def uploads(self) -> str:
        """Folder of the uploaded photos; their formats are recognized by content."""
        return os.path.join(self.folder, "uploads")


class JobQueue:
    """Runs jobs one after the other in a thread.

    Args:
        work: reconstructs photos; returns doubts about the result, or None. It must call its
            progress function often, which raises an ``InputError`` to end it.
        folder: an existing folder, for photos and results.
        most_waiting: photos that may wait before a further job is refused.
        seconds_to_run: a job that takes longer for each of its photos is ended.
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

    def submit(self, photos: Sequence[Tuple[str, Any]]) -> Job:
        """Queue one photo, or the photos of one person.

        Args:
            photos: name and content (bytes or a view of them) of each.

        Raises:
            QueueFull: too many photos are waiting.
        """
        with self._changed:
            count = _count_photos(self._waiting)
            if count >= self._most_waiting:
                raise QueueFull("{} photos are waiting; try again later".format(count))
            job = Job(self._folder, [name for name, _ in photos])
            os.makedirs(job.uploads)
            for photo, (_, content) in zip(job.photos, photos):
                with open(photo.path, "wb") as file:
                    file.write(content)
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
        """Return the number of photos that come before a waiting job, the running ones included."""
        with self._changed:
            running = [other for other in self._jobs.values() if other.state == "running"]
            waiting = list(self._waiting)
            before = waiting[: waiting.index(job)] if job in waiting else []
            return _count_photos(running + before)

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
        # 1. a function that notes the progress, and ends the job
        start, seconds = time.monotonic(), self._seconds_to_run * len(job.photos)

        def note_progress(activity: str, share: Optional[float]) -> None:
            job.activity, job.share = activity, share
            if job.is_unwanted:
                raise InputError("not wanted any more")
            if time.monotonic() - start > seconds:
                raise InputError(
                    "it takes longer than {:.0f} seconds; give fewer or smaller photos".format(
                        seconds
                    )
                )

        # 2. the work; messages name the photos as the visitor does
        state, message = "done", ""
        try:
            message = self._work(job.photos, job.folder, note_progress) or ""
        except InputError as error:
            state, message = "failed", str(error)
        except Exception as error:  # one photo fails, the page lives on
            state, message = "failed", "an unexpected error ({})".format(type(error).__name__)
        for photo in job.photos:
            message = message.replace(photo.path, photo.name)

        # 3. the outcome, without the photos
        with self._changed:
            shutil.rmtree(job.folder if job.is_unwanted else job.uploads, ignore_errors=True)
            job.state, job.message, job.last_seen = state, message, time.monotonic()

    def _remove_expired(self) -> None:
        for job in list(self._jobs.values()):
            patience = self._seconds_to_keep * (0.1 if job.state == "waiting" else 1.0)
            if job.state != "running" and time.monotonic() - job.last_seen > patience:
                self.remove(job)


def _count_photos(jobs: Iterable[Job]) -> int:
    return sum(len(job.photos) for job in jobs)
