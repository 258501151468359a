"""Photometric fitting: render, compare with the photo, improve.

Without a network (or to refine a network's prediction), the 257 coefficients of every photo of a
batch are found by minimizing the published training losses (``losses``) themselves, after
Blanz & Vetter, "A Morphable Model for the Synthesis of 3D Faces" (SIGGRAPH 1999):

1. pose, identity and expression from landmarks (``fitting.landmarks``);
2. light and albedo in closed form, given that geometry (``fitting.lighting``);
3. all coefficients together on the rendered image (``fitting.objective``), by quasi-Newton steps
   (``fitting.descent``) from the curvature at the start (``fitting.curvature``).

Pixels that the model cannot reproduce (hair, glasses, a hand) lose their weight as the fit
proceeds: Geman & McClure's robust weights on top of the skin attention mask. Photos of one person
are fitted together, with one identity and albedo (``fitting.joint``).
"""

from typing import Any, Callable, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

import losses
from face_decoder import FaceDecoder
from face_model.coefficients import (
    STATISTICAL_BOUND,
    Coefficients,
    coefficient_sizes,
    expression_bounds,
    split_coefficients,
)
from face_model.model import FaceModel
from fitting.descent import Result, minimize
from fitting.joint import (
    PHOTOS_AT_ONCE,
    OnePerson,
    PersonObjective,
    person_steps,
    share_mean,
    shared_columns,
)
from fitting.landmarks import LandmarkFit, LandmarkFitter, correspondence_weights
from fitting.lighting import sample_skin, solve_light_and_albedo
from fitting.objective import (
    FaceObservation,
    Objective,
    PhotoObjective,
    SeparatePhotos,
)
from fitting.robustness import LAST_ROBUST_SCALE
from geometry.camera import IMAGE_SIZE
from geometry.landmark_layout import LANDMARK_COUNT

DEFAULT_STEPS = 45
# Steps from a network's prediction, which give nearly the same loss (benchmarks/network_start.py);
# more fit the pixels of open mouths by expressions beyond those of faces.
REFINING_STEPS = 12


# The published weights, but for the prior of the albedo: in training, other photos show what hair
# or a shadow hides in one; in a single photo the prior has to keep patches from such places.
FIT_WEIGHTS = losses.LossWeights(albedo=0.3)


class FitSettings(NamedTuple):
    """Number of steps, weights of the losses, and the method of minimization."""

    steps: int = DEFAULT_STEPS  # of the photometric stage; 0 stops after the landmark fit
    weights: losses.LossWeights = FIT_WEIGHTS
    method: Callable[..., Result] = minimize  # or a function with the same arguments


class FitResult(NamedTuple):
    """The outcome for a batch."""

    coefficients: np.ndarray  # [B, 257] float32
    loss: np.ndarray  # [B] total loss at the end
    history: np.ndarray  # [steps, B] total loss before each step; of a person, before joint ones


class FaceFitter:
    """Fits a face model to batches of photos.

    Args:
        decoder: a ``FaceDecoder``; the losses are added to its graph at the first fit, for batches
            of any size.
        settings: :class:`FitSettings`.
        identity: an ``identity.IdentityNetwork`` for the perceptual loss, or None to omit it.
    """

    def __init__(
        self, decoder: FaceDecoder, settings: Optional[FitSettings] = None, identity: Any = None
    ) -> None:
        self.model = decoder.model
        self.settings = settings or FitSettings()
        self._decoder = decoder
        self._sizes = coefficient_sizes(self.model)
        self._landmark_fitter: Optional[LandmarkFitter] = None
        self._lower, self._upper = _coefficient_bounds(self.model)
        self._identity = identity
        self._objective: Optional[Objective] = None

    def fit(
        self,
        observations: Sequence[FaceObservation],
        start: Optional[np.ndarray] = None,
        progress: Optional[Callable[[int], Any]] = None,
    ) -> FitResult:
        """Fit every observed face.

        Args:
            observations: list of :class:`FaceObservation`.
            start: [B, 257] initial coefficients; None starts from the landmarks.
            progress: callable taking the number of finished steps, or None.

        Returns:
            A :class:`FitResult`.
        """
        if start is None and self.settings.steps:
            start = self.choose_start(observations)
        elif start is None:
            start = self.fit_landmarks(observations)
        photos = PhotoObjective(self._build_objective(), self._decoder, observations)
        return self._minimize(
            SeparatePhotos(photos),
            np.array(start, np.float32),
            photos,
            self.settings.steps,
            progress,
        )

    def fit_person(
        self,
        observations: Sequence[FaceObservation],
        start: np.ndarray,
        progress: Optional[Callable[[int], Any]] = None,
    ) -> FitResult:
        """Fit all photos of one person at once, with the same identity and albedo in each.

        Several photos take four times the steps of one: three for all of them together, in which
        their landmarks count once, and one for each by itself, with the person held.

        Args:
            observations: list of :class:`FaceObservation`.
            start: [B, 257] initial coefficients; identity and albedo are those of the first row.
            progress: as of :meth:`fit`.
        """
        # 1. the person
        start = np.array(start, np.float32)
        shared = shared_columns(self.model)
        start[:, shared] = start[0, shared]
        steps = person_steps(self.settings.steps, len(observations))
        person = self._build_person(observations)
        problem = OnePerson(person, self.model)
        found = self._minimize(problem, start, person, steps.together, progress)
        if not steps.own:
            return found

        # 2. pose, expression and light of each photo
        x = self._fit_each(
            observations,
            found.coefficients,
            steps.own,
            progress and (lambda step: progress(steps.together + step)),
        )
        return FitResult(x, person.losses(x, LAST_ROBUST_SCALE), found.history)

    def choose_person_start(
        self,
        observations: Sequence[FaceObservation],
        predicted: Optional[np.ndarray],
        confidence: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """Return initial coefficients of all photos of one person, [B, 257].

        Each photo begins at its own start. Identity and albedo are the mean of these starts, or
        that of the predictions, whichever has the lower loss.

        Args:
            observations: list of :class:`FaceObservation`.
            predicted: [B, 257] coefficients predicted by a network, or None.
            confidence: [B, identities] in each predicted identity; None for equal ones.
        """
        # 1. the starts of the photos
        own = np.concatenate(
            [
                self.choose_start(
                    observations[i : i + PHOTOS_AT_ONCE],
                    None if predicted is None else predicted[i : i + PHOTOS_AT_ONCE],
                )
                for i in range(0, len(observations), PHOTOS_AT_ONCE)
            ]
        )
        if predicted is None:
            return share_mean(own, self.model)

        # 2. the person
        person = self._build_person(observations)
        shared = shared_columns(self.model)
        starts = [share_mean(own, self.model), own.copy()]
        starts[1][:, shared] = share_mean(predicted, self.model, confidence)[:, shared]
        starts = [np.clip(start, self._lower, self._upper) for start in starts]
        return min(starts, key=lambda start: person.losses(start, LAST_ROBUST_SCALE).sum())

    def choose_start(
        self, observations: Sequence[FaceObservation], predicted: Optional[np.ndarray] = None
    ) -> np.ndarray:
        """Return the initial coefficients with the lowest loss for each face, [B, 257].

        The candidates are a network's prediction, unchanged and with light and albedo solved for
        the photo, and the landmark fit with light and albedo solved. If the confidence in the
        landmarks is low, as in profile, the prediction mostly wins.

        Args:
            observations: list of :class:`FaceObservation`.
            predicted: [B, 257] coefficients predicted by a network; None leaves the landmark fit.
        """
        # 1. candidates
        fitted = self._with_light_and_albedo(self.fit_landmarks(observations), observations)
        if predicted is None:
            return fitted
        predicted = np.clip(predicted, self._lower, self._upper)
        starts = [predicted, self._with_light_and_albedo(predicted, observations), fitted]

        # 2. the best of them
        photos = PhotoObjective(self._build_objective(), self._decoder, observations)
        losses = np.array([photos.losses(start, LAST_ROBUST_SCALE) for start in starts])
        best = np.argmin(np.where(np.isfinite(losses), losses, np.inf), axis=0)
        return np.array([starts[choice][face] for face, choice in enumerate(best)], np.float32)

    def warm_up(self) -> None:
        """Run the fitting graph once on dummy input (the first run takes up to 1 s)."""
        objective = self._build_objective()
        dummy = FaceObservation(
            np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8),
            np.zeros((IMAGE_SIZE, IMAGE_SIZE)),
            np.zeros((LANDMARK_COUNT, 2)),
            np.zeros(LANDMARK_COUNT),
        )
        coefficients = np.zeros((1, sum(self._sizes)), np.float32)
        self._with_light_and_albedo(coefficients, [dummy])
        photo = PhotoObjective(objective, self._decoder, [dummy])
        photo.losses(coefficients, LAST_ROBUST_SCALE)
        photo.differentiate(coefficients, LAST_ROBUST_SCALE)

    def fit_landmarks(self, observations: Sequence[FaceObservation]) -> np.ndarray:
        """Return [B, 257] coefficients from the landmarks alone; light and albedo stay average."""
        rows = []
        for observation in observations:
            fit = observation.fit or self._fit_detected(observation)
            zeros = Coefficients(*(np.zeros(size) for size in self._sizes))
            parts = zeros._replace(
                identity=fit.identity,
                expression=fit.expression,
                angles=fit.angles,
                translation=fit.translation,
            )
            rows.append(np.concatenate(parts))
        return np.array(rows, np.float32)

    def _fit_detected(self, observation: FaceObservation) -> LandmarkFit:
        """Return the fit to detected landmarks; the fitter is made at the first call."""
        if self._landmark_fitter is None:
            self._landmark_fitter = LandmarkFitter(self.model)
        return self._landmark_fitter.fit(
            observation.landmarks,
            observation.landmark_confidence * correspondence_weights(),
            observation.five_points,
        )

    def _build_objective(self) -> Objective:
        """Return the :class:`Objective`, built at the first call."""
        if self._objective is None:
            self._objective = Objective(self._decoder, self.settings.weights, self._identity)
        return self._objective

    def _build_person(self, observations: Sequence[FaceObservation]) -> PersonObjective:
        """Return the objective of all photos of one person, who has priors and landmarks once."""
        batches = [
            PhotoObjective(
                self._build_objective(),
                self._decoder,
                observations[start : start + PHOTOS_AT_ONCE],
                common_share=1.0 / len(observations),
            )
            for start in range(0, len(observations), PHOTOS_AT_ONCE)
        ]
        return PersonObjective(batches, self.model)

    def _fit_each(
        self,
        observations: Sequence[FaceObservation],
        start: np.ndarray,
        steps: int,
        progress: Optional[Callable[[int], Any]],
    ) -> np.ndarray:
        """Return coefficients [B, 257] of each photo of a person, who is held as at the start."""
        shared = shared_columns(self.model)
        bounds = self._lower.copy(), self._upper.copy()
        for bound in bounds:
            bound[shared] = start[0, shared]
        parts = []
        for begin in range(0, len(start), PHOTOS_AT_ONCE):
            rows = slice(begin, begin + PHOTOS_AT_ONCE)
            photos = PhotoObjective(self._build_objective(), self._decoder, observations[rows])
            problem, part = SeparatePhotos(photos), start[rows]

            def tell(step: int, done: int = steps * begin, count: int = len(part)) -> None:
                if progress:
                    progress((done + count * step) // len(start))

            found = self._minimize(problem, part, photos, steps, tell, bounds)
            parts.append(found.coefficients)
        return np.concatenate(parts)

    def _with_light_and_albedo(
        self, start: np.ndarray, observations: Sequence[FaceObservation]
    ) -> np.ndarray:
        """Return a copy of coefficients with light and albedo solved for the photos."""
        face = self._decoder.face
        normals, world, harmonics = self._decoder.session.run(
            [face.normals, face.world_shape, self._build_objective().harmonics],
            {self._decoder.coefficients: start},
        )
        result = start.copy()
        parts = split_coefficients(result, self._sizes)  # views
        for i, observation in enumerate(observations):
            samples = sample_skin(
                self.model, observation.crop, observation.attend(), world[i], normals[i]
            )
            gamma, albedo = solve_light_and_albedo(self.model, samples, harmonics[i])
            parts.gamma[i], parts.albedo[i] = gamma, albedo
        return result

    def _minimize(
        self,
        problem: Union[SeparatePhotos, OnePerson],
        start: np.ndarray,
        photos: Union[PhotoObjective, PersonObjective],
        steps: int,
        progress: Optional[Callable[[int], Any]],
        bounds: Optional[Tuple[np.ndarray, np.ndarray]] = None,
    ) -> FitResult:
        """Minimize from start coefficients [B, 257], and return the result with its losses.

        Bounds are those of the coefficients, unless others are given.
        """
        lower, upper = bounds or (self._lower, self._upper)
        found = self.settings.method(
            problem,
            start,
            lower,
            upper,
            steps,
            self._limit_mouth_close,
            progress,
        )
        return FitResult(found.x, photos.losses(found.x, LAST_ROBUST_SCALE), found.history)

    def _limit_mouth_close(self, coefficients: np.ndarray) -> None:
        """Clamp ``mouthClose`` to ``jawOpen``, in place, so that closed lips do not interpenetrate.

        ``mouthClose`` closes the lips of an open jaw.
        """
        names = self.model.expression_names
        if "mouthClose" in names and "jawOpen" in names:
            expression = split_coefficients(coefficients, self._sizes).expression  # a view
            mouth_close = expression[:, names.index("mouthClose")]
            np.minimum(mouth_close, expression[:, names.index("jawOpen")], out=mouth_close)


def _coefficient_bounds(model: FaceModel) -> Tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest value of every coefficient, two [257] arrays."""
    sizes = coefficient_sizes(model)
    lower = Coefficients(*(np.full(size, -np.inf) for size in sizes))
    upper = Coefficients(*(np.full(size, np.inf) for size in sizes))
    expression = expression_bounds(model)
    identity = np.full(sizes.identity, STATISTICAL_BOUND)
    lower = lower._replace(identity=-identity, expression=expression[0])
    upper = upper._replace(identity=identity, expression=expression[1])
    return np.concatenate(lower).astype(np.float32), np.concatenate(upper).astype(np.float32)
