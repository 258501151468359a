"""Training runs with faults of their losses, their data or the clock."""

import glob
import os
import shutil
import time

import numpy as np
import pytest
from PIL import Image

import train
from dataset.face_cache import open_face_cache
from dataset.face_stream import Batch
from face_model import read_face_model
from tests.fuzz.stand_ins import tiny_step
from tests.paths import TOY_MODEL
from tests.training_data import write_coefficients, write_face, write_faces
from training import summaries, tasks, trainer
from training.progress import Progress
from utils.paths import REPO_ROOT
from utils.tf_compat import tf


def replace_step(monkeypatch, supervision, build_step):
    """Replace the step of R-Net."""
    key = ("r_net", supervision)
    monkeypatch.setitem(tasks.TASKS, key, tasks.TASKS[key]._replace(build_step=build_step))


@pytest.fixture()
def run(tmp_path, monkeypatch):
    """Train a network of one weight; all code around it is real."""
    replace_step(monkeypatch, "photo", tiny_step)
    write_faces(tmp_path / "faces", 4)

    def call(name, *flags):
        return train.main(
            [
                "--data_path",
                str(tmp_path / "faces"),
                "--face_model",
                TOY_MODEL,
                "--batch_size",
                "2",
                "--result_path",
                str(tmp_path),
                "--model_name",
                name,
                "--val_faces",
                "2",
                "--init_weights",
                "none",
                "--identity",
                "none",
                "--seed",
                "5",
                "--quiet",
                "--deterministic",
            ]
            + list(flags)
        )

    return call


def at_step(monkeypatch, number, action):
    """Call a function after a step of the run; returns the list of losses so far."""
    original, count = Progress.step, []

    def step(self, loss):
        original(self, loss)
        count.append(loss)
        if len(count) == number:
            action()

    monkeypatch.setattr(Progress, "step", step)
    return count


def scalars(folder):
    """Return (step, tag) -> value of a run's training summaries."""
    return {
        (event.step, value.tag): value.simple_value
        for path in glob.glob(str(folder / "summary" / "train" / "*"))
        for event in tf.train.summary_iterator(path)
        for value in event.summary.value
    }


def test_spike_of_the_loss_does_not_end_the_run(run, tmp_path, monkeypatch, capsys):
    image = np.full((224, 224, 3), 255, np.uint8)
    write_face(tmp_path / "faces", "face_01", image, np.full((68, 2), 9000.0))
    losses = at_step(monkeypatch, 0, None)
    assert run("spike", "--steps", "8") == 0
    assert max(losses) > 1.4 * min(losses) and np.isfinite(losses).all()
    assert "step 8 of 8 reached" in capsys.readouterr().out


def test_faces_may_vanish_break_and_appear_during_a_run(run, tmp_path, monkeypatch, capsys):
    faces = tmp_path / "faces"

    def change():
        os.remove(str(faces / "face_00.png"))
        (faces / "face_02.png").write_bytes(b"no longer a picture")
        Image.new("RGB", (224, 224)).save(str(faces / "face_09.png"))

    at_step(monkeypatch, 2, change)
    assert run("changing", "--steps", "20", "--threads", "1") == 0
    captured = capsys.readouterr()
    assert "2 broken faces skipped" in captured.out
    assert (
        "face_00.png: it is gone" in captured.err and "face_02.png: it is damaged" in captured.err
    )


def test_vanished_folder_ends_the_run_with_one_sentence(run, tmp_path, monkeypatch):
    def vanish():
        os.rename(str(tmp_path / "faces"), str(tmp_path / "elsewhere"))

    at_step(monkeypatch, 2, vanish)
    with pytest.raises(train.InputError, match="none of its 4 faces can be read any more"):
        run("vanished", "--steps", "50", "--threads", "1", "--val_interval", "100")


def test_face_rewritten_during_a_run_is_read_anew(run, tmp_path, monkeypatch):
    """Black faces replace bright ones: the loss, the distance of their brightness from 0, falls."""

    def rewrite():
        for name in ("face_00", "face_01", "face_02", "face_03"):
            Image.new("RGB", (224, 224)).save(str(tmp_path / "faces" / (name + ".png")))

    losses = at_step(monkeypatch, 2, rewrite)
    assert run("rewritten", "--steps", "16", "--threads", "1") == 0
    assert max(losses[-4:]) < 0.5 * min(losses[:2])


def tiny_supervised_step(batch, model, options, identity_network=None, average=None):
    """Build the network of one weight on batches without skin masks."""
    masked = Batch(
        batch.photos, tf.ones_like(batch.photos[..., :1]), batch.landmarks, batch.indices
    )
    return tiny_step(masked, model, options)._replace(pictures=None)


def test_cached_faces_are_read_before_the_first_step(run, tmp_path, monkeypatch, capsys):
    write_coefficients(tmp_path / "faces", read_face_model(TOY_MODEL))
    replace_step(monkeypatch, "truth", tiny_supervised_step)
    monkeypatch.setattr(
        tasks,
        "open_face_cache",
        lambda folder, count: open_face_cache(folder, count, str(tmp_path / "cache")),
    )
    flags = ("--steps", "6", "--supervision", "truth", "--image_size", "56", "--threads", "1")
    undisturbed = at_step(monkeypatch, 0, None)
    assert run("undisturbed", *flags) == 0
    shutil.copytree(str(tmp_path / "faces"), str(tmp_path / "copy"))

    def spoil():
        os.rename(str(tmp_path / "faces"), str(tmp_path / "elsewhere"))
        shutil.rmtree(str(tmp_path / "cache"))

    disturbed = at_step(monkeypatch, 2, spoil)
    assert run("disturbed", *flags) == 0
    assert len(disturbed) == 6 and disturbed == undisturbed[:6]
    os.rename(str(tmp_path / "copy"), str(tmp_path / "faces"))
    (tmp_path / "faces" / "face_02.png").write_bytes(b"no longer a picture")
    capsys.readouterr()
    # The next run reports the changes.
    assert run("disturbed", "--resume", *(("--steps", "7") + flags[2:])) == 0
    error = capsys.readouterr().err
    assert "face_02" in error and "3 faces, whose order is another from here on" in error


def test_jump_of_the_clock_changes_no_duration(run, tmp_path, monkeypatch, capsys):
    real, jump = time.time, [0.0]
    monkeypatch.setattr(trainer.time, "time", lambda: real() + jump[0])

    def set_back():
        jump[0] = -7200.0

    at_step(monkeypatch, 3, set_back)
    assert run("clock", "--steps", "6", "--scalar_interval", "1") == 0
    speeds = [
        value
        for (_, tag), value in scalars(tmp_path / "clock").items()
        if tag == "images_per_second"
    ]
    assert len(speeds) == 6 and all(0 < speed < 1e5 for speed in speeds)
    assert "6 steps in -" not in capsys.readouterr().out


def test_clock_set_back_changes_no_order(run, tmp_path, monkeypatch, capsys):
    """Checkpoints are ordered by their steps, event files by their names."""
    assert run("clock", "--steps", "4", "--checkpoint_interval", "2") == 0
    real = time.time
    monkeypatch.setattr(summaries.time, "time", lambda: real() - 7200)
    for path in glob.glob(str(tmp_path / "clock" / "iter_2.*")):
        os.utime(path, (real() + 7200,) * 2)  # as if written after the others
    assert run("clock", "--steps", "6", "--checkpoint_interval", "2", "--resume") == 0
    captured = capsys.readouterr()
    assert "resumed from {}".format(tmp_path / "clock" / "iter_4.ckpt") in captured.err
    names = sorted(glob.glob(str(tmp_path / "clock" / "summary" / "train" / "*")))
    steps = [
        [event.step for event in tf.train.summary_iterator(name) if event.step] for name in names
    ]
    assert len(names) == 2 and max(steps[0]) <= 4 < min(steps[1])


def test_only_event_files_use_the_time_of_day():
    folders = (
        "alignment",
        "checkpoints",
        "dataset",
        "evaluation",
        "face_model",
        "fitting",
        "gcn",
        "geometry",
        "identity",
        "mesh",
        "mesh_renderer",
        "reconstruction",
        "synthesis",
        "training",
        "utils",
    )
    sources = glob.glob(os.path.join(REPO_ROOT, "*.py")) + [
        path
        for folder in folders
        for path in glob.glob(os.path.join(REPO_ROOT, folder, "**", "*.py"), recursive=True)
    ]
    asking = []
    for path in sources:
        with open(path, encoding="utf-8") as file:
            if "time.time()" in file.read():
                asking.append(os.path.relpath(path, REPO_ROOT))
    assert asking == [os.path.join("training", "summaries.py")] and len(sources) > 50
