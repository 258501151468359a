"""Faces laid into frames at the pixels of the frame, beside faces drawn in their crops."""

import numpy as np
import pytest

from alignment.align import align
from face_decoder import FaceDecoder
from face_model.coefficients import coefficient_sizes
from geometry.landmark_layout import STANDARD_POINTS_3D
from tests.toy_reconstruction import toy_face_model
from tests.video.test_motion import known_motion
from video.drawing import FacePainter, PlacedFace
from video.motion import Placement


class Pipeline:
    """The parts of a pipeline that draw."""

    def __init__(self):
        self.model = toy_face_model()
        self._decoder = FaceDecoder(self.model)
        self.sizes = []

    def draw(self, coefficients, size):
        self.sizes.append((size, size))
        return self._decoder.render(coefficients, size)

    def draw_windows(self, coefficients, windows, width, height):
        self.sizes.append((width, height))
        return self._decoder.render_windows(coefficients, windows, width, height)


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline()


def place(pipeline, picture, scale, center=(250, 190), degrees=0.0):
    """Return a face of a size, pixels per decimeter, and its person."""
    person = known_motion(pipeline.model)
    five_points = np.array(center) + STANDARD_POINTS_3D[:, :2] * [scale, -scale]
    coefficients = np.zeros(sum(coefficient_sizes(pipeline.model)), np.float32)
    coefficients[: len(person.identity)] = person.identity
    alignment = align(picture, five_points, degrees)
    return PlacedFace(0, 0, Placement(alignment, five_points, coefficients, 1.0)), person


@pytest.mark.parametrize("scale", [60.0, 250.0])  # smaller and larger than the crop
def test_faces_are_where_those_of_their_crops_are(pipeline, scale):
    picture = np.full((400, 500, 3), 30, np.uint8)
    face, person = place(pipeline, picture, scale)
    painter, pictures, expected = FacePainter(pipeline, [person]), [picture], [picture]
    painter.lay_in(pictures, [face])
    painter._lay_in_crops(expected, [face], 3.0)
    assert picture.max() == 30 and pictures[0].shape == picture.shape
    difference = np.abs(pictures[0].astype(int) - expected[0]).max(axis=2)
    is_drawn = np.any(expected[0] != 30, axis=2)
    assert is_drawn.mean() > 0.01 and difference[is_drawn].mean() < 4
    assert not np.any(difference[~is_drawn])
    # A shift by a pixel would be noticed.
    shifted = np.roll(pictures[0], 1, axis=1).astype(int)
    assert np.abs(shifted - expected[0])[is_drawn].mean() > 1.2 * difference[is_drawn].mean()


def test_a_face_at_the_border_is_cut_off(pipeline):
    picture = np.full((400, 500, 3), 30, np.uint8)
    face, person = place(pipeline, picture, 150.0, center=(10, 390))
    pictures = [picture]
    FacePainter(pipeline, [person]).lay_in(pictures, [face])
    assert np.any(pictures[0] != 30) and pictures[0].shape == picture.shape


def test_turned_and_huge_faces_are_drawn_in_crops(pipeline):
    for scale, degrees in ((150.0, 70.0), (900.0, 0.0)):
        picture = np.full((1400, 1500, 3), 30, np.uint8)
        face, person = place(pipeline, picture, scale, (700, 700), degrees)
        pipeline.sizes.clear()
        pictures = [picture]
        FacePainter(pipeline, [person]).lay_in(pictures, [face])
        assert pipeline.sizes in ([(448, 448)], [(896, 896)]) and np.any(pictures[0] != 30)
