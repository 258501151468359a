"""train.py with small networks, and short patience with lost workers, for tests of clusters.

The environment variable ``CLUSTER_NETWORK`` chooses the network, in all workers: ``one_weight``,
``r_net`` (with few channels, normalized by its moving averages) or ``gcn`` (on coefficients that
need no R-Net).
"""

import os

import numpy as np

import networks
import train
from face_model.coefficients import coefficient_sizes
from gcn.embedding import FrozenFeatures
from tests.fuzz import stand_ins
from tests.network_parity import published_pyramid
from tests.paths import GOLDEN
from training import cluster, mesh_generator_step, tasks
from utils.errors import run_main
from utils.tf_compat import tf

VARIABLE = "CLUSTER_NETWORK"
SILENCE = 6.0  # seconds


def _install(network):
    """Put the small network in place."""
    key = ("gcn" if network == "gcn" else "r_net", "photo")
    task = tasks.TASKS[key]
    if network == "one_weight":
        task = task._replace(build_step=stand_ins.tiny_step)
    elif network == "r_net":
        networks._RESNET_BLOCKS = stand_ins._SLIM_BLOCKS
        networks.POOL5_WIDTH = stand_ins.POOL5_WIDTH
        networks.r_net = _without_batch_statistics(networks.r_net)
    else:
        pyramid = published_pyramid(np.load(os.path.join(GOLDEN, "gcn.npz"), allow_pickle=False))
        mesh_generator_step.build_frozen_features = _cheap_features
        mesh_generator_step.load_pyramid = lambda model, name: pyramid
    tasks.TASKS = {key: task}


def _without_batch_statistics(r_net):
    def build(photos, training, decay=None, **options):
        return r_net(photos, training=False, **options)

    return build


def _cheap_features(photos, path, model, identity_network, allow_any_op):
    thumbnails = tf.reshape(tf.image.resize_bilinear(photos, [4, 4]), [-1, 48]) / 255.0
    zeros = tf.zeros([tf.shape(photos)[0], sum(coefficient_sizes(model))])
    return FrozenFeatures(zeros, thumbnails)


if __name__ == "__main__":
    cluster.SILENCE = SILENCE
    _install(os.environ[VARIABLE])
    run_main(train.main)
