"""Edges of a triangle mesh."""

import numpy as np
import scipy.sparse


def vertex_connectivity(triangles: np.ndarray, count: int) -> scipy.sparse.csr_matrix:
    """Return the adjacency of vertices, counted by triangles.

    Mesh pyramids of the CoMA kind take it from ``opendr.topology.get_vert_connectivity``, which no
    longer builds; this returns the matrix that its documentation describes.

    Args:
        triangles: [f, 3].
        count: number of vertices.

    Returns:
        [count, count] ``scipy.sparse.csr_matrix`` float64, symmetric: for each pair of vertices the
        number of triangles with an edge between them.
    """
    triangles = np.asarray(triangles)
    starts = triangles.ravel()
    ends = triangles[:, [1, 2, 0]].ravel()
    ones = np.ones(len(starts))
    directed = scipy.sparse.csr_matrix((ones, (starts, ends)), shape=(count, count))
    return directed + directed.T


def triangle_edges(triangles: np.ndarray) -> np.ndarray:
    """Return the edges of all triangles: all edges 01, then 12, then 20.

    Args:
        triangles: [f, 3].

    Returns:
        [3f, 2], the smaller index first.
    """
    triangles = np.asarray(triangles)
    sides = [triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]
    return np.sort(np.concatenate(sides), axis=1)
