"""Frozen graphs from strangers: operations of networks run, harmful ones are refused."""

import argparse
import os

import numpy as np
import pytest

import train
from checkpoints.frozen_graph import evaluate_network, load_frozen_graph, read_graph_def
from checkpoints.graph_allowlist import OPERATIONS
from face_model import read_face_model
from reconstruction import arguments as reconstruction_arguments
from reconstruction.network_choice import read_network_request
from tests.fuzz.forged_networks import GRAPHS
from tests.paths import TOY_MODEL
from training.mesh_generator_step import build_mesh_generator_step
from utils.errors import InputError
from utils.tf_compat import tf


@pytest.fixture()
def plain(tmp_path):
    """A network of one layer, as bytes."""
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 224, 224, 3], "input_imgs")
        padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
        pooled = tf.reduce_mean(
            tf.nn.conv2d(padded, tf.ones([3, 3, 3, 4]), [1, 2, 2, 1], "VALID"), [1, 2]
        )
        tf.identity(pooled, name="coeff")
        return graph.as_graph_def().SerializeToString()


def load(tmp_path, data, allow_any_op=False):
    path = tmp_path / "net.pb"
    path.write_bytes(data)
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 224, 224, 3])
        (output,) = load_frozen_graph(
            str(path), {"input_imgs:0": images}, ["coeff:0"], allow_any_op
        )
        with tf.Session() as session:
            return evaluate_network(
                session, str(path), output, {images: np.ones((1, 224, 224, 3))}, (1, 4)
            )


def test_operations_of_networks_are_loaded(tmp_path, plain):
    assert load(tmp_path, plain).shape == (1, 4)


@pytest.mark.parametrize(
    "name, told",
    [
        ("reads a file", "ReadFile"),
        ("writes a file", "WriteFile"),
        ("calls Python", "PyFunc"),
        ("hides in a function", "functions of its own"),
        ("an endless loop", "Enter"),
        ("an unknown operation", "NoSuch"),
        ("a filling of eight gigabytes", "Fill"),
    ],
)
def test_other_operations_are_refused_and_named(tmp_path, plain, name, told):
    data = GRAPHS[name](np.random.RandomState(0), plain)
    with pytest.raises(InputError, match="net.pb: refused.*{}.*--trust_graph".format(told)):
        load(tmp_path, data)


def test_any_operation_is_loaded_if_allowed(tmp_path, plain):
    data = GRAPHS["reads a file"](np.random.RandomState(0), plain)
    assert load(tmp_path, data, allow_any_op=True).shape == (1, 4)


def _landmark_layers(images):
    """Layers of landmark networks beyond convolutions and activations, with 4 numbers a photo."""
    from tensorflow.python.ops import gen_array_ops  # tf.ones_like may become another operation

    count = tf.shape(images)[0]
    small = tf.image.resize_area(images, [8, 8])
    grid = tf.tile(tf.range(8.0)[tf.newaxis, :, tf.newaxis, tf.newaxis], [1, 1, 8, 3])
    dilated = tf.nn.convolution(
        small + grid, tf.ones([3, 3, 3, 4]), "SAME", dilation_rate=[2, 2]
    )  # SpaceToBatchND and BatchToSpaceND
    larger = tf.nn.conv2d_transpose(
        dilated, tf.ones([2, 2, 4, 4]), tf.stack([count, 16, 16, 4]), [1, 2, 2, 1]
    )
    shuffled = tf.depth_to_space(tf.space_to_depth(larger, 2), 2)
    flat = tf.reshape(shuffled, [count, 16 * 16, 4])
    top = tf.nn.top_k(tf.transpose(flat, [0, 2, 1]), 3).values
    chosen = tf.reduce_sum(tf.one_hot(tf.argmin(top, axis=2), 3) * top, axis=2)
    ones = gen_array_ops.ones_like(chosen)
    filled = tf.fill(tf.stack([count, 4]), 0.5) + tf.zeros_like(chosen, optimize=False) * ones
    return tf.clip_by_value(tf.where(tf.not_equal(chosen, 0), chosen, filled), -1e3, 1e3)


def test_layers_of_landmark_networks_are_loaded(tmp_path):
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 224, 224, 3], "input_imgs")
        tf.identity(_landmark_layers(images), name="coeff")
        graph_def = graph.as_graph_def()
        with tf.Session() as session:
            expected = session.run("coeff:0", {images: np.ones((1, 224, 224, 3))})
    used = {node.op for node in graph_def.node}
    named = "ZerosLike OnesLike Fill Range Tile TopKV2 BatchToSpaceND SpaceToBatchND OneHot"
    assert set(named.split()) | {"Conv2DBackpropInput"} <= used
    np.testing.assert_array_equal(load(tmp_path, graph_def.SerializeToString()), expected)


@pytest.mark.parametrize(
    "build, told",
    [
        (lambda x: tf.fill([1 << 14, 1 << 14], 1.0), "Fill"),
        (lambda x: tf.tile(x[:1, 0, 0], [1 << 14, 1 << 14]), "Tile"),
        (lambda x: tf.range(0.0, 1.0, 1e-9), "Range"),
        (lambda x: tf.range(1 << 30), "Range"),
        (lambda x: tf.one_hot([0], 1 << 30), "OneHot"),
        (lambda x: tf.random_uniform([1 << 30]), "RandomUniform"),
        (lambda x: tf.image.resize_bicubic(x, [1 << 14, 9]), "ResizeBicubic"),
        (lambda x: tf.image.resize_area(x, tf.shape(x)[:2]), "ResizeArea"),
        (lambda x: tf.space_to_batch_nd(x, [2, 2], [[1 << 20, 0], [0, 0]]), "SpaceToBatchND"),
    ],
)
def test_unusual_sizes_are_refused_and_the_operation_named(tmp_path, build, told):
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 224, 224, 3], "input_imgs")
        with tf.control_dependencies([build(images)]):
            tf.reduce_mean(images, [1, 2], name="coeff")
        data = graph.as_graph_def().SerializeToString()
    with pytest.raises(InputError, match=r"net.pb: refused.*\({}\).*--trust_graph".format(told)):
        load(tmp_path, data)


@pytest.mark.parametrize(
    "name, told",
    [
        ("a constant of eight gigabytes", "MiB"),
        ("a padding of eight gigabytes", "unusual size"),
        ("a negative shape", "damaged"),
    ],
)
def test_sizes_are_checked_before_allocation(tmp_path, plain, name, told):
    with pytest.raises(InputError, match=told):
        load(tmp_path, GRAPHS[name](np.random.RandomState(0), plain))


@pytest.mark.parametrize("scale", [np.nan, np.inf, 1e9])
def test_implausible_outputs_are_refused(tmp_path, scale):
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 224, 224, 3], "input_imgs")
        tf.add(
            tf.reduce_sum(images, [1, 2])[:, :1] * tf.ones([1, 4]), np.float32(scale), name="coeff"
        )
        data = graph.as_graph_def().SerializeToString()
    with pytest.raises(InputError, match="does not give 1 x 4 plausible numbers"):
        load(tmp_path, data)


def test_devices_of_a_graph_are_ignored(tmp_path, plain):
    assert load(tmp_path, GRAPHS["another machine"](np.random.RandomState(0), plain)).shape == (
        1,
        4,
    )


def test_a_file_too_large_for_protocol_buffers_is_refused(tmp_path, plain):
    path = tmp_path / "net.pb"
    path.write_bytes(plain)
    os.truncate(str(path), 8 << 30)
    with pytest.raises(InputError, match="not a frozen TensorFlow graph"):
        read_graph_def(str(path))


def test_no_allowed_operation_has_side_effects():
    assert {
        name
        for name in (
            "ReadFile",
            "WriteFile",
            "PyFunc",
            "Save",
            "RestoreV2",
            "Enter",
            "NextIteration",
            "While",
            "Print",
            "LoadLibrary",
        )
    } & OPERATIONS == set()


def test_operations_of_the_list_compute_on_numbers_alone():
    """TensorFlow's registry: no state, no text (such as file names), no handles of resources."""
    foreign = (
        tf.string.as_datatype_enum,
        tf.resource.as_datatype_enum,
        tf.variant.as_datatype_enum,
    )
    found = 0
    for name in sorted(OPERATIONS):
        definition = _definition(name)
        if definition is None:  # of another version of TensorFlow
            continue
        found += 1
        assert not definition.is_stateful or name == "RandomUniform", name
        for argument in list(definition.input_arg) + list(definition.output_arg):
            assert argument.type not in foreign and not argument.is_ref, name
    assert found > 0.9 * len(OPERATIONS)


def _definition(name):
    """Return TensorFlow's ``OpDef`` of an operation, or None if it has no such operation."""
    from tensorflow.python.framework import op_def_registry

    if hasattr(op_def_registry, "get"):
        return op_def_registry.get(name)
    return op_def_registry.get_registered_ops().get(name)


def test_the_flag_of_reconstructing_commands_reaches_the_pipeline(monkeypatch):
    monkeypatch.setattr(reconstruction_arguments, "FacePipeline", lambda *_, **settings: settings)
    for flags in ([], ["--trust_graph"]):
        parser = argparse.ArgumentParser()
        reconstruction_arguments.add_reconstruction_flags(parser)
        arguments = parser.parse_args(flags + ["--method", "fit"])
        model = read_face_model(TOY_MODEL)
        settings = reconstruction_arguments.make_pipeline(
            arguments, read_network_request(arguments), model
        )
        assert settings["allow_any_op"] == bool(flags)


def test_the_flag_of_training_reaches_the_frozen_networks(monkeypatch):
    builders = []

    def stop(options, model, task, *_):
        builders.append(task.build_step)
        raise InputError("stopped")

    monkeypatch.setattr(train, "train", stop)
    for flags in ([], ["--trust_graph"]):
        with pytest.raises(InputError, match="stopped"):
            train.main(["--model", "gcn", "--face_model", TOY_MODEL] + flags)
    assert builders[0] is build_mesh_generator_step
    assert builders[1].func is build_mesh_generator_step
    assert builders[1].keywords == {"allow_any_op": True}
