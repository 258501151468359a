"""Time decoding, picture, both masks, losses and their gradient: ``python -m benchmarks.gradient [--json]``."""

import losses
from benchmarks.graphs import measure_graph, runner
from benchmarks.measuring import row_main
from benchmarks.synthetic_model import (
    published_fields,
    random_coefficients,
    random_photos,
    synthetic_face_model,
)
from face_decoder import decode_face, render_face
from face_model.coefficients import coefficient_sizes, split_coefficients
from utils.errors import run_main
from utils.tf_compat import tf

GOAL = 12


def measure(arguments):
    """Return the row; the losses are the published ones, but for identity."""
    model = synthetic_face_model()
    values = (random_coefficients(model, arguments.batch),) + random_photos(arguments.batch)
    with tf.Graph().as_default():
        inputs = [tf.placeholder(tf.float32, (None,) + value.shape[1:]) for value in values]
        loss = _loss(*inputs, model=model)
        gradient = tf.gradients(loss, inputs[0])[0]
        run = runner({"loss": loss, "gradient": gradient}, dict(zip(inputs, values)))
    scene = dict(published_fields(model), **dict(zip(("coefficients", "photos", "attention", "labels"), values)))
    return measure_graph("decode + both masks + gradient to the coefficients, batch {}".format(arguments.batch), GOAL,
                         "gradient", scene, run, arguments)


def _loss(coefficients, photos, attention, labels, model):
    face = decode_face(coefficients, model)
    rendering = render_face(face, model)
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    return losses.total_loss(losses.Losses(
        photometric=losses.photometric_loss(photos, rendering.image, rendering.front_mask * attention),
        landmark=losses.landmark_loss(face.landmarks, labels),
        perceptual=None,
        regularization=losses.regularization_loss(parts),
        reflectance=losses.reflectance_loss(face.albedo, model.skin_mask),
        gamma=losses.gamma_loss(parts.gamma)))


def _flags(parser):
    parser.add_argument("--batch", type=int, default=16, help="faces in a batch")


def main(argv=None):
    """Measure and print."""
    return row_main(__doc__.splitlines()[0], measure, argv, _flags)


if __name__ == "__main__":
    run_main(main)
