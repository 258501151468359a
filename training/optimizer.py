"""What all training steps share: the optimiser, R-Net in its two modes, and their measures."""

import networks
from training.step import named
from utils.tf_compat import tf

R_NET_HEADS = ("fc-id", "fc-ex", "fc-tex", "fc-angles", "fc-gamma", "fc-XY", "fc-Z")


def landmark_error(predicted, labels):
    """Return the mean distance of the landmarks from their labels, pixels.

    Args:
        predicted, labels: [B, 68, 2].
    """
    return tf.reduce_mean(tf.norm(predicted - labels, axis=-1))


def two_modes(photos, sizes, decay):
    """Return the coefficients of one R-Net in training mode and as it will be applied, two [B, coefficients].

    Args:
        photos: [B, S, S, 3] BGR, 0..255.
        sizes: ``face_model.coefficients.Coefficients`` of ints.
        decay: of the moving averages.
    """
    counts = dict(identity_count=sizes.identity, expression_count=sizes.expression, albedo_count=sizes.albedo)
    trained = networks.r_net(photos, training=True, decay=decay, **counts).coefficients
    applied = networks.r_net(photos, training=False, reuse=True, **counts).coefficients
    return trained, applied


def optimise(total, learning_rate, head_rate=1.0):
    """Return the operation of one Adam step with all that belongs to it, and the gradient's norm.

    Args:
        total: the loss.
        learning_rate: scalar tensor.
        head_rate: the learning rate of R-Net's heads, relative to that of the trunk. The 2,048 features
            under a head are all positive, so one step of Adam moves all weights of an output the same way,
            and the output by about a thousand times the rate: more than a face may turn, at the rates that
            a trunk of random weights needs.
    """
    optimizer = tf.train.AdamOptimizer(learning_rate)
    # All gradients first: an early update would change weights that another gradient still reads.
    pairs = optimizer.compute_gradients(total, tf.trainable_variables(), gate_gradients=optimizer.GATE_GRAPH)
    step = tf.train.get_or_create_global_step()
    # The moving averages belong to the step: they are updated with it, before it counts.
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        if head_rate == 1:
            update = optimizer.apply_gradients(pairs, global_step=step)
        else:
            heads, trunk = ([pair for pair in pairs if (pair[1].op.name.split("/")[0] in R_NET_HEADS) == of_head]
                            for of_head in (True, False))
            update_heads = tf.train.AdamOptimizer(head_rate * learning_rate, name="AdamHeads").apply_gradients(heads)
            with tf.control_dependencies([update_heads]):
                update = optimizer.apply_gradients(trunk, global_step=step)
    return update, tf.global_norm([gradient for gradient, _ in pairs])


def loss_gradient_norms(losses, weights, coefficients):
    """Return loss name -> norm of the weighted loss's gradient with respect to the coefficients, [B, 257].

    With respect to the network's weights each would cost a backward pass of its own.
    """
    norms = {}
    for name, loss in named(losses).items():
        gradient, = tf.gradients(getattr(weights, name) * loss, coefficients)
        norms[name] = tf.norm(gradient)
    return norms


def coefficient_histograms(parts):
    """Return a merged summary of the distribution of each kind of coefficient."""
    return tf.summary.merge([tf.summary.histogram("coefficients/" + name, values)
                             for name, values in parts._asdict().items()])
