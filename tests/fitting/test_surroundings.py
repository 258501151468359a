"""Pixels that have the colors of hair or background, on drawn crops."""

import numpy as np
import pytest

from fitting.surroundings import surroundings_share
from geometry.camera import IMAGE_SIZE, flip_y

SKIN, HAIR, WALL = (214, 160, 136), (70, 45, 30), (120, 130, 140)


@pytest.fixture
def crop():
    """A round face before a wall, with hair around it and over its left cheek."""
    random = np.random.RandomState(0)
    rows, columns = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE]
    picture = np.empty((IMAGE_SIZE, IMAGE_SIZE, 3))
    picture[...] = WALL
    picture[np.hypot(rows - 105, columns - 112) < 105] = HAIR
    picture[np.hypot(rows - 120, columns - 112) < 75] = SKIN
    picture[:, 35:62] = HAIR
    return np.clip(picture + 4 * random.standard_normal(picture.shape), 0, 255).astype(np.uint8)


def standard_face():
    """A frontal face in the middle of the crop, [68, 2] y up."""
    jaw = [(112 - 70 * np.cos(a), 115 + 78 * np.sin(a)) for a in np.linspace(0, np.pi, 17)]
    brows = [(x, 88) for x in np.r_[70:100:5j, 124:154:5j]]
    nose = [(112, y) for y in np.r_[100:126:4j]] + [(x, 132) for x in np.r_[100:124:5j]]
    eyes = [
        (x + 11 * np.cos(a), 102 + 4 * np.sin(a))
        for x in (86, 138)
        for a in np.pi + np.arange(6) * np.pi / 3
    ]
    mouth = [
        (112 + r * np.cos(a), 160 + r / 3 * np.sin(a))
        for r, count in ((22, 12), (16, 8))
        for a in np.pi + 2 * np.pi * np.arange(count) / count
    ]
    return flip_y(np.array(jaw + brows + nose + eyes + mouth))


def test_hair_over_a_cheek_resembles_the_hair_around_the_face(crop):
    share = surroundings_share(crop, standard_face())
    assert share[110:140, 42:56].min() > 0.9  # the hair over the cheek
    assert share[118:140, 70:95].max() < 0.1 and share[118:140, 130:155].max() < 0.1
    assert share[20:60, 180:].min() > 0.9  # hair and wall


def test_features_keep_their_weight_whatever_their_color(crop):
    crop[98:107, 78:95] = WALL
    crop[156:165, 100:124] = HAIR
    share = surroundings_share(crop, standard_face())
    assert not np.any(share[98:107, 78:95]) and not np.any(share[156:165, 100:124])


def test_without_surroundings_or_without_a_face_nothing_resembles_them(crop):
    rows, columns = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE]
    crop[np.hypot(rows - 120, columns - 112) > 60] = 0
    assert not np.any(surroundings_share(crop, standard_face()))
    assert not np.any(surroundings_share(crop, np.zeros((68, 2))))
