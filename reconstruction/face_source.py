"""The common interface of the sources of reconstructed faces: a pipeline, or saved results."""

import abc
import collections
import threading
from concurrent import futures
from typing import (
    Any,
    Callable,
    Deque,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np

from face_decoder import FaceDecoder
from face_model.model import FaceModel
from fitting.joint import person_steps
from geometry.camera import OVERLAY_SIZE
from identity.strangers import Comparison
from mesh.uv_unwrap import UVMap, unwrap_uv
from reconstruction.face import LocatedFace, Reconstruction
from reconstruction.look_ahead import iterate_ahead, iterate_unit_batches
from reconstruction.result_files import ModelContent, make_model_content, write_reconstruction
from utils.errors import InputError
from utils.photos import Photo
from utils.report import Report

Progress = Callable[[int], Any]  # takes the number of finished steps of fitting


class PersonCoefficients(NamedTuple):
    """The coefficients of a person's photos."""

    coefficients: np.ndarray  # [B, 257], with the same identity and albedo in each row
    confidence: Optional[np.ndarray] = None  # [B, 80] of C-Net in each photo's identity


class FaceSource(abc.ABC):
    """Locates and reconstructs the faces of photos.

    Subclasses define :meth:`locate`, :meth:`find_coefficients` and :meth:`find_person`.

    Args:
        model: a ``FaceModel``.
        decoder: its ``FaceDecoder``.
        refiner: the ``gcn.refiner.MeshRefiner`` that refines the meshes, or None.
        description: origin of the coefficients, for messages.
        steps: photometric steps of fitting a batch.

    Attributes:
        model: the ``FaceModel``.
        description: origin of coefficients and refined meshes, for messages.
    """

    def __init__(
        self,
        model: FaceModel,
        decoder: FaceDecoder,
        refiner: Any,
        description: str,
        steps: int = 0,
    ) -> None:
        self.model = model
        self.description = description
        if refiner is not None:
            self.description += "; meshes refined by {}".format(refiner.path)
        self._decoder = decoder
        self._refiner = refiner
        self._steps = steps
        self._uv_map: Optional[UVMap] = None
        self._unwrapping = threading.Lock()

    @property
    def uv_map(self) -> UVMap:
        """The texture coordinates of the face model, which the first use computes."""
        with self._unwrapping:
            if self._uv_map is None:
                self._uv_map = unwrap_uv(self.model)
            return self._uv_map

    @abc.abstractmethod
    def locate(self, photo: Photo) -> List[LocatedFace]:
        """Return the aligned faces of one photo; the first one bears the photo's name.

        Raises:
            InputError: the photo cannot be read, or has no face.
        """

    @abc.abstractmethod
    def find_coefficients(
        self, faces: Sequence[LocatedFace], progress: Optional[Progress] = None
    ) -> np.ndarray:
        """Return the coefficients [B, 257] of located faces.

        Args:
            faces: faces that :meth:`locate` returned.
            progress: callable taking the number of finished fitting steps, or None.
        """

    @abc.abstractmethod
    def find_person(
        self, faces: Sequence[LocatedFace], progress: Optional[Progress] = None
    ) -> PersonCoefficients:
        """Return the coefficients of faces of one person, who has one identity and albedo.

        Args:
            faces: faces that :meth:`locate` returned, one of each photo.
            progress: callable taking the number of finished fitting steps, or None.
        """

    def find_strangers(self, faces: Sequence[LocatedFace]) -> Optional[Comparison]:
        """Compare faces that should be of one person; None where that is known already.

        Args:
            faces: faces that :meth:`locate` returned, one of each photo.

        Raises:
            InputError: no identity network is installed.
        """
        return None

    def decode_mesh(self, coefficients: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Return the world shape [N, 3] and the albedo [N, 3] of coefficients [257]."""
        face = self._decoder.decode(coefficients[np.newaxis])
        return face.world_shape[0], face.albedo[0]

    def reconstruct(
        self, faces: Sequence[LocatedFace], progress: Optional[Progress] = None
    ) -> List[Reconstruction]:
        """Return the ``Reconstruction`` of each face; arguments of :meth:`find_coefficients`."""
        return self.decode(faces, self.find_coefficients(faces, progress))

    def decode(
        self, faces: Sequence[LocatedFace], coefficients: np.ndarray
    ) -> List[Reconstruction]:
        """Return the ``Reconstruction`` of each face, with its refined mesh where it has one.

        Args:
            faces: B located faces.
            coefficients: [B, 257].
        """
        found = decode_faces(faces, coefficients, self._decoder)
        if self._refiner is None:
            return found
        meshes = self._refiner.refine(
            [one.face.alignment.crop for one in found], [one.coefficients for one in found]
        )
        return [one._replace(refined=mesh) for one, mesh in zip(found, meshes)]

    def draw(self, coefficients: np.ndarray, size: int) -> np.ndarray:
        """Return pictures [B, size, size, 4] uint8 RGBA of coefficients [B, 257] in their crops."""
        return self._decoder.render(coefficients, size)

    def draw_windows(
        self, coefficients: np.ndarray, windows: np.ndarray, width: int, height: int
    ) -> np.ndarray:
        """Return pictures of parts of the crops, see ``FaceDecoder.render_windows``."""
        return self._decoder.render_windows(coefficients, windows, width, height)

    def iterate_located(self, photos: Sequence[Photo], report: Report) -> Iterator[LocatedFace]:
        """Yield the faces of photos one by one, while those of later photos are being located.

        Args:
            photos: the photos.
            report: a ``Report``; a photo that fails is reported there and skipped.
        """
        with futures.ThreadPoolExecutor(max_workers=1) as executor:
            for photo, future in iterate_ahead(executor, self.locate, photos):
                report.note("looking for the face in {}".format(photo.name))
                try:
                    faces = future.result()
                except InputError as error:
                    report.skip(photo.name, error)
                    continue
                report.expect(len(faces) - 1)
                for face in faces:
                    if face.is_doubtful:
                        report.doubt(face.name)
                    yield face

    def iterate_batches(
        self, photos: Sequence[Photo], size: int, report: Report
    ) -> Iterator[List[LocatedFace]]:
        """Yield the faces of photos in lists to be reconstructed together.

        Args:
            photos: the photos.
            size: most faces in a list; fewer where photos are large, or a work unit ends.
            report: see :meth:`iterate_located`.
        """
        return iterate_unit_batches(self.iterate_located(photos, report), photos, size)

    def run(
        self,
        photos: Sequence[Photo],
        folder: str,
        batch_size: int,
        report: Report,
        on_result: Optional[Callable[[Reconstruction], Any]] = None,
    ) -> None:
        """Reconstruct photos and write the results; a photo that fails is reported and skipped.

        Args:
            photos: the photos.
            folder: folder of the results.
            batch_size: number of faces reconstructed together.
            report: a ``Report``.
            on_result: callable taking each ``Reconstruction`` after its files are written, or None.
        """
        content = make_model_content(self.model)
        writes: Deque["futures.Future[None]"] = collections.deque()
        with futures.ThreadPoolExecutor(max_workers=1) as executor:
            for faces in self.iterate_batches(photos, batch_size, report):
                results = self.reconstruct(faces, self.progress_note(len(faces), report))
                # The files of the previous batch were written during this reconstruction.
                _wait_for_writes(writes, report)
                writes.extend(
                    executor.submit(self._write, result, folder, content, on_result)
                    for result in results
                )
            _wait_for_writes(writes, report)

    def progress_note(self, count: int, report: Report, of_one_person: bool = False) -> Progress:
        """Return a function that notes the step of fitting on a report.

        Args:
            count: number of faces.
            report: the report.
            of_one_person: whether they are fitted as one person.
        """
        steps = sum(person_steps(self._steps, count)) if of_one_person else self._steps

        def note(step: int) -> None:
            faces = "{} face{}".format(count, "" if count == 1 else "s")
            text = "fitting {}, step {}/{}".format(faces, step, steps)
            report.note(text, step / max(steps, 1))

        return note

    def _write(
        self,
        result: Reconstruction,
        folder: str,
        content: ModelContent,
        on_result: Optional[Callable[[Reconstruction], Any]],
    ) -> None:
        write_reconstruction(result, self.model, folder, content)
        if on_result:
            on_result(result)


def decode_faces(
    faces: Sequence[LocatedFace], coefficients: np.ndarray, decoder: FaceDecoder
) -> List[Reconstruction]:
    """Decode and render the coefficients of a batch of located faces.

    Args:
        faces: B located faces.
        coefficients: [B, 257].
        decoder: the ``FaceDecoder`` of the model.
    """
    batch = decoder.decode(coefficients, overlay_size=OVERLAY_SIZE)
    columns: Sequence[Any] = (
        batch.coefficients,
        batch.world_shape,
        batch.albedo,
        batch.colors,
        batch.landmarks,
        batch.rendered,
        batch.front_mask,
        batch.overlay,
    )
    return [Reconstruction(face, *rows) for face, *rows in zip(faces, *columns)]


def _wait_for_writes(writes: Deque["futures.Future[None]"], report: Report) -> None:
    """Wait until queued results are written, counting them."""
    while writes:
        writes.popleft().result()
        report.step()
