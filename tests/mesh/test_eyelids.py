"""Blinks close the lids of one person: on a sheet with a slit, and on random people."""

import os

import numpy as np
import pytest

from face_model import read_face_model
from face_model.model import vertex_triangle_table
from mesh.eyelids import close_lids
from tests.toy_reconstruction import toy_face_model
from utils.paths import BFM_DIR

OPEN_MODEL = os.path.join(BFM_DIR, "open_face_model.mat")
SIZE = 41  # vertices along a side of the sheet
CORNERS = (10, 30)  # columns between which it is slit


def slit_sheet():
    """A sheet [-1, 1] x [-1, 1] with an open slit, and the vertices of the slit's two sides."""
    line = np.linspace(-1, 1, SIZE)
    grid = np.stack(np.meshgrid(line, line), axis=2).reshape(-1, 2)
    middle = SIZE // 2 * SIZE
    upper = np.arange(middle + CORNERS[0], middle + CORNERS[1] + 1)
    copies = len(grid) + np.arange(len(upper) - 2)
    lower = np.concatenate([upper[:1], copies, upper[-1:]])

    # triangles below the slit use the copies of its vertices
    first = (np.arange(SIZE - 1)[:, None] * SIZE + np.arange(SIZE - 1)).ravel()
    quads = np.stack([first, first + 1, first + SIZE + 1, first + SIZE], axis=1)
    below = first < middle
    renamed = np.arange(len(grid))
    renamed[upper[1:-1]] = copies
    quads[below] = renamed[quads[below]]
    triangles = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]]).astype(np.int32)

    # the slit is open, and the sheet bulges above and below it
    points = np.concatenate([grid, grid[upper[1:-1]]])
    points = np.column_stack([points, np.zeros(len(points))])
    bow = 0.2 * (1 - (points[:, 0] / points[upper[-1], 0]) ** 2).clip(0)
    is_lower = np.zeros(len(points), bool)
    is_lower[copies] = True
    is_lower[:middle] = True
    points[:, 1] += np.where(is_lower, -bow, bow) * np.exp(-8 * points[:, 1] ** 2)
    points[:, 2] = 0.1 * np.exp(-4 * points[:, 1] ** 2)
    return points, triangles, upper, lower


@pytest.mark.parametrize("strength", [0.5, 1.0, 1.7])  # stays open, closes, crosses
def test_the_upper_margin_ends_on_the_lower_one(strength):
    points, triangles, upper, lower = slit_sheet()
    count = len(points)
    marks = np.full(68, upper[0])
    marks[[42, 43, 44, 45]] = upper[[0, 7, 14, -1]]
    marks[[46, 47]] = lower[[14, 7]]
    model = toy_face_model()._replace(
        mean_shape=points.astype(np.float32),
        triangles=triangles,
        landmarks=marks,
        vertex_triangles=vertex_triangle_table(triangles, count),
    )
    fall = np.zeros((count, 3))
    above = points[:, 1] > -1e-9
    above[lower[1:-1]] = False
    height = np.interp(points[:, 0], points[upper, 0], 2 * points[upper, 1])
    fall[above, 1] = (-strength * height * np.exp(-4 * points[:, 1]))[above]
    fall[upper, 1] = -strength * height[upper]

    moved = points + close_lids(model, "eyeBlinkLeft", points, fall)
    np.testing.assert_allclose(moved[upper], moved[lower], atol=0.004)
    np.testing.assert_array_equal(moved[~above & (fall == 0).all(axis=1)], points[~above])
    assert close_lids(model, "jawOpen", points, fall) is fall


def test_lids_of_random_people_meet():
    if not os.path.isfile(OPEN_MODEL):
        pytest.skip("the open face model is not built yet")
    model = read_face_model(OPEN_MODEL)
    random = np.random.RandomState(3)
    right = model.landmarks[np.array([[37, 41], [38, 40]])]
    displacement = model.expression_basis[:, model.expression_names.index("eyeBlinkRight")]
    for _ in range(3):
        people = model.identity_basis.dot(random.normal(size=model.identity_count))
        rest = model.mean_shape + people.reshape(-1, 3)
        closed = rest + close_lids(model, "eyeBlinkRight", rest, displacement.reshape(-1, 3))
        gaps = closed[right[:, 0]] - closed[right[:, 1]]
        assert np.abs(gaps[:, 1:]).max() < 0.006  # dm; a blend shape alone crosses by 5 mm
