"""The page with a face that is known already instead of a reconstruction."""

import numpy as np

from face_model.model import FaceModel
from identity.strangers import Comparison
from reconstruction.api import describe_reconstruction
from reconstruction.face_source import FaceSource, PersonCoefficients
from tests.toy_reconstruction import toy_face_model, toy_reconstruction
from utils.errors import InputError
from utils.photos import read_photo
from web.faces import FaceWorker

ACTIONS = ("jawOpen", "eyeBlinkLeft", "browInnerUp")
STEPS = 3


class ToySource(FaceSource):
    """Finds the toy face in every photo that is not black; a red one shows somebody else."""

    def __init__(self, model):
        super().__init__(model, None, None, "the toy face", STEPS)

    def locate(self, photo):
        pixels = read_photo(photo.path)
        if not pixels.any():
            raise InputError("{}: no face found".format(photo.path))
        face = toy_reconstruction(photo.name, model=self.model).face
        is_red = pixels[0, 0, 0] > pixels[0, 0, 1]
        return [face._replace(photo_path=photo.path, trust=0.3 if is_red else 1.0)]

    def find_coefficients(self, faces, progress=None):
        return np.stack([toy_reconstruction(model=self.model).coefficients for _ in faces])

    def find_person(self, faces, progress=None):
        for step in range(STEPS):
            progress(step + 1)
        return PersonCoefficients(self.find_coefficients(faces))

    def find_strangers(self, faces):
        reds = np.array([face.is_doubtful for face in faces])
        return Comparison(reds * 1.0, 0.5, reds & (len(faces) > 2))

    def decode(self, faces, coefficients):
        found = toy_reconstruction(model=self.model)
        return [found._replace(face=face._replace(photo=found.face.photo)) for face in faces]

    def decode_mesh(self, coefficients):
        return self.model.mean_shape, self.model.mean_albedo


class ToyReconstructor:
    """The toy face of every photo that is not black."""

    steps = STEPS

    def __init__(self):
        self.model: FaceModel = toy_face_model()._replace(expression_names=ACTIONS)
        self.pipeline = ToySource(self.model)

    def reconstruct(self, photo, progress):
        if not photo.any():
            raise InputError("the photo: no face found")
        for step in range(STEPS):
            progress(step + 1)
        return [describe_reconstruction(toy_reconstruction(model=self.model), self.model)]


def toy_worker():
    return FaceWorker(ToyReconstructor(), texture_size=64)
