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
    build_training_step,
    coefficient_histograms,
    landmark_metrics,
    schedule_placeholders,
)
from training.options import TrainingOptions
from training.step import TrainingStep


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
        average: see ``training.optimizer.build_training_step``.
    """
    # 1. network
    sizes = coefficient_sizes(model)
    schedule = schedule_placeholders()
    trained, applied = build_train_and_eval(batch.photos, sizes, schedule.batch_norm_decay)

    # 2. losses
    losses, landmarks = coefficient_losses(
        trained, batch.coefficients, batch.landmarks, model, build_metric_matrices(model)
    )
    total = total_coefficient_loss(losses, options.loss_weights)

    # 3. update and summaries
    return build_training_step(
        losses,
        total,
        options.loss_weights,
        schedule,
        trained,
        head_rate=options.head_rate,
        average=average,
        applied_prediction=applied,
        metrics=landmark_metrics(landmarks, batch.landmarks),
        histograms=coefficient_histograms(split_coefficients(trained, sizes)),
        pictures=None,
    )
