"""Time a training step of R-Net, identity loss included: ``python -m benchmarks.training_step``.

FaceNet and R-Net have random weights. Reading of data, which runs in parallel to the step, is
omitted on both sides.
"""

import argparse

from benchmarks.graphs import RandomFaceNet, build_runner, measure_graph
from benchmarks.measuring import Row, batch_flag, row_command
from benchmarks.synthetic_model import published_fields, random_photos, synthetic_face_model
from dataset.face_stream import Batch
from training.options import TrainingOptions
from training.r_net_step import build_r_net_step
from utils.errors import run_main
from utils.tf_compat import tf

GOAL = 2.5


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    model = synthetic_face_model()
    values = random_photos(arguments.batch)
    with tf.Graph().as_default():
        inputs = [tf.placeholder(tf.float32, (None,) + value.shape[1:]) for value in values]
        step = build_r_net_step(
            Batch(*inputs, indices=None), model, TrainingOptions(), RandomFaceNet()
        )
        feed = dict(zip(inputs, values))
        feed.update({step.learning_rate: 1e-4, step.batch_norm_decay: 0.997})
        fetches = {"loss": step.losses["total"], "update": step.update}
        run = build_runner(fetches, feed)
    scene = dict(published_fields(model), **dict(zip(("photos", "attention", "labels"), values)))
    row = measure_graph(
        "whole training step with identity loss, batch {}".format(arguments.batch),
        GOAL,
        "training_step",
        scene,
        run,
        arguments,
    )
    del row["difference"]  # each side has its own random weights
    return row


main = row_command(__doc__, measure, batch_flag(8))


if __name__ == "__main__":
    run_main(main)
