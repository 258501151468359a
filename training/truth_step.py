"""One training step of R-Net on faces whose coefficients are known: no rendering, no identity network."""

from face_model.coefficients import coefficient_sizes, split_coefficients
from training.optimizer import optimise, two_modes
from training.r_net_step import coefficient_histograms, landmark_error, loss_gradient_norms
from training.step import TrainingStep, named
from training.truth_losses import total_truth_loss, truth_losses, truth_measures
from utils.tf_compat import tf


def build_truth_step(batch, model, options, identity_network=None):
    """Build the graph of a supervised training step of R-Net.

    Args:
        batch: ``dataset.truth_stream.TruthBatch`` of tensors.
        model: a ``FaceModel``.
        options: ``training.options.TrainingOptions``; ``loss_weights`` are ``training.truth_losses.TruthWeights``.
        identity_network: not used.

    Returns:
        A ``training.step.TrainingStep`` without pictures.
    """
    learning_rate, decay = (tf.placeholder(tf.float32, [], name) for name in ("learning_rate", "batch_norm_decay"))
    trained, applied = two_modes(batch.photos, coefficient_sizes(model), decay)
    losses, landmarks = truth_losses(trained, batch.coefficients, batch.landmarks, model, truth_measures(model))
    total = total_truth_loss(losses, options.loss_weights)
    update, gradient_norm = optimise(total, learning_rate, options.head_rate)
    return TrainingStep(
        update=update,
        step=tf.train.get_or_create_global_step(),
        learning_rate=learning_rate,
        batch_norm_decay=decay,
        prediction=trained,
        applied_prediction=applied,
        losses=dict(named(losses), total=total),
        metrics={"landmark_error_pixels": landmark_error(landmarks, batch.landmarks),
                 "landmark_nme_percent": _normalised_error(landmarks, batch.landmarks)},
        gradient_norm=gradient_norm,
        loss_gradient_norms=loss_gradient_norms(losses, options.loss_weights, trained),
        histograms=coefficient_histograms(split_coefficients(trained, coefficient_sizes(model))),
        pictures=None,
    )


def _normalised_error(predicted, labels):
    """Return the mean landmark distance in percent of sqrt(w h) of the tight box around the labels."""
    box = tf.reduce_max(labels, axis=1) - tf.reduce_min(labels, axis=1)
    size = tf.sqrt(box[:, 0] * box[:, 1])
    return 100.0 * tf.reduce_mean(tf.reduce_mean(tf.norm(predicted - labels, axis=-1), axis=1) / size)
