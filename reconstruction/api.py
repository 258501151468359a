"""The surface for use from Python: photos as arrays in, faces as arrays out; see docs/python.md.

    from reconstruction.api import FaceReconstructor

    reconstructor = FaceReconstructor()
    for face in reconstructor.reconstruct(photo):  # [H, W, 3] uint8 RGB
        print(face.vertices.shape, face.camera.project(face.vertices))

Coefficients are decoded and rendered by ``face_decoder.FaceDecoder(model)``; pictures are drawn by
``reconstruction.face_views``; files are written by ``reconstruction.result_files``.
"""

from typing import Any, List, NamedTuple, Optional, Union

import numpy as np

from face_model import FaceModel, load_face_model
from face_model.coefficients import Coefficients, coefficient_sizes, split_coefficients
from geometry.camera_matrices import PictureCamera
from reconstruction.face import Reconstruction, camera_of_photo, map_landmarks_to_photo
from reconstruction.network_choice import NetworkRequest, choose_networks, read_weights
from reconstruction.pipeline import FacePipeline
from utils.errors import InputError
from utils.photos import MIN_SIDE, Photo, read_photo
from utils.tf_compat import tensorflow_version

_NAME = "photo"  # of the faces of arrays


class FaceResult(NamedTuple):
    """A reconstructed face. Lengths are in decimeters; pixels are those of the photo, y down."""

    vertices: np.ndarray  # [N, 3] in the world: x right, y up, z toward the camera
    triangles: np.ndarray  # [F, 3] vertex indices, counter-clockwise seen from outside
    albedo: np.ndarray  # [N, 3] RGB, 0..255, not clipped
    colors: np.ndarray  # [N, 3] RGB, albedo times light, not clipped
    landmarks: np.ndarray  # [68, 2] of the reconstructed face
    coefficients: np.ndarray  # [257], see :meth:`split`
    camera: PictureCamera  # from the world to the photo
    trust: float  # 0..1, in the place of the face; doubtful below .5
    model: FaceModel
    reconstruction: Reconstruction  # everything, for ``face_views`` and ``result_files``

    def split(self) -> Coefficients:
        """Return the coefficients by meaning: identity, expression, albedo, angles and so on."""
        row = self.coefficients[np.newaxis]
        return Coefficients(*(p[0] for p in split_coefficients(row, coefficient_sizes(self.model))))


class FaceReconstructor:
    """Finds and reconstructs the faces of photos, one photo at a time.

    Args:
        model: a ``FaceModel``, or the choice that ``face_model.load_face_model`` takes.
        method: ``"auto"``, ``"fit"``, ``"network"`` or ``"both"``, as ``demo.py --method``.
        steps: photometric steps of fitting; None for the method's default.
        weights: path of a coefficient network, or of a mesh generator; None for the shipped one.
        all_faces: reconstruct every face of a photo, not only the largest.
        detector: one of ``alignment.detect.DETECTORS``.

    Attributes:
        model: the ``FaceModel``.
        steps: steps of fitting a photo; 0 without fitting.
        pipeline: the ``FacePipeline`` that does the work.

    Raises:
        InputError: face model or weights are missing or unfit.
    """

    def __init__(
        self,
        model: Union[FaceModel, str, None] = None,
        method: str = "auto",
        steps: Optional[int] = None,
        weights: Optional[str] = None,
        all_faces: bool = False,
        detector: str = "auto",
    ) -> None:
        self.model = model if isinstance(model, FaceModel) else load_face_model(model)
        named = read_weights(weights) if weights else None
        networks = choose_networks(NetworkRequest(method, steps, named), self.model)
        self.steps = 0 if networks.method == "network" else networks.steps
        tensorflow_version()  # imports TensorFlow, before the pipeline's threads both do
        self.pipeline = FacePipeline(self.model, networks, detector, all_faces)

    def reconstruct(self, photo: Union[np.ndarray, str], progress: Any = None) -> List[FaceResult]:
        """Reconstruct the faces of one photo.

        Args:
            photo: [H, W, 3] uint8 RGB, or the path of a file; only beside a file are five points
                looked for.
            progress: callable taking the number of finished steps of fitting, or None.

        Returns:
            The faces, the largest first.

        Raises:
            InputError: the photo cannot be read, or shows no face.
        """
        if isinstance(photo, np.ndarray):
            faces = self.pipeline.locate_in(_check_pixels(photo), Photo("", _NAME))
        else:
            faces = self.pipeline.locate_in(read_photo(photo), Photo(photo, _NAME))
        return [
            describe_reconstruction(one, self.model)
            for one in self.pipeline.reconstruct(faces, progress)
        ]


def describe_reconstruction(found: Reconstruction, model: FaceModel) -> FaceResult:
    """Return a ``Reconstruction`` with a face model as a :class:`FaceResult`."""
    return FaceResult(
        vertices=found.world_shape,
        triangles=model.triangles,
        albedo=found.albedo,
        colors=found.colors,
        landmarks=map_landmarks_to_photo(found),
        coefficients=found.coefficients,
        camera=camera_of_photo(found.face),
        trust=found.face.trust,
        model=model,
        reconstruction=found,
    )


def _check_pixels(photo: np.ndarray) -> np.ndarray:
    """Return a photo, after a check of its shape and type."""
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise InputError(
            "the photo is an array {} of {}; give [height, width, 3] of uint8, RGB".format(
                list(photo.shape), photo.dtype
            )
        )
    if min(photo.shape[:2]) < MIN_SIDE:
        raise InputError("the photo has a side of less than {} pixels".format(MIN_SIDE))
    return photo
