"""UV unwrapping of a face model: texture coordinates without a seam across the face.

The face, the largest connected part of the mesh, becomes a disc: its outline goes to a circle
and every other vertex to a weighted mean of its neighbors. With positive weights and a convex
outline no triangle folds over (Tutte, "How to Draw a Graph", 1963); mean-value weights keep
angles well (Floater, "Mean Value Coordinates", 2003). A closed mesh, which has no outline, is
opened at a triangle behind. Small parts (eyeballs, teeth, tongue) are laid out as seen from the
front, each in a corner that the disc leaves free.
"""

from typing import List, NamedTuple

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from scipy.spatial import cKDTree

from face_model import FaceModel
from geometry.connectivity import boundary_loops, connected_parts

_MARGIN = 0.01  # around the disc and the small parts, in widths of the map
_PART_SIZE = 0.12  # side of the square of a small part; the corners of the square leave 0.146
_CORNERS = ((0, 0), (1, 0), (0, 1), (1, 1))
FACE_SHARE = 0.64  # radius of the face in the disc of a whole head
_ON_MIDLINE = 1e-3  # dm
_MIDDLE = 0.8  # the middle of the disc (eyes, nose and mouth) is enlarged 1.8 times
_BEHIND = 0.1  # share of the depth of a closed mesh within which it may be opened
_LEAST_WEIGHT = 1e-6  # relative; keeps degenerate triangles from cutting the mesh apart


class UVMap(NamedTuple):
    """Texture coordinates of a face model."""

    coordinates: np.ndarray  # [N, 2] float64 in 0..1, u right, v up
    parts: np.ndarray  # [N] 0 for the face itself, 1, 2, ... for eyeballs, teeth and so on
    mirrored: np.ndarray  # [N] vertex nearest to the mirror image (left to right) of each vertex


def unwrap_uv(model: FaceModel) -> UVMap:
    """Unwrap the mean shape of a face model.

    Args:
        model: the face model.

    Returns:
        A :class:`UVMap`.
    """
    # 1. the face as a disc
    vertices = model.mean_shape.astype(np.float64)
    triangles = model.triangles
    parts = connected_parts(triangles, len(vertices))
    coordinates = np.zeros((len(vertices), 2))
    face = triangles[np.isin(triangles[:, 0], parts[0])]
    flat = _disc(vertices, face) if boundary_loops(face) else _disc_of_closed(vertices, face)
    coordinates[parts[0]] = flat[parts[0]]
    coordinates[parts[0]] = 0.5 + _widen_middle(coordinates[parts[0]]) * (0.5 - _MARGIN)

    # 2. small parts in the corners
    labels = np.zeros(len(vertices), int)
    for i, part in enumerate(parts[1:]):
        coordinates[part] = _corner_of(i, vertices[part])
        labels[part] = i + 1

    # 3. the vertex nearest to the mirror image of each
    center = (vertices[parts[0], 0].min() + vertices[parts[0], 0].max()) / 2
    mirrored = cKDTree(vertices).query((vertices - [center, 0, 0]) * [-1, 1, 1] + [center, 0, 0])[1]
    return UVMap(coordinates, labels, mirrored)


def unwrap_around(uv_map: UVMap, face: FaceModel, whole: FaceModel) -> np.ndarray:
    """Return texture coordinates of a whole head, [N + M, 2], around those of its face.

    The face keeps its layout, smaller, in the middle of the disc; what surrounds it fills the ring
    between the rim of the face and the outline of the head.

    Args:
        uv_map: :func:`unwrap_uv` of the face.
        face: the face model, N vertices.
        whole: the model of the head, whose first N vertices are those of the face.
    """
    # 1. the face
    vertices = whole.mean_shape.astype(np.float64)
    count = face.vertex_count
    parts = connected_parts(whole.triangles, len(vertices))
    coordinates = np.zeros((len(vertices), 2))
    coordinates[:count] = uv_map.coordinates
    on_face = np.flatnonzero(uv_map.parts == 0)
    coordinates[on_face] = 0.5 + (coordinates[on_face] - 0.5) * FACE_SHARE

    # 2. the ring: the outline of the head on the circle, and radius and angle of all others at the
    # mean of their neighbors
    skin = whole.triangles[np.isin(whole.triangles[:, 0], parts[0])]
    outline = max(boundary_loops(skin), key=len)
    coordinates[outline] = 0.5 + _on_circle(vertices[outline]) * (0.5 - _MARGIN)
    ring = skin[(skin >= count).any(axis=1)]
    inner = np.unique(ring[ring < count])
    _fill_ring(vertices, ring, inner, outline, coordinates)

    # 3. small parts that the face lacks
    place = uv_map.parts.max()
    for part in parts[1:]:
        if part[0] >= count:
            coordinates[part] = _corner_of(place, vertices[part][:, [0, 2, 1]])
            place += 1
    return coordinates


def _fill_ring(
    vertices: np.ndarray,
    ring: np.ndarray,
    inner: np.ndarray,
    outline: np.ndarray,
    coordinates: np.ndarray,
) -> None:
    """Fill in the coordinates of a ring between two circles.

    Radius and angle, counted from below, are harmonic; the midline stays on the midline.

    Args:
        vertices: [n, 3], left and right alike.
        ring: [f, 3] triangles of the ring.
        inner: vertices of the inner circle.
        outline: vertices of the outer circle.
        coordinates: [n, 2], right on both circles; the others are overwritten.
    """
    # 1. what is known: both circles, and the angle on the midline, 0 below and pi above
    used, circles = np.unique(ring), np.union1d(inner, outline)
    flat = coordinates - 0.5
    radius = np.linalg.norm(flat, axis=1)
    angle = np.arctan2(np.abs(flat[:, 0]), -flat[:, 1])
    middle = np.setdiff1d(used[np.abs(vertices[used, 0]) < _ON_MIDLINE], circles)
    below = vertices[middle, 1] < vertices[inner, 1].min()
    below &= vertices[middle, 2] > vertices[outline, 2].mean()
    angle[middle] = np.where(below, 0, np.pi)

    # 2. the others at the mean of their neighbors
    weights = _mean_value_weights(vertices, ring, len(vertices))
    for values, known in ((radius, circles), (angle, np.union1d(circles, middle))):
        free = np.setdiff1d(used, known)
        rows = weights[free]
        laplacian = scipy.sparse.diags(np.asarray(rows.sum(axis=1)).ravel()) - rows[:, free]
        values[free] = scipy.sparse.linalg.spsolve(
            laplacian.tocsc(), rows[:, known].dot(values[known])
        )

    # 3. radii halfway to those by the share of the surface within
    free = np.setdiff1d(used, circles)
    free = free[np.argsort(radius[free])]
    one, two = (vertices[ring[:, i]] - vertices[ring[:, 0]] for i in (1, 2))
    areas = np.linalg.norm(np.cross(one, two), axis=1)
    around = np.bincount(ring.ravel(), np.repeat(areas, 3), len(vertices))[free]
    low, high = radius[inner].mean() ** 2, radius[outline].mean() ** 2
    within = (np.cumsum(around) - around / 2) / around.sum()
    radius[free] = (radius[free] + np.sqrt(low + (high - low) * within)) / 2

    side = np.where(vertices[free, 0] < 0, -1, 1)
    coordinates[free, 0] = 0.5 + side * radius[free] * np.sin(angle[free])
    coordinates[free, 1] = 0.5 - radius[free] * np.cos(angle[free])


def _corner_of(index: int, vertices: np.ndarray) -> np.ndarray:
    """Return texture coordinates of a small part, seen from the front, in a free corner.

    With more than four parts the corners are divided: part 4 shares that of part 0, and so on.
    """
    corner = np.array(_CORNERS[index % 4])
    place = index // 4
    size = _PART_SIZE / 2**place - _MARGIN
    low = vertices[:, :2].min(axis=0)
    flat = (vertices[:, :2] - low) * size / np.ptp(vertices[:, :2], axis=0).max()
    flat = np.where(corner, 1 - flat.max(axis=0) + flat, flat)
    offset = 2 * _PART_SIZE * (1 - 0.5**place) * np.array([1, 0])  # along the edge
    return flat + np.where(corner, -1, 1) * (offset + _MARGIN / 2)


def _disc(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return [N, 2] in the unit disc, for a part of the mesh with at least one outline."""
    # 1. the longest boundary is the outline; the others are holes
    loops = boundary_loops(triangles)
    lengths = [
        np.linalg.norm(vertices[loop] - vertices[np.roll(loop, -1)], axis=1).sum() for loop in loops
    ]
    outline = loops[int(np.argmax(lengths))]
    holes = [loop for loop in loops if loop is not outline]

    # 2. weights of neighbors; each hole is closed with one more vertex
    count = len(vertices) + len(holes)
    weights = _mean_value_weights(vertices, triangles, count) + _hole_weights(
        holes, len(vertices), count
    )

    # 3. outline on the circle, all others at the weighted mean of their neighbors
    fixed = np.zeros(count, bool)
    fixed[outline] = True
    free = np.flatnonzero(~fixed & (np.diff(weights.indptr) > 0))
    flat = np.zeros((count, 2))
    flat[outline] = _on_circle(vertices[outline])
    rows = weights[free]
    laplacian = scipy.sparse.diags(np.asarray(rows.sum(axis=1)).ravel()) - rows[:, free]
    flat[free] = scipy.sparse.linalg.splu(laplacian.tocsc()).solve(
        rows[:, outline].dot(flat[outline])
    )
    return flat[: len(vertices)]


def _disc_of_closed(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return [N, 2] in the unit disc, front in the middle, for a part without an outline.

    A triangle behind becomes the outline. Everything else would shrink toward one spot of the
    disc; so the front is moved to the middle, and radii are changed until circles hold their share
    of the surface.
    """
    # 1. a triangle behind that is no sliver, because a sliver distorts everything
    corners = vertices[triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    areas = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    depths = corners[:, :, 2].mean(axis=1)
    behind = depths <= depths.min() + _BEHIND * np.ptp(depths)
    opening = np.argmax(np.where(behind, areas / np.maximum(longest, 1e-9) ** 2, -1))

    # 2. a Moebius map, which keeps angles and the disc, moves the front to the middle
    points = _disc(vertices, np.delete(triangles, opening, axis=0)).dot([1, 1j])
    used = np.unique(triangles)
    front = points[used[vertices[used, 2].argmax()]] * (1 - 1e-6)  # inside, even without depth
    points = ((points - front) / (1 - np.conj(front) * points))[used]

    # 3. radii by the share of the surface within; then upright
    order = np.argsort(np.abs(points))
    around = np.bincount(triangles.ravel(), np.repeat(areas, 3))[used[order]]
    radii = np.empty(len(used))
    radii[order] = np.sqrt((np.cumsum(around) - around / 2) / around.sum())
    points *= radii / np.maximum(np.abs(points), 1e-300)
    points *= np.exp(1j * np.angle(np.vdot(points, vertices[used, :2].dot([1, 1j]))))
    flat = np.zeros((len(vertices), 2))
    flat[used] = np.stack([points.real, points.imag], axis=1)
    return flat


def _widen_middle(flat: np.ndarray) -> np.ndarray:
    """Map the unit disc to itself so that its middle gets more room; radii keep their order."""
    return flat * (1 + _MIDDLE) / (1 + _MIDDLE * np.linalg.norm(flat, axis=1, keepdims=True))


def _on_circle(points: np.ndarray) -> np.ndarray:
    """Return the points of a closed outline on the unit circle by arc length, highest on top."""
    top = int(np.argmax(points[:, 1] - np.abs(points[:, 0])))
    order = np.roll(np.arange(len(points)), -top)
    steps = np.linalg.norm(points[np.roll(order, -1)] - points[order], axis=1)
    angles = np.empty(len(points))
    angles[order] = (
        np.pi / 2 + 2 * np.pi * np.concatenate([[0], np.cumsum(steps)[:-1]]) / steps.sum()
    )
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _mean_value_weights(
    vertices: np.ndarray, triangles: np.ndarray, count: int
) -> scipy.sparse.csr_matrix:
    """Return the weights tan(a/2) / |e| of the two edges of every corner.

    Floater 2003, equation 2.1.
    """
    rows, columns, values = [], [], []
    for i in range(3):
        corner, second, third = (triangles[:, (i + k) % 3] for k in range(3))
        one, two = vertices[second] - vertices[corner], vertices[third] - vertices[corner]
        length_one, length_two = (
            np.maximum(np.linalg.norm(edge, axis=1), 1e-9) for edge in (one, two)
        )
        dot = np.einsum("ij,ij->i", one, two)
        # tan(a/2) = sin a / (1 + cos a)
        tangent = np.linalg.norm(np.cross(one, two), axis=1) / np.maximum(
            length_one * length_two + dot, 1e-12
        )
        rows += [corner, corner]
        columns += [second, third]
        values += [
            np.maximum(tangent / length_one, _LEAST_WEIGHT),
            np.maximum(tangent / length_two, _LEAST_WEIGHT),
        ]
    return scipy.sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(count, count),
    )


def _hole_weights(holes: List[np.ndarray], first: int, count: int) -> scipy.sparse.csr_matrix:
    """Return weights that close every hole with one more vertex in its middle."""
    rows, columns = [np.zeros(0, int)], [np.zeros(0, int)]
    for i, loop in enumerate(holes):
        middle = np.full(len(loop), first + i)
        rows += [middle, loop]
        columns += [loop, middle]
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    return scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count))
