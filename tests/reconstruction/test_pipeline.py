"""The pipeline's first run of everything, in the background."""

import threading

import pytest

from reconstruction import pipeline
from utils.errors import InputError


def test_waiting_ends_with_the_run():
    may_end, done = threading.Event(), []

    def run():
        may_end.wait()
        done.append(1)

    background = pipeline._BackgroundRun(run)
    assert done == []
    may_end.set()
    background.wait()
    background.wait()
    assert done == [1]


def test_waiting_raises_the_error_of_the_run():
    def fail():
        raise InputError("network.pb: the network cannot be evaluated")

    with pytest.raises(InputError, match="network.pb: the network cannot be evaluated"):
        pipeline._BackgroundRun(fail).wait()
