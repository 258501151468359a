"""A short run of the faults, and that they would be noticed; `make faults` is the long one."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import preprocess_img
from tests.faults.commands import COMMANDS, contents, incomplete, write_data
from tests.faults.disturbances import can_mount, full_disk, kill_once, two_writers, undisturbed
from workspace.errors import InputError
from workspace.lock import folder_lock, output_folder
from workspace.workers import begin_worker

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(str(tmp_path_factory.mktemp("faults")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def synthetic(data, folder):
    return undisturbed("synthesize", data, folder)


@pytest.mark.parametrize("kind", ["SIGKILL", "SIGTERM"])
def test_stopped_and_run_again_it_is_complete(data, synthetic, tmp_path, kind):
    wanted, seconds = synthetic
    assert kill_once("synthesize", kind, data, str(tmp_path), wanted, seconds, 0) in ("stopped", "finished before")


def test_a_full_disk_leaves_nothing_half_written(data, synthetic, tmp_path):
    if not can_mount():
        pytest.skip("small disks cannot be mounted here")
    assert full_disk("synthesize", data, str(tmp_path / "out"), synthetic[0], 1 << 18) == "stopped"


def test_two_at_once_do_not_mix(data, synthetic, tmp_path):
    assert two_writers("synthesize", data, str(tmp_path / "out"), synthetic[0])


def test_a_cut_or_foreign_file_would_be_noticed(folder, synthetic, tmp_path):
    wanted = synthetic[0]
    assert len(wanted) == 12 * 5 + 1 and set(COMMANDS) == {"demo", "preprocess", "synthesize", "train"}
    shutil.copytree(folder, str(tmp_path / "copy"))
    assert incomplete(str(tmp_path / "copy"), wanted) == [] and contents(str(tmp_path / "copy")) == wanted
    os.truncate(str(tmp_path / "copy" / "mask" / "0000003.png"), 100)
    (tmp_path / "copy" / "foreign").write_text("x")
    assert sorted(incomplete(str(tmp_path / "copy"), wanted)) == ["foreign", os.path.join("mask", "0000003.png")]


def test_a_folder_is_held_by_one(tmp_path):
    with folder_lock(str(tmp_path)):
        with pytest.raises(InputError, match="another run is writing here"), output_folder(str(tmp_path)):
            pass
    with output_folder(str(tmp_path)):
        pass


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
    from workspace.atomic import atomic_path
    (tmp_path / "bystander").write_text("not to be touched")
    os.symlink(str(tmp_path / "bystander"), str(tmp_path / "out.txt"))
    with atomic_path(str(tmp_path / "out.txt")) as temporary, open(temporary, "w") as file:
        file.write("new")
    assert (tmp_path / "bystander").read_text() == "not to be touched"
    assert not os.path.islink(str(tmp_path / "out.txt")) and (tmp_path / "out.txt").read_text() == "new"


def test_a_worker_whose_parent_is_gone_ends():
    child = os.fork()
    if not child:
        begin_worker(parent=1 << 30)  # not its parent
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == 9


def end_at_once(settings, photo):
    os.abort()


@pytest.mark.skipif(sys.version_info < (3, 7), reason="Python 3.6 forks its workers")
def test_a_killed_worker_is_told_in_one_sentence(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(str(photos / "a.png"))
    code = ("import preprocess_img\nfrom tests.test_faults import end_at_once\nfrom workspace.errors import run_main\n"
            "preprocess_img._preprocess = end_at_once\n"
            "if __name__ == '__main__':\n    run_main(preprocess_img.main, {!r})\n").format(
                ["--img_path", str(photos), "--save_path", str(tmp_path / "out"), "--workers", "1"])
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, universal_newlines=True,
                             timeout=120)
    assert process.returncode == 1 and "Traceback" not in process.stderr
    assert process.stderr.splitlines()[-1].startswith("error: a worker process was ended from outside")
