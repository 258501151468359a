"""Time decoding, rendering, losses and their gradient: ``python -m benchmarks.gradient``."""

import argparse

import losses
from benchmarks.graphs import build_runner, measure_graph
from benchmarks.measuring import Row, batch_flag, row_command
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


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row; the losses are the published ones except the perceptual one."""
    model = synthetic_face_model()
    values = (random_coefficients(model, arguments.batch),) + random_photos(arguments.batch)
    with tf.Graph().as_default():
        inputs = [tf.placeholder(tf.float32, (None,) + value.shape[1:]) for value in values]
        loss = _loss(*inputs, model=model)
        gradient = tf.gradients(loss, inputs[0])[0]
        run = build_runner({"loss": loss, "gradient": gradient}, dict(zip(inputs, values)))
    scene = dict(
        published_fields(model),
        **dict(zip(("coefficients", "photos", "attention", "labels"), values)),
    )
    return measure_graph(
        "decode + both masks + gradient to the coefficients, batch {}".format(arguments.batch),
        GOAL,
        "gradient",
        scene,
        run,
        arguments,
    )


def _loss(coefficients, photos, attention, labels, model):
    face = decode_face(coefficients, model)
    rendering = render_face(face, model)
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    return losses.total_loss(
        losses.Losses(
            photometric=losses.photometric_loss(
                photos, rendering.image, rendering.front_mask * attention
            ),
            landmark=losses.landmark_loss(face.landmarks, labels),
            perceptual=None,
            regularization=losses.regularization_loss(parts),
            reflectance=losses.reflectance_loss(face.albedo, model.skin_mask),
            gamma=losses.gamma_loss(parts.gamma),
        )
    )


main = row_command(__doc__, measure, batch_flag(16))


if __name__ == "__main__":
    run_main(main)
