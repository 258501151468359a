"""The landmark network on disk: freezing it in the form of the published landmark detector."""

import networks
from checkpoints.frozen_graph import (
    INPUT_TENSOR,
    LANDMARK_TENSOR,
    LOG_NOISE_TENSOR,
    operation_name,
    write_frozen_graph,
)
from checkpoints.variables import read_variables
from geometry.camera import IMAGE_SIZE, row_from_y_up
from utils.tf_compat import tf


def export_landmark_net(checkpoint: str, path: str, half: bool = False) -> None:
    """Write a checkpoint as a frozen graph with the tensors of ``landmark68_detector.pb``.

    Args:
        checkpoint: prefix of a training checkpoint.
        path: the ``.pb`` file to write: ``input_imgs:0`` [B, 224, 224, 3] BGR to ``landmark:0``
            [B, 68, 2], (row, column), and ``log_noise:0`` [B, 68].
        half: store the weights as float16, half the bytes; the graph computes in float32 still.

    Raises:
        InputError: the file is missing or damaged, or variables are missing or of other shapes.
    """
    # 1. variables
    size = networks.LANDMARK_NET_INPUT_SIZE
    with tf.Graph().as_default():
        networks.landmark_net(tf.placeholder(tf.float32, [None, size, size, 3]), training=False)
        shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    values = read_variables(checkpoint, shapes)

    # 2. the network, its input and outputs under the published names
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(
            tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], operation_name(INPUT_TENSOR)
        )
        output = networks.landmark_net(
            networks.downsample_input(images, size),
            training=False,
            frozen=networks.frozen_parameters(values, half),
        )
        rows = row_from_y_up(output.landmarks[..., 1])
        tf.stack([rows, output.landmarks[..., 0]], -1, operation_name(LANDMARK_TENSOR))
        tf.identity(output.log_noise, operation_name(LOG_NOISE_TENSOR))
        write_frozen_graph(graph, path)
