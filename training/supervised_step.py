"""One training step of R-Net on faces with known coefficients, without rendering."""

from typing import Any, Optional

from dataset.cached_stream import LabeledBatch
from face_model import FaceModel
from face_model.coefficients import coefficient_sizes, split_coefficients
from training.coefficient_losses import (
    build_metric_matrices,
    coefficient_losses,
    total_coefficient_loss,
)
from training.optimizer import (
    Average,
    build_train_and_eval,
    build_update,
    coefficient_histograms,
    landmark_metrics,
    loss_gradient_norms,
    schedule_placeholders,
)
from training.options import TrainingOptions
from training.step import TrainingStep, present_terms
from utils.tf_compat import tf


def build_supervised_step(
    batch: LabeledBatch,
    model: FaceModel,
    options: TrainingOptions,
    identity_network: Any = None,
    average: Optional[Average] = None,
) -> TrainingStep:
    """Build the graph of a training step of R-Net without pictures.

    Args:
        batch: batch of tensors.
        model: face model.
        options: options of the run; ``loss_weights`` are
            ``training.coefficient_losses.CoefficientLossWeights``.
        identity_network: not used.
        average: see ``training.optimizer.build_update``.
    """
    # 1. network
    sizes = coefficient_sizes(model)
    learning_rate, decay = schedule_placeholders()
    trained, applied = build_train_and_eval(batch.photos, sizes, decay)

    # 2. losses and update
    losses, landmarks = coefficient_losses(
        trained, batch.coefficients, batch.landmarks, model, build_metric_matrices(model)
    )
    total = total_coefficient_loss(losses, options.loss_weights)
    update, gradient_norm = build_update(total, learning_rate, options.head_rate, average)

    # 3. summaries
    return TrainingStep(
        update=update,
        step=tf.train.get_or_create_global_step(),
        learning_rate=learning_rate,
        batch_norm_decay=decay,
        prediction=trained,
        applied_prediction=applied,
        losses=dict(present_terms(losses), total=total),
        metrics=landmark_metrics(landmarks, batch.landmarks),
        gradient_norm=gradient_norm,
        loss_gradient_norms=loss_gradient_norms(losses, options.loss_weights, trained),
        histograms=coefficient_histograms(split_coefficients(trained, sizes)),
        pictures=None,
    )
