"""A short run of the faults, and that they would be noticed; `make faults` is the long one."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import preprocess_img
from tests.faults import processes
from tests.faults.commands import contents, incomplete, unfinished
from tests.faults.disturbances import can_mount
from utils.errors import InputError
from utils.lock import folder_lock, output_folder
from utils.paths import REPO_ROOT
from utils.workers import begin_worker, starting_workers


def faults(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.faults", "--quick", "--seed", "7"] + list(arguments),
        cwd=REPO_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=1500,
    )


# Undisturbed first; then three kills, by a signal each, and runs to the end; two at once; a full
# disk.
@pytest.mark.slow
@pytest.mark.parametrize(
    "names, disks",
    [
        pytest.param(("demo", "preprocess"), 0, marks=pytest.mark.any_tensorflow),
        (("synthesize", "train"), 1),
    ],
)
def test_nothing_is_lost_or_mixed(names, disks):
    process = faults("--only", *(names + ("--count", "3", "--pairs", "1", "--disks", str(disks))))
    summary = process.stdout.splitlines()[-1]
    assert process.returncode == 0, process.stdout
    assert (
        int(summary.split()[0]) >= len(names) * (4 + (disks if can_mount() else 0))
        and "seed 7" in summary
    )
    for name in names:
        for kind in ("SIGKILL", "SIGTERM", "Ctrl-C", "two at once"):
            assert "{}, {}: ".format(name, kind) in process.stdout


def test_a_cut_or_foreign_file_would_be_noticed(tmp_path):
    folder = tmp_path / "run"
    (folder / "run").mkdir(parents=True)
    for name in ("crop.png", "run/iter_5.ckpt.data", "run/iter_5.ckpt.index", "run/iter_5.json"):
        (folder / name).write_text(name)
    wanted = contents(str(folder))
    assert (
        incomplete(str(folder), wanted) == [] == unfinished(str(folder), wanted)
        and len(wanted) == 4
    )
    (folder / "run" / "iter_4.ckpt.data").write_text(
        "of a writer that was killed before the record"
    )
    assert incomplete(str(folder), wanted) == []
    (folder / "crop.png").write_text("cro")
    (folder / "foreign").write_text("x")
    assert incomplete(str(folder), wanted) == ["crop.png", "foreign"]
    (folder / "run" / "iter_5.ckpt.data").write_text("another")
    assert incomplete(str(folder), wanted) == ["crop.png", "foreign", "run/iter_5.ckpt.data"]
    os.remove(str(folder / "run" / "iter_5.ckpt.index"))
    (folder / ".partial-x").write_text("left over")
    assert set(unfinished(str(folder), wanted)) > {"run/iter_5.ckpt.index", ".partial-x"}


def python(tmp_path, code):
    return processes.Process([sys.executable, "-c", code], str(tmp_path / "process"), cold=True)


def test_a_hang_would_be_noticed_and_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_IDLE_PATIENCE", 3)
    with pytest.raises(processes.Fault, match=r"it hangs(.|\n)*line 1 in where"):
        python(tmp_path, "def where(): __import__('time').sleep(60)\nwhere()").finish()


def test_a_process_left_behind_would_be_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_ORPHANS_PATIENCE", 0.5)
    with pytest.raises(processes.Fault, match="left behind: sleep 77"):
        python(tmp_path, "import subprocess; subprocess.Popen(['sleep', '77'])").finish()


@pytest.mark.parametrize("name, tracebacks", [("SIGINT", 1), ("SIGTERM", 0)])
def test_a_signal_while_workers_start_waits_and_does_not_reach_them(tmp_path, name, tracebacks):
    code = (
        "import multiprocessing, os, signal, sys\nfrom utils.workers import starting_workers\n"
        "context = multiprocessing.get_context('spawn')\n"
        "if __name__ == '__main__':\n"
        # A shell's background jobs ignore it.
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    process = context.Process(target=os.getpid)\n"
        "    with starting_workers():\n"
        "        process.start()\n        os.killpg(0, signal.{})\n        process.join(5)\n"
        "        print('joined', process.exitcode, flush=True)\n"
    ).format(name)
    (tmp_path / "script.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=str(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        start_new_session=True,
        env=dict(os.environ, PYTHONPATH=REPO_ROOT),
    )
    output, error = process.communicate(timeout=120)
    # the parent's own, after the block
    assert output == "joined 0\n" and error.count("Traceback") == tracebacks
    assert process.returncode in (1, -getattr(signal, name))


def test_signals_are_blocked_while_multiprocessing_starts_its_helper(monkeypatch):
    try:
        from multiprocessing import resource_tracker
    except ImportError:  # its module in Python 3.6
        from multiprocessing import semaphore_tracker as resource_tracker
    stops, blocked = {signal.SIGINT, signal.SIGTERM}, []

    def look():
        blocked.append(stops <= signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    def note_and_unblock():
        look()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)  # as today's Pythons do

    monkeypatch.setattr(resource_tracker, "ensure_running", note_and_unblock)
    with starting_workers():
        look()
    look()
    assert blocked == [True, True, False]


def test_a_folder_is_held_by_one(tmp_path):
    with folder_lock(str(tmp_path)):
        with pytest.raises(InputError, match="another run is writing here"), output_folder(
            str(tmp_path)
        ):
            pass
    with output_folder(str(tmp_path)):
        pass


@pytest.mark.parametrize("how", ["the same folder", "a linked folder", "a link to a photo in it"])
def test_photos_are_not_replaced_by_results(tmp_path, how):
    place, output = tmp_path / "photos", tmp_path / "photos"
    place.mkdir()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(str(place / "a.png"))
    before = (place / "a.png").read_bytes()
    if how == "a linked folder":
        output = tmp_path / "other"
        os.symlink(str(place), str(output))
    elif how == "a link to a photo in it":
        place = tmp_path / "links"
        place.mkdir()
        os.symlink(str(output / "a.png"), str(place / "a.png"))
    with pytest.raises(
        InputError, match="a.png: lies in the output folder, where results could replace it"
    ):
        preprocess_img.main(["--img_path", str(place), "--save_path", str(output)])
    assert os.listdir(str(output)) == ["a.png"] and (output / "a.png").read_bytes() == before


def test_links_in_an_output_folder_are_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    os.symlink(str(tmp_path / "elsewhere"), str(tmp_path / "out" / "lm"))
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(str(photos / "a.png"))
    with pytest.raises(InputError, match="lm: is not a folder of its own but a link"):
        preprocess_img.main(["--img_path", str(photos), "--save_path", str(tmp_path / "out")])
    assert os.listdir(str(tmp_path / "elsewhere")) == []


def test_an_output_that_is_a_link_is_replaced_and_not_followed(tmp_path):
    from utils.atomic import atomic_path

    (tmp_path / "bystander").write_text("not to be touched")
    os.symlink(str(tmp_path / "bystander"), str(tmp_path / "out.txt"))
    with atomic_path(str(tmp_path / "out.txt")) as temporary, open(temporary, "w") as file:
        file.write("new")
    assert (tmp_path / "bystander").read_text() == "not to be touched"
    assert (
        not os.path.islink(str(tmp_path / "out.txt"))
        and (tmp_path / "out.txt").read_text() == "new"
    )


def test_a_worker_whose_parent_is_gone_ends():
    child = os.fork()
    if not child:
        begin_worker(parent=1 << 30)  # not its parent
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == 9


def end_at_once(settings, photo):
    os.abort()


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 7), reason="Python 3.6 forks its workers")
def test_a_killed_worker_is_told_in_one_sentence(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(str(photos / "a.png"))
    code = (
        "import preprocess_img\nfrom tests.house.test_faults import end_at_once\n"
        "from utils.errors import run_main\n"
        "preprocess_img._preprocess = end_at_once\n"
        "if __name__ == '__main__':\n    run_main(preprocess_img.main, {!r})\n"
    ).format(["--img_path", str(photos), "--save_path", str(tmp_path / "out"), "--workers", "1"])
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPO_ROOT,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=120,
    )
    assert process.returncode == 1 and "Traceback" not in process.stderr
    assert process.stderr.splitlines()[-1].startswith(
        "error: a worker process was ended from outside"
    )
