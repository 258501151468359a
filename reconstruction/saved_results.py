"""Faces that demo.py has already found: its NAME.mat files instead of detection and fitting."""

import os

import numpy as np

from alignment.align import align
from alignment.five_points import five_points_problem
from face_decoder import FaceDecoder
from face_model.coefficients import coefficient_sizes
from gcn.refiner import MeshRefiner
from geometry.camera import IMAGE_SIZE
from reconstruction.face import LocatedFace, reconstructions
from reconstruction.pipeline import refined
from utils.errors import InputError
from utils.mat_files import read_mat
from utils.numpy_files import all_within
from utils.photos import read_photo

_FIELDS = ("coeff", "cropped_img", "lm_5p_photo", "lm_68p_detected_photo", "lm_68p_detected_weight",
           "face_model_fingerprint")
_SHAPES = {"cropped_img": (IMAGE_SIZE, IMAGE_SIZE, 3), "lm_5p_photo": (5, 2), "lm_68p_detected_photo": (68, 2),
           "lm_68p_detected_weight": (1, 68)}
_LARGEST = 1e6  # of pixels of landmarks, and of coefficients


class StoredFaces:
    """Reads located faces and their coefficients; stands in for a ``FacePipeline``.

    A face is taken only if its crop is the one that the photo gives today, and its face model the
    one in use. What decided its coefficients (network or fit, number of steps) is as it was then.

    Args:
        folder: output folder of demo.py.
        model: the ``FaceModel``.
        all_faces: take every stored face of a photo, not only the first.
        refine: checkpoint of a mesh generator that is to refine the faces, or None.
        weights: of the coefficient network, as of ``gcn.refiner.MeshRefiner``.

    Attributes:
        description: where coefficients come from, for messages.

    Raises:
        InputError: there is no such folder, or the mesh generator cannot be used.
    """

    def __init__(self, folder, model, all_faces=False, refine=None, weights=None):
        if not os.path.isdir(folder):
            raise InputError("{}: no such folder; give one that demo.py wrote as --coefficients".format(folder))
        self.model = model
        self.description = "read from {}".format(folder)
        self._folder = folder
        self._all_faces = all_faces
        self._fingerprint = model.fingerprint()
        self._face_graph = FaceDecoder(model)
        self._coefficients = {}  # name of the face -> [257]
        self._refiner = None
        if refine:
            self._refiner = MeshRefiner(refine, model, weights)
            self.description += "; meshes refined by {}".format(refine)

    def located(self, photos, report):
        """Yield the faces of photos one by one; a photo without stored face is reported and skipped."""
        for photo in photos:
            try:
                faces = self.locate(photo)
            except InputError as error:
                report.skip(photo.name, error)
                continue
            report.expect(len(faces) - 1)
            yield from faces

    def locate(self, photo):
        """Return the stored faces of one photo, a list of ``LocatedFace``.

        Raises:
            InputError: the photo cannot be read, or what is stored is missing, damaged, or was made
                from another photo or with another face model.
        """
        pixels, name, faces = read_photo(photo.path), photo.name, []
        while not faces or self._all_faces and os.path.isfile(self._path(name)):
            faces.append(self._read(name, photo.path, pixels))
            name = "{}_face{}".format(photo.name, len(faces) + 1)
        return faces

    def reconstruct(self, faces, progress=None):
        """Return the ``Reconstruction`` of each face; ``progress`` is not called, there is none."""
        coefficients = np.stack([self._coefficients.pop(face.name) for face in faces])
        return refined(reconstructions(faces, coefficients, self._face_graph), self._refiner)

    def _path(self, name):
        return os.path.join(self._folder, name + ".mat")

    def _read(self, name, photo_path, pixels):
        path = self._path(name)
        fields = _read_fields(path, sum(coefficient_sizes(self.model)))
        if str(fields["face_model_fingerprint"].ravel()[:1].tolist()[0]) != self._fingerprint:
            raise InputError("{}: was made with another face model than {}; choose that with --face_model, or run "
                             "demo.py again".format(path, self.model.name))
        five_points = fields["lm_5p_photo"].astype(np.float64)
        if five_points_problem(five_points, *pixels.shape[1::-1]):
            raise _made_elsewhere(path, photo_path)
        alignment = align(pixels, five_points)
        if not np.array_equal(alignment.crop, fields["cropped_img"]):
            raise _made_elsewhere(path, photo_path)
        self._coefficients[name] = fields["coeff"].reshape(sum(coefficient_sizes(self.model))).astype(np.float32)
        return LocatedFace(
            name=name, photo_path=photo_path, photo=pixels, alignment=alignment,
            landmarks=fields["lm_68p_detected_photo"].astype(np.float64),
            landmark_weights=fields["lm_68p_detected_weight"].astype(np.float64).reshape(-1), five_points=five_points)


def _made_elsewhere(path, photo_path):
    return InputError("{}: was made from another photo than {}; run demo.py again".format(path, photo_path))


def _read_fields(path, coefficient_count):
    if not os.path.isfile(path):
        raise InputError("{}: missing; let demo.py write it, or leave --coefficients out".format(path))
    fields = read_mat(path)
    shapes = dict(_SHAPES, coeff=(1, coefficient_count))
    if set(_FIELDS) <= set(fields) and fields["face_model_fingerprint"].size == 1 and all(
            fields[name].shape == shape and _are_plausible(fields[name]) for name, shape in shapes.items()):
        return fields
    raise InputError("{}: not a whole .mat file of demo.py; run it again".format(path))


def _are_plausible(values):
    """Tell whether values are numbers that a photo's size or a face's coefficients can reach."""
    return values.dtype.kind in "iuf" and all_within(values, _LARGEST)
