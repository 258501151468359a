"""train.py --supervision truth on a tiny face model and tiny data."""

import glob
import os
import shutil

import numpy as np
import pytest

import train
from checkpoints.record import image_size_notices
from checkpoints.variables import read_variables, variable_shapes
from dataset.cached_stream import LabeledBatch
from dataset.face_cache import open_face_cache
from face_model import read_face_model
from face_model.coefficients import coefficient_sizes
from reconstruction.regressor import CoefficientRegressor
from tests.paths import TOY_MODEL
from tests.training_data import write_labeled_faces
from training import tasks
from training.coefficient_losses import CoefficientLossWeights
from training.options import TrainingOptions
from training.supervised_step import build_supervised_step
from utils import tf_compat as tf_runtime
from utils.errors import InputError
from utils.tf_compat import tf


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("training"), read_face_model(TOY_MODEL)
    write_labeled_faces(folder / "faces", 4, model)
    yield folder
    shutil.rmtree(str(folder))


@pytest.fixture(autouse=True)
def cache_in_workshop(workshop, monkeypatch):
    monkeypatch.setattr(
        tasks,
        "open_face_cache",
        lambda folder, count: open_face_cache(folder, count, str(workshop)),
    )


def run(workshop, name, *flags):
    return train.main(
        [
            "--data_path",
            str(workshop / "faces"),
            "--face_model",
            TOY_MODEL,
            "--batch_size",
            "2",
            "--result_path",
            str(workshop),
            "--model_name",
            name,
            "--val_faces",
            "2",
            "--init_weights",
            "none",
            "--quiet",
            "--supervision",
            "truth",
        ]
        + list(flags)
    )


@pytest.mark.slow
def test_resumed_run_gives_the_same_bits_and_its_network_reads_crops(workshop):
    flags = (
        "--image_size",
        "56",
        "--schedule",
        "cool_down",
        "--head_rate",
        "0.1",
        "--augment",
        "--deterministic",
        "--checkpoint_interval",
        "2",
    )
    assert run(workshop, "run", "--steps", "4", *flags) == 0
    prefix = str(workshop / "run" / "iter_4.ckpt")
    expected = read_variables(prefix, variable_shapes(prefix))
    for path in glob.glob(str(workshop / "run" / "iter_4*")):
        os.remove(path)
    assert run(workshop, "run", "--steps", "4", "--resume", *flags) == 0
    found = read_variables(prefix, variable_shapes(prefix))
    assert all(np.array_equal(found[name], expected[name]) for name in expected)

    model = read_face_model(TOY_MODEL)
    crops = np.random.RandomState(0).randint(0, 256, (1, 56, 56, 3)).astype(np.uint8)
    larger = np.repeat(np.repeat(crops, 4, axis=1), 4, axis=2)
    blurred = larger.astype(np.int16) + np.tile([[3, -3], [-3, 3]], (112, 112))[..., np.newaxis]
    network = CoefficientRegressor(prefix, model)  # averages 4x4 pixels, according to its record
    np.testing.assert_allclose(
        network.predict(np.clip(larger, 3, 252)),
        network.predict(np.clip(np.clip(larger, 3, 252) + blurred - larger, 0, 255)),
        atol=1e-3,
    )
    network.close()


@pytest.mark.slow
def test_initial_weights_of_another_image_size_are_noted(workshop, capsys):
    """Going from 56 to 112 pixels may be intended: it is no error, but costs accuracy at first."""
    assert run(workshop, "small", "--steps", "1", "--image_size", "56") == 0
    first = str(workshop / "small" / "iter_1.ckpt")
    assert "pixels" not in capsys.readouterr().err
    for name, size in (("same", "56"), ("larger", "112")):
        assert (
            run(workshop, name, "--steps", "1", "--image_size", size, "--init_weights", first) == 0
        )
        said = capsys.readouterr().err
        assert "started from the weights of " + first in said
        assert (first + " was trained on photos of 56x56 pixels and now gets 112x112" in said) == (
            name == "larger"
        )
    assert image_size_notices("resnet_v1_50.ckpt", 56) == []  # has no record


def test_nothing_is_rendered(workshop):
    model = read_face_model(TOY_MODEL)
    with tf.Graph().as_default() as graph:
        batch = LabeledBatch(
            tf.zeros([2, 56, 56, 3]),
            tf.zeros([2, 68, 2]),
            tf.zeros([2], tf.int64),
            tf.zeros([2, sum(coefficient_sizes(model))]),
        )
        step = build_supervised_step(
            batch, model, TrainingOptions(loss_weights=CoefficientLossWeights())
        )
        kinds = {operation.type for operation in graph.get_operations()}
    assert step.pictures is None and "Conv2D" in kinds
    assert not [kind for kind in kinds if "aster" in kind]


def test_unfit_options_are_refused(workshop, monkeypatch):
    with pytest.raises(InputError, match="--image_size 112: only --supervision truth"):
        train.main(
            [
                "--data_path",
                str(workshop / "faces"),
                "--face_model",
                TOY_MODEL,
                "--image_size",
                "112",
            ]
        )
    with pytest.raises(
        InputError, match="--loss_weights photometric=1: there is no such loss; choose from shape"
    ):
        run(workshop, "other", "--loss_weights", "photometric=1")
    monkeypatch.setattr(tf_runtime, "_processor_flags", lambda: {"sse2"})
    with pytest.raises(InputError, match="--precision bfloat16 needs"):
        run(workshop, "other", "--precision", "bfloat16")
