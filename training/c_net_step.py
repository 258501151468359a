"""One training step of C-Net on sets of photos with known identity, on top of a frozen R-Net.

Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (CVPRW 2019),
section 4: C-Net learns from the identity that it aggregates. The paper compares its rendering with
the photos; here the identity is known, and the loss is the distance of the surfaces.
"""

from typing import Any, Dict, NamedTuple, Optional

import networks
from checkpoints.variables import network_variables, restore
from dataset.set_stream import SetBatch
from face_model import FaceModel
from training.coefficient_losses import build_metric_matrices, root_mean_square
from training.optimizer import Average, build_training_step, schedule_placeholders
from training.options import TrainingOptions
from training.step import TrainingStep
from utils.tf_compat import Tensor, tf


class CNetLosses(NamedTuple):
    """The one loss."""

    shape: Tensor  # root mean square distance of the vertices by the aggregated identity, mm


class CNetLossWeights(NamedTuple):
    """Its weight."""

    shape: float = 1.0  # per mm


def build_c_net_step(
    batch: SetBatch,
    model: FaceModel,
    options: TrainingOptions,
    identity_network: Any = None,
    average: Optional[Average] = None,
) -> TrainingStep:
    """Build the graph of a training step of C-Net.

    The step's ``prediction`` is the confidence in each photo, [P * n, identities].

    Args:
        batch: batch of tensors.
        model: face model.
        options: options of the run; ``loss_weights`` are :class:`CNetLossWeights`.
        identity_network: not used.
        average: see ``training.optimizer.build_training_step``.
    """
    # 1. network in both modes
    schedule = schedule_placeholders()
    count = model.identity_count
    trained = networks.c_net(
        batch.shallow,
        batch.deep,
        training=True,
        identity_count=count,
        decay=schedule.batch_norm_decay,
    )
    applied = networks.c_net(
        batch.shallow, batch.deep, training=False, identity_count=count, reuse=True
    )

    # 2. loss
    metric = build_metric_matrices(model).shape[:count, :count]
    found = aggregate(batch.predicted, tf.reshape(trained, tf.shape(batch.predicted)))
    losses = CNetLosses(root_mean_square(found - batch.identity, metric))
    total = options.loss_weights.shape * losses.shape

    # 3. update and summaries
    return build_training_step(
        losses,
        total,
        options.loss_weights,
        schedule,
        trained,
        average=average,
        applied_prediction=applied,
        metrics=_metrics(batch, metric),
        histograms=tf.summary.histogram("log_confidence", tf.log(trained)),
        pictures=None,
    )


def aggregate(identity: Tensor, confidence: Tensor) -> Tensor:
    """Return sum_j c_j * identity_j / sum_j c_j, element by element, [P, identities].

    Args:
        identity: [P, n, identities] of n photos each.
        confidence: [P, n, identities], positive.
    """
    return tf.reduce_sum(confidence * identity, axis=1) / tf.reduce_sum(confidence, axis=1)


def initialize_c_net(session: Any, path: str) -> None:
    """Start C-Net from trained weights.

    Args:
        session: session of a graph with the network's variables, initialized.
        path: checkpoint of a C-Net.

    Raises:
        InputError: the file is missing, damaged or of another network.
    """
    restore(session, path, network_variables(networks.C_NET_SCOPE))


def _metrics(batch: SetBatch, metric: Any) -> Dict[str, Tensor]:
    """Return the loss of the plain average, and the mean loss of the single photos."""
    mean = tf.reduce_mean(batch.predicted, axis=1)
    single = batch.predicted - batch.identity[:, tf.newaxis]
    return {
        "plain_average_mm": root_mean_square(mean - batch.identity, metric),
        "single_photo_mm": root_mean_square(tf.reshape(single, [-1, metric.shape[0]]), metric),
    }
