"""The page with a face that is known already instead of a reconstruction."""

from face_model.model import FaceModel
from reconstruction.api import describe_reconstruction
from tests.toy_reconstruction import toy_face_model, toy_reconstruction
from utils.errors import InputError
from web.faces import FaceWorker

ACTIONS = ("jawOpen", "eyeBlinkLeft", "browInnerUp")
STEPS = 3


class ToyReconstructor:
    """Finds the toy face in every photo that is not black."""

    def __init__(self):
        self.model: FaceModel = toy_face_model()._replace(expression_names=ACTIONS)

    def reconstruct(self, photo, progress):
        if not photo.any():
            raise InputError("the photo: no face found")
        for step in range(STEPS):
            progress(step + 1)
        return [describe_reconstruction(toy_reconstruction(model=self.model), self.model)]


def toy_worker():
    return FaceWorker(ToyReconstructor(), texture_size=64)
