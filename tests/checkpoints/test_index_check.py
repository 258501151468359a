"""Forged indices of checkpoints with right checksums: refused before TensorFlow reads them."""

import os

import numpy as np
import pytest

from checkpoints.index_check import require_sound_index
from checkpoints.variables import read_variables, variable_shapes
from tests.fuzz.forged_networks import CHECKPOINT_INDICES
from utils.errors import InputError
from utils.tf_compat import tf


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    prefix = str(tmp_path_factory.mktemp("checkpoint") / "net.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        for index in range(30):
            tf.get_variable("layer{}/weights".format(index), [3, index + 1], tf.float32)
        tf.get_variable("global_step", [], tf.int64, tf.zeros_initializer())
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False)
    return prefix


def test_a_sound_index_passes(checkpoint):
    require_sound_index(checkpoint)
    assert variable_shapes(checkpoint)["layer7/weights"] == [3, 8]


@pytest.mark.parametrize("name", sorted(CHECKPOINT_INDICES))
def test_a_forged_index_is_refused_or_read(checkpoint, tmp_path, name):
    with open(checkpoint + ".index", "rb") as file:
        whole = file.read()
    prefix = str(tmp_path / "net.ckpt")
    os.link(checkpoint + ".data-00000-of-00001", prefix + ".data-00000-of-00001")
    refused = 0
    for seed in range(20):
        with open(prefix + ".index", "wb") as file:
            file.write(CHECKPOINT_INDICES[name](np.random.RandomState(seed), whole))
        try:
            shapes = variable_shapes(prefix)
            read_variables(prefix, {key: shape for key, shape in shapes.items()})
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    if name in ("negative numbers", "32 bits flipped, resealed"):
        assert refused


def test_a_pipe_instead_of_the_data_is_refused(checkpoint, tmp_path):
    prefix = str(tmp_path / "net.ckpt")
    os.link(checkpoint + ".index", prefix + ".index")
    os.mkfifo(prefix + ".data-00000-of-00001")
    with pytest.raises(InputError, match="not a TensorFlow checkpoint, or a damaged one"):
        variable_shapes(prefix)
