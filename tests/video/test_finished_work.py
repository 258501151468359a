"""Finished work on a clip is found again, and only that of the same clip and settings."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import video.finished_work
from tests.scripts.test_demo import MODEL
from tests.video.clip_files import write_video
from utils.errors import InputError
from utils.paths import REPO_ROOT
from video.finished_work import FinishedWork


def run(folder, count, settings, counted):
    """Do some steps; return their results."""
    work = FinishedWork(str(folder), "me", settings)

    def compute(number):
        counted.append(number)
        return [np.full(3, number), float(number)]

    values = [
        work.recall("square", lambda number=number: compute(number)) for number in range(count)
    ]
    work.save()
    return work, [(array.tolist(), float(value)) for array, value in values]


def test_finished_steps_are_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(video.finished_work, "_SAVE_SECONDS", 0.0)  # a file for each
    done = []
    first, wanted = run(tmp_path, 4, {"a": 1}, done)
    assert not first.is_continued and done == [0, 1, 2, 3]
    second, found = run(tmp_path, 6, {"a": 1}, done)
    assert second.is_continued and done == [0, 1, 2, 3, 4, 5] and found[:4] == wanted
    second.write_piece(0, {"content": np.arange(3)})
    assert FinishedWork(str(tmp_path), "me", {"a": 1}).count_pieces() == 1
    np.testing.assert_array_equal(second.read_piece(0)["content"], np.arange(3))

    # Other settings or another clip begin anew.
    run(tmp_path, 2, {"a": 2}, done)
    assert done[6:] == [0, 1] and FinishedWork(str(tmp_path), "me", {"a": 2}).count_pieces() == 0
    second.remove()
    assert os.listdir(str(tmp_path)) == []


def test_a_damaged_file_and_those_behind_it_are_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(video.finished_work, "_SAVE_SECONDS", 0.0)
    done = []
    _, wanted = run(tmp_path, 4, {}, done)
    path = tmp_path / ".unfinished-me" / "steps-000002.npz"
    path.write_bytes(path.read_bytes()[:100])
    _, found = run(tmp_path, 4, {}, done)
    assert found == wanted and done[4:] == [2, 3]


def test_another_step_is_refused_and_so_is_a_link(tmp_path):
    run(tmp_path, 1, {}, [])
    with pytest.raises(InputError, match="remove this folder"):
        FinishedWork(str(tmp_path), "me", {}).recall("cube", lambda: [1])
    os.symlink(str(tmp_path), str(tmp_path / ".unfinished-link"))
    with pytest.raises(InputError, match="a link or a file; remove it"):
        FinishedWork(str(tmp_path), "link", {})


def test_without_a_folder_nothing_is_kept():
    work = FinishedWork()
    assert work.recall("one", lambda: [1])[0] == 1 and not work.is_replaying
    work.save()
    work.remove()


# demo.py with pieces and files of a few frames.
SCRIPT = """
import demo, video.finished_work, video.processing
from utils.errors import run_main
video.processing._PIECE, video.finished_work._SAVE_SECONDS = 16, 0.2
run_main(demo.main)
"""


def start(arguments):
    """Start a run in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT] + arguments,
        cwd=REPO_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
@pytest.mark.skipif(
    not os.path.isfile(MODEL), reason="the open face model is not built ('make face-model')"
)
def test_a_killed_run_goes_on_and_gives_the_same_bytes(tmp_path):
    pytest.importorskip("av")
    from tests.video.test_demo_clip import moving_portrait

    # 1. undisturbed
    clip = str(tmp_path / "me.mp4")
    frames = moving_portrait()
    write_video(clip, (frames + frames[::-1]) * 2)  # 56 frames: more than three pieces
    arguments = ["--input", clip, "--method", "network", "--page", "0", "--face_model", "open"]
    wanted, output = tmp_path / "undisturbed", tmp_path / "killed"
    assert start(arguments + ["--output", str(wanted)]).wait() == 0

    # 2. killed while it tracks, and when a piece of the overlay is finished
    hidden = output / ".unfinished-me"
    for awaited in ("steps-000000.npz", "piece-000000.npz"):
        process = start(arguments + ["--output", str(output)])
        while not (hidden / awaited).exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not [name for name in os.listdir(str(output)) if name.startswith("me")]
    assert "piece-000000.npz" in os.listdir(str(hidden))

    # 3. to its end
    last = start(arguments + ["--output", str(output)])
    assert b"goes on where an earlier run was stopped" in last.communicate()[1]
    assert last.returncode == 0
    assert sorted(os.listdir(str(output))) == sorted(os.listdir(str(wanted)))
    for name in os.listdir(str(wanted)):
        assert (output / name).read_bytes() == (wanted / name).read_bytes(), name
