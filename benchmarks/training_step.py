"""Time a whole training step of R-Net, identity loss included: ``python -m benchmarks.training_step [--json]``.

FaceNet and R-Net have random weights; data reading, which runs beside the step, is left out on both sides.
"""

from benchmarks.graphs import RandomFaceNet, measure_graph, runner
from benchmarks.measuring import row_main
from benchmarks.synthetic_model import published_fields, random_photos, synthetic_face_model
from dataset.face_stream import Batch
from training.options import TrainingOptions
from training.r_net_step import build_r_net_step
from utils.errors import run_main
from utils.tf_compat import tf

GOAL = 2.5


def measure(arguments):
    """Return the row."""
    model = synthetic_face_model()
    values = random_photos(arguments.batch)
    with tf.Graph().as_default():
        inputs = [tf.placeholder(tf.float32, (None,) + value.shape[1:]) for value in values]
        step = build_r_net_step(Batch(*inputs, indices=None), model, TrainingOptions(), RandomFaceNet())
        feed = dict(zip(inputs, values))
        feed.update({step.learning_rate: 1e-4, step.batch_norm_decay: 0.997})
        fetches = {"loss": step.losses["total"], "update": step.update}
        run = runner(fetches, feed)
    scene = dict(published_fields(model), **dict(zip(("photos", "attention", "labels"), values)))
    row = measure_graph("whole training step with identity loss, batch {}".format(arguments.batch), GOAL,
                        "training_step", scene, run, arguments)
    del row["difference"]  # weights are drawn anew on each side
    return row


def _flags(parser):
    parser.add_argument("--batch", type=int, default=8, help="faces in a batch")


def main(argv=None):
    """Measure and print."""
    return row_main(__doc__.splitlines()[0], measure, argv, _flags)


if __name__ == "__main__":
    run_main(main)
