"""OBJ text of the core, compared with Python's own formatting."""

import numpy as np

from mesh_renderer.obj_text import format_rows, format_triangles


def test_numbers_are_formatted_as_in_python():
    random = np.random.RandomState(0)
    values = np.concatenate(
        [random.normal(0, scale, (400, 3)).astype(np.float32) for scale in (1e-6, 1, 1e4, 1e14)]
    )
    expected = "".join("v {:.5f} {:.4f} {:.0f}\n".format(*row) for row in values.astype(np.float64))
    assert format_rows("v", values, (5, 4, 0)).decode("ascii") == expected


def test_edge_cases():
    values = np.array(
        [[0.0], [-0.0], [0.000004], [-0.000006], [0.1], [9.999996], [1e300], [np.inf], [-np.inf]]
    )
    lines = format_rows("vt", values, (5,)).decode("ascii").splitlines()
    assert lines == ["vt {:.5f}".format(value) for value in values[:, 0]]
    assert format_rows("v", np.zeros((0, 3)), (1, 1, 1)) == b""


def test_triangles_count_from_one():
    triangles = np.array([[0, 1, 2], [9, 99, 999999], [2, 1, 2147483646]])
    assert format_triangles(triangles) == b"f 1 2 3\nf 10 100 1000000\nf 3 2 2147483647\n"
    assert format_triangles(np.zeros((0, 3))) == b""


def test_text_longer_than_estimated():
    values = np.full((2000, 3), 1e300)
    assert format_rows("v", values, (9, 9, 9)).decode(
        "ascii"
    ) == 2000 * "v {0:.9f} {0:.9f} {0:.9f}\n".format(1e300)
