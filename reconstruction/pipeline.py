"""The pipeline from photos to reconstructed faces."""

from concurrent import futures
from typing import Any, Callable, List, Optional, Sequence, Tuple

import numpy as np

from alignment.dense_landmarks import DenseLandmarks
from alignment.skin import skin_mask
from checkpoints.variables import checkpoint_exists
from face_decoder import FaceDecoder
from face_model.coefficients import coefficient_sizes
from face_model.model import FaceModel
from fitting.face_locator import FittedLocation, ModelFaceLocator
from fitting.joint import share_mean
from fitting.objective import FaceObservation
from fitting.photometric import FaceFitter, FitSettings
from fitting.surroundings import surroundings_share
from gcn.refiner import MeshRefiner
from geometry.camera import IMAGE_SIZE, OVERLAY_SIZE, flip_y
from identity.features import FACE_NET_CHECKPOINT, load_identity_network
from identity.strangers import Comparison, IdentityEmbedder
from reconstruction.chosen_networks import NetworkChoice
from reconstruction.face import LocatedFace
from reconstruction.face_source import FaceSource, PersonCoefficients, Progress
from reconstruction.regressor import CoefficientRegressor, find_shipped_c_net
from utils.paths import from_root
from utils.photos import Photo, read_photo

_CROPS_AT_ONCE = 8  # of a person that pass through the networks together


class FacePipeline(FaceSource):
    """Locates, aligns and reconstructs the faces of photos.

    Args:
        model: a ``FaceModel``.
        network: the networks, the method and the number of fitting steps, see
            ``reconstruction.network_choice.choose_networks``.
        detector: one of ``alignment.detect.DETECTORS``.
        all_faces: reconstruct every face of a photo, not only the largest.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``; of all networks.
        warm_up: run on nothing in the background, for a quick first photo.

    Attributes:
        embedder: ``identity.strangers.IdentityEmbedder``, which tells people apart.

    Raises:
        InputError: weights are missing, damaged, or do not fit the face model.
    """

    def __init__(
        self,
        model: FaceModel,
        network: NetworkChoice,
        detector: str = "auto",
        all_faces: bool = False,
        allow_any_op: bool = False,
        warm_up: bool = True,
    ) -> None:
        self._all_faces = all_faces
        self._locator = ModelFaceLocator(model, detector, allow_any_op)

        # 1. coefficient network and decoder; the decoder lays out the model meanwhile
        self._regressor = None
        with futures.ThreadPoolExecutor(max_workers=1) as executor:
            decoder_built = executor.submit(FaceDecoder, model)
            self._warm_ups: List[_BackgroundRun] = []
            if network.weights and network.method != "fit":
                self._regressor = CoefficientRegressor(network.weights, model, allow_any_op)
                if warm_up:
                    self._warm_ups.append(_BackgroundRun(self._predict_nothing))
            self._locator.check_networks()
            decoder = decoder_built.result()

        # 2. fitting and refinement
        self._fitter = None
        if network.method != "network":
            self._fitter = FaceFitter(decoder, FitSettings(network.steps), _load_face_net())
        refiner = None
        if network.generator:
            refiner = MeshRefiner(
                network.generator.path,
                model,
                network.generator.coefficient_weights,
                network.generator.pyramid,
                allow_any_op,
            )

        self.embedder = IdentityEmbedder()
        self._person_regressor: Optional[CoefficientRegressor] = None
        self._network, self._allow_any_op = network, allow_any_op
        super().__init__(model, decoder, refiner, _describe(network), network.steps)
        if warm_up:
            self._warm_ups.append(_BackgroundRun(self._fit_nothing))

    def locate(self, photo: Photo, five_points: Optional[np.ndarray] = None) -> List[LocatedFace]:
        """Find and align the faces of one photo.

        Args:
            photo: a ``Photo``.
            five_points: [5, 2] photo pixels, y down, that place the crop of the only face and
                serve as nothing else; None to detect.

        Returns:
            The faces; the first one is the largest and bears the photo's name.

        Raises:
            InputError: the photo cannot be read, or no face is found.
        """
        return self.locate_in(read_photo(photo.path), photo, five_points)

    def locate_in(
        self, pixels: np.ndarray, photo: Photo, five_points: Optional[np.ndarray] = None
    ) -> List[LocatedFace]:
        """Find and align the faces of a photo that has been read, as :meth:`locate` does.

        Args:
            pixels: [H, W, 3] uint8 RGB.
            photo: its file and name; a path of "" for a photo without a file.
            five_points: see :meth:`locate`.
        """
        if five_points is None:
            locations = self._locator.locate(pixels, photo.path, all_faces=self._all_faces)
        else:
            locations = [self._locator.locate_at(pixels, five_points)]
        return [
            _make_located_face(
                photo.name if i == 0 else "{}_face{}".format(photo.name, i + 1),
                photo.path,
                pixels,
                location,
            )
            for i, location in enumerate(locations)
        ]

    @property
    def predictor(self) -> Optional[Callable[[np.ndarray], np.ndarray]]:
        """The coefficient network: crops [B, 224, 224, 3] to [B, 257]; None without one."""
        if self._regressor is None:
            return None
        self._wait_for_warm_up()
        return self._regressor.predict

    def locate_dense(
        self, name: str, path: str, pixels: np.ndarray, dense: DenseLandmarks
    ) -> LocatedFace:
        """Align a face whose 478 points are known, as in a frame of a clip.

        Args:
            name: stem of its output files.
            path: file that shows it, for messages.
            pixels: [H, W, 3] uint8 RGB.
            dense: its points.

        Raises:
            InputError: the points put the face outside of the picture.
        """
        return _make_located_face(name, path, pixels, self._locator.locate_dense(pixels, dense))

    def find_coefficients(
        self, faces: Sequence[LocatedFace], progress: Optional[Progress] = None
    ) -> np.ndarray:
        """Return the coefficients [B, 257] of located faces, from the network, by fitting or both.

        Args:
            faces: faces that :meth:`locate` returned.
            progress: callable taking the number of finished fitting steps, or None.
        """
        self._wait_for_warm_up()
        coefficients: Any = None
        if self._regressor is not None:
            coefficients = self._regressor.predict([face.alignment.crop for face in faces])
        if self._fitter is not None:
            observations = [make_observation(face) for face in faces]
            if coefficients is not None:
                coefficients = self._fitter.choose_start(observations, coefficients)
            coefficients = self._fitter.fit(observations, coefficients, progress).coefficients
        return coefficients

    def find_person(
        self,
        faces: Sequence[LocatedFace],
        progress: Optional[Progress] = None,
        with_confidence: bool = True,
    ) -> PersonCoefficients:
        """Return the coefficients of faces of one person, who has one identity and albedo.

        The person begins as the mean of the photos, and is then fitted to all of them at once.

        Args:
            faces: faces that :meth:`locate` returned, one of each photo.
            progress: callable taking the number of finished fitting steps, or None.
            with_confidence: weigh photos by C-Net, if it is there; it has an R-Net of its own.
        """
        # 1. each photo by itself, and the confidence in it
        self._wait_for_warm_up()
        crops = [face.alignment.crop for face in faces]
        predicted = confidence = None
        if self._regressor is not None and with_confidence:
            predicted, confidence = self._predict_person(crops)
        elif self._regressor is not None:
            predicted = self._regressor.predict(crops)

        # 2. the person
        if self._fitter is None:
            assert predicted is not None
            mean = share_mean(predicted, self.model, confidence)
            return PersonCoefficients(mean, confidence)
        observations = [make_observation(face) for face in faces]
        start = self._fitter.choose_person_start(observations, predicted, confidence)
        fit = self._fitter.fit_person(observations, start, progress)
        return PersonCoefficients(fit.coefficients, confidence)

    def _predict_person(
        self, crops: Sequence[np.ndarray]
    ) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        """Return R-Net's coefficients [B, 257] of crops and C-Net's confidences, if it is there."""
        if self._person_regressor is None:
            assert self._network.weights is not None
            c_net = self._network.c_net or find_shipped_c_net(self._network.weights)
            self._person_regressor = self._regressor
            if c_net:
                self._person_regressor = CoefficientRegressor(
                    self._network.weights, self.model, self._allow_any_op, c_net
                )
        assert self._person_regressor is not None
        parts = [crops[i : i + _CROPS_AT_ONCE] for i in range(0, len(crops), _CROPS_AT_ONCE)]
        predicted = [self._person_regressor.predict(part) for part in parts]
        confidence = [self._person_regressor.predict_confidence(part) for part in parts]
        known = [part for part in confidence if part is not None]
        return np.concatenate(predicted), np.concatenate(known) if known else None

    def find_strangers(self, faces: Sequence[LocatedFace]) -> Optional[Comparison]:
        """Compare the crops of faces that should be of one person by the identity network.

        Args:
            faces: faces that :meth:`locate` returned, one of each photo.

        Raises:
            InputError: no identity network is installed.
        """
        return self.embedder.compare([face.alignment.crop for face in faces])

    def _wait_for_warm_up(self) -> None:
        for run in self._warm_ups:
            run.wait()

    def _predict_nothing(self) -> None:
        """Predict for dummy input: the first run of a TensorFlow graph takes up to a second."""
        assert self._regressor is not None
        self._regressor.predict(np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8))

    def _fit_nothing(self) -> None:
        """Decode and fit dummy input, likewise."""
        coefficients = np.zeros((1, sum(coefficient_sizes(self.model))), np.float32)
        self._decoder.decode(coefficients, overlay_size=OVERLAY_SIZE)
        if self._fitter is not None:
            self._fitter.warm_up()


class _BackgroundRun:
    """A function running once, in a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        executor = futures.ThreadPoolExecutor(max_workers=1)
        self._future = executor.submit(function)
        executor.shutdown(wait=False)

    def wait(self) -> None:
        """Wait for the end of the run, and raise its exception if it had one."""
        self._future.result()


def _make_located_face(
    name: str, path: str, pixels: np.ndarray, location: FittedLocation
) -> LocatedFace:
    return LocatedFace(
        name=name,
        photo_path=path,
        photo=pixels,
        alignment=location.alignment,
        landmarks=location.landmarks,
        landmark_confidence=location.landmark_confidence,
        five_points=location.five_points,
        evidence=location.evidence,
        fit=location.fit,
        trust=location.trust,
    )


def make_observation(face: LocatedFace) -> FaceObservation:
    """Return a located face as the input of fitting: crop, skin mask, and points with y up."""
    alignment = face.alignment
    landmarks = flip_y(alignment.to_crop(face.landmarks))
    return FaceObservation(
        crop=alignment.crop,
        attention=skin_mask(alignment.crop).astype(np.float32) / 255,
        landmarks=landmarks,
        landmark_confidence=face.landmark_confidence,
        five_points=None if face.evidence is None else flip_y(face.evidence),
        fit=face.fit,
        surroundings=surroundings_share(alignment.crop, landmarks),
    )


def _describe(network: NetworkChoice) -> str:
    """Return the origin of the coefficients, for messages."""
    if network.method == "fit":
        return "fitted to the photo in {} steps".format(network.steps)
    description = "from {}".format(from_root(network.weights or ""))
    if network.method == "both":
        description += ", refined in {} steps".format(network.steps)
    return description


def _load_face_net() -> Any:
    """Return FaceNet if its weights are installed, else None, to fit without identity."""
    if not checkpoint_exists(FACE_NET_CHECKPOINT):
        return None
    return load_identity_network("facenet")
