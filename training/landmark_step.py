"""One training step of the landmark network on drawn faces, whose hidden landmarks are known too.

Wood et al., "3D Face Reconstruction with Dense Landmarks" (ECCV 2022), section 3: the network
predicts each landmark with its noise, and the loss is the negative logarithm of the likelihood.
"""

from typing import Any, NamedTuple, Optional

import networks
from checkpoints.variables import network_variables, restore
from dataset.cached_stream import LabeledBatch
from face_model import FaceModel
from training.optimizer import (
    Average,
    build_training_step,
    landmark_metrics,
    schedule_placeholders,
)
from training.options import TrainingOptions
from training.step import TrainingStep
from utils.tf_compat import Tensor, tf


class LandmarkLosses(NamedTuple):
    """The one loss."""

    likelihood: Tensor  # negative logarithm, per landmark, without its constant


class LandmarkLossWeights(NamedTuple):
    """Its weight."""

    likelihood: float = 1.0


def build_landmark_step(
    batch: LabeledBatch,
    model: FaceModel,
    options: TrainingOptions,
    identity_network: Any = None,
    average: Optional[Average] = None,
) -> TrainingStep:
    """Build the graph of a training step of the landmark network.

    The step's ``prediction`` is [B, 68, 3]: x and y in pixels of the crop, y up, and the logarithm
    of the noise.

    Args:
        batch: batch of tensors.
        model: face model; the landmarks are points of it.
        options: options of the run; ``loss_weights`` are :class:`LandmarkLossWeights`.
        identity_network: not used.
        average: see ``training.optimizer.build_training_step``.
    """
    # 1. network
    schedule = schedule_placeholders()
    trained = _prediction(
        networks.landmark_net(batch.photos, training=True, decay=schedule.batch_norm_decay)
    )
    applied = _prediction(networks.landmark_net(batch.photos, training=False, reuse=True))

    # 2. loss
    landmarks, log_noise = trained[..., :2], trained[..., 2]
    losses = LandmarkLosses(gaussian_likelihood_loss(landmarks, log_noise, batch.landmarks))
    total = options.loss_weights.likelihood * losses.likelihood

    # 3. update and summaries
    return build_training_step(
        losses,
        total,
        options.loss_weights,
        schedule,
        trained,
        average=average,
        applied_prediction=applied,
        metrics=landmark_metrics(landmarks, batch.landmarks),
        histograms=tf.summary.histogram("log_noise", log_noise),
        pictures=None,
    )


def initialize_landmark_net(session: Any, path: str) -> None:
    """Start the landmark network from trained weights.

    Args:
        session: session of a graph with the network's variables, initialized.
        path: checkpoint of a landmark network.

    Raises:
        InputError: the file is missing, damaged or of another network.
    """
    restore(session, path, network_variables(networks.LANDMARK_NET_SCOPE))


def gaussian_likelihood_loss(landmarks: Tensor, log_noise: Tensor, labels: Tensor) -> Tensor:
    """Return the mean negative logarithm of a Gaussian likelihood, without its constant.

    Args:
        landmarks: [B, 68, 2] predicted positions.
        log_noise: [B, 68] logarithm of the standard deviation of x and of y.
        labels: [B, 68, 2] true positions.
    """
    squared = tf.reduce_sum(tf.square(landmarks - labels), axis=-1)
    return tf.reduce_mean(2.0 * log_noise + 0.5 * squared * tf.exp(-2.0 * log_noise))


def _prediction(output: networks.LandmarkNetOutput) -> Tensor:
    return tf.concat([output.landmarks, output.log_noise[..., tf.newaxis]], axis=-1)
