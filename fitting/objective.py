"""The objective of fitting: the losses of a batch of photos as functions of their coefficients."""

from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

import losses
from face_decoder import FaceDecoder, Rendering
from face_model.coefficients import coefficient_sizes, split_coefficients
from fitting.curvature import Curvature, Priors, View
from fitting.descent import damped, hold
from fitting.landmarks import LandmarkFit, correspondence_weights
from fitting.robustness import robust_scale_at, robust_weight
from geometry.camera import IMAGE_SIZE, row_from_y_up
from geometry.landmark_layout import (
    EYES_AND_MOUTH,
    FIVE_FROM_68,
    INNER_LANDMARKS,
    JAW,
    LANDMARK_COUNT,
    five_from_68,
)
from geometry.spherical_harmonics import spherical_harmonics
from utils.tf_compat import Tensor, tf
from utils.workers import one_blas_thread

# Terms that count as far as the 68 landmarks are uncertain: weight of the five points' mean squared
# distance (that of the 68 is 277 / 68 on average), and of priors that keep pixels alone from
# producing grimaces.
_FIVE_POINT_WEIGHT = 4.0
_UNCERTAIN_EXPRESSION, _UNCERTAIN_IDENTITY = 200.0, 10.0
# A blond fringe has the colors of skin, so that the albedo could learn to paint it: the robust
# scale falls to a share between two heights above the eyes, in distances from mouth to eyes.
_FOREHEAD, _FOREHEAD_SCALE = (0.3, 0.45), 0.15
# Weights of landmarks of a fitted face. Pixels alone close an eye with dark lids, open one with
# bright ones, and part the lips in a beard: lids and lips stay where the points of the photo are.
_FITTED_JAW_WEIGHT, _FITTED_FEATURE_WEIGHT = 0.5, 20.0
# Weight of the prior of identity about the expected one, which leaves two thirds of the variance.
_EXPECTED_WEIGHT = 1.5
# Least attention: brows, lips and irises belong to the face, but the classifier rejects them.
_ATTENTION_FLOOR = 0.5


class FaceObservation(NamedTuple):
    """The input of fitting for one face: its aligned crop and landmarks."""

    crop: np.ndarray  # [224, 224, 3] uint8 RGB
    attention: np.ndarray  # [224, 224] 0..1, weight of each pixel
    landmarks: np.ndarray  # [68, 2] crop pixels, y up
    landmark_confidence: np.ndarray  # [68] 0..1
    five_points: Optional[np.ndarray] = None  # [5, 2] crop pixels, y up
    # The fitted face whose landmarks these are; None for detected landmarks.
    fit: Optional[LandmarkFit] = None
    # [224, 224] 0..1, see fitting.surroundings; None if nothing hides the face
    surroundings: Optional[np.ndarray] = None

    def attend(self, least: float = 0.0) -> np.ndarray:
        """Return the weight of each pixel, [224, 224].

        Args:
            least: of a pixel that does not look like skin, unless it looks like the surroundings.
        """
        weights = np.maximum(self.attention, least)
        return weights if self.surroundings is None else weights * (1 - self.surroundings)


class Objective:
    """The losses of a batch of photos as functions of their coefficients.

    Attributes:
        loss: [B] tensor, total loss of each photo.
        gradient: [B, 257] tensor, its derivative by the decoder's coefficients.
        harmonics: [B, N, 9] tensor, irradiance basis functions at the vertices.
        view: the tensors of a ``fitting.curvature.View`` but the distance, with the batch first;
            the picture is BGR.
        curvature: a ``fitting.curvature.Curvature``.
        robust_scale: placeholder [], gray levels at which a pixel keeps a quarter of its weight.
        prior_share: placeholder [], weight of the priors of identity and albedo.

    Args:
        decoder: a ``FaceDecoder``; the losses are added to its graph.
        weights: a ``losses.LossWeights``.
        identity: an ``identity.IdentityNetwork`` for the perceptual loss, or None.
    """

    def __init__(
        self, decoder: FaceDecoder, weights: losses.LossWeights, identity: Any = None
    ) -> None:
        self.weights = weights
        self.curvature = Curvature(decoder.model, weights)
        self._identity_count = decoder.model.identity_count
        self._run = decoder.session.run
        self._photo_features = None  # tensor
        self._features = None  # placeholder, fed with the values of that tensor
        rendering = decoder.build_rendering()
        with decoder.graph.as_default():
            self._build_placeholders()
            self.harmonics = spherical_harmonics(decoder.face.normals)
            self.loss = self._build_loss(decoder, rendering, weights)
            if identity is not None:
                # The features of the photo stay constant: they are computed once and fed.
                self._photo_features = identity.features(self._photo)
                self._features = tf.placeholder(
                    tf.float32, self._photo_features.shape, "photo_features"
                )
                self.loss += weights.perceptual * losses.perceptual_losses(
                    self._features, identity.features(rendering.image)
                )
            self.gradient = tf.gradients(self.loss, decoder.coefficients)[0]

    def _build_placeholders(self) -> None:
        pixels = [None, IMAGE_SIZE, IMAGE_SIZE]
        self._photo = tf.placeholder(tf.float32, pixels + [3], "photo_bgr")
        self._attention = tf.placeholder(tf.float32, pixels + [1], "attention")
        self._landmarks = tf.placeholder(tf.float32, [None, LANDMARK_COUNT, 2], "landmarks")
        self._landmark_weights = tf.placeholder(
            tf.float32, [None, LANDMARK_COUNT], "landmark_weights"
        )
        self._five_points = tf.placeholder(tf.float32, [None, 5, 2], "five_points")
        self._uncertainty = tf.placeholder(tf.float32, [None], "uncertainty")
        self.robust_scale = tf.placeholder(tf.float32, [], "robust_scale")
        self._scale_shares = tf.placeholder(tf.float32, pixels + [1], "scale_shares")
        self.prior_share = tf.placeholder(tf.float32, [], "prior_share")
        self._expected_identity = tf.placeholder(
            tf.float32, [None, self._identity_count], "expected_identity"
        )
        self._identity_weight = tf.placeholder(tf.float32, [None], "identity_weight")

    def _build_loss(
        self, decoder: FaceDecoder, rendering: Rendering, weights: losses.LossWeights
    ) -> Tensor:
        """Return one loss per photo, [B], so that the photos of a batch stay independent."""
        face = decoder.face
        mask = (
            rendering.front_mask
            * self._attention
            * robust_weight(self._photo, rendering.image, self.robust_scale * self._scale_shares)
        )
        self.view = (face.world_shape, face.normals, face.albedo, rendering.image, mask)
        parts = split_coefficients(decoder.coefficients, coefficient_sizes(decoder.model))
        share = tf.sqrt(self.prior_share)  # the priors are quadratic
        unexpected = parts.identity - self._expected_identity
        unexpected *= tf.sqrt(self._identity_weight)[:, tf.newaxis]
        priors = parts._replace(identity=share * unexpected, albedo=share * parts.albedo)
        return (
            weights.photometric * losses.photometric_losses(self._photo, rendering.image, mask)
            + weights.landmark
            * losses.landmark_losses(face.landmarks, self._landmarks, self._landmark_weights)
            + weights.landmark
            * _FIVE_POINT_WEIGHT
            * self._uncertainty
            * _five_point_losses(face.landmarks, self._five_points)
            + weights.regularization * losses.regularization_losses(priors, weights)
            + weights.regularization
            * self._uncertainty
            * (
                _UNCERTAIN_EXPRESSION * tf.reduce_sum(tf.square(parts.expression), axis=1)
                + _UNCERTAIN_IDENTITY * tf.reduce_sum(tf.square(priors.identity), axis=1)
            )
            + weights.reflectance
            * self.prior_share
            * losses.reflectance_losses(face.albedo, decoder.model.skin_mask)
            + weights.gamma * losses.gamma_losses(parts.gamma)
        )

    def priors(self, feed: Dict[Tensor, Any], row: int) -> Priors:
        """Return the weights of the terms beside the photometric one, of a row of a feed."""
        uncertainty = feed[self._uncertainty][row]
        weight, share = self.weights.regularization, feed[self.prior_share]
        identity_weight = feed[self._identity_weight][row]
        return Priors(
            feed[self._landmark_weights][row],
            weight * share * identity_weight * (1 + _UNCERTAIN_IDENTITY * uncertainty),
            weight * (self.weights.expression + _UNCERTAIN_EXPRESSION * uncertainty),
            weight * share * self.weights.albedo,
            self.weights.reflectance * share,
        )

    def photo(self, feed: Dict[Tensor, Any], row: int) -> np.ndarray:
        """Return the photo of a row of a feed, [224, 224, 3] BGR."""
        return feed[self._photo][row]

    def feed(
        self, observations: Sequence[FaceObservation], common_share: float = 1.0
    ) -> Dict[Tensor, Any]:
        """Return the feed that stays constant from step to step.

        The caller adds ``robust_scale`` and the decoder's coefficients.

        Args:
            observations: the photos.
            common_share: see :class:`PhotoObjective`.
        """
        weights = common_share * losses.landmark_weights()
        attention = np.stack([o.attend(_ATTENTION_FLOOR) for o in observations])
        centers, identity_weights = zip(*(self._identity_prior(o) for o in observations))
        feed: Dict[Tensor, Any] = {
            self._photo: np.stack([o.crop[..., ::-1] for o in observations]).astype(np.float32),
            self._attention: attention[..., np.newaxis],
            self._scale_shares: np.stack([_scale_shares(o) for o in observations])[..., np.newaxis],
            self._landmarks: np.stack([o.landmarks for o in observations]),
            self._landmark_weights: np.stack(
                [o.landmark_confidence * weights * _correspondence(o) for o in observations]
            ),
            self._five_points: np.stack(
                [np.zeros((5, 2)) if o.five_points is None else o.five_points for o in observations]
            ),
            self._uncertainty: np.array([_uncertainty(o) for o in observations]),
            self._expected_identity: np.stack(centers),
            self._identity_weight: np.array(identity_weights),
            self.prior_share: common_share,
        }
        if self._features is not None:
            feed[self._features] = self._run(self._photo_features, feed)
        return feed

    def _identity_prior(self, observation: FaceObservation) -> Tuple[np.ndarray, float]:
        """Return center [identities] and weight of the prior of identity.

        The center is the mean face, or the expected one of a photo whose points tell of it.
        """
        fit = observation.fit
        if fit is None or not fit.is_expected:
            return np.zeros(self._identity_count), 1.0
        return fit.identity, _EXPECTED_WEIGHT


class PhotoObjective:
    """The losses of some photos at coefficients, each photo for itself.

    Args:
        objective: the ``Objective``.
        decoder: the ``FaceDecoder`` whose graph it was added to.
        observations: B :class:`FaceObservation`.
        common_share: weight of the terms that count once for the photos of a person, landmarks and
            the priors of identity and albedo; 1 / n for n photos.
    """

    def __init__(
        self,
        objective: Objective,
        decoder: FaceDecoder,
        observations: Sequence[FaceObservation],
        common_share: float = 1.0,
    ) -> None:
        self._objective = objective
        self._decoder = decoder
        self._feed: Dict[Tensor, Any] = objective.feed(observations, common_share)

    def losses(self, coefficients: np.ndarray, robust_scale: float) -> np.ndarray:
        """Return the loss of each photo, [B].

        Args:
            coefficients: [B, 257].
            robust_scale: gray levels at which a pixel keeps a quarter of its weight.
        """
        return self._decoder.session.run(
            self._objective.loss, self._with(coefficients, robust_scale)
        )

    def differentiate(
        self, coefficients: np.ndarray, robust_scale: float
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Return the loss of each photo, [B], and its gradient, [B, 257]; see :meth:`losses`."""
        loss, gradient = self._decoder.session.run(
            [self._objective.loss, self._objective.gradient],
            self._with(coefficients, robust_scale),
        )
        return loss, np.where(np.isfinite(gradient), gradient, 0)

    def curvature(self, coefficients: np.ndarray, robust_scale: float) -> np.ndarray:
        """Return Gauss and Newton's matrix of each photo, [B, 257, 257]; see :meth:`losses`."""
        feed = self._with(coefficients, robust_scale)
        objective = self._objective
        values = self._decoder.session.run(objective.view, feed)
        matrices = []
        for row, (world, normals, albedo, picture, mask) in enumerate(zip(*values)):
            distance = np.linalg.norm(picture - objective.photo(feed, row), axis=2)
            view = View(world, normals, albedo, picture[..., ::-1], distance, mask[..., 0])
            priors = objective.priors(feed, row)
            matrices.append(objective.curvature.matrix(coefficients[row], view, priors))
        return np.array(matrices)

    def _with(self, coefficients: np.ndarray, robust_scale: float) -> Dict[Tensor, Any]:
        """Return the whole feed."""
        feed = dict(self._feed)
        feed[self._objective.robust_scale] = robust_scale
        feed[self._decoder.coefficients] = coefficients
        return feed


class SeparatePhotos:
    """The problem of fitting each photo for itself, for ``fitting.descent.minimize``.

    Args:
        photos: the :class:`PhotoObjective` of B photos.
    """

    def __init__(self, photos: PhotoObjective) -> None:
        self._photos = photos

    def differentiate(self, x: np.ndarray, fraction: float) -> Tuple[np.ndarray, np.ndarray]:
        """Return the losses [B] and their gradient [B, 257] at a fraction of all steps."""
        return self._photos.differentiate(x, robust_scale_at(fraction))

    def total(self, losses: np.ndarray) -> np.ndarray:
        """Return the loss of each problem: that of its photo."""
        return losses

    def dot(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the inner products of the rows, [B, 1]."""
        return np.sum(a * b, axis=1, keepdims=True)

    def curvature(self, x: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Return the function that divides gradients by the curvature at coefficients [B, 257]."""
        matrices = damped(self._photos.curvature(x, robust_scale_at(0.0)))

        def solve(gradient: np.ndarray, free: np.ndarray) -> np.ndarray:
            with one_blas_thread():
                held = hold(matrices, free)
                return np.linalg.solve(held, (gradient * free)[..., np.newaxis])[..., 0]

        return solve


def _correspondence(observation: FaceObservation) -> np.ndarray:
    """Return how reliably each landmark corresponds to its vertex, [68]."""
    if observation.fit is None:
        return correspondence_weights()
    weights = np.ones(LANDMARK_COUNT)
    weights[JAW], weights[EYES_AND_MOUTH] = _FITTED_JAW_WEIGHT, _FITTED_FEATURE_WEIGHT
    return weights


def _uncertainty(observation: FaceObservation) -> float:
    """Return one minus the confidence in the 68 landmarks; 0 where nothing can replace them."""
    if observation.five_points is None:
        return 0.0
    return 1.0 - observation.landmark_confidence[INNER_LANDMARKS].mean()


def _five_point_losses(landmarks: Tensor, five_points: Tensor) -> Tensor:
    """Return the mean squared distance of the five alignment points, [B], pixels squared."""
    predicted = tf.stack(
        [tf.reduce_mean(tf.gather(landmarks, rows, axis=1), axis=1) for rows in FIVE_FROM_68],
        axis=1,
    )
    return tf.reduce_mean(tf.reduce_sum(tf.square(predicted - five_points), axis=2), axis=1)


def _scale_shares(observation: FaceObservation) -> np.ndarray:
    """Return the share of the robust scale at each pixel, [224, 224] float32: less on the forehead.

    A smaller scale excludes pixels that differ less, as a fringe does.
    """
    # 1. the direction from mouth to eyes
    points = observation.five_points
    if points is None:
        points = five_from_68(observation.landmarks)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    upwards = eyes - mouth

    # 2. the height of each pixel above the eyes along it, in distances from mouth to eyes
    rows, columns = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE]
    pixels = np.stack([columns, row_from_y_up(rows)], axis=2)
    height = (pixels - eyes).dot(upwards) / max(upwards.dot(upwards), 1.0)

    share = np.clip((height - _FOREHEAD[0]) / (_FOREHEAD[1] - _FOREHEAD[0]), 0, 1)
    return (1 - share * (1 - _FOREHEAD_SCALE)).astype(np.float32)
