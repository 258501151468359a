"""Parts of the open face model, and of models that have none."""

import os

import numpy as np
import pytest

from face_model import read_face_model
from face_model.anatomy import find_anatomy
from tests.toy_reconstruction import toy_face_model
from utils.paths import BFM_DIR

OPEN_MODEL = os.path.join(BFM_DIR, "open_face_model.mat")


def test_a_model_of_one_part_is_all_skin():
    anatomy = find_anatomy(toy_face_model())
    assert anatomy.skin.all()
    assert not any(mask.any() for mask in anatomy[1:])


def test_the_open_model_has_every_part():
    if not os.path.isfile(OPEN_MODEL):
        pytest.skip("the open face model is not built yet")
    model = read_face_model(OPEN_MODEL)
    anatomy = find_anatomy(model)
    np.testing.assert_array_equal(np.sum(anatomy, axis=0), 1)  # each vertex belongs to one part
    x, _, z = model.mean_shape.T
    assert x[anatomy.left_eye].min() > 0 and x[anatomy.right_eye].max() < 0
    assert z[anatomy.teeth].max() < z[model.landmarks[[48, 54]]].max()  # behind the lips' corners
    assert not anatomy.mouth[model.landmarks].any()
    mouth, skin = (model.mean_albedo[part].mean(axis=0) for part in anatomy[1::-1])
    assert mouth[1] < 0.5 * mouth[0] and skin[1] > 0.6 * skin[0]
