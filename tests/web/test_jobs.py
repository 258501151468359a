"""The queue of photos: one at a time, with limits, and nothing kept."""

import os
import threading
import time

import pytest

from utils.errors import InputError
from web.jobs import JobQueue, QueueFull

PATIENCE = 60  # seconds, on a busy machine


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.01)


def submit(queue, *contents):
    return queue.submit([("{}.jpg".format(i + 1), photo) for i, photo in enumerate(contents)])


class Work:
    """Copies the photos to a result, once it is allowed to; counts how many run at once."""

    def __init__(self):
        self.may_end, self.running, self.most = threading.Event(), 0, 0

    def __call__(self, photos, folder, progress):
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            while not self.may_end.wait(0.01):
                progress("copying", 0.5)
            content = b""
            for photo in photos:
                with open(photo.path, "rb") as file:
                    content += file.read()
            with open(os.path.join(folder, "result"), "wb") as file:
                file.write(content)
            if content == b"bad":
                raise InputError("{}: is no photo".format(photos[0].path))
            if content == b"worse":
                raise ZeroDivisionError()
            return "{}: doubt".format(photos[-1].path) if content.endswith(b"dark") else None
        finally:
            self.running -= 1


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def queue(work, tmp_path):
    queue = JobQueue(work, str(tmp_path), most_waiting=2)
    yield queue
    queue.close()
    assert os.listdir(str(tmp_path)) == []


def test_photos_are_reconstructed_one_at_a_time_in_their_order(queue, work):
    jobs = [submit(queue, b"first")]
    wait_for(lambda: jobs[0].state == "running" and jobs[0].share == 0.5)
    assert jobs[0].activity == "copying"
    jobs += [submit(queue, b"second"), submit(queue, b"dark")]
    assert [queue.count_before(job) for job in jobs[1:]] == [1, 2]
    with pytest.raises(QueueFull, match="2 photos are waiting"):
        submit(queue, b"fourth")
    work.may_end.set()
    wait_for(lambda: all(job.state == "done" for job in jobs))
    assert work.most == 1 and [job.message for job in jobs] == ["", "", "1.jpg: doubt"]
    assert os.listdir(jobs[1].folder) == ["result"]  # the photo itself is gone


def test_photos_of_one_person_are_one_job_and_count_one_by_one(queue, work):
    running = submit(queue, b"one", b"two", b"dark")
    wait_for(lambda: running.state == "running")
    waiting = submit(queue, b"more", b"photos")
    assert queue.count_before(waiting) == 3
    with pytest.raises(QueueFull, match="2 photos are waiting"):
        submit(queue, b"late")
    work.may_end.set()
    wait_for(lambda: running.state == "done")
    with open(os.path.join(running.folder, "result"), "rb") as file:
        assert file.read() == b"onetwodark"
    assert running.message == "3.jpg: doubt" and os.listdir(running.folder) == ["result"]


@pytest.mark.parametrize(
    "photo, message",
    [(b"bad", "1.jpg: is no photo"), (b"worse", "an unexpected error (ZeroDivisionError)")],
)
def test_a_bad_photo_does_not_stop_the_queue(queue, work, photo, message):
    work.may_end.set()
    jobs = [submit(queue, photo), submit(queue, b"good")]
    wait_for(lambda: jobs[1].state == "done")
    assert (jobs[0].state, jobs[0].message) == ("failed", message)


def test_a_removed_photo_is_not_reconstructed_and_a_running_one_ends(queue, work, tmp_path):
    running = submit(queue, b"first")
    wait_for(lambda: running.state == "running")
    waiting = submit(queue, b"second")
    queue.remove(waiting)
    queue.remove(running)
    wait_for(lambda: os.listdir(str(tmp_path)) == [])
    assert queue.find(running.id) is None and waiting.state == "waiting"


@pytest.mark.parametrize("count", [1, 3])
def test_photos_that_take_too_long_are_given_up(work, tmp_path, count):
    queue = JobQueue(work, str(tmp_path), seconds_to_run=0.2)
    start = time.monotonic()
    job = submit(queue, *[b"photo"] * count)
    wait_for(lambda: job.state == "failed")
    assert "takes longer than" in job.message and time.monotonic() - start > 0.2 * count
    queue.close()


def test_results_that_nobody_asks_for_are_deleted(queue, work, tmp_path):
    work.may_end.set()
    jobs = [submit(queue, b"first"), submit(queue, b"second")]
    wait_for(lambda: jobs[1].state == "done")
    jobs[0].last_seen -= 901
    wait_for(lambda: os.listdir(str(tmp_path)) == [jobs[1].id])
    assert queue.find(jobs[0].id) is None


def test_a_waiting_photo_that_nobody_asks_for_is_not_reconstructed(queue, work, tmp_path):
    running = submit(queue, b"first")
    wait_for(lambda: running.state == "running")
    waiting = submit(queue, b"second")
    waiting.last_seen -= 91
    work.may_end.set()
    wait_for(lambda: os.listdir(str(tmp_path)) == [running.id])
    assert (waiting.state, queue.find(waiting.id)) == ("waiting", None)
