"""One training step of R-Net: photo -> coefficients -> face -> image, six losses, Adam.

Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (CVPRW 2019),
section 3: supervised by the photo, its landmarks and an identity network, without 3-D labels.
"""

from typing import Any, Dict, Optional, Tuple

import losses as loss_terms
import networks
from checkpoints.variables import network_variables, restore, variable_shapes
from dataset.face_stream import Batch
from face_decoder import Face, Rendering, decode_face, render_face
from face_model import FaceModel
from face_model.coefficients import coefficient_sizes, split_coefficients
from losses import Losses, LossWeights
from training.optimizer import (
    Average,
    build_train_and_eval,
    build_training_step,
    coefficient_histograms,
    is_head,
    landmark_error,
    schedule_placeholders,
)
from training.options import TrainingOptions
from training.step import Pictures, TrainingStep
from utils.tf_compat import Tensor, tf


def build_r_net_step(
    batch: Batch,
    model: FaceModel,
    options: TrainingOptions,
    identity_network: Any = None,
    average: Optional[Average] = None,
) -> TrainingStep:
    """Build the graph of a training step of R-Net.

    Args:
        batch: batch of tensors.
        model: face model.
        options: options of the run.
        identity_network: see ``identity.load_identity_network``; None omits the perceptual loss.
        average: see ``training.optimizer.build_training_step``.
    """
    # 1. network, face, image
    sizes = coefficient_sizes(model)
    schedule = schedule_placeholders()
    trained, applied = build_train_and_eval(batch.photos, sizes, schedule.batch_norm_decay)
    face = decode_face(trained, model)
    rendering = render_face(face, model)

    # 2. losses
    weights, mask = options.loss_weights, rendering.front_mask * batch.attention
    area: Optional[Tensor] = None
    feeds: Dict[Any, Any] = {}
    if average is not None:
        area, feeds = _shared_area(mask, average)
    losses = _losses(batch, trained, face, rendering, mask, area, model, weights, identity_network)
    total = loss_terms.total_loss(losses, weights)

    # 3. update and summaries
    parts = split_coefficients(trained, sizes)
    return build_training_step(
        losses,
        total,
        weights,
        schedule,
        trained,
        average=average,
        applied_prediction=applied,
        metrics={"landmark_error_pixels": landmark_error(face.landmarks, batch.landmarks)},
        histograms=coefficient_histograms(parts),
        pictures=_pictures(face, rendering, model),
        validation_feeds=feeds,
        published=_published_scalars(losses, total),
    )


def initialize_r_net(session: Any, path: str) -> None:
    """Start R-Net from trained weights.

    Args:
        session: session of a graph with R-Net's variables, initialized.
        path: R-Net checkpoint, frozen graph that keeps the names of its variables, or
            ``resnet_v1_50.ckpt``, which has the trunk only: the heads then remain zero.

    Raises:
        InputError: the file is missing, damaged or of another network or face model.
    """
    trunk = network_variables(networks.R_NET_SCOPE)
    heads = [v for v in tf.trainable_variables() if is_head(v)]
    has_heads = path.endswith(".pb") or "fc-angles/weights" in variable_shapes(path)
    restore(session, path, trunk + heads if has_heads else trunk)


def _losses(
    batch: Batch,
    coefficients: Tensor,
    face: Face,
    rendering: Rendering,
    mask: Tensor,
    area: Optional[Tensor],
    model: FaceModel,
    weights: LossWeights,
    identity_network: Any,
) -> Losses:
    """Return the six unweighted losses; mask and area are those of the photometric loss."""
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    perceptual = None
    if identity_network is not None:
        perceptual = loss_terms.perceptual_loss(
            identity_network.features(batch.photos), identity_network.features(rendering.image)
        )
    return Losses(
        photometric=loss_terms.photometric_loss(batch.photos, rendering.image, mask, area),
        landmark=loss_terms.landmark_loss(face.landmarks, batch.landmarks),
        perceptual=perceptual,
        regularization=loss_terms.regularization_loss(parts, weights),
        reflectance=loss_terms.reflectance_loss(face.albedo, model.skin_mask),
        gamma=loss_terms.gamma_loss(parts.gamma),
    )


def _shared_area(mask: Tensor, average: Average) -> Tuple[Tensor, Dict[Any, Any]]:
    """Return the mean over the workers of the masks' sum, and the feeds of a validation.

    The photometric losses of all shares, each divided by it, have the loss of the whole batch as
    their mean. A validation has one worker and takes its own sum.
    """
    own = tf.reduce_sum(tf.stop_gradient(mask))
    validating = tf.placeholder_with_default(False, [], "one_worker")
    area = tf.cond(validating, lambda: tf.identity(own), lambda: average([own])[0])
    return tf.stop_gradient(area), {validating: True}


def _published_scalars(losses: Losses, total: Tensor) -> Dict[str, Tensor]:
    """Return the scalars of the published summaries, by their tags."""
    scalars = {
        "photo_error": losses.photometric,
        "lm_error": tf.sqrt(losses.landmark),
        "reflect_error": losses.reflectance,
        "gamma_error": losses.gamma,
        "train_error": total,
    }
    if losses.perceptual is not None:
        scalars["id_sim_error"] = losses.perceptual
    return scalars


def _pictures(face: Face, rendering: Rendering, model: FaceModel) -> Pictures:
    unlit = render_face(face._replace(colors=face.albedo), model)
    return Pictures(
        rendering.image, rendering.mask, unlit.image, face.landmarks, face.shape, face.colors
    )
