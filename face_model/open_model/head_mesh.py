"""The mesh of the open face model: which part of MakeHuman's body, at which resolution, and the eyeballs.

Its vertices are a fixed linear function of the base mesh's vertices, so that every shape target becomes a
displacement of this mesh by one sparse matrix product.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from face_model.open_model.subdivision import subdivide, triangulate_mixed

SKIN, SOCKET, MOUTH, TEETH, TONGUE, LEFT_EYE, RIGHT_EYE = range(7)  # left and right of the person

# The crop, in MakeHuman's own coordinates of the neutral head (dm): behind the ears, over the hairline, below
# the chin, like BFM's front. Above the ears the cut rises to the hairline, TOP at the depth HAIRLINE. The bottom also
# sets the centroid of the vertices, which the decoder moves to the origin: with this one the five standard points
# come out in their places.
BACK, TOP, BOTTOM, HAIRLINE = 0.32, 8.0, 6.05, 1.25
RISE = 0.52  # of the cut above the ears, dm per dm
EAR_BOX = ((0.7, 2.0), (6.6, 7.6), (0.0, 2.0))  # |x|, y, z; whatever BACK says
RIM_SMOOTHING = 12  # steps along the outline
# Inside this box of the neutral face, quads larger than FINE_QUAD (dm) are subdivided twice, all others once.
FINE_BOX = ((-0.66, 0.66), (6.2, 7.75), (0.72, 2.0))
FINE_QUAD = 0.021

# Polar angles (degrees from the line of sight) of an eyeball's rings: crowded at the pupil's and the iris' rims,
# because colour is linear between vertices.
PUPIL_ANGLE, IRIS_ANGLE = 9.5, 23.5
EYE_RINGS = (4.0, 8.3, 9.0, 10.2, 11.5, 14.5, 18.0, 21.0, 22.4, 23.2, 24.2, 25.4, 28.0, 32.0, 37.0, 43.0, 50.0, 58.0,
             67.0, 77.0, 88.0, 100.0)
EYE_SEGMENTS = 40
EYE_SIZE = 0.985  # of MakeHuman's eyeball, which comes through the lids' corner when it turns outwards


class HeadMesh(NamedTuple):
    """Triangles, and the operator that gives their vertices. N vertices, F triangles, V base vertices."""

    operator: sp.csr_matrix  # [N, V]
    triangles: np.ndarray  # [F, 3] int64, counter-clockwise seen from outside
    part: np.ndarray  # [N] int, SKIN ... RIGHT_EYE
    mirror: np.ndarray  # [N] the vertex on the other side
    texture: np.ndarray  # [N, 2] texture coordinates of the body; NaN on the eyeballs
    eye_angle: np.ndarray  # [N] degrees from the line of sight on the eyeballs; NaN elsewhere
    vertex_at: dict  # sorted base vertices -> vertex: () of one vertex, two ends of an edge or corners of a quad


def build_head_mesh(base, neutral):
    """Cut and subdivide the head.

    Args:
        base: a ``BaseMesh``.
        neutral: [V, 3] the average head, which decides on the crop and on the resolution.

    Returns:
        A :class:`HeadMesh`.
    """
    quads, parts, corners = _head_quads(base, neutral)
    first = subdivide(quads, len(neutral))
    second = subdivide(first.quads, first.operator.shape[0])
    once = first.operator.dot(neutral)
    kept = _inside_crop(once[first.quads].mean(axis=1), np.repeat(parts, 4))
    refined = np.repeat(_is_fine(neutral, quads, parts), 4) & kept
    triangles, owners = triangulate_mixed(first, second, refined)
    inside = kept[owners]
    triangles, owners = triangles[inside], owners[inside]
    used, triangles = np.unique(triangles, return_inverse=True)
    triangles = triangles.reshape(-1, 3)
    part = np.full(len(used), TONGUE)
    np.minimum.at(part, triangles, np.repeat(parts, 4)[owners][:, None])  # at the lips and lids skin comes first
    operator = _smooth_rim(second.operator.dot(first.operator).tocsr()[used], triangles)
    texture = _texture(base, corners, second, used)
    position = {vertex: k for k, vertex in enumerate(used)}
    vertex_at = _vertex_names(quads, first, len(neutral), position)
    return _join_eyes(base, neutral, HeadMesh(operator, triangles, part, None, texture,
                                              np.full(len(used), np.nan), vertex_at))


def _head_quads(base, neutral):
    """Return the quads of head, neck, teeth and tongue, their parts, and their texture corners."""
    kind = np.full(len(base.quads), -1)
    body = np.flatnonzero(base.groups == "body")
    island = _texture_islands(base, body)
    centre = neutral[base.quads[body]].mean(axis=1)
    for label in np.unique(island):
        member = island == label
        kind[body[member]] = _classify_island(centre[member])
    kind[body[centre[:, 1] < BOTTOM - 1.0]] = -1  # trunk below a margin for the subdivision
    kind[np.isin(base.groups, ("helper-upper-teeth", "helper-lower-teeth"))] = TEETH
    kind[base.groups == "helper-tongue"] = TONGUE
    chosen = kind >= 0
    return base.quads[chosen], kind[chosen], base.texture_corners[chosen]


def _texture_islands(base, faces):
    corners = base.texture_corners[faces]
    size = len(base.texture_coordinates)
    graph = sp.coo_matrix((np.ones(3 * len(corners)), (np.repeat(corners[:, 0], 3), corners[:, 1:].reshape(-1))),
                          shape=(size, size))
    return connected_components(graph, directed=False)[1][corners[:, 0]]


def _classify_island(centre):
    """The base mesh's texture islands are its anatomy: head, trunk, limbs, eye sockets, inside of the mouth."""
    low, high = centre.min(axis=0), centre.max(axis=0)
    if high[1] > 8.0 or (high[1] > 6.5 and low[1] < 0.0):  # the head; the trunk, of which the crop keeps the neck
        return SKIN
    if low[1] > 7.0:
        return SOCKET
    if low[1] > 6.2:
        return MOUTH
    return -1


def _inside_crop(centre, parts):
    y, z = centre[:, 1], centre[:, 2]
    folded = np.abs(centre) * [1.0, 0.0, 0.0] + centre * [0.0, 1.0, 1.0]
    return (parts != SKIN) | _in_box(folded, EAR_BOX) | ((y < TOP + RISE * (z - HAIRLINE)) & (y > BOTTOM) & (z > BACK))


def _is_fine(neutral, quads, parts):
    centre = neutral[quads].mean(axis=1)
    corners = neutral[quads]
    size = np.sqrt(np.linalg.norm(np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]), axis=1) / 2)
    return _in_box(centre, FINE_BOX) & (parts == SKIN) & (size > FINE_QUAD)


def _in_box(points, box):
    return np.all([(points[:, k] > low) & (points[:, k] < high) for k, (low, high) in enumerate(box)], axis=0)


def _smooth_rim(operator, triangles):
    """Straighten the outline of the crop, which follows the quads in steps, by averaging along it."""
    count = operator.shape[0]
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    ends = edges[uses == 1]
    links = sp.coo_matrix((np.ones(len(ends)), ends.T), shape=(count, count))
    links = (links + links.T).tocsr()
    neighbours = np.ravel(links.sum(axis=1))
    step = sp.diags(np.where(neighbours > 0, 0.5, 1.0)) + \
        sp.diags(np.where(neighbours > 0, 0.5 / np.maximum(neighbours, 1), 0.0)).dot(links)
    for _ in range(RIM_SMOOTHING):
        operator = step.dot(operator)
    return operator.tocsr()


def _texture(base, corners, second, used):
    """Subdivide the texture coordinates linearly; at seams a vertex takes the mean of its islands."""
    quad_uv = base.texture_coordinates[corners]  # [Q, 4, 2]
    centre = quad_uv.mean(axis=1, keepdims=True)
    middle = (quad_uv + np.roll(quad_uv, -1, axis=1)) / 2
    once = np.stack([quad_uv, middle, np.broadcast_to(centre, quad_uv.shape), np.roll(middle, 1, axis=1)], axis=2)
    once = once.reshape(-1, 4, 2)  # [4Q, 4, 2], corners in the order of first.quads
    middle = (once + np.roll(once, -1, axis=1)) / 2
    centre = np.broadcast_to(once.mean(axis=1, keepdims=True), once.shape)
    twice = np.stack([once, middle, centre, np.roll(middle, 1, axis=1)], axis=2).reshape(-1, 2)
    total, count = np.zeros((second.operator.shape[0], 2)), np.zeros(second.operator.shape[0])
    np.add.at(total, second.quads.reshape(-1), twice)
    np.add.at(count, second.quads.reshape(-1), 1)
    return (total / np.maximum(count, 1)[:, None])[used]


def _vertex_names(quads, first, base_count, position):
    """Name the vertices of the first subdivision by the base vertices they stand for."""
    names = [(vertex,) for vertex in range(base_count)]
    names += [tuple(edge) for edge in first.edges.tolist()]
    names += [tuple(sorted(quad)) for quad in quads.tolist()]
    return {name: position[k] for k, name in enumerate(names) if k in position}


def _join_eyes(base, neutral, head):
    operators, triangles, parts, angles = [head.operator], [head.triangles], [head.part], [head.eye_angle]
    count = len(head.part)
    cap_directions, cap_triangles, cap_angles = _eyeball_cap()
    for group, part in (("helper-l-eye", LEFT_EYE), ("helper-r-eye", RIGHT_EYE)):
        operators.append(_eyeball_operator(base, neutral, group, cap_directions))
        triangles.append(cap_triangles + count)
        parts.append(np.full(len(cap_angles), part))
        angles.append(cap_angles)
        count += len(cap_angles)
    operator = sp.vstack(operators).tocsr()
    texture = np.concatenate([head.texture, np.full((count - len(head.part), 2), np.nan)])
    return head._replace(operator=operator, triangles=np.concatenate(triangles), part=np.concatenate(parts),
                         eye_angle=np.concatenate(angles), texture=texture,
                         mirror=_mirror(base, operator, np.concatenate(parts)))


def _eyeball_cap():
    """Return directions [n, 3], triangles and polar angles of rings around +z, closed at the front."""
    polar = np.radians(np.repeat(EYE_RINGS, EYE_SEGMENTS))
    around = np.tile(2 * np.pi * (np.arange(EYE_SEGMENTS) + 0.5) / EYE_SEGMENTS, len(EYE_RINGS))
    rings = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=1)
    here = np.arange(EYE_SEGMENTS)
    after = (here + 1) % EYE_SEGMENTS
    # The centre is a strip of triangles across the first ring, not a fan: point_buf holds eight a vertex.
    left, right = here[1:EYE_SEGMENTS // 2], EYE_SEGMENTS - here[1:EYE_SEGMENTS // 2]
    strip = [np.array([[0, 1, EYE_SEGMENTS - 1], [left[-1], left[-1] + 1, right[-1]]])]
    strip += [np.array([[a, a + 1, b], [a + 1, b - 1, b]]) for a, b in zip(left[:-1], right[:-1])]
    triangles = [np.concatenate(strip)]
    for ring in range(len(EYE_RINGS) - 1):
        inner, outer = ring * EYE_SEGMENTS, (ring + 1) * EYE_SEGMENTS
        triangles.append(np.stack([inner + here, outer + here, outer + after], axis=1))
        triangles.append(np.stack([inner + here, outer + after, inner + after], axis=1))
    return rings, np.concatenate(triangles), np.degrees(polar)


def _eyeball_operator(base, neutral, group, directions):
    """Affine fit to the helper eyeball: it follows where a target moves, scales or turns it, and stays round."""
    members = np.unique(base.quads[base.groups == group])
    offsets = neutral[members] - neutral[members].mean(axis=0)
    radius = np.linalg.norm(offsets, axis=1).mean()
    design = np.column_stack([np.ones(len(members)), offsets / radius])
    weights = np.column_stack([np.ones(len(directions)), EYE_SIZE * directions]).dot(np.linalg.pinv(design))
    columns = np.tile(members, len(directions))
    rows = np.repeat(np.arange(len(directions)), len(members))
    return sp.csr_matrix((weights.reshape(-1), (rows, columns)), shape=(len(directions), len(neutral)))


def symmetrise(points, mirror):
    """Return ``points`` [V, 3] averaged with their mirror image."""
    return (points + points[mirror] * [-1.0, 1.0, 1.0]) / 2


def _mirror(base, operator, part):
    points = operator.dot(symmetrise(base.vertices, base.mirror))
    side = np.where(part == LEFT_EYE, RIGHT_EYE, np.where(part == RIGHT_EYE, LEFT_EYE, part))
    # Parts are lifted apart: teeth, tongue and lips nearly touch.
    near, partner = cKDTree(np.column_stack([points, part])).query(
        np.column_stack([points * [-1.0, 1.0, 1.0], side]))
    if near.max() > 1e-4 or not np.array_equal(partner[partner], np.arange(len(partner))):
        raise ValueError("the head mesh is not mirror-symmetric: {:.2g} dm off".format(near.max()))
    return partner
