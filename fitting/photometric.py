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

from typing import NamedTuple

import numpy as np

import losses
from face_model.coefficients import (
    STATISTICAL_BOUND,
    Coefficients,
    coefficient_sizes,
    expression_bounds,
    split_coefficients,
)
from fitting.landmarks import LandmarkFitter, landmark_trust
from fitting.lighting import sample_skin, solve_light_and_albedo
from fitting.objective import FaceObservation, Objective
from geometry.camera import IMAGE_SIZE

DEFAULT_STEPS = 240
REFINING_STEPS = 120  # from a network's answer: half as many for nearly the same loss, benchmarks/network_start.py
# Step sizes of Adam, in the units of each part: what one step may change is about as visible
# in every part (an angle of .01 moves the nose by half a pixel, .01 dm everything by one).
_STEP_SIZES = Coefficients(
    identity=0.04, expression=0.02, albedo=0.06, angles=0.004, gamma=0.02, translation=0.004)
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.99, 1e-8  # Kingma & Ba, ICLR 2015; short memory for a short run
_FIRST_ROBUST_SCALE, _LAST_ROBUST_SCALE = 250.0, 150.0  # grey levels at which a pixel keeps a quarter


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
        face_graph: a ``FaceDecoder``; the losses are added to its graph at the first fit, which
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

    def choose_start(self, observations, answer):
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

    def warm_up(self):
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
            self._objective = Objective(self._face_graph, self.settings.weights, self._identity)
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
