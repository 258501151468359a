"""How the triangles of a mesh hang together: edges, connected parts, outlines."""

from typing import List

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components


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


def connected_parts(triangles: np.ndarray, count: int) -> List[np.ndarray]:
    """Return the vertices of each connected part of a mesh, the largest part first.

    Args:
        triangles: [f, 3].
        count: number of vertices; those without a triangle are in no part.
    """
    ends = np.tile(triangles[:, 0], 2), triangles[:, 1:].T.ravel()
    graph = scipy.sparse.coo_matrix((np.ones(len(ends[0])), ends), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    parts = [np.flatnonzero(labels == label) for label in np.unique(labels[triangles[:, 0]])]
    return sorted(parts, key=len, reverse=True)


def boundary_loops(triangles: np.ndarray) -> List[np.ndarray]:
    """Return the outlines as arrays of vertices, in the direction of the triangles' winding.

    An outline is a closed line of edges that belong to one triangle only.

    Args:
        triangles: [F, 3] vertex indices.
    """
    edges = np.concatenate(
        [triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]
    ).astype(np.int64)
    base = int(edges.max()) + 1
    forward, backward = edges[:, 0] * base + edges[:, 1], edges[:, 1] * base + edges[:, 0]
    following = dict(edges[~np.isin(forward, backward)].tolist())
    loops = []
    while following:
        loop = [next(iter(following))]
        while loop[-1] in following:
            loop.append(following.pop(loop[-1]))
        loops.append(np.array(loop[:-1]))
    return loops
