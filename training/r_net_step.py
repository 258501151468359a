"""One training step of R-Net: photo -> coefficients -> face -> image, six losses, Adam.

Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (CVPRW 2019),
section 3, without any ground truth of shape: photo, landmarks and identity are the teachers.
"""

import checkpoints
import losses as loss_terms
import networks
from face_decoder import coefficient_sizes, decode_face, render_face, split_coefficients
from losses import Losses
from tf_runtime import tf
from training.step import Pictures, TrainingStep, named

_HEADS = ("fc-id", "fc-ex", "fc-tex", "fc-angles", "fc-gamma", "fc-XY", "fc-Z")


def build_r_net_step(batch, model, options, identity_network=None):
    """Build the graph of a training step of R-Net.

    Args:
        batch: ``training.data.Batch`` of tensors.
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
    heads = [v for v in tf.trainable_variables() if v.op.name.split("/")[0] in _HEADS]
    has_heads = path.endswith(".pb") or "fc-angles/weights" in checkpoints.variable_shapes(path)
    checkpoints.restore(session, path, trunk + heads if has_heads else trunk)


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
        sizes: ``face_decoder.Coefficients`` of ints.
        decay: of the moving averages.
    """
    counts = dict(identity_count=sizes.identity, expression_count=sizes.expression, albedo_count=sizes.albedo)
    trained = networks.r_net(photos, training=True, decay=decay, **counts).coefficients
    applied = networks.r_net(photos, training=False, reuse=True, **counts).coefficients
    return trained, applied


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
            heads, trunk = ([pair for pair in pairs if (pair[1].op.name.split("/")[0] in _HEADS) == of_head]
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


def _pictures(face, rendering, model):
    unlit = render_face(face._replace(colors=face.albedo), model)
    return Pictures(rendering.image, rendering.mask, unlit.image, face.landmarks, face.shape, face.colors)
