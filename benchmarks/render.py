"""Time decoding and rendering: ``python -m benchmarks.render [--json]``."""

import argparse

from benchmarks.graphs import build_runner, measure_graph
from benchmarks.measuring import Row, batch_flag, row_command
from benchmarks.synthetic_model import published_fields, random_coefficients, synthetic_face_model
from face_decoder import decode_face, render_face
from utils.errors import run_main
from utils.tf_compat import tf

GOAL = 8


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    model = synthetic_face_model()
    values = random_coefficients(model, arguments.batch)
    with tf.Graph().as_default():
        coefficients = tf.placeholder(tf.float32, [None, values.shape[1]])
        image = render_face(decode_face(coefficients, model), model).image
        run = build_runner({"image": image}, {coefficients: values})
    scene = dict(published_fields(model), coefficients=values)
    return measure_graph(
        "decode + render, batch {}".format(arguments.batch), GOAL, "render", scene, run, arguments
    )


main = row_command(__doc__, measure, batch_flag(16))


if __name__ == "__main__":
    run_main(main)
