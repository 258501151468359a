"""Quadric edge collapse (Garland & Heckbert, SIGGRAPH 1997) that keeps a subset of the vertices.

The collapse itself is libigl's ``qslim``, which places merged vertices freely. Each is then moved
to the nearest vertex of the original mesh, boundary to boundary, so that features can be passed
between levels by selection.
"""

import importlib
from typing import NamedTuple

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import scipy.spatial

from gcn.connectivity import triangle_edges
from utils.errors import InputError

# A closed surface has no fewer vertices than a tetrahedron.
SMALLEST_MESH = 4
_NEAREST = 16  # vertices considered for each merged one before looking further


class CoarseMesh(NamedTuple):
    """A mesh with fewer vertices, all of them vertices of the finer one."""

    kept: np.ndarray  # [m] int64, their indices in the finer mesh
    triangles: np.ndarray  # [f, 3] int64, indices into ``kept``


def decimate(vertices, triangles, count):
    """Reduce a mesh to a subset of its vertices.

    Args:
        vertices: [n, 3] float64.
        triangles: [f, 3]; boundaries and several components are fine. Triangles that make the mesh
            other than an oriented surface are ignored, see :func:`oriented_part`.
        count: how many vertices to keep, at least 4. More are kept where the surface allows no
            further collapse without changing its topology.

    Returns:
        :class:`CoarseMesh`.

    Raises:
        InputError: libigl is not installed, or there is no surface to decimate.
    """
    surface = oriented_part(triangles)
    if not len(surface):
        raise InputError("the mesh has no surface; give one with triangles")
    corners, origin = _separate_fans(surface)
    points = np.asarray(vertices, np.float64)[origin]
    if len(points) <= count:
        return _coarse_mesh(np.arange(len(points)), corners, origin)
    placed, coarse = _collapse(points, corners, max(count, SMALLEST_MESH))
    fine_boundary = boundary_vertices(corners, len(points))
    coarse_boundary = boundary_vertices(coarse, len(placed))
    chosen = np.empty(len(placed), np.int64)
    for on_coarse, on_fine in ((coarse_boundary, fine_boundary), (~coarse_boundary, ~fine_boundary)):
        if on_coarse.any():
            candidates = np.flatnonzero(on_fine)
            chosen[on_coarse] = candidates[_nearest_distinct(placed[on_coarse], points[candidates])]
    return _coarse_mesh(chosen, coarse, origin)


def oriented_part(triangles):
    """Return the triangles that form an oriented surface, without the degenerate and the surplus ones.

    Each edge may be passed once in each direction. So of triangles that share an edge in the same
    direction (a third one at that edge, a duplicate, one turned over) only the first stays.
    """
    triangles = np.asarray(triangles, np.int64)
    a, b, c = triangles.T
    triangles = triangles[(a != b) & (b != c) & (c != a)]
    while len(triangles):
        directed = np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=2).reshape(-1, 2)
        _, first, inverse = np.unique(directed, axis=0, return_index=True, return_inverse=True)
        repeated = first[inverse.reshape(-1)] != np.arange(len(directed))
        surplus = repeated.reshape(-1, 3).any(axis=1)
        if not surplus.any():
            break
        triangles = triangles[~surplus]
    return triangles


def boundary_vertices(triangles, count):
    """Return [count] bool: which vertices lie on an edge of a single triangle."""
    edges, triangles_at = np.unique(triangle_edges(triangles), axis=0, return_counts=True)
    on_boundary = np.zeros(count, bool)
    on_boundary[edges[triangles_at == 1]] = True
    return on_boundary


def require_libigl():
    """Return the ``igl`` module, or raise an InputError that says how to get it."""
    try:
        return importlib.import_module("igl")
    except ImportError:
        raise InputError(
            "a mesh pyramid is built with libigl, which is not installed here; run `pip install libigl`") from None


def _separate_fans(triangles):
    """Give each fan of triangles around a vertex a vertex of its own, and number those from 0.

    libigl requires the triangles around a vertex to hang together by edges.

    Returns:
        ([f, 3] renumbered triangles, [m] the vertex each new one stands for).
    """
    corner_count = triangles.size
    edges = triangle_edges(triangles)
    # Corner numbers at both ends of each edge, in the order of the sorted pair.
    corners = np.arange(corner_count).reshape(-1, 3)
    ends = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    flipped = triangles.ravel()[ends[:, 0]] != edges[:, 0]
    ends[flipped] = ends[flipped][:, ::-1]
    order = np.lexsort(edges.T)
    same = (edges[order][1:] == edges[order][:-1]).all(axis=1)
    left, right = ends[order][:-1][same].ravel(), ends[order][1:][same].ravel()
    links = scipy.sparse.coo_matrix((np.ones(len(left)), (left, right)), shape=(corner_count,) * 2)
    _, fan = scipy.sparse.csgraph.connected_components(links, directed=False)
    _, first, renumbered = np.unique(fan, return_index=True, return_inverse=True)
    return renumbered.reshape(-1, 3), triangles.ravel()[first]


def _collapse(vertices, triangles, count):
    """Run quadric collapse until ``count`` vertices are left; return their places and the triangles.

    libigl counts triangles. An interior collapse removes two and one at the boundary one, so the
    number of triangles is searched: by that rule, or by bisection where the rule leaves the
    bracket of what has been tried.
    """
    igl = require_libigl()
    points = np.asfortranarray(vertices, np.float64)
    faces = np.asfortranarray(triangles, np.int32)
    best, few, many = (vertices, triangles), 0, len(triangles)  # numbers of triangles known to be
    target = many - 2 * (len(vertices) - count)                 # too few, and to be enough
    while many - few > 1:
        target = target if few < target < many else (few + many) // 2
        placed, coarse = igl.qslim(points, faces, target)[-4:-2]  # before 2.6 a flag of success comes first
        placed, coarse = _referenced(np.asarray(placed), np.asarray(coarse, np.int64))
        if len(placed) < count:
            few = target
        else:
            many, best = target, (placed, coarse)
        if len(placed) == count:
            break
        target -= 2 * (len(placed) - count)
    return best


def _coarse_mesh(chosen, triangles, origin):
    """Return to the original vertices; fans of one vertex that were both chosen become one again."""
    kept, renumbered = np.unique(origin[chosen], return_inverse=True)
    return CoarseMesh(kept, oriented_part(renumbered.reshape(-1)[triangles]))


def _referenced(vertices, triangles):
    """Drop vertices that no triangle uses."""
    used, flat = np.unique(triangles, return_inverse=True)
    return vertices[used], flat.reshape(-1, 3)


def _nearest_distinct(points, candidates):
    """Return a different nearby candidate for each point, the closest pairs being served first."""
    neighbours = min(_NEAREST, len(candidates))
    tree = scipy.spatial.cKDTree(candidates)
    while True:
        distances, indices = tree.query(points, k=neighbours)
        chosen = _serve(distances.reshape(len(points), -1), indices.reshape(len(points), -1), len(candidates))
        if (chosen >= 0).all():
            return chosen
        neighbours = min(2 * neighbours, len(candidates))


def _serve(distances, indices, candidate_count):
    """Match greedily by distance; -1 for a point all of whose candidates were taken."""
    chosen = np.full(len(indices), -1, np.int64)
    taken = np.zeros(candidate_count, bool)
    for flat in np.argsort(distances, axis=None, kind="stable"):
        point, candidate = flat // indices.shape[1], indices.flat[flat]
        if chosen[point] < 0 and not taken[candidate]:
            chosen[point], taken[candidate] = candidate, True
    return chosen
