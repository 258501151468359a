"""What happens to a training run when its losses, its data or the clock misbehave."""

import glob
import os
import time

import numpy as np
import pytest
from PIL import Image

import train
from tests.fuzz.stand_ins import tiny_step
from tests.training_data import TOY_MODEL, write_face, write_faces
from tf_runtime import tf
from training import trainer
from training.progress import Progress


@pytest.fixture()
def run(tmp_path, monkeypatch):
    """Train a network of one weight; everything around it is real."""
    monkeypatch.setattr(train, "_STEPS", {"r_net": (tiny_step, train.initialise_r_net)})
    write_faces(tmp_path / "faces", 4)

    def call(name, *flags):
        return train.main(["--data_path", str(tmp_path / "faces"), "--face_model", TOY_MODEL, "--batch_size", "2",
                           "--result_path", str(tmp_path), "--model_name", name, "--val_faces", "2", "--init_weights",
                           "none", "--identity", "none", "--seed", "5", "--quiet", "--deterministic"] + list(flags))
    return call


def at_step(monkeypatch, number, action):
    """Do something after a step of the run."""
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
    return {(event.step, value.tag): value.simple_value for path in glob.glob(str(folder / "summary" / "train" / "*"))
            for event in tf.train.summary_iterator(path) for value in event.summary.value}


def test_a_spike_of_the_loss_does_not_end_the_run(run, tmp_path, monkeypatch, capsys):
    image = np.full((224, 224, 3), 255, np.uint8)
    write_face(tmp_path / "faces", "face_01", image, np.full((68, 2), 9000.0))
    losses = at_step(monkeypatch, 0, None)
    assert run("spike", "--steps", "8") == 0
    assert max(losses) > 1.4 * min(losses) and np.isfinite(losses).all()
    assert "step 8 of 8 reached" in capsys.readouterr().out


def test_faces_may_go_break_and_come_while_it_runs(run, tmp_path, monkeypatch, capsys):
    faces = tmp_path / "faces"

    def change():
        os.remove(str(faces / "face_00.png"))
        (faces / "face_02.png").write_bytes(b"no longer a picture")
        Image.new("RGB", (224, 224)).save(str(faces / "face_09.png"))
    at_step(monkeypatch, 2, change)
    assert run("changing", "--steps", "20", "--threads", "1") == 0
    captured = capsys.readouterr()
    assert "2 broken faces skipped" in captured.out
    assert "face_00.png: it is gone" in captured.err and "face_02.png: it is damaged" in captured.err


def test_a_folder_that_vanishes_ends_it_in_one_sentence(run, tmp_path, monkeypatch):
    def vanish():
        os.rename(str(tmp_path / "faces"), str(tmp_path / "elsewhere"))
    at_step(monkeypatch, 2, vanish)
    with pytest.raises(train.InputError, match="none of its 4 faces can be read any more"):
        run("vanished", "--steps", "50", "--threads", "1", "--val_interval", "100")


def test_a_clock_that_jumps_changes_no_duration(run, tmp_path, monkeypatch, capsys):
    real, jump = time.time, [0.0]
    monkeypatch.setattr(trainer.time, "time", lambda: real() + jump[0])

    def set_back():
        jump[0] = -7200.0
    at_step(monkeypatch, 3, set_back)
    assert run("clock", "--steps", "6", "--scalar_interval", "1") == 0
    speeds = [value for (_, tag), value in scalars(tmp_path / "clock").items() if tag == "images_per_second"]
    assert len(speeds) == 6 and all(0 < speed < 1e5 for speed in speeds)
    assert "6 steps in -" not in capsys.readouterr().out
