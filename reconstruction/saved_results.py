"""Faces that demo.py has saved: its NAME.mat files instead of detection and fitting."""

import os
from typing import Dict, List, Optional, Sequence

import numpy as np

from alignment.align import align
from alignment.five_points import diagnose_five_points
from face_decoder import FaceDecoder
from face_model.coefficients import coefficient_sizes
from face_model.model import FaceModel
from fitting.joint import shared_columns
from gcn.refiner import MeshRefiner
from geometry.camera import IMAGE_SIZE
from geometry.landmark_layout import LANDMARK_COUNT
from reconstruction.chosen_networks import GeneratorChoice
from reconstruction.face import LocatedFace
from reconstruction.face_source import FaceSource, PersonCoefficients, Progress
from utils.errors import InputError
from utils.mat_files import read_mat
from utils.numpy_files import all_within
from utils.photos import Photo, read_photo

_SHAPES = {
    "cropped_img": (IMAGE_SIZE, IMAGE_SIZE, 3),
    "lm_5p_photo": (5, 2),
    "lm_68p_detected_photo": (LANDMARK_COUNT, 2),
    "lm_68p_detected_weight": (1, LANDMARK_COUNT),
}
_OPTIONAL_NUMBERS = ("crop_angle", "face_trust")
_FINGERPRINT = "face_model_fingerprint"
_LARGEST = 1e6  # largest plausible pixel of a landmark, and coefficient


class SavedReconstructions(FaceSource):
    """Reads located faces and their coefficients.

    A face is accepted only if its crop equals the one cut from the photo now, and its face model
    is the one in use. The method that found its coefficients (network or fitting, number of
    steps) was chosen by the run of demo.py that saved it.

    Args:
        folder: output folder of demo.py.
        model: the ``FaceModel``.
        generator: the mesh generator that refines the faces, or None.
        all_faces: take every saved face of a photo, not only the first.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``; of the R-Net below it.

    Raises:
        InputError: the folder is missing, or the mesh generator cannot be used.
    """

    def __init__(
        self,
        folder: str,
        model: FaceModel,
        generator: Optional[GeneratorChoice] = None,
        all_faces: bool = False,
        allow_any_op: bool = False,
    ) -> None:
        if not os.path.isdir(folder):
            raise InputError(
                "{}: no such folder; give one that demo.py wrote as --coefficients".format(folder)
            )
        refiner = None
        if generator:
            refiner = MeshRefiner(
                generator.path,
                model,
                generator.coefficient_weights,
                generator.pyramid,
                allow_any_op,
            )
        super().__init__(model, FaceDecoder(model), refiner, "read from {}".format(folder))
        self._folder = folder
        self._all_faces = all_faces
        self._fingerprint = model.fingerprint()
        self._coefficients: Dict[str, np.ndarray] = {}  # name of the face -> [257]

    def locate(self, photo: Photo) -> List[LocatedFace]:
        """Return the saved faces of one photo.

        Raises:
            InputError: the photo cannot be read, or the saved face is missing, damaged, or was
                made from another photo or with another face model.
        """
        pixels = read_photo(photo.path)
        name = photo.name
        faces: List[LocatedFace] = []
        while not faces or self._all_faces and os.path.isfile(self._path(name)):
            faces.append(self._read(name, photo.path, pixels))
            name = "{}_face{}".format(photo.name, len(faces) + 1)
        return faces

    def find_coefficients(
        self, faces: Sequence[LocatedFace], progress: Optional[Progress] = None
    ) -> np.ndarray:
        """Return the saved coefficients [B, 257] of faces, once; ``progress`` is not called.

        Args:
            faces: faces that :meth:`locate` returned.
            progress: unused.
        """
        return np.stack([self._coefficients.pop(face.name) for face in faces])

    def find_person(
        self, faces: Sequence[LocatedFace], progress: Optional[Progress] = None
    ) -> PersonCoefficients:
        """Return the saved coefficients of a person's faces; ``progress`` is not called.

        Args:
            faces: faces that :meth:`locate` returned.
            progress: unused.

        Raises:
            InputError: they were not reconstructed as photos of one person.
        """
        coefficients = self.find_coefficients(faces)
        shared = coefficients[:, shared_columns(self.model)]
        if not np.array_equal(shared, np.repeat(shared[:1], len(shared), axis=0)):
            raise InputError(
                "{}: was not made as a photo of one person with {}; run demo.py again as now "
                "(with --same_person, or a folder for each person)".format(
                    self._path(faces[-1].name), self._path(faces[0].name)
                )
            )
        return PersonCoefficients(coefficients)

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name + ".mat")

    def _read(self, name: str, photo_path: str, pixels: np.ndarray) -> LocatedFace:
        """Return a saved face, after checking that it belongs to the photo and the face model."""
        path = self._path(name)
        coefficient_count = sum(coefficient_sizes(self.model))
        fields = _read_fields(path, coefficient_count)

        # 1. the face model
        if str(fields[_FINGERPRINT].ravel()[:1].tolist()[0]) != self._fingerprint:
            raise InputError(
                "{}: was made with another face model than {}; choose that with --face_model, or "
                "run demo.py again".format(path, self.model.name)
            )

        # 2. the photo: it gives the same crop
        five_points = fields["lm_5p_photo"].astype(np.float64)
        angle = float(np.ravel(fields.get("crop_angle", 0.0))[0])  # files of 1.0.0 have none
        if not angle and diagnose_five_points(five_points, *pixels.shape[1::-1]):
            raise _other_photo_error(path, photo_path)
        alignment = align(pixels, five_points, angle)
        if not np.array_equal(alignment.crop, fields["cropped_img"]):
            raise _other_photo_error(path, photo_path)

        self._coefficients[name] = fields["coeff"].reshape(coefficient_count).astype(np.float32)
        return LocatedFace(
            name=name,
            photo_path=photo_path,
            photo=pixels,
            alignment=alignment,
            landmarks=fields["lm_68p_detected_photo"].astype(np.float64),
            landmark_confidence=fields["lm_68p_detected_weight"].astype(np.float64).reshape(-1),
            five_points=five_points,
            trust=float(np.ravel(fields.get("face_trust", 1.0))[0]),
        )


def _other_photo_error(path: str, photo_path: str) -> InputError:
    return InputError(
        "{}: was made from another photo than {}; run demo.py again".format(path, photo_path)
    )


def _read_fields(path: str, coefficient_count: int) -> Dict[str, np.ndarray]:
    """Return the checked fields of a NAME.mat file."""
    if not os.path.isfile(path):
        raise InputError("{}: missing; let demo.py write it, or omit --coefficients".format(path))
    fields = read_mat(path)
    shapes = dict(_SHAPES, coeff=(1, coefficient_count))
    if (
        set(shapes) | {_FINGERPRINT} <= set(fields)
        and fields[_FINGERPRINT].size == 1
        and all(
            np.size(fields.get(name, 0.0)) == 1
            and _are_plausible(np.asarray(fields.get(name, 0.0)))
            for name in _OPTIONAL_NUMBERS
        )
        and all(
            fields[name].shape == shape and _are_plausible(fields[name])
            for name, shape in shapes.items()
        )
    ):
        return fields
    raise InputError("{}: not a whole .mat file of demo.py; run it again".format(path))


def _are_plausible(values: np.ndarray) -> bool:
    """Return True for numbers within the range of a photo's pixels and a face's coefficients."""
    return values.dtype.kind in "iuf" and all_within(values, _LARGEST)
