import os

import numpy as np
import pytest

import networks
from checkpoints.__main__ import main
from checkpoints.frozen_graph import load_frozen_graph, read_graph_def
from checkpoints.r_net import export_r_net, read_r_net
from checkpoints.record import read_record, record_path
from checkpoints.variables import read_variables, restore
from tests.golden_weights import (
    GOLDEN,
    golden_value,
    golden_variables,
    load_golden_variables,
    relative_error,
)
from utils.errors import InputError
from utils.json_files import write_json
from utils.paths import RESULT_DIR
from utils.tf_compat import tf

# Operations that TensorFlow 1.12 has.
OLD_OPERATIONS = {
    "Placeholder",
    "Const",
    "Pad",
    "Conv2D",
    "BiasAdd",
    "Relu",
    "MaxPool",
    "Add",
    "Mean",
    "ConcatV2",
    "Reshape",
    "Identity",
    "Cast",
    "AvgPool",
}
NEW_ATTRIBUTES = {"explicit_paddings", "incompatible_shape_error", "exponential_avg_factor"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A training checkpoint of R-Net: its golden variables, and one that is not of the network."""
    prefix = str(tmp_path_factory.mktemp("run") / "iter_10.ckpt")
    with tf.Graph().as_default():
        networks.r_net(tf.zeros([1, 64, 64, 3]), training=False)
        tf.get_variable("global_step", [], tf.int64, tf.zeros_initializer(), trainable=False)
        network = [v for v in tf.global_variables() if v.op.name != "global_step"]
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            load_golden_variables(network, session)
            tf.train.Saver().save(session, prefix, write_meta_graph=False)
    return prefix


@pytest.fixture(scope="module")
def half(checkpoint, tmp_path_factory):
    """The checkpoint as a frozen graph of half weights."""
    path = str(tmp_path_factory.mktemp("half") / "half.pb")
    export_r_net(checkpoint, path, half=True)
    return path


@pytest.fixture(scope="module")
def published():
    return np.load(os.path.join(GOLDEN, "networks.npz"), allow_pickle=False)


def _save(prefix, values, version=None):
    """Write a small checkpoint of the given arrays."""
    with tf.Graph().as_default():
        for name, value in values.items():
            tf.get_variable(name, initializer=np.float32(value))
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            saver = tf.train.Saver(write_version=version or tf.train.SaverDef.V2)
            saver.save(session, str(prefix), write_meta_graph=False)
    return str(prefix)


def test_an_exported_graph_has_the_outputs_of_the_network(checkpoint, published, tmp_path):
    path = str(tmp_path / "FaceReconModel.pb")
    main([checkpoint, path])
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 224, 224, 3])
        outputs = load_frozen_graph(
            path, {"input_imgs:0": images}, ["coeff:0", "resnet_v1_50/pool5:0"]
        )
        assert tf.gradients(outputs[0], images)[0] is not None
        with tf.Session() as session:
            coefficients, pool5 = session.run(outputs, {images: np.float32(published["image_bgr"])})
    assert relative_error(coefficients, published["rnet_coeff"]) < 1e-5
    assert relative_error(pool5, published["rnet_pool5"]) < 1e-5
    nodes = read_graph_def(path).node
    assert {node.op for node in nodes} <= OLD_OPERATIONS
    assert not NEW_ATTRIBUTES & {attribute for node in nodes for attribute in node.attr}
    assert os.listdir(str(tmp_path)) == ["FaceReconModel.pb"]


def test_the_record_of_a_graph_names_no_folder_of_this_machine(checkpoint, tmp_path):
    prefix = _save(tmp_path / "iter_3.ckpt", read_r_net(checkpoint)[0])
    options = {"data_path": "/home/me/faces", "result_path": RESULT_DIR, "steps": 3}
    write_json(record_path(prefix), {"options": options, "step": 3})
    main([prefix, str(tmp_path / "net.pb")])
    record = read_record(str(tmp_path / "net.pb"))
    assert record == {
        "options": {"data_path": "faces", "result_path": "result", "steps": 3},
        "step": 3,
    }


def test_a_graph_of_half_weights_is_half_as_large_and_nearly_the_same(half, published):
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, 224, 224, 3])
        (coefficients,) = load_frozen_graph(half, {"input_imgs:0": images}, ["coeff:0"])
        found = session.run(coefficients, {images: np.float32(published["image_bgr"])})
    assert relative_error(found, published["rnet_coeff"]) < 5e-3
    assert os.path.getsize(half) < 2.1 * 23.9e6  # R-Net has 23.9 million parameters
    assert {node.op for node in read_graph_def(half).node} <= OLD_OPERATIONS


def test_training_can_start_from_an_exported_graph(checkpoint, half):
    values, _ = read_r_net(checkpoint)
    found, counts = read_r_net(half)
    assert set(found) == set(values) and counts["identity_count"] == 80
    for name in sorted(values)[::7]:
        np.testing.assert_allclose(
            found[name], values[name], atol=2e-3 * np.abs(values[name]).max(), err_msg=name
        )


@pytest.mark.slow
def test_a_graph_shrinks_its_input_first(checkpoint, published, tmp_path):
    path, small = str(tmp_path / "small.pb"), np.float32(published["image_bgr"])[:, ::2, ::2]
    export_r_net(checkpoint, path, image_size=112)
    values, counts = read_r_net(checkpoint)
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.constant(np.repeat(np.repeat(small, 2, axis=1), 2, axis=2))
        (through_graph,) = load_frozen_graph(path, {"input_imgs:0": images}, ["coeff:0"])
        frozen = networks.frozen_parameters(values)
        expected = networks.r_net(tf.constant(small), training=False, frozen=frozen, **counts)
        found, wanted = session.run([through_graph, expected.coefficients])
    assert relative_error(found, wanted) < 1e-5


def test_the_trunk_restores_and_the_heads_stay_zero(checkpoint):
    with tf.Graph().as_default():
        networks.r_net(tf.zeros([1, 64, 64, 3]), training=True, identity_count=5)
        trunk = tf.global_variables(networks.R_NET_SCOPE)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            restore(session, checkpoint, trunk)
            for variable in trunk[::40]:
                np.testing.assert_array_equal(
                    session.run(variable), golden_value(variable.op.name, variable.shape.as_list())
                )
            assert not session.run("fc-id/weights:0").any()


def test_checkpoints_of_2016_are_read(tmp_path):
    value = np.arange(6).reshape(2, 3)
    path = _save(
        tmp_path / "resnet_v1_50.ckpt", {"resnet_v1_50/mean_rgb": value}, tf.train.SaverDef.V1
    )
    assert os.path.isfile(path)
    values = read_variables(path, {"resnet_v1_50/mean_rgb": [2, None]})
    np.testing.assert_array_equal(values["resnet_v1_50/mean_rgb"], value)


def test_constants_of_a_frozen_graph_are_read_by_name(tmp_path):
    path = str(tmp_path / "net.pb")
    with tf.Graph().as_default() as graph:
        tf.constant([[1.0, 2.0]], name="layer/weights")
        with open(path, "wb") as file:
            file.write(graph.as_graph_def().SerializeToString())
    np.testing.assert_array_equal(
        read_variables(path, {"layer/weights": [1, 2]})["layer/weights"], [[1, 2]]
    )
    with pytest.raises(InputError, match="layer/biases"):
        read_variables(path, {"layer/weights": [1, 2], "layer/biases": [2]})


@pytest.mark.parametrize("missing", ["weights", "biases", "BatchNorm/moving_variance"])
def test_parts_missing_from_a_folded_graph_are_named(tmp_path, missing):
    names = ["a/weights", "a/biases", "a/BatchNorm/moving_variance", "a/BatchNorm/beta"]
    path = str(tmp_path / "net.pb")
    with tf.Graph().as_default() as graph:
        for name in names:
            if name != "a/" + missing:
                tf.constant(
                    -np.ones([1, 1, 2, 2] if name == "a/weights" else [2], np.float32), name=name
                )
        with open(path, "wb") as file:
            file.write(graph.as_graph_def().SerializeToString())
    wanted = {
        name: [1, 1, 2, 2] if name == "a/weights" else [2] for name in names if name != "a/biases"
    }
    if missing == "biases":  # then nothing was folded
        assert set(read_variables(path, wanted)) == set(wanted)
    else:
        with pytest.raises(InputError, match="1 of 3 variables missing .a/" + missing):
            read_variables(path, wanted)


def test_head_widths_come_from_the_checkpoint(checkpoint):
    values, counts = read_r_net(checkpoint)
    assert counts == {"identity_count": 80, "expression_count": 64, "albedo_count": 80}
    assert {name: list(value.shape) for name, value in values.items()} == golden_variables("r_net")


def test_missing_variables_are_named_and_counted(tmp_path):
    path = _save(tmp_path / "iter_1.ckpt", {"fc-id/biases": np.zeros(80)})
    with pytest.raises(
        InputError, match=r"iter_1.ckpt: 278 of 279 variables missing \(fc-XY/biases, .* more\)"
    ):
        read_r_net(path)


def test_a_wrong_shape_is_named_and_nothing_is_restored(tmp_path):
    path = _save(
        tmp_path / "iter_1.ckpt", {"fc-id/biases": np.ones(7), "fc-id/weights": np.ones((2, 2))}
    )
    with tf.Graph().as_default(), tf.Session() as session:
        weights = tf.get_variable("fc-id/weights", [2, 2], initializer=tf.zeros_initializer())
        biases = tf.get_variable("fc-id/biases", [80], initializer=tf.zeros_initializer())
        session.run(tf.global_variables_initializer())
        with pytest.raises(InputError, match=r"fc-id/biases has shape \[7\] instead of \[80\]"):
            restore(session, path, [weights, biases])
        assert not session.run(weights).any()


@pytest.mark.parametrize("name", ["absent.ckpt", "iter_1.ckpt.index", "folder"])
def test_a_missing_checkpoint_is_named(tmp_path, name):
    _save(tmp_path / "iter_1.ckpt", {"a": np.zeros(3)})
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="no such checkpoint"):
        read_variables(str(tmp_path / name), {"a": [3]})


@pytest.mark.parametrize(
    "part, keep", [(".index", 40), (".index", 0), (".data-00000-of-00001", 100)]
)
def test_damaged_checkpoints_are_refused(tmp_path, part, keep):
    path = _save(tmp_path / "iter_1.ckpt", {"a": np.arange(1000)})
    with open(path + part, "r+b") as file:
        file.truncate(keep)
    with pytest.raises(InputError, match="iter_1.ckpt: .*damaged"):
        read_variables(path, {"a": [1000]})


@pytest.mark.parametrize(
    "content", [b"", b"not a graph at all", bytes(range(256)) * 4], ids=["empty", "text", "bytes"]
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # protobuf's, about the bytes it skips
def test_damaged_graphs_are_refused(tmp_path, content):
    path = tmp_path / "net.pb"
    path.write_bytes(content)
    with pytest.raises(InputError, match="net.pb: "):
        load_frozen_graph(str(path), {}, ["coeff:0"])


def test_tensors_missing_from_a_graph_are_named(tmp_path):
    path = tmp_path / "net.pb"
    with tf.Graph().as_default() as graph:
        tf.placeholder(tf.float32, [None], name="input_imgs")
        path.write_bytes(graph.as_graph_def().SerializeToString())
    with tf.Graph().as_default(), pytest.raises(InputError, match="no tensor coeff:0, landmark:0;"):
        load_frozen_graph(str(path), {"input_imgs:0": tf.zeros([1])}, ["coeff:0", "landmark:0"])
    with pytest.raises(InputError, match="no such file"):
        read_graph_def(str(tmp_path / "absent.pb"))
