"""The commands with --scheduler: the bytes of one machine, also when a worker dies meanwhile."""

import importlib
import itertools
import os
import shutil
import threading
import time

import pytest

from tests.dask_cluster import LocalDask
from tests.faults.commands import contents, write_data
from tests.paths import TOY_MODEL
from utils import scheduler

pytest.importorskip("distributed", reason="requirements/cluster.txt is not installed")

pytestmark = pytest.mark.slow

FIT = ["--face_model", TOY_MODEL, "--method", "fit", "--steps", "1", "--batch_size", "2", "--quiet"]
PATIENCE = 300  # seconds for a first file


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with LocalDask(str(tmp_path_factory.mktemp("dask")), 2) as found:
        yield found


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Ten photos, one of them damaged."""
    folder = write_data(str(tmp_path_factory.mktemp("photos") / "data"), 10) + "/photos"
    with open(os.path.join(folder, "photo3.png"), "wb") as file:
        file.write(b"not a photo")
    return folder


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    monkeypatch.setattr(scheduler, "UNIT_SIZE", 4)
    monkeypatch.setattr(scheduler, "_LOOK", 0.1)


def run(capsys, script, output, *arguments):
    """Run a command; return its status, its summary up to the time, and its files."""
    status = importlib.import_module(script).main([str(part) for part in arguments])
    summary = capsys.readouterr().out.strip().splitlines()[-1].split(" in ")[0]
    return status, summary, contents(str(output))


def compare(capsys, cluster, script, folder, *arguments, flag="--output"):
    """Run a command here and on the cluster; return the summary and the files, which are equal."""
    found = []
    for name, further in (("here", []), ("cluster", ["--scheduler", cluster.file])):
        output = folder / name
        found.append(run(capsys, script, output, flag, output, *arguments, *further))
    assert found[0] == found[1]
    return found[0][1:]


@pytest.fixture
def fresh_cluster(tmp_path_factory):
    """Workers that have served no other command, and so compute on one thread if they are to."""
    with LocalDask(str(tmp_path_factory.mktemp("fresh")), 2) as found:
        yield found


def test_preprocess(capsys, fresh_cluster, photos, tmp_path):
    arguments = (
        "--img_path",
        photos,
        "--face_model",
        TOY_MODEL,
        "--keep_uncertain",
        "--workers",
        "1",
    )
    summary, files = compare(
        capsys, fresh_cluster, "preprocess_img", tmp_path, *arguments, flag="--save_path"
    )
    assert summary == "9 photos preprocessed, 1 skipped" and len(files) == 9 * 4 + 1


def test_demo_with_a_worker_that_dies(capsys, cluster, photos, tmp_path):
    def kill():
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if any(path.suffix == ".mat" for path in (tmp_path / "cluster").glob("*")):
                killed.append(cluster.kill_worker())
                return
            time.sleep(0.01)

    killed = []
    thread = threading.Thread(target=kill)
    thread.start()
    summary, files = compare(capsys, cluster, "demo", tmp_path, "--input", photos, *FIT)
    thread.join()
    assert killed and summary == "9 faces reconstructed, 9 of them doubtful, 1 skipped"
    assert len(files) == 9 * 4 + 1 and "index.html" in files


def test_people(capsys, cluster, photos, tmp_path):
    """Each person is a unit of work, with all of their photos."""
    for person, numbers in (("anna", "01"), ("bert", "245")):
        (tmp_path / "people" / person).mkdir(parents=True)
        for number, end in itertools.product(numbers, (".png", ".txt")):
            path = os.path.join(photos, "photo{}{}".format(number, end))
            shutil.copy(path, str(tmp_path / "people" / person))
    arguments = ("--input", tmp_path / "people", "--keep_all", *FIT)
    summary, files = compare(capsys, cluster, "demo", tmp_path, *arguments)
    assert summary.startswith("5 faces reconstructed")
    assert {"anna/anna.mat", "anna/anna.glb", "bert/bert.mat", "index.html"} < set(files)


def test_meshes_and_pictures(capsys, cluster, photos, tmp_path):
    (tmp_path / "obj").mkdir()
    arguments = ("--input", photos, "--formats", "ply", "glb", "--texture_size", "64", *FIT)
    compare(capsys, cluster, "obj", tmp_path / "obj", *arguments)
    (tmp_path / "renderer").mkdir()
    arguments = ("--input", photos, "--kinds", "geometry", "--size", "64", "--frames", "0", *FIT)
    _, files = compare(capsys, cluster, "renderer", tmp_path / "renderer", *arguments)
    assert "contact_sheet.png" in files


def test_synthesis_and_its_measurement(capsys, cluster, tmp_path):
    arguments = ("--count", "40", "--face_model", TOY_MODEL, "--format", "aflw2000", "--size", "96")
    summary, files = compare(capsys, cluster, "synthesis.__main__", tmp_path, *arguments, "--quiet")
    assert summary.startswith("40 faces made") and len(files) == 2 * 40 + 1
    (tmp_path / "nme").mkdir()
    arguments = ("--data_path", tmp_path / "here", "--align", "gt", *FIT)
    _, files = compare(capsys, cluster, "nme", tmp_path / "nme", *arguments)
    assert "nme.csv" in files
