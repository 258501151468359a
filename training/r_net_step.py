"""One training step of R-Net: photo -> coefficients -> face -> image, six losses, Adam.

Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (CVPRW 2019),
section 3, without any ground truth of shape: photo, landmarks and identity are the teachers.
"""

import losses as loss_terms
import networks
from checkpoints.variables import restore, variable_shapes
from face_decoder import decode_face, render_face
from face_model.coefficients import coefficient_sizes, split_coefficients
from losses import Losses
from training.optimizer import (
    R_NET_HEADS,
    coefficient_histograms,
    landmark_error,
    loss_gradient_norms,
    optimise,
    two_modes,
)
from training.step import Pictures, TrainingStep, named
from utils.tf_compat import tf


def build_r_net_step(batch, model, options, identity_network=None):
    """Build the graph of a training step of R-Net.

    Args:
        batch: ``dataset.face_stream.Batch`` of tensors.
        model: a ``FaceModel``.
        options: ``training.options.TrainingOptions``.
        identity_network: an ``identity.IdentityNetwork``, or None to leave the perceptual loss out.

    Returns:
        A ``training.step.TrainingStep``.
    """
    sizes = coefficient_sizes(model)
    learning_rate, decay = (tf.placeholder(tf.float32, [], name) for name in ("learning_rate", "batch_norm_decay"))
    trained, applied = two_modes(batch.photos, sizes, decay)
    face = decode_face(trained, model)
    rendering = render_face(face, model)
    losses = _losses(batch, trained, face, rendering, model, options.loss_weights, identity_network)
    total = loss_terms.total_loss(losses, options.loss_weights)
    update, gradient_norm = optimise(total, learning_rate)
    parts = split_coefficients(trained, sizes)
    return TrainingStep(
        update=update,
        step=tf.train.get_or_create_global_step(),
        learning_rate=learning_rate,
        batch_norm_decay=decay,
        prediction=trained,
        applied_prediction=applied,
        losses=dict(named(losses), total=total),
        metrics={"landmark_error_pixels": landmark_error(face.landmarks, batch.landmarks)},
        gradient_norm=gradient_norm,
        loss_gradient_norms=loss_gradient_norms(losses, options.loss_weights, trained),
        histograms=coefficient_histograms(parts),
        pictures=_pictures(face, rendering, model),
    )


def initialise_r_net(session, path):
    """Start R-Net from trained weights.

    Args:
        session: a session of a graph with R-Net's variables, initialised.
        path: an R-Net checkpoint, a frozen graph that keeps the names of its variables, or a
            ``resnet_v1_50.ckpt``, which has the trunk only: the heads then keep their zeros.

    Raises:
        InputError: the file is missing, damaged or of another network or face model.
    """
    trunk = tf.trainable_variables(networks.R_NET_SCOPE + "/")
    trunk += [v for v in tf.global_variables(networks.R_NET_SCOPE + "/") if "/moving_" in v.op.name]
    heads = [v for v in tf.trainable_variables() if v.op.name.split("/")[0] in R_NET_HEADS]
    has_heads = path.endswith(".pb") or "fc-angles/weights" in variable_shapes(path)
    restore(session, path, trunk + heads if has_heads else trunk)


def _losses(batch, coefficients, face, rendering, model, weights, identity_network):
    """Return the six unweighted ``losses.Losses``."""
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    perceptual = None
    if identity_network is not None:
        perceptual = loss_terms.perceptual_loss(
            identity_network.features(batch.photos), identity_network.features(rendering.image))
    return Losses(
        photometric=loss_terms.photometric_loss(
            batch.photos, rendering.image, rendering.front_mask * batch.attention),
        landmark=loss_terms.landmark_loss(face.landmarks, batch.landmarks),
        perceptual=perceptual,
        regularization=loss_terms.regularization_loss(parts, weights),
        reflectance=loss_terms.reflectance_loss(face.albedo, model.skin_mask),
        gamma=loss_terms.gamma_loss(parts.gamma),
    )


def _pictures(face, rendering, model):
    unlit = render_face(face._replace(colors=face.albedo), model)
    return Pictures(rendering.image, rendering.mask, unlit.image, face.landmarks, face.shape, face.colors)
