"""A small network with R-Net's inputs and outputs, converted for other runtimes."""

import importlib.util
import json
import os

import numpy as np
import pytest

from checkpoints import export
from checkpoints.frozen_graph import write_frozen_graph
from utils.errors import InputError
from utils.tf_compat import tf

needs_lite = pytest.mark.skipif(
    not hasattr(tf, "lite"), reason="this TensorFlow has no converter for TensorFlow Lite"
)

needs_onnx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("tf2onnx", "onnxruntime"))),
    reason="requirements/export.txt is not installed",
)


@pytest.fixture
def frozen(tmp_path):
    """A frozen network of one convolution, and its record."""
    random = np.random.RandomState(0)
    kernel = random.normal(0, 0.01, (4, 4, 3, 257)).astype(np.float32)
    path = str(tmp_path / "net.pb")
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 224, 224, 3], name="input_imgs")
        features = tf.nn.relu(tf.nn.conv2d(images / 255, kernel, [1, 4, 4, 1], "VALID"))
        tf.identity(tf.reduce_mean(features, axis=[1, 2]), name="coeff")
        write_frozen_graph(graph, path)
    with open(path + ".json", "w") as file:
        json.dump({"face_model": {"name": "toy"}}, file)
    return path


@pytest.mark.parametrize(
    "kind",
    [pytest.param("onnx", marks=needs_onnx), pytest.param("tflite", marks=needs_lite)],
)
def test_the_converted_network_agrees_with_tensorflow(frozen, tmp_path, capsys, kind):
    export.main([frozen, "--to", kind])
    path = str(tmp_path / "net") + "." + kind
    assert os.path.getsize(path) > 4 * 4 * 3 * 257
    with open(path + ".json") as file:
        assert json.load(file)["face_model"]["name"] == "toy"
    sentence = capsys.readouterr().out
    assert sentence.startswith(path + ": 20 crops differ from TensorFlow by ")
    assert float(sentence.split(" by ")[1].split()[0]) < 1e-4


@needs_lite
def test_a_network_that_differs_is_not_kept(frozen, tmp_path, monkeypatch):
    run = export._run_lite
    monkeypatch.setattr(export, "_run_lite", lambda *arguments: run(*arguments) * 1.001)
    with pytest.raises(InputError, match="the converted network differs by 4"):
        export.export_network(frozen, str(tmp_path / "out.tflite"), "tflite")
    assert sorted(os.listdir(str(tmp_path))) == ["net.pb", "net.pb.json"]


def test_a_missing_package_is_named(frozen, tmp_path, monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr(export.importlib, "import_module", refuse)
    with pytest.raises(InputError, match="tf2onnx is not installed; run `pip install -r"):
        export.export_network(frozen, str(tmp_path / "out.onnx"), "onnx")
    with pytest.raises(InputError, match="no such file"):
        export.export_network(frozen + "x", str(tmp_path / "out.onnx"), "onnx")
