"""A decoder of the small face model, and faces that it has drawn, for the tests of fitting."""

import pytest

from benchmarks.random_faces import sample_coefficients
from face_decoder import FaceDecoder
from face_model import read_face_model
from tests.paths import TOY_MODEL


@pytest.fixture(scope="module")
def decoder():
    decoder = FaceDecoder(read_face_model(TOY_MODEL))
    yield decoder
    decoder.close()


@pytest.fixture(scope="module")
def truth(decoder):
    coefficients = sample_coefficients(decoder.model, 2, 4)
    coefficients[:, 80:144] *= 0.3
    return decoder.decode(coefficients)
