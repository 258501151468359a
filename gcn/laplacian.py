"""The graph Laplacian of a mesh, as Chebyshev convolutions use it."""

import numpy as np
import scipy.sparse

from geometry.connectivity import vertex_connectivity


def scaled_laplacian(triangles: np.ndarray, count: int) -> scipy.sparse.csr_matrix:
    """Return the normalized Laplacian of a mesh's edges, shifted to eigenvalues in -1..1.

    L - I with L = I - D^-1/2 A D^-1/2 and the largest eigenvalue taken as 2 (Defferrard et al.
    2016, section 2.1). As published, A counts the triangles at each edge: 2 inside, 1 at the
    boundary. A vertex without edges gets an empty row.

    Args:
        triangles: [f, 3].
        count: number of vertices.

    Returns:
        [count, count] ``scipy.sparse.csr_matrix`` float32, symmetric.
    """
    return normalize_adjacency(vertex_connectivity(triangles, count))


def normalize_adjacency(adjacency: scipy.sparse.spmatrix) -> scipy.sparse.csr_matrix:
    """Return -D^-1/2 A D^-1/2, with the row sums of A as D.

    Args:
        adjacency: A, [n, n], symmetric.

    Returns:
        [n, n] float32.
    """
    entries = adjacency.tocoo()
    degrees = np.asarray(adjacency.sum(axis=1)).reshape(-1)
    weights = -entries.data / np.sqrt(degrees[entries.row] * degrees[entries.col])
    positions = (entries.row, entries.col)
    return scipy.sparse.csr_matrix((np.float32(weights), positions), shape=adjacency.shape)
