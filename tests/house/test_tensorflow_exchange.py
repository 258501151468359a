"""Exchange of files between TensorFlow 1.12 and 2: coefficients, frozen graphs, training.

Run with the current TensorFlow and TF1_PYTHON=INTERPRETER, as `make test-tf1` does. Each side
trains both networks for two steps and freezes R-Net; then each side predicts from, and goes on
with, what both wrote.
"""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from checkpoints.variables import read_variables, variable_shapes
from tests.paths import TOY_MODEL
from tests.training_data import write_faces
from utils.paths import REPO_ROOT

INTERPRETERS = {"1.12": os.environ.get("TF1_PYTHON"), "current": sys.executable}
SIDES = sorted(INTERPRETERS)
MODELS = ("r_net", "gcn")
COEFFICIENT_TOLERANCE = 1e-4
# Of what one step changes: sums of different order, magnified by Adam where a gradient is next to
# nothing.
STEP_TOLERANCE, SLOT_TOLERANCE = 0.15, 5e-3

pytestmark = pytest.mark.skipif(
    not INTERPRETERS["1.12"],
    reason="TF1_PYTHON names no interpreter with TensorFlow 1.12 ('make test-tf1' does)",
)


def run(side, *arguments):
    """Run a script or module of the project under one of the TensorFlows."""
    command = [os.path.abspath(INTERPRETERS[side])] + [str(argument) for argument in arguments]
    process = subprocess.run(
        command,
        cwd=REPO_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=600,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout + process.stderr


def train(folder, side, model, name, steps, *flags):
    """Train up to step ``steps``, on one thread and at a rate that moves weights visibly."""
    if model == "gcn":
        flags += (
            "--coefficient_weights",
            folder / "r_net-1.12" / "iter_2.ckpt",
            "--head",
            "residual",
        )
    return run(
        side,
        "train.py",
        "--model",
        model,
        "--data_path",
        folder / "faces",
        "--face_model",
        TOY_MODEL,
        "--batch_size",
        2,
        "--result_path",
        folder,
        "--model_name",
        name,
        "--val_faces",
        2,
        "--init_weights",
        "none",
        "--identity",
        "none",
        "--seed",
        5,
        "--augment",
        "--deterministic",
        "--quiet",
        "--steps",
        steps,
        *flags,
    )


def variables(prefix):
    return read_variables(str(prefix), variable_shapes(str(prefix)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of each side: SIDE.pb, and the runs MODEL-SIDE of two steps."""
    place = tmp_path_factory.mktemp("exchange")
    write_faces(place / "faces", 4)
    random = np.random.RandomState(0)
    np.save(str(place / "crops.npy"), random.randint(0, 256, (2, 224, 224, 3)).astype(np.uint8))
    for model in MODELS:
        for side in SIDES:
            train(place, side, model, "{}-{}".format(model, side), 2)
    for side in SIDES:
        run(
            side,
            "-m",
            "checkpoints",
            place / "r_net-{}".format(side) / "iter_2.ckpt",
            place / (side + ".pb"),
        )
    yield place
    shutil.rmtree(str(place))  # checkpoints are large


@pytest.fixture(scope="module")
def coefficients(folder):
    """(writer, form, reader) -> coefficients of two crops."""
    sources = {
        (writer, form): folder / name
        for writer in SIDES
        for form, name in (
            ("checkpoint", "r_net-{}/iter_2.ckpt".format(writer)),
            ("graph", writer + ".pb"),
        )
    }
    found = {}
    for reader in SIDES:
        outputs = {source: folder / "{}-{}-{}.npy".format(reader, *source) for source in sources}
        pairs = [path for source in sources for path in (sources[source], outputs[source])]
        run(reader, "tests/predict_coefficients.py", folder / "crops.npy", TOY_MODEL, *pairs)
        found.update((source + (reader,), np.load(str(path))) for source, path in outputs.items())
    return found


@pytest.mark.parametrize("writer", SIDES)
def test_coefficients_are_the_same_from_either_form_under_either_tensorflow(coefficients, writer):
    own = coefficients[writer, "checkpoint", writer]
    print("largest coefficient: {:.1f}".format(np.abs(own).max()))
    assert own.shape == (2, 257) and np.abs(own).max() > 0.1
    for form in ("checkpoint", "graph"):
        for reader in SIDES:
            difference = np.abs(coefficients[writer, form, reader] - own).max()
            print("written by {}, {} read by {}: {:.1e}".format(writer, form, reader, difference))
            assert difference < COEFFICIENT_TOLERANCE * max(1, np.abs(own).max())


@pytest.mark.parametrize("writer", SIDES)
@pytest.mark.parametrize("model", MODELS)
def test_training_goes_on_under_the_other_tensorflow(folder, model, writer):
    """Take one more step from a checkpoint, on the writer's side and on the other."""
    written = folder / "{}-{}".format(model, writer)
    before, after = variables(written / "iter_2.ckpt"), {}
    for reader in SIDES:
        copy = "{}-by-{}".format(written.name, reader)
        shutil.copytree(str(written), str(folder / copy))
        said = train(folder, reader, model, copy, 3, "--resume")
        assert "resumed from" in said and "step 3 of 3 reached, 1 step" in said
        after[reader] = variables(folder / copy / "iter_3.ckpt")
        shutil.rmtree(str(folder / copy))
    own, other = (after[side] for side in sorted(SIDES, key=lambda side: side != writer))
    assert set(own) == set(other) == set(before)
    slots = [name for name in before if name.endswith(("/Adam", "/Adam_1"))]
    weights = [name for name in before if name + "/Adam" in before]
    assert len(slots) == 2 * len(weights) > 0 and any(before[name].any() for name in slots)
    assert own["global_step"] == other["global_step"] == 3
    for name in ("beta1_power", "beta2_power"):
        assert own[name] == pytest.approx(other[name], rel=1e-6) and own[name] < before[name]
    slot_error, step_error = distance(own, other, slots), distance(own, other, weights, before)
    print(
        "{} of {} continued: optimiser {:.1e}, step {:.1e}".format(
            model, writer, slot_error, step_error
        )
    )
    assert slot_error < SLOT_TOLERANCE
    assert step_error < STEP_TOLERANCE


def distance(own, other, names, origin=None):
    """Return ||own - other|| / ||own - origin|| over all elements of variables."""
    squares = np.zeros(2)
    for name in names:
        start = 0.0 if origin is None else origin[name].astype(np.float64)
        squares += [
            np.sum((own[name].astype(np.float64) - other[name]) ** 2),
            np.sum((own[name] - start) ** 2),
        ]
    return np.sqrt(squares[0] / squares[1])
