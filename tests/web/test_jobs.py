"""The queue of photos: one at a time, with limits, and nothing kept."""

import os
import threading
import time

import pytest

from utils.errors import InputError
from web.jobs import JobQueue, QueueFull


def wait_for(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within five seconds")


class Work:
    """Copies the photo to a result, once it is allowed to; counts how many run at once."""

    def __init__(self):
        self.may_end, self.running, self.most = threading.Event(), 0, 0

    def __call__(self, path, folder, progress):
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            while not self.may_end.wait(0.01):
                progress(7)
            with open(path, "rb") as photo, open(os.path.join(folder, "result"), "wb") as result:
                content = photo.read()
                result.write(content)
            if content == b"bad":
                raise InputError("{}: is no photo".format(path))
            if content == b"worse":
                raise ZeroDivisionError()
            return "doubt" if content == b"dark" else None
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
    jobs = [queue.submit(b"first")]
    wait_for(lambda: jobs[0].state == "running" and jobs[0].step == 7)
    jobs += [queue.submit(b"second"), queue.submit(b"dark")]
    assert [queue.count_before(job) for job in jobs[1:]] == [1, 2]
    with pytest.raises(QueueFull, match="2 photos are waiting"):
        queue.submit(b"fourth")
    work.may_end.set()
    wait_for(lambda: all(job.state == "done" for job in jobs))
    assert work.most == 1 and [job.message for job in jobs] == ["", "", "doubt"]
    assert os.listdir(jobs[1].folder) == ["result"]  # the photo itself is gone


@pytest.mark.parametrize(
    "photo, message",
    [(b"bad", "this file: is no photo"), (b"worse", "an unexpected error (ZeroDivisionError)")],
)
def test_a_bad_photo_does_not_stop_the_queue(queue, work, photo, message):
    work.may_end.set()
    jobs = [queue.submit(photo), queue.submit(b"good")]
    wait_for(lambda: jobs[1].state == "done")
    assert (jobs[0].state, jobs[0].message) == ("failed", message)


def test_a_removed_photo_is_not_reconstructed_and_a_running_one_ends(queue, work, tmp_path):
    running = queue.submit(b"first")
    wait_for(lambda: running.state == "running")
    waiting = queue.submit(b"second")
    queue.remove(waiting)
    queue.remove(running)
    wait_for(lambda: os.listdir(str(tmp_path)) == [])
    assert queue.find(running.id) is None and waiting.state == "waiting"


def test_a_photo_that_takes_too_long_is_given_up(work, tmp_path):
    queue = JobQueue(work, str(tmp_path), seconds_to_run=0.05)
    job = queue.submit(b"first")
    wait_for(lambda: job.state == "failed")
    assert "takes longer than" in job.message
    queue.close()


def test_results_that_nobody_asks_for_are_deleted(work, tmp_path):
    work.may_end.set()
    queue = JobQueue(work, str(tmp_path), seconds_to_keep=0.05)
    job = queue.submit(b"first")
    wait_for(lambda: job.state == "done")
    wait_for(lambda: os.listdir(str(tmp_path)) == [])
    queue.close()
