"""R-Net with random weights, for rows that need the cost of the network alone."""

import contextlib
import os
import tempfile

import networks
from face_model.coefficients import coefficient_sizes
from utils.tf_compat import tf


@contextlib.contextmanager
def random_checkpoint(model):
    """Yield the path of a temporary checkpoint of R-Net for a face model."""
    sizes = coefficient_sizes(model)
    with tempfile.TemporaryDirectory() as folder, tf.Graph().as_default():
        networks.r_net(
            tf.placeholder(tf.float32, [None, 224, 224, 3]),
            training=False,
            identity_count=sizes.identity,
            expression_count=sizes.expression,
            albedo_count=sizes.albedo,
        )
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            yield tf.train.Saver().save(
                session, os.path.join(folder, "random.ckpt"), write_meta_graph=False
            )
