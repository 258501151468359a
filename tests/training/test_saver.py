import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from checkpoints import record as records
from dataset.processed_faces import find_faces
from face_model import read_face_model
from face_model.fingerprint import approximate_fingerprint
from losses import LossWeights
from reconstruction.regressor import CoefficientRegressor
from tests.paths import TOY_MODEL
from tests.training_data import write_faces
from training import saver
from training.options import TrainingOptions
from training.run_record import describe_changes, describe_data, describe_run
from training.saver import CheckpointSaver, finished_steps
from utils.errors import InputError
from utils.json_files import write_json
from utils.paths import REPO_ROOT
from utils.tf_compat import tf


def accept(prefix):
    pass


@pytest.fixture
def run(tmp_path):
    """A graph with one variable, a session, and a saver that keeps two."""
    with tf.Graph().as_default():
        variable = tf.get_variable("v", [3], initializer=tf.zeros_initializer())
        with tf.Session() as session:
            session.run(variable.initializer)
            yield Run(variable, session, tmp_path)


class Run:
    def __init__(self, variable, session, folder):
        self.variable, self.session, self.folder = variable, session, folder
        self.saver = CheckpointSaver(str(folder), 2, {"name": "x"})

    def save(self, step):
        self.variable.load(np.full(3, step, np.float32), self.session)
        return self.saver.save(self.session, step)

    def restore(self, check=accept):
        self.variable.load(np.zeros(3, np.float32), self.session)
        return self.saver.restore_newest(self.session, check)

    def value(self):
        return self.session.run(self.variable)[0]

    def files(self):
        return sorted(os.listdir(str(self.folder)))


def names(step):
    stem = "iter_{}".format(step)
    return [stem + ".ckpt.data-00000-of-00001", stem + ".ckpt.index", stem + ".json"]


def test_newest_checkpoints_are_kept(run):
    for step in (9, 10, 11):
        run.save(step)
    assert run.files() == ["checkpoint"] + names(10) + names(11)
    prefix, passed_over = run.restore()
    assert prefix == str(run.folder / "iter_11.ckpt") and not passed_over and run.value() == 11


def listed(folder):
    """Return the newest checkpoint and all listed ones as TensorFlow reads them, by base name."""
    newest = tf.train.latest_checkpoint(str(folder))
    every = list(tf.train.get_checkpoint_state(str(folder)).all_model_checkpoint_paths)
    assert newest == every[-1] and all(os.path.dirname(path) == str(folder) for path in every)
    return [os.path.basename(path) for path in every]


def test_tensorflow_finds_the_newest_checkpoint(run):
    for step, expected in ((9, [9]), (10, [9, 10]), (11, [10, 11])):
        run.save(step)
        assert listed(run.folder) == ["iter_{}.ckpt".format(each) for each in expected]
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        variable = tf.get_variable("v", [3])
        tf.train.Saver().restore(session, tf.train.latest_checkpoint(str(run.folder)))
        assert (session.run(variable) == 11).all()
    moved = str(run.folder) + "_moved"
    shutil.copytree(str(run.folder), moved)
    assert tf.train.latest_checkpoint(moved) == os.path.join(moved, "iter_11.ckpt")


def test_list_of_checkpoints_is_as_tensorflow_writes_it(run, tmp_path):
    run.save(9)
    run.save(10)
    names = ["iter_9.ckpt", "iter_10.ckpt"]
    (tmp_path / "theirs").mkdir()
    tf.train.update_checkpoint_state(str(tmp_path / "theirs"), names[-1], names)
    assert (run.folder / "checkpoint").read_bytes() == (
        tmp_path / "theirs" / "checkpoint"
    ).read_bytes()


def test_removed_checkpoints_are_never_listed(run, monkeypatch):
    """Even if the process ends before the surplus checkpoint is removed."""

    def stop(prefix):
        raise KeyboardInterrupt

    run.save(9)
    run.save(10)
    monkeypatch.setattr(saver, "_remove", stop)
    with pytest.raises(KeyboardInterrupt):
        run.save(11)
    assert listed(run.folder) == ["iter_10.ckpt", "iter_11.ckpt"]
    assert names(9)[-1] in run.files()


def test_after_a_fallback_the_newly_written_checkpoint_is_the_newest(run):
    run.save(4)
    os.truncate(str(run.folder / "iter_4.ckpt.index"), 5)
    run.save(3)
    assert listed(run.folder) == ["iter_3.ckpt"]


def test_empty_folder_restores_nothing(run):
    assert run.restore() == (None, [])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: os.truncate(str(folder / "iter_2.ckpt.data-00000-of-00001"), 5),
        lambda folder: os.remove(str(folder / "iter_2.ckpt.index")),
        lambda folder: (folder / "iter_2.json").write_text("{"),
        lambda folder: (folder / "iter_2.json").write_text("{}"),
        lambda folder: (folder / "iter_2.ckpt.data-00000-of-00001").write_bytes(b"\xff" * 12),
        lambda folder: (folder / "iter_2.ckpt.index").write_bytes(
            b"\0" * os.path.getsize(str(folder / "iter_2.ckpt.index"))
        ),
    ],
    ids=["truncated", "missing", "record cut", "record empty", "flipped bits", "index zeroed"],
)
def test_damaged_newest_checkpoint_is_passed_over(run, damage):
    run.save(1)
    run.save(2)
    damage(run.folder)
    prefix, passed_over = run.restore()
    assert prefix.endswith("iter_1.ckpt") and run.value() == 1
    assert len(passed_over) == 1 and "iter_2" in passed_over[0]


def test_training_after_a_fallback_keeps_new_checkpoints(run):
    run.saver = CheckpointSaver(str(run.folder), 1, {})
    run.save(4)
    os.truncate(str(run.folder / "iter_4.ckpt.index"), 5)
    run.save(2)
    run.save(3)
    assert run.restore()[0].endswith("iter_3.ckpt") and finished_steps(str(run.folder)) == [3, 4]
    run.save(4)
    assert run.restore()[0].endswith("iter_4.ckpt") and run.files() == ["checkpoint"] + names(4)


def test_error_if_no_checkpoint_is_whole(run):
    run.save(1)
    os.remove(str(run.folder / "iter_1.ckpt.index"))
    with pytest.raises(InputError, match="iter_1.ckpt.index: missing.*no checkpoint of this run"):
        run.restore()


def test_files_without_a_record_are_no_checkpoint(run):
    run.save(1)
    run.save(2)
    os.remove(str(run.folder / "iter_2.json"))
    assert run.restore()[0].endswith("iter_1.ckpt")


def test_refused_checkpoint_is_not_passed_over(run):
    def refuse(prefix):
        raise InputError("of another face model")

    run.save(1)
    with pytest.raises(InputError, match="another face model"):
        run.restore(refuse)


def test_failed_write_is_reported_and_keeps_older_checkpoints(run, monkeypatch):
    def fail(path, content):
        raise OSError(28, "No space left on device")

    run.save(1)
    monkeypatch.setattr(saver, "write_json", fail)
    with pytest.raises(
        InputError, match="iter_2.ckpt: the checkpoint cannot be written .*No space left"
    ):
        run.save(2)
    monkeypatch.undo()
    assert run.restore()[0].endswith("iter_1.ckpt")
    assert not [name for name in run.files() if name.startswith(".partial")]


SAVE_FOREVER = """
import sys; sys.path.insert(0, {root!r})
from utils.tf_compat import tf
from training.saver import CheckpointSaver
with tf.Graph().as_default():
    v = tf.get_variable("v", [200000], initializer=tf.zeros_initializer())
    add = tf.assign_add(v, tf.ones_like(v))
    with tf.Session() as session:
        session.run(v.initializer)
        saver = CheckpointSaver({folder!r}, 2, {{}})
        for step in range(1, 100000):
            session.run(add)
            saver.save(session, step)
            print(step, flush=True)
"""


def test_newest_checkpoint_is_whole_after_a_kill(tmp_path):
    folder = str(tmp_path / "run")
    os.mkdir(folder)
    process = subprocess.Popen(
        [sys.executable, "-c", SAVE_FOREVER.format(root=REPO_ROOT, folder=folder)],
        stdout=subprocess.PIPE,
        universal_newlines=True,
    )
    try:
        said = [int(process.stdout.readline()) for _ in range(20)]
    finally:
        process.send_signal(signal.SIGKILL)
    said += [int(line) for line in process.stdout.read().split()]
    process.stdout.close()
    process.wait()
    with tf.Graph().as_default():
        variable = tf.get_variable("v", [200000], initializer=tf.zeros_initializer())
        with tf.Session() as session:
            prefix, passed_over = CheckpointSaver(folder, 2, {}).restore_newest(session, accept)
            value = session.run(variable)
    newest = tf.train.latest_checkpoint(folder)  # at most one checkpoint behind
    assert os.path.isfile(records.record_path(newest))
    assert int(newest.split("_")[-1].split(".")[0]) >= said[-1]
    assert not passed_over and int(prefix.split("_")[-1].split(".")[0]) >= said[-1]
    assert prefix.endswith("iter_{:.0f}.ckpt".format(value[0])) and (value == value[0]).all()


def test_record_describes_the_run():
    model = read_face_model(TOY_MODEL)
    record = describe_run(TrainingOptions(batch_size=3), model)
    assert record["options"]["batch_size"] == 3 and record["options"]["steps"] == 200000
    assert (
        record["loss_weights"]["photometric"] == 1.92
        and record["loss_weights"]["landmark"] == 1.6e-3
    )
    assert record["face_model"] == {
        "name": model.name,
        "fingerprint": model.fingerprint(),
        "sketch": approximate_fingerprint(model),
    }
    assert record["coefficient_sizes"]["identity"] == model.identity_count
    assert record["tensorflow"] == tf.VERSION
    assert json.loads(json.dumps(record)) == record


def test_checkpoint_of_another_face_model_is_refused_by_name(tmp_path):
    model = read_face_model(TOY_MODEL)
    other = model._replace(name="other model", mean_shape=model.mean_shape + 1)
    prefix = str(tmp_path / "iter_5.ckpt")
    write_json(records.record_path(prefix), describe_run(TrainingOptions(), other))
    with pytest.raises(
        InputError, match="iter_5.ckpt: was trained for the face model other model .*--face_model"
    ):
        CoefficientRegressor(prefix, model)
    records.require_face_model(prefix, other)
    records.require_face_model(str(tmp_path / "published.ckpt"), model)


def test_checkpoint_with_missing_variables_is_refused_by_name(run):
    prefix = run.save(1)
    with pytest.raises(InputError, match="iter_1.ckpt: .*variables missing"):
        CoefficientRegressor(prefix, read_face_model(TOY_MODEL))


def test_differences_from_the_checkpoint_are_described(tmp_path):
    model = read_face_model(TOY_MODEL)

    def record(faces, **options):
        folder = find_faces(write_faces(tmp_path, faces))
        return dict(describe_run(TrainingOptions(**options), model), data=describe_data(folder))

    before = record(2)
    assert describe_changes(before, record(2, resume=True, threads=3)) == []
    said = describe_changes(before, record(3, batch_size=4, loss_weights=LossWeights(gamma=1.0)))
    assert said[0] == (
        "resuming with other options: batch_size 4 instead of 16, "
        "loss weight of gamma 1.0 instead of 10.0"
    )
    assert "training folder has changed: it holds 3 faces, whose order is another" in said[1]
