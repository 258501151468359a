"""Quadric edge collapse (Garland & Heckbert, SIGGRAPH 1997) that keeps a subset of the vertices.

The collapse itself is libigl's ``qslim``, which places merged vertices freely. Each is then moved
to the nearest vertex of the original mesh, boundary to boundary, so that features pass between
levels by selection.
"""

from typing import NamedTuple, Tuple

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import scipy.spatial

from geometry.connectivity import triangle_edges
from utils.errors import InputError
from utils.installed import require_libigl

SMALLEST_MESH = 4  # vertices of a tetrahedron, the smallest closed surface
_NEAREST = 16  # vertices considered for each merged one before looking further


class CoarseMesh(NamedTuple):
    """A mesh with fewer vertices, all of them vertices of the finer one."""

    kept: np.ndarray  # [m] int64, their indices in the finer mesh
    triangles: np.ndarray  # [f, 3] int64, indices into ``kept``


def decimate(vertices: np.ndarray, triangles: np.ndarray, count: int) -> CoarseMesh:
    """Reduce a mesh to a subset of its vertices.

    Args:
        vertices: [n, 3] float64.
        triangles: [f, 3]; boundaries and several components are allowed. Triangles that prevent
            an oriented surface are ignored, see :func:`oriented_part`.
        count: number of vertices to keep, at least 4. More are kept if a further collapse would
            change the topology of the surface.

    Raises:
        InputError: libigl is not installed, or the mesh has no surface.
    """
    # 1. a manifold surface
    surface = oriented_part(triangles)
    if not len(surface):
        raise InputError("the mesh has no surface; give one with triangles")
    corners, origin = _separate_fans(surface)
    points = np.asarray(vertices, np.float64)[origin]
    if len(points) <= count:
        return _coarse_mesh(np.arange(len(points)), corners, origin)

    # 2. collapse
    placed, coarse = _collapse(points, corners, max(count, SMALLEST_MESH))

    # 3. the nearest original vertices, boundary to boundary and interior to interior
    fine_boundary = boundary_vertices(corners, len(points))
    coarse_boundary = boundary_vertices(coarse, len(placed))
    chosen = np.empty(len(placed), np.int64)
    sides = ((coarse_boundary, fine_boundary), (~coarse_boundary, ~fine_boundary))
    for on_coarse, on_fine in sides:
        if on_coarse.any():
            candidates = np.flatnonzero(on_fine)
            nearest = _nearest_distinct(placed[on_coarse], points[candidates])
            chosen[on_coarse] = candidates[nearest]
    return _coarse_mesh(chosen, coarse, origin)


def oriented_part(triangles: np.ndarray) -> np.ndarray:
    """Return the triangles [f, 3] that form an oriented surface, without degenerate ones.

    An oriented surface has each edge at most once in each direction. So of triangles that share an
    edge in the same direction (a third one at that edge, a duplicate, one turned over) only the
    first remains.
    """
    triangles = np.asarray(triangles, np.int64)
    a, b, c = triangles.T
    triangles = triangles[(a != b) & (b != c) & (c != a)]
    while len(triangles):
        # triangles with an edge that an earlier triangle has in this direction
        directed = np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=2).reshape(-1, 2)
        _, first, inverse = np.unique(directed, axis=0, return_index=True, return_inverse=True)
        repeated = first[inverse.reshape(-1)] != np.arange(len(directed))
        surplus = repeated.reshape(-1, 3).any(axis=1)
        if not surplus.any():
            break
        triangles = triangles[~surplus]
    return triangles


def boundary_vertices(triangles: np.ndarray, count: int) -> np.ndarray:
    """Return [count] bool: True for vertices on an edge of a single triangle."""
    edges, triangle_counts = np.unique(triangle_edges(triangles), axis=0, return_counts=True)
    on_boundary = np.zeros(count, bool)
    on_boundary[edges[triangle_counts == 1]] = True
    return on_boundary


def _separate_fans(triangles: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Give each fan of triangles around a vertex a vertex of its own.

    libigl requires that the triangles around a vertex are connected by edges.

    Returns:
        ([f, 3] triangles of the new vertices, numbered from 0; [m] original vertex of each).
    """
    # 1. corner numbers at both ends of each edge, in the order of the sorted pair
    corner_count = triangles.size
    edges = triangle_edges(triangles)
    corners = np.arange(corner_count).reshape(-1, 3)
    ends = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    flipped = triangles.ravel()[ends[:, 0]] != edges[:, 0]
    ends[flipped] = ends[flipped][:, ::-1]

    # 2. corners of two triangles that meet at an edge are one vertex of the fan
    order = np.lexsort(edges.T)
    same = (edges[order][1:] == edges[order][:-1]).all(axis=1)
    left, right = ends[order][:-1][same].ravel(), ends[order][1:][same].ravel()
    links = scipy.sparse.coo_matrix((np.ones(len(left)), (left, right)), shape=(corner_count,) * 2)
    _, fan = scipy.sparse.csgraph.connected_components(links, directed=False)
    _, first, renumbered = np.unique(fan, return_index=True, return_inverse=True)
    return renumbered.reshape(-1, 3), triangles.ravel()[first]


def _collapse(
    vertices: np.ndarray, triangles: np.ndarray, count: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Run quadric collapse until ``count`` vertices remain; return their positions and triangles.

    libigl counts triangles. An interior collapse removes two and one at the boundary one, so the
    number of triangles is searched: by that rule, or by bisection if the rule leaves the bracket.
    """
    igl = require_libigl("building a mesh pyramid")
    points = np.asfortranarray(vertices, np.float64)
    faces = np.asfortranarray(triangles, np.int32)
    best = vertices, triangles
    few, many = 0, len(triangles)  # the bracket: too few triangles, and enough
    target = many - 2 * (len(vertices) - count)
    while many - few > 1:
        target = target if few < target < many else (few + many) // 2
        # Before version 2.6, a flag of success precedes the results.
        placed, coarse = igl.qslim(points, faces, target)[-4:-2]
        placed, coarse = _drop_unused(np.asarray(placed), np.asarray(coarse, np.int64))
        if len(placed) < count:
            few = target
        else:
            many, best = target, (placed, coarse)
        if len(placed) == count:
            break
        target -= 2 * (len(placed) - count)
    return best


def _coarse_mesh(chosen: np.ndarray, triangles: np.ndarray, origin: np.ndarray) -> CoarseMesh:
    """Return to the original vertices: fans of one vertex that were both chosen are merged."""
    kept, renumbered = np.unique(origin[chosen], return_inverse=True)
    return CoarseMesh(kept, oriented_part(renumbered.reshape(-1)[triangles]))


def _drop_unused(vertices: np.ndarray, triangles: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Drop vertices that no triangle uses."""
    used, flat = np.unique(triangles, return_inverse=True)
    return vertices[used], flat.reshape(-1, 3)


def _nearest_distinct(points: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Return a different nearby candidate for each point, matching the closest pairs first."""
    neighbors = min(_NEAREST, len(candidates))
    tree = scipy.spatial.cKDTree(candidates)
    while True:
        distances, indices = tree.query(points, k=neighbors)
        chosen = _match_greedily(
            distances.reshape(len(points), -1), indices.reshape(len(points), -1), len(candidates)
        )
        if (chosen >= 0).all():
            return chosen
        neighbors = min(2 * neighbors, len(candidates))


def _match_greedily(distances: np.ndarray, indices: np.ndarray, candidate_count: int) -> np.ndarray:
    """Return a candidate for each point, the closest pairs first; -1 if all of its are taken.

    Args:
        distances: [n, k].
        indices: [n, k], candidates at these distances.
        candidate_count: number of all candidates.
    """
    chosen = np.full(len(indices), -1, np.int64)
    taken = np.zeros(candidate_count, bool)
    for flat in np.argsort(distances, axis=None, kind="stable"):
        point, candidate = flat // indices.shape[1], indices.flat[flat]
        if chosen[point] < 0 and not taken[candidate]:
            chosen[point], taken[candidate] = candidate, True
    return chosen
