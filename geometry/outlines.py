"""The outlines of a triangle mesh: closed lines of edges that belong to one triangle only."""

from typing import List

import numpy as np


def boundary_loops(triangles: np.ndarray) -> List[np.ndarray]:
    """Return the outlines as arrays of vertices, in the direction of the triangles' winding.

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
