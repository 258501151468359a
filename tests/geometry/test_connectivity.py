"""Mesh connectivity, against opendr's documentation.

"Returns a sparse matrix (of size #verts x #verts) where each nonzero element indicates a
neighborhood relation. For example, if there is a nonzero element in position (15,12), that means
vertex 15 is connected by an edge to vertex 12."
"""

import collections

import numpy as np
import pytest

from face_model import read_face_model
from geometry.connectivity import triangle_edges, vertex_connectivity
from tests.paths import TOY_MODEL

MESHES = {  # triangles, vertices, edges with the number of their triangles
    "triangle": ([[0, 1, 2]], 3, {(0, 1): 1, (0, 2): 1, (1, 2): 1}),
    "square": ([[0, 1, 2], [2, 1, 3]], 4, {(0, 1): 1, (0, 2): 1, (1, 2): 2, (1, 3): 1, (2, 3): 1}),
    "tetrahedron": (
        [[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]],
        4,
        {(i, j): 2 for i in range(4) for j in range(i + 1, 4)},
    ),
    "two and a lonely vertex": (
        [[4, 1, 0], [2, 5, 6]],
        7,
        {(0, 1): 1, (0, 4): 1, (1, 4): 1, (2, 5): 1, (2, 6): 1, (5, 6): 1},
    ),
    "turned over": (
        [[0, 1, 2], [0, 1, 3]],
        4,
        {(0, 1): 2, (0, 2): 1, (0, 3): 1, (1, 2): 1, (1, 3): 1},
    ),
}


@pytest.mark.parametrize("name", sorted(MESHES))
def test_neighbors_are_the_nonzero_elements(name):
    triangles, count, edges = MESHES[name]
    expected = np.zeros((count, count))
    for (i, j), uses in edges.items():
        expected[i, j] = expected[j, i] = uses
    np.testing.assert_array_equal(
        vertex_connectivity(np.array(triangles), count).toarray(), expected
    )


@pytest.mark.parametrize("name", sorted(MESHES))
def test_each_triangle_has_its_edges(name):
    triangles, _, edges = MESHES[name]
    found = collections.Counter(map(tuple, triangle_edges(np.array(triangles)).tolist()))
    assert found == edges


def test_both_agree_on_a_face():
    model = read_face_model(TOY_MODEL)
    joined = vertex_connectivity(model.triangles, model.vertex_count).tocoo()
    above = joined.row < joined.col
    pairs = np.stack([joined.row[above], joined.col[above]], axis=1)
    edges = np.unique(triangle_edges(model.triangles), axis=0)
    np.testing.assert_array_equal(pairs[np.lexsort(pairs.T[::-1])], edges)
    assert model.vertex_count - len(edges) + model.triangle_count == 1  # Euler: a disc
    assert joined.data.sum() == 2 * len(triangle_edges(model.triangles))
