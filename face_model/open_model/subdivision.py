"""Catmull-Clark subdivision of a quad mesh, as a sparse linear operator on the vertices.

Catmull and Clark, "Recursively generated B-spline surfaces on arbitrary topological meshes", 1978.
The same operator subdivides the mesh, every shape target and every basis vector.
"""

from typing import List, NamedTuple, Tuple

import numpy as np
import scipy.sparse as sp


class Subdivision(NamedTuple):
    """One step of subdivision.

    V vertices, E edges and Q quads become V + E + Q vertices and 4Q quads.
    """

    operator: sp.csr_matrix  # [V + E + Q, V], rows add up to 1
    # [4Q, 4]; row 4q + k is (vertex point, edge point, face point, edge point) of corner k
    quads: np.ndarray
    edges: np.ndarray  # [E, 2] the ends of each edge, first < second
    quad_edges: np.ndarray  # [Q, 4] edge between corner k and corner k + 1


def subdivide(quads: np.ndarray, vertex_count: int) -> Subdivision:
    """Return the :class:`Subdivision` of a manifold quad mesh, with or without borders.

    Args:
        quads: [Q, 4] int.
        vertex_count: V.
    """
    # 1. edges
    quad_count = len(quads)
    ends = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    edges, quad_edges = np.unique(ends, axis=0, return_inverse=True)
    quad_edges = quad_edges.reshape(quad_count, 4)
    edge_count = len(edges)

    # 2. face points and midpoints of edges, as means of their corners
    every_corner = np.repeat(np.arange(quad_count), 4)
    every_end = np.repeat(np.arange(edge_count), 2)
    faces = _incidence(every_corner, quads.reshape(-1), quad_count, vertex_count) * 0.25
    midpoints = _incidence(every_end, edges.reshape(-1), edge_count, vertex_count) * 0.5

    # 3. edge points: midpoints, averaged inside with the face points of both sides
    edge_faces = _incidence(quad_edges.reshape(-1), every_corner, edge_count, quad_count)
    inner_edge = np.ravel(edge_faces.sum(axis=1)) == 2
    midpoint_share = sp.diags(np.where(inner_edge, 0.5, 1.0))
    face_share = sp.diags(np.where(inner_edge, 0.25, 0.0))
    edge_points = midpoint_share.dot(midpoints) + face_share.dot(edge_faces).dot(faces)

    # 4. vertex points, and the four quads of each quad
    vertex_points = _vertex_points(quads, edges, inner_edge, faces, midpoints, vertex_count)
    edge_index = vertex_count + quad_edges
    face_index = vertex_count + edge_count + np.arange(quad_count)
    corners = [
        np.stack([quads[:, k], edge_index[:, k], face_index, edge_index[:, k - 1]], axis=1)
        for k in range(4)
    ]
    return Subdivision(
        operator=sp.vstack([vertex_points, edge_points, faces]).tocsr(),
        quads=np.stack(corners, axis=1).reshape(-1, 4),
        edges=edges,
        quad_edges=quad_edges,
    )


def _incidence(
    rows: np.ndarray, columns: np.ndarray, row_count: int, column_count: int
) -> sp.csr_matrix:
    return sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(row_count, column_count))


def _vertex_points(
    quads: np.ndarray,
    edges: np.ndarray,
    inner_edge: np.ndarray,
    faces: sp.csr_matrix,
    midpoints: sp.csr_matrix,
    vertex_count: int,
) -> sp.csr_matrix:
    """Return the operator of the vertex points, [V, V].

    Inside (F + 2 R + (n - 3) P) / n with the means F and R of the face points and midpoints around
    a vertex P of valence n; on a border (R + P) / 2.
    """

    def vertex_mean(indices: np.ndarray, points: sp.csr_matrix) -> Tuple[sp.csr_matrix, np.ndarray]:
        owners = np.repeat(np.arange(len(indices)), indices.shape[1])
        rows = _incidence(indices.reshape(-1), owners, vertex_count, len(indices))
        count = np.ravel(rows.sum(axis=1))
        return sp.diags(1.0 / np.maximum(count, 1)).dot(rows).dot(points), count

    # 1. means around each vertex
    face_mean, valence = vertex_mean(quads, faces)
    edge_mean, _ = vertex_mean(edges, midpoints)
    border_mean, border_count = vertex_mean(edges[~inner_edge], midpoints[~inner_edge])

    # 2. their shares
    on_border = border_count > 0
    inside = (valence > 0) & ~on_border
    share = np.where(inside, 1.0 / np.maximum(valence, 1), 0.0)
    keep = np.where(on_border, 0.5, np.where(inside, (valence - 3) * share, 1.0))
    border_share = np.where(on_border, 0.5, 0.0)
    return (
        sp.diags(share).dot(face_mean)
        + sp.diags(2 * share).dot(edge_mean)
        + sp.diags(border_share).dot(border_mean)
        + sp.diags(keep)
    )


def triangulate_mixed(
    first: Subdivision, second: Subdivision, refined: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Triangulate a mesh in which a part of the quads is subdivided a second time.

    Quads beside refined ones get their neighbors' edge points as additional corners, so that the
    mesh has no crack and no vertex in the middle of an edge.

    Args:
        first: the first :class:`Subdivision`.
        second: the :class:`Subdivision` of ``first.quads``.
        refined: [4Q] bool, True for those of ``first.quads`` that are subdivided.

    Returns:
        (triangles [F, 3] over the vertices of ``second``, quad [F] the row of ``first.quads`` of
        each).
    """
    # 1. refined quads, and plain ones away from them
    base_count = second.operator.shape[1]
    split_edge = np.zeros(len(second.edges), bool)
    split_edge[second.quad_edges[refined]] = True
    fine_owner = np.repeat(np.flatnonzero(refined), 4)
    fine = second.quads.reshape(-1, 4, 4)[refined].reshape(-1, 4)
    plain = ~refined & ~split_edge[second.quad_edges].any(axis=1)
    triangles = [_halves(fine), _halves(first.quads[plain])]
    owners = [np.repeat(fine_owner, 2), np.repeat(np.flatnonzero(plain), 2)]

    # 2. plain quads beside refined ones
    for quad in np.flatnonzero(~refined & ~plain):
        fan = _fan(first.quads[quad], second.quad_edges[quad], split_edge, base_count)
        triangles.append(fan)
        owners.append(np.full(len(fan), quad))
    return np.concatenate(triangles), np.concatenate(owners)


def _halves(quads: np.ndarray) -> np.ndarray:
    # The diagonal joins the two edge points: no vertex then has more triangles around it than the
    # eight of point_buf, and the pattern is mirror-symmetric.
    return np.stack([quads[:, [0, 1, 3]], quads[:, [2, 3, 1]]], axis=1).reshape(-1, 3)


def _fan(
    quad: np.ndarray, edges: np.ndarray, split_edge: np.ndarray, base_count: int
) -> np.ndarray:
    """Return the triangles [n, 3] of a quad with additional corners on its split edges."""
    ring: List[int] = []
    for vertex, edge in zip(quad, edges):
        ring.append(vertex)
        if split_edge[edge]:
            ring.append(base_count + edge)
    start = next(k for k, vertex in enumerate(ring) if vertex >= base_count)
    ring = ring[start:] + ring[:start]
    return np.array([[ring[0], ring[k], ring[k + 1]] for k in range(1, len(ring) - 1)])
