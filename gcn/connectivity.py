"""Which vertices of a triangle mesh are joined by an edge.

The two functions that mesh pyramids of the CoMA kind take from ``opendr.topology``, which no longer builds: what
they document as their results, computed with scipy.
"""

import numpy as np
import scipy.sparse


def vertex_connectivity(triangles, count):
    """Return which vertices are neighbours (``opendr.topology.get_vert_connectivity``).

    Args:
        triangles: [f, 3].
        count: number of vertices.

    Returns:
        [count, count] ``scipy.sparse.csr_matrix`` float64, symmetric: for each pair of vertices the number of
        triangles that have an edge between them; 0 for pairs without.
    """
    triangles = np.asarray(triangles)
    starts, ends = triangles.ravel(), triangles[:, [1, 2, 0]].ravel()
    passed = scipy.sparse.csr_matrix((np.ones(len(starts)), (starts, ends)), shape=(count, count))
    return passed + passed.T


def vertices_per_edge(triangles):
    """Return each edge once (``opendr.topology.get_vertices_per_edge``).

    Args:
        triangles: [f, 3].

    Returns:
        [e, 2], the smaller index first, in ascending order.
    """
    return np.unique(triangle_edges(triangles), axis=0)


def triangle_edges(triangles):
    """Return the edges of all triangles, [3f, 2], the smaller index first: all edges 01, then 12, then 20."""
    triangles = np.asarray(triangles)
    return np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
