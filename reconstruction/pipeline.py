"""Photos in, reconstructions out: what demo.py, nme.py and the other commands share."""

import collections
import threading
from concurrent import futures

import numpy as np

from alignment.locate import FaceLocator
from alignment.skin import skin_mask
from checkpoints.variables import checkpoint_exists
from face_decoder import FaceDecoder
from face_model.coefficients import coefficient_sizes
from fitting.objective import FaceObservation
from fitting.photometric import DEFAULT_STEPS, REFINING_STEPS, FaceFitter, FitSettings
from gcn.refiner import OVERLAY_SIZE, MeshRefiner
from geometry.camera import IMAGE_SIZE, flip_y
from identity.features import FACE_NET_CHECKPOINT, load_identity_network
from reconstruction.face import LocatedFace, crop_landmarks, reconstructions
from reconstruction.regressor import CoefficientRegressor
from reconstruction.result_files import model_content, write_reconstruction
from utils.errors import InputError
from utils.paths import from_root
from utils.photos import read_photo

_PHOTOS_AHEAD = 8  # in which faces are looked for while others are reconstructed
_PIXELS_TOGETHER = 60 * 10 ** 6  # of the photos ahead, and of a batch: 180 MB each; a photo may be larger


class FacePipeline:
    """Locates, aligns and reconstructs the faces of photos.

    Args:
        model: a ``FaceModel``.
        method: ``"fit"``, ``"network"``, ``"both"`` (network, then fit) or ``"auto"`` (network where
            there are weights, else fit).
        weights: path of the coefficient network's weights, or None.
        steps: photometric steps of fitting; None: ``fitting.photometric.DEFAULT_STEPS``, or ``fitting.photometric.REFINING_STEPS``
            from a network's answer, which 0 leaves as it is.
        detector: ``"auto"``, ``"mtcnn"`` or ``"dlib"``.
        all_faces: reconstruct every face of a photo, not only the largest.
        refine: checkpoint of a mesh generator that is to refine the faces, or None.

    Attributes:
        description: where coefficients come from, for messages.
    """

    def __init__(self, model, method="auto", weights=None, steps=None, detector="auto",
                 all_faces=False, refine=None):
        if method == "auto":
            method = "network" if weights else "fit"
        if method == "both" and steps == 0:
            method = "network"
        if steps is None:
            steps = REFINING_STEPS if method == "both" else DEFAULT_STEPS
        self.model = model
        self._all_faces = all_faces
        self._steps = steps
        self._locator = FaceLocator(detector)
        with futures.ThreadPoolExecutor(max_workers=1) as executor:
            face_graph = executor.submit(FaceDecoder, model)  # lays out the model, while the network is read
            self._network = (CoefficientRegressor(weights, model)
                             if method in ("network", "both") else None)
            self._face_graph = face_graph.result()
        self._fitter = (FaceFitter(self._face_graph, FitSettings(steps), _face_net())
                        if method in ("fit", "both") else None)
        named = weights and from_root(weights)
        self.description = {
            "fit": "fitted to the photo in {} steps".format(steps),
            "network": "from {}".format(named),
            "both": "from {}, refined in {} steps".format(named, steps)}[method]
        self._warming_up = None
        self._refiner = None
        if refine:
            self._refiner = MeshRefiner(refine, model, weights)
            self.description += "; meshes refined by {}".format(refine)

    def locate(self, photo, five_points=None):
        """Find and align the faces of one photo.

        Args:
            photo: a ``utils.photos.Photo``.
            five_points: [5, 2] photo pixels, y down, of the one face to take; None to detect.

        Returns:
            A list of ``LocatedFace``; the first is the largest and bears the photo's name.

        Raises:
            InputError: the photo cannot be read, or no face is found.
        """
        pixels = read_photo(photo.path)
        if five_points is None:
            locations = self._locator.locate(pixels, photo.path, all_faces=self._all_faces)
        else:
            locations = [self._locator.with_five_points(pixels, five_points, "given")]
        return [LocatedFace(
            name=photo.name if i == 0 else "{}_face{}".format(photo.name, i + 1), photo_path=photo.path, photo=pixels,
            alignment=location.alignment, landmarks=location.landmarks,
            landmark_weights=location.landmark_weights, five_points=location.five_points)
            for i, location in enumerate(locations)]

    def coefficients(self, faces, progress=None):
        """Return the coefficients [B, 257] of located faces.

        Args:
            faces: list of ``LocatedFace``.
            progress: callable taking the number of finished fitting steps, or None.
        """
        if self._warming_up:
            self._warming_up.result()
            self._warming_up = None
        start = self._network.predict([face.alignment.crop for face in faces]) if self._network else None
        if self._fitter is None:
            return start
        observations = [observe(face) for face in faces]
        if start is not None:
            start = self._fitter.choose_start(observations, start)
        return self._fitter.fit(observations, start, progress).coefficients

    def reconstruct(self, faces, progress=None):
        """Return the ``Reconstruction`` of each located face; arguments as in :meth:`coefficients`."""
        return refined(reconstructions(faces, self.coefficients(faces, progress), self._face_graph), self._refiner)

    def run(self, photos, folder, batch_size, report, on_result=None):
        """Reconstruct photos and write the results; a photo that fails is reported and skipped.

        Args:
            photos: list of ``utils.photos.Photo``.
            folder: where the results go.
            batch_size: faces worked on together.
            report: a ``utils.report.Report``.
            on_result: callable taking each ``Reconstruction`` after its files are written, or None.
        """
        content, written = model_content(self.model), collections.deque()
        with futures.ThreadPoolExecutor(max_workers=1) as executor:
            for faces in batches(self.located(photos, report), batch_size):
                note = "fitting {}, step {{}}/{}".format(len(faces), self._steps)
                results = self.reconstruct(faces, lambda step, note=note: report.note(note.format(step)))
                _await(written, report)  # files of the batch before were written meanwhile
                written.extend(executor.submit(self._write, result, folder, content, on_result)
                               for result in results)
            _await(written, report)

    def _write(self, result, folder, content, on_result):
        write_reconstruction(result, self.model, folder, content)
        if on_result:
            on_result(result)

    def located(self, photos, report):
        """Yield the faces of photos one by one; in the photos that follow they are looked for meanwhile.

        While the first is looked for, everything that is to reconstruct it is run once.
        """
        with futures.ThreadPoolExecutor(max_workers=1) as executor, futures.ThreadPoolExecutor(max_workers=1) as other:
            self._warming_up = other.submit(self._warm_up)
            for photo, future in _ahead(executor, self.locate, photos):
                try:
                    faces = future.result()
                except InputError as error:
                    report.skip(photo.name, error)
                    continue
                report.expect(len(faces) - 1)
                yield from faces

    def _warm_up(self):
        """Reconstruct nothing: the first run of a TensorFlow graph takes up to a second."""
        if self._network:
            self._network.predict(np.zeros((1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8))
        coefficients = np.zeros((1, sum(coefficient_sizes(self.model))), np.float32)
        self._face_graph.decode(coefficients, overlay_size=OVERLAY_SIZE)
        if self._fitter:
            self._fitter.warm_up()


def _ahead(executor, locate, photos):
    """Yield each photo with the future of ``locate(photo)``; some more are under way already.

    The executor has one worker. It goes on to the next photo when those that wait are not too large together.
    """
    pending, waiting, changed = collections.deque(), {}, threading.Condition()  # waiting: photo -> its pixels

    def locate_when_there_is_room(photo):
        with changed:
            changed.wait_for(lambda: sum(waiting.values()) <= _PIXELS_TOGETHER)
        faces = locate(photo)
        with changed:
            if photo in waiting:
                waiting[photo] = _pixel_count(faces[0])
        return faces

    def take():
        photo, future = pending.popleft()
        with changed:
            del waiting[photo]
            changed.notify()
        return photo, future

    try:
        for photo in photos:
            waiting[photo] = 0
            pending.append((photo, executor.submit(locate_when_there_is_room, photo)))
            if len(pending) > _PHOTOS_AHEAD:
                yield take()
        while pending:
            yield take()
    finally:
        for _, future in pending:
            future.cancel()
        with changed:
            waiting.clear()
            changed.notify()


def _pixel_count(face):
    return face.photo.shape[0] * face.photo.shape[1]


def _await(written, report):
    """Wait until queued results are written, counting them."""
    while written:
        written.popleft().result()
        report.step()


def refined(found, refiner):
    """Return reconstructions with what a ``MeshRefiner`` makes of them; None leaves them as they are."""
    if refiner is None:
        return found
    meshes = refiner.refine([one.face.alignment.crop for one in found], [one.coefficients for one in found])
    return [one._replace(refined=mesh) for one, mesh in zip(found, meshes)]


def _face_net():
    """Return FaceNet where its weights have been put, else None: fitting then does without identity."""
    if not checkpoint_exists(FACE_NET_CHECKPOINT):
        return None
    return load_identity_network("facenet")


def observe(face):
    """Return what the fitter needs of a located face."""
    alignment = face.alignment
    return FaceObservation(
        crop=alignment.crop, attention=skin_mask(alignment.crop).astype(np.float32) / 255,
        landmarks=crop_landmarks(face), landmark_weights=face.landmark_weights,
        five_points=flip_y(alignment.five_points))


def batches(faces, size):
    """Yield lists of up to ``size`` ``LocatedFace``, fewer where their photos are large."""
    batch, pixels = [], 0
    for face in faces:
        if not batch or face.photo is not batch[-1].photo:
            pixels += _pixel_count(face)
        batch.append(face)
        if len(batch) == size or pixels >= _PIXELS_TOGETHER:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
