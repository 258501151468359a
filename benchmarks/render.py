"""Time decoding and rendering: ``python -m benchmarks.render [--json]``."""

from benchmarks.graphs import measure_graph, runner
from benchmarks.measuring import row_main
from benchmarks.synthetic_model import published_fields, random_coefficients, synthetic_face_model
from face_decoder import decode_face, render_face
from utils.errors import run_main
from utils.tf_compat import tf

GOAL = 8


def measure(arguments):
    """Return the row."""
    model = synthetic_face_model()
    values = random_coefficients(model, arguments.batch)
    with tf.Graph().as_default():
        coefficients = tf.placeholder(tf.float32, [None, values.shape[1]])
        image = render_face(decode_face(coefficients, model), model).image
        run = runner({"image": image}, {coefficients: values})
    scene = dict(published_fields(model), coefficients=values)
    return measure_graph("decode + render, batch {}".format(arguments.batch), GOAL, "render", scene, run, arguments)


def _flags(parser):
    parser.add_argument("--batch", type=int, default=16, help="faces in a batch")


def main(argv=None):
    """Measure and print."""
    return row_main(__doc__.splitlines()[0], measure, argv, _flags)


if __name__ == "__main__":
    run_main(main)
