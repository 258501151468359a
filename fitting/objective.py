"""The losses of a batch of photos as functions of their coefficients: what fitting minimises."""

from typing import NamedTuple, Optional

import numpy as np

import losses
from face_model.coefficients import coefficient_sizes, split_coefficients
from fitting.landmarks import landmark_trust
from geometry.camera import IMAGE_SIZE, row_from_y_up
from geometry.landmarks import FIVE_FROM_68, INNER_LANDMARKS, five_from_68
from geometry.spherical_harmonics import spherical_harmonics
from utils.tf_compat import tf

# Where the 68 landmarks are not trusted: weight of the five points' mean squared distance (that of
# the 68 is 277 / 68 on average), and of priors that keep pixels alone from inventing grimaces.
_FIVE_POINT_WEIGHT, _DOUBTFUL_EXPRESSION, _DOUBTFUL_IDENTITY = 4.0, 200.0, 10.0
# A fringe has the colours of skin to the classifier, and the albedo could learn to paint it: above the brows,
# in distances from the mouth to the eyes above the eyes, a pixel may differ less.
_FOREHEAD, _FOREHEAD_SCALE = (0.3, 0.45), 0.15
# Brows, lips and irises are not skin for the classifier, yet belong to the face.
_ATTENTION_FLOOR = 0.5


class FaceObservation(NamedTuple):
    """What is known of one face: its aligned crop and landmarks."""

    crop: np.ndarray  # [224, 224, 3] uint8 RGB
    attention: np.ndarray  # [224, 224] 0..1, how much each pixel counts
    landmarks: np.ndarray  # [68, 2] crop pixels, y up
    landmark_weights: np.ndarray  # [68] 0..1, trust in each
    five_points: Optional[np.ndarray] = None  # [5, 2] crop pixels, y up


class Objective:
    """The losses of a batch of photos as functions of their coefficients."""

    def __init__(self, face_graph, weights, identity=None):
        self._run, self._photo_features, self.features = face_graph.session.run, None, None
        model, face = face_graph.model, face_graph.face
        rendering = face_graph.build_rendering()
        with face_graph.graph.as_default():
            self.photo = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], "photo_bgr")
            self.attention = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 1], "attention")
            self.landmarks = tf.placeholder(tf.float32, [None, 68, 2], "landmarks")
            self.landmark_weights = tf.placeholder(tf.float32, [None, 68], "landmark_weights")
            self.five_points = tf.placeholder(tf.float32, [None, 5, 2], "five_points")
            self.doubt = tf.placeholder(tf.float32, [None], "doubt")
            self.robust_scale = tf.placeholder(tf.float32, [], "robust_scale")
            self.scale_shares = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 1], "scale_shares")
            self.harmonics = spherical_harmonics(face.normals)
            mask = rendering.front_mask * self.attention * _robust_weight(
                self.photo, rendering.image, self.robust_scale * self.scale_shares)
            parts = split_coefficients(face_graph.coefficients, coefficient_sizes(model))
            # One loss a photo: what one photo does must not depend on its neighbours in the batch.
            self.loss = (
                weights.photometric * losses.photometric_losses(self.photo, rendering.image, mask)
                + weights.landmark * losses.landmark_losses(
                    face.landmarks, self.landmarks, self.landmark_weights)
                + weights.landmark * _FIVE_POINT_WEIGHT * self.doubt * _five_point_losses(
                    face.landmarks, self.five_points)
                + weights.regularization * losses.regularization_losses(parts, weights)
                + weights.regularization * self.doubt * (
                    _DOUBTFUL_EXPRESSION * tf.reduce_sum(tf.square(parts.expression), axis=1)
                    + _DOUBTFUL_IDENTITY * tf.reduce_sum(tf.square(parts.identity), axis=1))
                + weights.reflectance * losses.reflectance_losses(face.albedo, model.skin_mask)
                + weights.gamma * losses.gamma_losses(parts.gamma))
            if identity is not None:
                # The photo does not change from step to step: its features are computed once and fed.
                self._photo_features = identity.features(self.photo)
                self.features = tf.placeholder(tf.float32, self._photo_features.shape, "photo_features")
                self.loss += weights.perceptual * losses.perceptual_losses(
                    self.features, identity.features(rendering.image))
            self.gradient = tf.gradients(self.loss, face_graph.coefficients)[0]

    def feed(self, observations):
        """Return the feed that does not change from step to step."""
        weights = losses.landmark_weights() * landmark_trust()
        feed = {
            self.photo: np.stack([o.crop[..., ::-1] for o in observations]).astype(np.float32),
            self.attention: np.maximum(
                np.stack([o.attention for o in observations]), _ATTENTION_FLOOR)[..., np.newaxis],
            self.scale_shares: np.stack([_scale_shares(o) for o in observations])[..., np.newaxis],
            self.landmarks: np.stack([o.landmarks for o in observations]),
            self.landmark_weights: np.stack([o.landmark_weights * weights for o in observations]),
            self.five_points: np.stack([np.zeros((5, 2)) if o.five_points is None else o.five_points
                                        for o in observations]),
            # The five points stand in where the 68 are not trusted, as in profile.
            self.doubt: np.array([
                0.0 if o.five_points is None else 1.0 - o.landmark_weights[INNER_LANDMARKS].mean()
                for o in observations]),
        }
        if self.features is not None:
            feed[self.features] = self._run(self._photo_features, feed)
        return feed


def _five_point_losses(landmarks, five_points):
    """Return the mean squared distance of the five alignment points, [B], pixels squared."""
    predicted = tf.stack([tf.reduce_mean(tf.gather(landmarks, rows, axis=1), axis=1) for rows in FIVE_FROM_68], axis=1)
    return tf.reduce_mean(tf.reduce_sum(tf.square(predicted - five_points), axis=2), axis=1)


def _scale_shares(observation):
    """Return the share of the robust scale that each pixel gets, [224, 224] float32: less on the forehead."""
    points = observation.five_points
    if points is None:
        points = five_from_68(observation.landmarks)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    upwards = eyes - mouth
    rows, columns = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE]
    pixels = np.stack([columns, row_from_y_up(rows)], axis=2)
    height = (pixels - eyes).dot(upwards) / max(upwards.dot(upwards), 1.0)
    share = np.clip((height - _FOREHEAD[0]) / (_FOREHEAD[1] - _FOREHEAD[0]), 0, 1)
    return (1 - share * (1 - _FOREHEAD_SCALE)).astype(np.float32)


def _robust_weight(photo, rendered, scale):
    """Geman-McClure weight of each pixel, [B, H, W, 1]: 1 / (1 + (r / scale)^2)^2, no gradient."""
    squared = tf.reduce_sum(tf.square(photo - rendered), axis=-1, keepdims=True)
    return tf.stop_gradient(1.0 / tf.square(1.0 + squared / tf.square(scale)))
