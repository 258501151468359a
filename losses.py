"""The published training losses and their weights.

Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (CVPRW 2019),
section 3.2 and equations (1) to (6), with the constants of their released code. B is the batch.
"""

from typing import Any, NamedTuple

import numpy as np

from geometry.landmarks import LANDMARK_COUNT
from utils.tf_compat import tf

# Nose ridge tip (29-31) and inner lips (61-68), counted from 1: what makes expressions read.
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
    expression: float = 0.8  # inside the regularisation, relative to identity
    albedo: float = 0.017  # inside the regularisation, relative to identity


class Losses(NamedTuple):
    """The unweighted terms, each a scalar tensor; ``perceptual`` is None without features."""

    photometric: Any
    landmark: Any
    perceptual: Any
    regularization: Any
    reflectance: Any
    gamma: Any


def total_loss(losses, weights=None):
    """Return the weighted sum of ``losses``; terms that are None are left out.

    Args:
        losses: a :class:`Losses`.
        weights: a :class:`LossWeights`; None means the published weights.
    """
    weights = weights or LossWeights()
    terms = [getattr(weights, name) * value for name, value in losses._asdict().items() if value is not None]
    return tf.add_n(terms)


def photometric_loss(photo, rendered, mask):
    """Mean colour distance over the masked pixels, as a fraction of full intensity.

    sum over pixels of ||photo - rendered||_2 * mask / 255, over max(sum mask, 1). No gradient
    flows through the mask.

    Args:
        photo, rendered: [B, H, W, 3], 0..255.
        mask: [B, H, W, 1], front mask times skin attention, 0..1.
    """
    return tf.reduce_sum(photometric_losses(photo, rendered, mask, per_image=False))


def photometric_losses(photo, rendered, mask, per_image=True):
    """The photometric loss image by image, [B], so that photos of a batch do not mix.

    Args:
        photo, rendered: [B, H, W, 3], 0..255.
        mask: [B, H, W, 1] weights.
        per_image: normalise each image by its own mask; otherwise the whole batch by the sum
            of all masks, as published, the terms then adding up to :func:`photometric_loss`.
    """
    mask = tf.stop_gradient(mask)
    squared = tf.reduce_sum(tf.square(photo - rendered), axis=-1, keepdims=True)
    # A perfect pixel has no defined direction of descent; sqrt'(0) is infinite and must not see it.
    differs = squared > 0
    distance = tf.where(differs, tf.sqrt(tf.where(differs, squared, tf.ones_like(squared))),
                        tf.zeros_like(squared))
    area = tf.reduce_sum(mask, axis=[1, 2, 3]) if per_image else tf.reduce_sum(mask)
    return tf.reduce_sum(distance * mask, axis=[1, 2, 3]) / 255.0 / tf.maximum(area, 1.0)


def landmark_weights():
    """Return the published weight of each of the 68 landmarks, [68] float32."""
    weights = np.ones(LANDMARK_COUNT, np.float32)
    weights[list(HEAVY_LANDMARKS)] = HEAVY_LANDMARK_WEIGHT
    return weights


def landmark_loss(predicted, labels, weights=None):
    """Weighted squared landmark distance, sum w ||p - q||^2 / (68 B), in pixels squared.

    Args:
        predicted, labels: [B, 68, 2] crop pixels, both y up.
        weights: [68] or [B, 68]; None means :func:`landmark_weights`.
    """
    return tf.reduce_mean(landmark_losses(predicted, labels, weights))


def landmark_losses(predicted, labels, weights=None):
    """The landmark loss image by image, [B]."""
    weights = landmark_weights() if weights is None else weights
    squared = tf.reduce_sum(tf.square(predicted - labels), axis=-1)
    return tf.reduce_sum(weights * squared, axis=1) / LANDMARK_COUNT


def perceptual_loss(photo_features, rendered_features):
    """Mean over the batch of max(0, 1 - cosine) between identity features.

    Args:
        photo_features, rendered_features: [B, D], of any length; they are normalised here.
    """
    return tf.reduce_mean(perceptual_losses(photo_features, rendered_features))


def perceptual_losses(photo_features, rendered_features):
    """The perceptual loss image by image, [B]."""
    cosine = tf.reduce_sum(tf.nn.l2_normalize(photo_features, axis=1)
                           * tf.nn.l2_normalize(rendered_features, axis=1), axis=1)
    return tf.maximum(0.0, 1.0 - cosine)


def regularization_loss(coefficients, weights=None):
    """Prior on the coefficients: (||id||^2 + 0.8 ||ex||^2 + 0.017 ||tex||^2) / B.

    Args:
        coefficients: a ``face_model.coefficients.Coefficients``.
        weights: a :class:`LossWeights`.
    """
    return tf.reduce_mean(regularization_losses(coefficients, weights))


def regularization_losses(coefficients, weights=None):
    """The coefficient prior image by image, [B]."""
    weights = weights or LossWeights()
    return (_squared_norm(coefficients.identity)
            + weights.expression * _squared_norm(coefficients.expression)
            + weights.albedo * _squared_norm(coefficients.albedo))


def _squared_norm(values):
    return tf.reduce_sum(tf.square(values), axis=1)


def reflectance_loss(albedo, skin_mask):
    """Variance of the albedo over the skin: light, not skin, should explain gradual shading.

    Args:
        albedo: [B, N, 3], 0..255.
        skin_mask: [N] weights.
    """
    return tf.reduce_mean(reflectance_losses(albedo, skin_mask))


def reflectance_losses(albedo, skin_mask):
    """The reflectance loss image by image, [B]."""
    weights = (skin_mask / np.sum(skin_mask)).astype(np.float32)[np.newaxis, :, np.newaxis]
    albedo = albedo / 255.0
    mean = tf.reduce_sum(albedo * weights, axis=1, keepdims=True)
    return tf.reduce_sum(tf.square(albedo - mean) * weights, axis=[1, 2])


def gamma_loss(gamma):
    """Mean squared deviation of the light from white: gamma minus its mean over the channels.

    Args:
        gamma: [B, 27], nine bands for red, then green, then blue.
    """
    return tf.reduce_mean(gamma_losses(gamma))


def gamma_losses(gamma):
    """The gamma loss image by image, [B]."""
    channels = tf.reshape(gamma, [-1, 3, 9])
    return tf.reduce_mean(tf.square(channels - tf.reduce_mean(channels, axis=1, keepdims=True)), axis=[1, 2])
