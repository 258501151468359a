"""Parts shared by all training steps: R-Net in both modes, the Adam update, and summaries of both.

The steps themselves are in ``training.r_net_step``, ``training.supervised_step``,
``training.landmark_step`` and ``training.mesh_generator_step``.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import networks
from training.step import TrainingStep, present_terms
from utils.tf_compat import Tensor, tf

# Function that returns the means of tensors over the workers of a cluster.
Average = Callable[[Sequence[Tensor]], List[Tensor]]

R_NET_HEADS = ("fc-id", "fc-ex", "fc-tex", "fc-angles", "fc-gamma", "fc-XY", "fc-Z")


class Schedule(NamedTuple):
    """The quantities that change from step to step, as scalar placeholders."""

    learning_rate: Tensor
    batch_norm_decay: Tensor  # of the moving averages


def schedule_placeholders() -> Schedule:
    """Return new placeholders."""
    return Schedule(
        tf.placeholder(tf.float32, [], "learning_rate"),
        tf.placeholder(tf.float32, [], "batch_norm_decay"),
    )


def build_train_and_eval(photos: Tensor, sizes: Any, decay: Tensor) -> Tuple[Tensor, Tensor]:
    """Build one R-Net in training mode and in inference mode.

    Args:
        photos: [B, S, S, 3] BGR, 0..255.
        sizes: ``face_model.coefficients.Coefficients`` of ints.
        decay: decay of the moving averages.

    Returns:
        Coefficients of both modes, each [B, coefficients].
    """
    counts = dict(
        identity_count=sizes.identity,
        expression_count=sizes.expression,
        albedo_count=sizes.albedo,
    )
    trained = networks.r_net(photos, training=True, decay=decay, **counts)
    applied = networks.r_net(photos, training=False, reuse=True, **counts)
    return trained.coefficients, applied.coefficients


def build_update(
    total: Tensor,
    learning_rate: Tensor,
    head_rate: float = 1.0,
    average: Optional[Average] = None,
) -> Tuple[Any, Tensor]:
    """Build one Adam step of all trained variables, with the moving averages and the step counter.

    Args:
        total: total loss.
        learning_rate: scalar.
        head_rate: learning rate of R-Net's heads relative to the trunk's. The 2,048 features under
            a head are all positive, so a step of Adam moves all weights of an output in the same
            direction, and the output by about a thousand times the learning rate. At the rates
            that a trunk with random weights needs, this exceeds the range of the pose angles.
        average: of gradients and moving averages over the workers; None: there is one worker.

    Returns:
        The operation, and the global norm of the gradient.
    """
    optimizer = tf.train.AdamOptimizer(learning_rate)
    # All gradients first: an early update would change weights that another gradient still reads.
    pairs = optimizer.compute_gradients(
        total, tf.trainable_variables(), gate_gradients=optimizer.GATE_GRAPH
    )
    step = tf.train.get_or_create_global_step()
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    if average is not None:
        pairs, updates = _average_over_workers(pairs, updates, average)

    # The moving averages are part of the step: they are updated before it is counted.
    with tf.control_dependencies(updates):
        if head_rate == 1:
            update = optimizer.apply_gradients(pairs, global_step=step)
        else:
            heads, trunk = (
                [pair for pair in pairs if is_head(pair[1]) == of_head] for of_head in (True, False)
            )
            head_optimizer = tf.train.AdamOptimizer(head_rate * learning_rate, name="AdamHeads")
            update_heads = head_optimizer.apply_gradients(heads)
            with tf.control_dependencies([update_heads]):
                update = optimizer.apply_gradients(trunk, global_step=step)
    return update, tf.global_norm([gradient for gradient, _ in pairs])


def build_training_step(
    losses: Any,
    total: Tensor,
    weights: Any,
    schedule: Schedule,
    prediction: Tensor,
    head_rate: float = 1.0,
    average: Optional[Average] = None,
    differentiated: Optional[Tensor] = None,
    **others: Any,
) -> TrainingStep:
    """Build the update by the total loss, and return the whole step.

    Args:
        losses: NamedTuple of scalar tensors; None is left out.
        total: their weighted sum.
        weights: NamedTuple with a weight of the same name for each loss.
        schedule: result of :func:`schedule_placeholders`.
        prediction: of the network in training mode.
        head_rate: see :func:`build_update`.
        average: see :func:`build_update`.
        differentiated: tensor by which the gradients of the losses are summarized; None: the
            prediction.
        others: further fields of the ``TrainingStep``.
    """
    update, gradient_norm = build_update(total, schedule.learning_rate, head_rate, average)
    if differentiated is None:
        differentiated = prediction
    return TrainingStep(
        update=update,
        step=tf.train.get_or_create_global_step(),
        learning_rate=schedule.learning_rate,
        batch_norm_decay=schedule.batch_norm_decay,
        prediction=prediction,
        losses=dict(present_terms(losses), total=total),
        gradient_norm=gradient_norm,
        loss_gradient_norms=_loss_gradient_norms(losses, weights, differentiated),
        **others,
    )


def _average_over_workers(
    pairs: Sequence[Tuple[Tensor, Any]], updates: Sequence[Tensor], average: Average
) -> Tuple[List[Tuple[Tensor, Any]], List[Any]]:
    """Average gradients and moving averages in one exchange.

    Args:
        pairs: (gradient, variable) of this worker's share of the batch.
        updates: updates of the moving averages by this worker's share.
        average: the exchange.

    Returns:
        (gradient, variable) of the whole batch, and updates of the moving averages by all shares.
    """
    # 1. This worker's values.
    gradients, variables = zip(*[pair for pair in pairs if pair[0] is not None])
    names = sorted({update.op.inputs[0].op.name for update in updates})
    moving = [v for v in tf.global_variables() if v.op.name in names]
    with tf.control_dependencies(updates):
        updated = [v.read_value() for v in moving]

    # 2. Means over the workers.
    means = average(list(gradients) + updated)
    assigned = [tf.assign(v, mean) for v, mean in zip(moving, means[len(gradients) :])]
    return list(zip(means, variables)), assigned


def is_head(variable: Any) -> bool:
    """Return True if a variable belongs to one of R-Net's heads."""
    return variable.op.name.split("/")[0] in R_NET_HEADS


def landmark_error(predicted: Tensor, labels: Tensor) -> Tensor:
    """Return the mean distance of the landmarks from their labels, pixels.

    Args:
        predicted: [B, 68, 2].
        labels: [B, 68, 2].
    """
    return tf.reduce_mean(tf.norm(predicted - labels, axis=-1))


def _normalized_error(predicted: Tensor, labels: Tensor) -> Tensor:
    """Return the mean landmark distance in percent of sqrt(w h) of the tight box of the labels.

    Args:
        predicted: [B, 68, 2] crop pixels.
        labels: [B, 68, 2] crop pixels.
    """
    box = tf.reduce_max(labels, axis=1) - tf.reduce_min(labels, axis=1)
    size = tf.sqrt(box[:, 0] * box[:, 1])
    distances = tf.norm(predicted - labels, axis=-1)
    return 100.0 * tf.reduce_mean(tf.reduce_mean(distances, axis=1) / size)


def landmark_metrics(predicted: Tensor, labels: Tensor) -> Dict[str, Tensor]:
    """Return the metrics of landmarks under known truth; arguments of :func:`landmark_error`."""
    return {
        "landmark_error_pixels": landmark_error(predicted, labels),
        "landmark_nme_percent": _normalized_error(predicted, labels),
    }


def _loss_gradient_norms(losses: Any, weights: Any, prediction: Tensor) -> Dict[str, Tensor]:
    """Return loss name -> norm of the weighted loss's gradient with respect to the prediction.

    A gradient with respect to the network's weights would cost a backward pass per loss.

    Args:
        losses: NamedTuple of scalar tensors; None is left out.
        weights: NamedTuple with a weight of the same name for each loss.
        prediction: coefficients [B, 257] or vertices [B, N, 3].
    """
    return {
        name: tf.norm(tf.gradients(getattr(weights, name) * loss, prediction)[0])
        for name, loss in present_terms(losses).items()
    }


def coefficient_histograms(parts: Any) -> Tensor:
    """Return a merged summary of the distribution of each kind of coefficient.

    Args:
        parts: ``face_model.coefficients.Coefficients`` of tensors.
    """
    own = [
        tf.summary.histogram("coefficients/" + name, values)
        for name, values in parts._asdict().items()
    ]
    return tf.summary.merge(own + published_histograms(parts))


def published_histograms(parts: Any) -> List[Tensor]:
    """Return the histograms of the published code's summaries, under its tags.

    Args:
        parts: ``face_model.coefficients.Coefficients`` of tensors.
    """
    return [
        tf.summary.histogram("id_coeff", parts.identity),
        tf.summary.histogram("ex_coeff", parts.expression),
        tf.summary.histogram("tex_coeff", parts.albedo),
    ]
