"""Coefficients by analysis by synthesis: render, compare with the photo, improve.

Where no network is at hand (or to refine a network's answer), the 257 coefficients of every
photo of a batch are found by minimising the published training losses (losses.py) themselves,
after Blanz & Vetter, "A Morphable Model for the Synthesis of 3D Faces" (SIGGRAPH 1999):

1. pose, identity and expression from landmarks (landmark_fitting.py);
2. light and albedo in closed form, given that geometry;
3. all coefficients together by Adam on the rendered image, its bounds kept by projection.

Pixels that the face cannot explain (hair, glasses, a hand) lose their weight as the fit
goes on: Geman & McClure's robust weights on top of the skin attention mask.
"""

from typing import NamedTuple, Optional

import numpy as np

import losses
from face_decoder import (
    IMAGE_SIZE,
    Coefficients,
    coefficient_sizes,
    row_from_y_up,
    spherical_harmonics,
    split_coefficients,
)
from landmark_fitting import (
    FIVE_FROM_68,
    INNER_LANDMARKS,
    STATISTICAL_BOUND,
    LandmarkFitter,
    expression_bounds,
    five_point_rows,
    landmark_trust,
)
from light_fitting import sample_skin, solve_light_and_albedo
from tf_runtime import tf

DEFAULT_STEPS = 240
REFINING_STEPS = 120  # from a network's answer: half as many for nearly the same loss, benchmarks/network_start.py
# Where the 68 landmarks are not trusted: weight of the five points' mean squared distance (that of
# the 68 is 277 / 68 on average), and of priors that keep pixels alone from inventing grimaces.
_FIVE_POINT_WEIGHT, _DOUBTFUL_EXPRESSION, _DOUBTFUL_IDENTITY = 4.0, 200.0, 10.0
# Step sizes of Adam, in the units of each part: what one step may change is about as visible
# in every part (an angle of .01 moves the nose by half a pixel, .01 dm everything by one).
_STEP_SIZES = Coefficients(
    identity=0.04, expression=0.02, albedo=0.06, angles=0.004, gamma=0.02, translation=0.004)
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.99, 1e-8  # Kingma & Ba, ICLR 2015; short memory for a short run
_FIRST_ROBUST_SCALE, _LAST_ROBUST_SCALE = 250.0, 150.0  # grey levels at which a pixel keeps a quarter
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


class FitSettings(NamedTuple):
    """How long and by which losses to fit; the losses' weights are the published ones."""

    steps: int = DEFAULT_STEPS  # of the photometric stage; 0 leaves the landmark fit
    weights: losses.LossWeights = losses.LossWeights()


class FitResult(NamedTuple):
    """The outcome for a batch."""

    coefficients: np.ndarray  # [B, 257] float32
    loss: np.ndarray  # [B] total loss at the end
    history: np.ndarray  # [steps, B] total loss before each step


class FaceFitter:
    """Fits a face model to batches of photos.

    Args:
        face_graph: a ``FaceGraph``; the losses are added to its graph at the first fit, which
            then takes batches of any size.
        settings: :class:`FitSettings`.
        identity: an ``identity.IdentityNetwork`` for the perceptual loss, or None to do without.
    """

    def __init__(self, face_graph, settings=None, identity=None):
        self.model = face_graph.model
        self.settings = settings or FitSettings()
        self._face_graph = face_graph
        self._sizes = coefficient_sizes(self.model)
        self._landmark_fitter = LandmarkFitter(self.model)
        self._lower, self._upper = _coefficient_bounds(self.model)
        self._identity = identity
        self._objective = None

    def fit(self, observations, start=None, progress=None):
        """Fit every observed face.

        Args:
            observations: list of :class:`FaceObservation`.
            start: [B, 257] coefficients to begin with; None begins with the landmarks.
            progress: callable taking the number of finished steps, or None.

        Returns:
            A :class:`FitResult`.
        """
        if start is None:
            start = self.fit_landmarks(observations)
            if self.settings.steps:
                start = self._with_light_and_albedo(start, observations)
        return self._descend(np.array(start, np.float32), observations, progress)

    def best_start(self, observations, answer):
        """Return where fitting should begin, [B, 257], given a network's answer.

        For each face the answer itself, the answer with light and albedo solved for the photo, and what
        the landmarks say, whichever has the lowest loss. Where the landmarks are not trusted, as in
        profile, that is mostly the network.

        Args:
            observations: list of :class:`FaceObservation`.
            answer: [B, 257] of the network.
        """
        answer = np.clip(answer, self._lower, self._upper)
        starts = [answer] + [self._with_light_and_albedo(start, observations)
                             for start in (answer, self.fit_landmarks(observations))]
        feed = self._built_objective().feed(observations)
        losses = np.array([self._losses(start, feed) for start in starts])
        best = np.argmin(np.where(np.isfinite(losses), losses, np.inf), axis=0)
        return np.array([starts[choice][face] for face, choice in enumerate(best)], np.float32)

    def prepare(self):
        """Run once all that fitting runs, on nothing: the first run of a TensorFlow graph takes up to a second."""
        objective = self._built_objective()
        nothing = FaceObservation(np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8), np.zeros((IMAGE_SIZE, IMAGE_SIZE)),
                                  np.zeros((68, 2)), np.zeros(68))
        coefficients = np.zeros((1, sum(self._sizes)), np.float32)
        self._with_light_and_albedo(coefficients, [nothing])
        feed = objective.feed([nothing])
        self._losses(coefficients, feed)
        feed[objective.robust_scale], feed[self._face_graph.coefficients] = _LAST_ROBUST_SCALE, coefficients
        self._face_graph.session.run([objective.loss, objective.gradient], feed)

    def fit_landmarks(self, observations):
        """Return [B, 257] coefficients from the landmarks alone; light and albedo stay average."""
        rows = []
        for observation in observations:
            fit = self._landmark_fitter.fit(
                observation.landmarks, observation.landmark_weights * landmark_trust(), observation.five_points)
            zeros = Coefficients(*(np.zeros(size) for size in self._sizes))
            parts = zeros._replace(identity=fit.identity, expression=fit.expression, angles=fit.angles,
                                   translation=fit.translation)
            rows.append(np.concatenate(parts))
        return np.array(rows, np.float32)

    def _built_objective(self):
        if self._objective is None:
            self._objective = _Objective(self._face_graph, self.settings.weights, self._identity)
        return self._objective

    def _with_light_and_albedo(self, start, observations):
        face = self._face_graph.face
        normals, world, harmonics = self._face_graph.session.run(
            [face.normals, face.world_shape, self._built_objective().harmonics],
            {self._face_graph.coefficients: start})
        result = start.copy()
        parts = split_coefficients(result, self._sizes)  # views
        for i, observation in enumerate(observations):
            samples = sample_skin(self.model, observation.crop, observation.attention, world[i], normals[i])
            gamma, albedo = solve_light_and_albedo(self.model, samples, harmonics[i])
            parts.gamma[i], parts.albedo[i] = gamma, albedo
        return result

    def _descend(self, coefficients, observations, progress):
        """Projected Adam, its pace falling to zero; every photo ends with the coefficients of the last step."""
        objective, run = self._built_objective(), self._face_graph.session.run
        feed = objective.feed(observations)
        step_sizes = np.concatenate([np.full(n, step) for n, step in zip(self._sizes, _STEP_SIZES)]).astype(np.float32)
        first, second = np.zeros_like(coefficients), np.zeros_like(coefficients)
        history = []
        steps = self.settings.steps
        for step in range(steps):
            fraction = step / float(steps)
            feed[objective.robust_scale] = _FIRST_ROBUST_SCALE + fraction * (_LAST_ROBUST_SCALE - _FIRST_ROBUST_SCALE)
            feed[self._face_graph.coefficients] = coefficients
            loss, gradient = run([objective.loss, objective.gradient], feed)
            history.append(loss)
            gradient = np.where(np.isfinite(gradient), gradient, 0)
            first = _BETA_1 * first + (1 - _BETA_1) * gradient
            second = _BETA_2 * second + (1 - _BETA_2) * gradient ** 2
            direction = (first / (1 - _BETA_1 ** (step + 1))
                         / (np.sqrt(second / (1 - _BETA_2 ** (step + 1))) + _EPSILON))
            pace = min(1.0, (step + 1) / 5.0) * 0.5 * (1 + np.cos(np.pi * fraction))
            coefficients = np.clip(coefficients - pace * step_sizes * direction, self._lower, self._upper)
            self._close_no_closed_mouth(coefficients)
            if progress:
                progress(step + 1)
        loss = self._losses(coefficients, feed)
        return FitResult(coefficients, loss, np.array(history).reshape(len(history), len(coefficients)))

    def _losses(self, coefficients, feed):
        """Return the loss of each face as it counts at the end, [B]."""
        feed = dict(feed)
        feed[self._built_objective().robust_scale] = _LAST_ROBUST_SCALE
        feed[self._face_graph.coefficients] = coefficients
        return self._face_graph.session.run(self._built_objective().loss, feed)

    def _close_no_closed_mouth(self, coefficients):
        """Keep mouthClose, which shuts the lips of an open jaw, from folding those of a shut one."""
        names = self.model.expression_names
        if "mouthClose" in names and "jawOpen" in names:
            expression = split_coefficients(coefficients, self._sizes).expression  # a view
            np.minimum(expression[:, names.index("mouthClose")], expression[:, names.index("jawOpen")],
                       out=expression[:, names.index("mouthClose")])


class _Objective:
    """The losses of a batch of photos as functions of their coefficients."""

    def __init__(self, face_graph, weights, identity=None):
        self._run, self._photo_features, self.features = face_graph.session.run, None, None
        model, face = face_graph.model, face_graph.face
        rendering = face_graph.rendering()
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
        points = five_point_rows(observation.landmarks)
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


def _coefficient_bounds(model):
    """Return the lowest and highest value of every coefficient, two [257] arrays."""
    sizes = coefficient_sizes(model)
    lower = Coefficients(*(np.full(size, -np.inf) for size in sizes))
    upper = Coefficients(*(np.full(size, np.inf) for size in sizes))
    expression = expression_bounds(model)
    identity = np.full(sizes.identity, STATISTICAL_BOUND)
    lower = lower._replace(identity=-identity, expression=expression[0])
    upper = upper._replace(identity=identity, expression=expression[1])
    return np.concatenate(lower).astype(np.float32), np.concatenate(upper).astype(np.float32)
