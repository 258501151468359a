"""The published training losses and their weights.

Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (CVPRW 2019),
section 3.2 and equations (1) to (6), with the constants of their released code. B is the batch.
"""

from typing import Any, NamedTuple, Optional, Union

import numpy as np

from geometry.landmark_layout import LANDMARK_COUNT
from utils.tf_compat import Tensor, tf

# Nose ridge tip (29-31) and inner lips (61-68), counted from 1: the landmarks of expressions.
HEAVY_LANDMARKS = tuple(range(28, 31)) + tuple(range(60, 68))
HEAVY_LANDMARK_WEIGHT = 20.0


class LossWeights(NamedTuple):
    """Weight of each term in the total loss; the defaults are the published ones."""

    photometric: float = 1.92
    landmark: float = 1.6e-3
    perceptual: float = 0.2
    regularization: float = 3e-4
    reflectance: float = 5.0
    gamma: float = 10.0
    expression: float = 0.8  # inside the regularization, relative to identity
    albedo: float = 0.017  # inside the regularization, relative to identity


class Losses(NamedTuple):
    """The unweighted terms, each a scalar tensor; ``perceptual`` is None without features."""

    photometric: Tensor
    landmark: Tensor
    perceptual: Optional[Tensor]
    regularization: Tensor
    reflectance: Tensor
    gamma: Tensor


def total_loss(losses: Losses, weights: Optional[LossWeights] = None) -> Tensor:
    """Return the weighted sum of ``losses``; terms that are None are left out.

    Args:
        losses: unweighted terms.
        weights: weight of each term; None means the published weights.
    """
    weights = weights or LossWeights()
    terms = [
        getattr(weights, name) * value
        for name, value in losses._asdict().items()
        if value is not None
    ]
    return tf.add_n(terms)


def photometric_loss(
    photo: Tensor, rendered: Tensor, mask: Tensor, area: Optional[Tensor] = None
) -> Tensor:
    """Mean color distance over the masked pixels, as a fraction of full intensity.

    Sum over pixels of ||photo - rendered||_2 * mask / 255, divided by max(sum mask, 1). No
    gradient flows through the mask.

    Args:
        photo, rendered: [B, H, W, 3], 0..255.
        mask: [B, H, W, 1], front mask times skin attention, 0..1.
        area: replaces the sum of the mask, where the images are a part of a larger batch.
    """
    return tf.reduce_sum(photometric_losses(photo, rendered, mask, per_image=False, area=area))


def photometric_losses(
    photo: Tensor,
    rendered: Tensor,
    mask: Tensor,
    per_image: bool = True,
    area: Optional[Tensor] = None,
) -> Tensor:
    """The photometric loss image by image, [B], so that photos of a batch do not mix.

    Args:
        photo, rendered: [B, H, W, 3], 0..255.
        mask: [B, H, W, 1] weights.
        per_image: normalize each image by its own mask; otherwise normalize all images by the
            sum of all masks, as published, so that the terms add up to :func:`photometric_loss`.
        area: replaces the sum of all masks.
    """
    mask = tf.stop_gradient(mask)
    squared = tf.reduce_sum(tf.square(photo - rendered), axis=-1, keepdims=True)
    # sqrt has an infinite derivative at 0: pixels without error get a gradient of 0 instead.
    differs = squared > 0
    distance = tf.where(
        differs,
        tf.sqrt(tf.where(differs, squared, tf.ones_like(squared))),
        tf.zeros_like(squared),
    )
    if area is None:
        area = tf.reduce_sum(mask, axis=[1, 2, 3]) if per_image else tf.reduce_sum(mask)
    return tf.reduce_sum(distance * mask, axis=[1, 2, 3]) / 255.0 / tf.maximum(area, 1.0)


def landmark_weights() -> np.ndarray:
    """Return the published weight of each of the 68 landmarks, [68] float32."""
    weights = np.ones(LANDMARK_COUNT, np.float32)
    weights[list(HEAVY_LANDMARKS)] = HEAVY_LANDMARK_WEIGHT
    return weights


def landmark_loss(
    predicted: Tensor, labels: Tensor, weights: Union[None, np.ndarray, Tensor] = None
) -> Tensor:
    """Weighted squared landmark distance, sum w ||p - q||^2 / (68 B), in pixels squared.

    Args:
        predicted, labels: [B, 68, 2] crop pixels, both y up.
        weights: [68] or [B, 68]; None means :func:`landmark_weights`.
    """
    return tf.reduce_mean(landmark_losses(predicted, labels, weights))


def landmark_losses(
    predicted: Tensor, labels: Tensor, weights: Union[None, np.ndarray, Tensor] = None
) -> Tensor:
    """The landmark loss image by image, [B]; arguments of :func:`landmark_loss`."""
    weights = landmark_weights() if weights is None else weights
    squared = tf.reduce_sum(tf.square(predicted - labels), axis=-1)
    return tf.reduce_sum(weights * squared, axis=1) / LANDMARK_COUNT


def perceptual_loss(photo_features: Tensor, rendered_features: Tensor) -> Tensor:
    """Mean over the batch of max(0, 1 - cosine) between identity features.

    Args:
        photo_features, rendered_features: [B, D]; rows need not be normalized.
    """
    return tf.reduce_mean(perceptual_losses(photo_features, rendered_features))


def perceptual_losses(photo_features: Tensor, rendered_features: Tensor) -> Tensor:
    """The perceptual loss image by image, [B]; arguments of :func:`perceptual_loss`."""
    cosine = tf.reduce_sum(
        tf.nn.l2_normalize(photo_features, axis=1) * tf.nn.l2_normalize(rendered_features, axis=1),
        axis=1,
    )
    return tf.maximum(0.0, 1.0 - cosine)


def regularization_loss(coefficients: Any, weights: Optional[LossWeights] = None) -> Tensor:
    """Prior on the coefficients: (||id||^2 + 0.8 ||ex||^2 + 0.017 ||tex||^2) / B.

    Args:
        coefficients: a ``face_model.coefficients.Coefficients`` of tensors.
        weights: weights of expression and albedo; None means the published ones.
    """
    return tf.reduce_mean(regularization_losses(coefficients, weights))


def regularization_losses(coefficients: Any, weights: Optional[LossWeights] = None) -> Tensor:
    """The coefficient prior image by image, [B]; arguments of :func:`regularization_loss`."""
    weights = weights or LossWeights()
    return (
        _squared_norm(coefficients.identity)
        + weights.expression * _squared_norm(coefficients.expression)
        + weights.albedo * _squared_norm(coefficients.albedo)
    )


def _squared_norm(values: Tensor) -> Tensor:
    return tf.reduce_sum(tf.square(values), axis=1)


def reflectance_loss(albedo: Tensor, skin_mask: np.ndarray) -> Tensor:
    """Variance of the albedo over the skin, so that light explains gradual shading.

    As published, sum ||(albedo - mean) mask / 255||^2 / (B sum mask): the mean has the weights of
    the mask, the squared deviations have its square.

    Args:
        albedo: [B, N, 3], 0..255.
        skin_mask: [N] weights, 0..1.
    """
    return tf.reduce_mean(reflectance_losses(albedo, skin_mask))


def reflectance_losses(albedo: Tensor, skin_mask: np.ndarray) -> Tensor:
    """The reflectance loss image by image, [B]; arguments of :func:`reflectance_loss`."""
    weights = (skin_mask / np.sum(skin_mask)).astype(np.float32)[np.newaxis, :, np.newaxis]
    squared_weights = weights * skin_mask.astype(np.float32)[np.newaxis, :, np.newaxis]
    albedo = albedo / 255.0
    mean = tf.reduce_sum(albedo * weights, axis=1, keepdims=True)
    return tf.reduce_sum(tf.square(albedo - mean) * squared_weights, axis=[1, 2])


def gamma_loss(gamma: Tensor) -> Tensor:
    """Mean squared deviation of the light from white: gamma minus its mean over the channels.

    Args:
        gamma: [B, 27], nine coefficients for red, then green, then blue.
    """
    return tf.reduce_mean(gamma_losses(gamma))


def gamma_losses(gamma: Tensor) -> Tensor:
    """The gamma loss image by image, [B]; arguments of :func:`gamma_loss`."""
    channels = tf.reshape(gamma, [-1, 3, 9])
    deviation = channels - tf.reduce_mean(channels, axis=1, keepdims=True)
    return tf.reduce_mean(tf.square(deviation), axis=[1, 2])
