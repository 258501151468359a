"""The mesh of the open face model: a crop of MakeHuman's body, refined, with new eyeballs.

Its vertices are a fixed linear function of the base mesh's vertices, so that every shape target
becomes a displacement of this mesh by one sparse matrix product.
"""

from typing import Any, Dict, NamedTuple, Sequence, Tuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from face_model.open_model.assets import BaseMesh
from face_model.open_model.subdivision import Subdivision, subdivide, triangulate_mixed

SKIN, SOCKET, MOUTH, TEETH, TONGUE, LEFT_EYE, RIGHT_EYE = range(7)  # left and right of the person

_Box = Sequence[Tuple[float, float]]  # (low, high) of x, y, z

# The crop, in MakeHuman's own coordinates of the neutral head (dm): behind the ears, over the
# hairline, below the chin, like BFM's front. Above the ears the cut rises to the hairline, TOP at
# the depth HAIRLINE. The bottom also sets the centroid of the vertices, which the decoder moves to
# the origin: with this one the five standard points are in their places.
BACK, TOP, BOTTOM, HAIRLINE = 0.32, 8.0, 6.05, 1.25
TRUNK_MARGIN = 1.0  # below the crop, for the subdivision
RISE = 0.52  # of the cut above the ears, dm per dm
EAR_BOX = ((0.7, 2.0), (6.6, 7.6), (0.0, 2.0))  # |x|, y, z; kept even behind BACK
RIM_SMOOTHING = 12  # steps along the outline
# Inside this box of the neutral face, quads larger than FINE_QUAD (dm) are subdivided twice, all
# others once.
FINE_BOX = ((-0.66, 0.66), (6.2, 7.75), (0.72, 2.0))
FINE_QUAD = 0.021

# Polar angles (degrees from the line of sight) of an eyeball's rings: dense at the rims of pupil
# and iris, because color is linear between vertices.
PUPIL_ANGLE, IRIS_ANGLE = 9.5, 23.5
# fmt: off
EYE_RINGS = (
    4.0, 8.3, 9.0, 10.2, 11.5, 14.5, 18.0, 21.0, 22.4, 23.2, 24.2, 25.4, 28.0, 32.0, 37.0, 43.0,
    50.0, 58.0, 67.0, 77.0, 88.0, 100.0,
)
# fmt: on
EYE_SEGMENTS = 40
# Relative to MakeHuman's eyeball, which penetrates the corner of the lids when it turns outwards.
EYE_SIZE = 0.985


class HeadMesh(NamedTuple):
    """Triangles, and the operator that gives their vertices.

    N vertices, F triangles, V base vertices.
    """

    operator: sp.csr_matrix  # [N, V]
    triangles: np.ndarray  # [F, 3] int64, counter-clockwise seen from outside
    part: np.ndarray  # [N] int, SKIN ... RIGHT_EYE
    mirror: Any  # [N] array, the vertex on the other side; None before the eyes are added
    texture: np.ndarray  # [N, 2] texture coordinates of the body; NaN on the eyeballs
    eye_angle: np.ndarray  # [N] degrees from the line of sight on the eyeballs; NaN elsewhere
    # Sorted base vertices (one vertex, two ends of an edge, corners of a quad; or those of two of
    # these, for the middle between them) -> vertex
    vertex_at: Dict[Tuple[int, ...], int]


def build_head_mesh(base: BaseMesh, neutral: np.ndarray) -> HeadMesh:
    """Cut and subdivide the head.

    Args:
        base: a ``BaseMesh``.
        neutral: [V, 3] the average head, which determines crop and resolution.

    Returns:
        A :class:`HeadMesh`.
    """
    # 1. subdivide the quads once or twice
    quads, parts, corners = head_quads(base, neutral, BOTTOM - TRUNK_MARGIN)
    first = subdivide(quads, len(neutral))
    second = subdivide(first.quads, first.operator.shape[0])
    once = first.operator.dot(neutral)
    kept = inside_crop(once[first.quads].mean(axis=1), np.repeat(parts, 4))
    refined = np.repeat(is_fine(neutral, quads, parts), 4) & kept
    triangles, owners = triangulate_mixed(first, second, refined)

    # 2. crop, and number the remaining vertices
    inside = kept[owners]
    triangles, owners = triangles[inside], owners[inside]
    used, triangles = np.unique(triangles, return_inverse=True)
    triangles = triangles.reshape(-1, 3)

    # 3. parts, operator and names of the vertices; at lips and lids skin takes precedence
    part = np.full(len(used), TONGUE)
    np.minimum.at(part, triangles, np.repeat(parts, 4)[owners][:, None])
    operator = _smooth_rim(second.operator.dot(first.operator).tocsr()[used], triangles)
    position = {vertex: k for k, vertex in enumerate(used)}
    head = HeadMesh(
        operator=operator,
        triangles=triangles,
        part=part,
        mirror=None,
        texture=_texture(base, corners, second, used),
        eye_angle=np.full(len(used), np.nan),
        vertex_at=vertex_names(quads, first, second, position),
    )

    # 4. eyeballs
    return _join_eyes(base, neutral, head)


def head_quads(
    base: BaseMesh, neutral: np.ndarray, bottom: float
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the quads of head, neck, teeth and tongue, their parts, and their texture corners.

    Args:
        base: a ``BaseMesh``.
        neutral: [V, 3] the average head.
        bottom: height, dm in MakeHuman's coordinates, below which the trunk is left out.
    """
    kind = np.full(len(base.quads), -1)
    body = np.flatnonzero(base.groups == "body")
    island = _texture_islands(base, body)
    center = neutral[base.quads[body]].mean(axis=1)
    for label in np.unique(island):
        member = island == label
        kind[body[member]] = _classify_island(center[member])
    kind[body[center[:, 1] < bottom]] = -1
    kind[np.isin(base.groups, ("helper-upper-teeth", "helper-lower-teeth"))] = TEETH
    kind[base.groups == "helper-tongue"] = TONGUE
    chosen = kind >= 0
    return base.quads[chosen], kind[chosen], base.texture_corners[chosen]


def _texture_islands(base: BaseMesh, faces: np.ndarray) -> np.ndarray:
    """Return the label of the texture island of each face."""
    corners = base.texture_corners[faces]
    size = len(base.texture_coordinates)
    links = (np.repeat(corners[:, 0], 3), corners[:, 1:].reshape(-1))
    graph = sp.coo_matrix((np.ones(3 * len(corners)), links), shape=(size, size))
    return connected_components(graph, directed=False)[1][corners[:, 0]]


def _classify_island(center: np.ndarray) -> int:
    """Return the part of a texture island from the centers of its quads; -1 for the limbs.

    The base mesh's texture islands are its anatomy: head, trunk, limbs, eye sockets, inside of the
    mouth.
    """
    low, high = center.min(axis=0), center.max(axis=0)
    # the head; the trunk, whose neck remains after the crop
    if high[1] > 8.0 or (high[1] > 6.5 and low[1] < 0.0):
        return SKIN
    if low[1] > 7.0:
        return SOCKET
    if low[1] > 6.2:
        return MOUTH
    return -1


def inside_crop(center: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return [Q] bool, True for quads of the face model, by their centers [Q, 3] and parts [Q]."""
    y, z = center[:, 1], center[:, 2]
    folded = np.abs(center) * [1.0, 0.0, 0.0] + center * [0.0, 1.0, 1.0]
    front = (y < TOP + RISE * (z - HAIRLINE)) & (y > BOTTOM) & (z > BACK)
    return (parts != SKIN) | _in_box(folded, EAR_BOX) | front


def is_fine(neutral: np.ndarray, quads: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return [Q] bool, True for quads that are subdivided twice; arguments of that length."""
    corners = neutral[quads]
    center = corners.mean(axis=1)
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    size = np.sqrt(np.linalg.norm(normal, axis=1) / 2)
    return _in_box(center, FINE_BOX) & (parts == SKIN) & (size > FINE_QUAD)


def _in_box(points: np.ndarray, box: _Box) -> np.ndarray:
    inside = [(points[:, k] > low) & (points[:, k] < high) for k, (low, high) in enumerate(box)]
    return np.all(inside, axis=0)


def _smooth_rim(operator: sp.csr_matrix, triangles: np.ndarray) -> sp.csr_matrix:
    """Straighten the outline of the crop, which follows the quads, by averaging along it."""
    # 1. the vertices of the outline, joined by edges of one triangle only
    count = operator.shape[0]
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    ends = edges[uses == 1]
    links = sp.coo_matrix((np.ones(len(ends)), ends.T), shape=(count, count))
    links = (links + links.T).tocsr()

    # 2. one step: half the vertex, half the mean of its neighbors on the outline
    neighbors = np.ravel(links.sum(axis=1))
    own_share = np.where(neighbors > 0, 0.5, 1.0)
    neighbor_share = np.where(neighbors > 0, 0.5 / np.maximum(neighbors, 1), 0.0)
    step = sp.diags(own_share) + sp.diags(neighbor_share).dot(links)

    for _ in range(RIM_SMOOTHING):
        operator = step.dot(operator)
    return operator.tocsr()


def _texture(
    base: BaseMesh, corners: np.ndarray, second: Subdivision, used: np.ndarray
) -> np.ndarray:
    """Subdivide the texture coordinates linearly, and average them over the islands at seams."""
    # 1. first subdivision: [4Q, 4, 2], corners in the order of first.quads
    quad_uv = base.texture_coordinates[corners]  # [Q, 4, 2]
    center = quad_uv.mean(axis=1, keepdims=True)
    middle = (quad_uv + np.roll(quad_uv, -1, axis=1)) / 2
    center = np.broadcast_to(center, quad_uv.shape)
    once = np.stack([quad_uv, middle, center, np.roll(middle, 1, axis=1)], axis=2)
    once = once.reshape(-1, 4, 2)

    # 2. second subdivision
    middle = (once + np.roll(once, -1, axis=1)) / 2
    center = np.broadcast_to(once.mean(axis=1, keepdims=True), once.shape)
    twice = np.stack([once, middle, center, np.roll(middle, 1, axis=1)], axis=2).reshape(-1, 2)

    # 3. means over the corners of each vertex
    total, count = np.zeros((second.operator.shape[0], 2)), np.zeros(second.operator.shape[0])
    np.add.at(total, second.quads.reshape(-1), twice)
    np.add.at(count, second.quads.reshape(-1), 1)
    return (total / np.maximum(count, 1)[:, None])[used]


def vertex_names(
    quads: np.ndarray, first: Subdivision, second: Subdivision, position: Dict[int, int]
) -> Dict[Tuple[int, ...], int]:
    """Name vertices by the base vertices of which they are means.

    Args:
        quads: [Q, 4] quads of the base mesh.
        first: their subdivision.
        second: its subdivision, of which vertices and edges are named.
        position: subdivision's vertex -> number; vertices that it lacks get no name.

    Returns:
        Sorted base vertices, those of both ends for an edge of the second subdivision -> number.
    """
    base_count = first.operator.shape[1]
    names: Any = [(vertex,) for vertex in range(base_count)]
    names += [tuple(edge) for edge in first.edges.tolist()]
    names += [tuple(sorted(quad)) for quad in quads.tolist()]
    names += [tuple(sorted(names[a] + names[b])) for a, b in second.edges.tolist()]
    return {name: position[k] for k, name in enumerate(names) if k in position}


def _join_eyes(base: BaseMesh, neutral: np.ndarray, head: HeadMesh) -> HeadMesh:
    """Add the two eyeballs, and the mirror image of every vertex."""
    operators, triangles = [head.operator], [head.triangles]
    parts, angles = [head.part], [head.eye_angle]
    count = len(head.part)
    cap_directions, cap_triangles, cap_angles = _eyeball_cap()
    for group, part in (("helper-l-eye", LEFT_EYE), ("helper-r-eye", RIGHT_EYE)):
        operators.append(_eyeball_operator(base, neutral, group, cap_directions))
        triangles.append(cap_triangles + count)
        parts.append(np.full(len(cap_angles), part))
        angles.append(cap_angles)
        count += len(cap_angles)
    operator = sp.vstack(operators).tocsr()
    untextured = np.full((count - len(head.part), 2), np.nan)
    return head._replace(
        operator=operator,
        triangles=np.concatenate(triangles),
        part=np.concatenate(parts),
        eye_angle=np.concatenate(angles),
        texture=np.concatenate([head.texture, untextured]),
        mirror=_mirror(base, operator, np.concatenate(parts)),
    )


def _eyeball_cap() -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return directions [n, 3], triangles and polar angles of rings around +z, closed in front."""
    # 1. directions
    polar = np.radians(np.repeat(EYE_RINGS, EYE_SEGMENTS))
    around = np.tile(2 * np.pi * (np.arange(EYE_SEGMENTS) + 0.5) / EYE_SEGMENTS, len(EYE_RINGS))
    rings = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=1
    )

    # 2. the center: a strip of triangles across the first ring, because a fan would exceed the
    # eight triangles around a vertex in point_buf
    left = np.arange(EYE_SEGMENTS)[1 : EYE_SEGMENTS // 2]
    right = EYE_SEGMENTS - left
    strip = [np.array([[0, 1, EYE_SEGMENTS - 1], [left[-1], left[-1] + 1, right[-1]]])]
    strip += [np.array([[a, a + 1, b], [a + 1, b - 1, b]]) for a, b in zip(left[:-1], right[:-1])]
    triangles = [np.concatenate(strip)]

    # 3. two triangles for each segment between two rings
    here = np.arange(EYE_SEGMENTS)
    after = (here + 1) % EYE_SEGMENTS
    for ring in range(len(EYE_RINGS) - 1):
        inner, outer = ring * EYE_SEGMENTS, (ring + 1) * EYE_SEGMENTS
        triangles.append(np.stack([inner + here, outer + here, outer + after], axis=1))
        triangles.append(np.stack([inner + here, outer + after, inner + after], axis=1))
    return rings, np.concatenate(triangles), np.degrees(polar)


def _eyeball_operator(
    base: BaseMesh, neutral: np.ndarray, group: str, directions: np.ndarray
) -> sp.csr_matrix:
    """Return the operator of an eyeball, [n, V]: an affine fit to the helper eyeball.

    The eyeball follows the translation, scale and rotation of a target, and stays round.
    """
    members = np.unique(base.quads[base.groups == group])
    offsets = neutral[members] - neutral[members].mean(axis=0)
    radius = np.linalg.norm(offsets, axis=1).mean()
    design = np.column_stack([np.ones(len(members)), offsets / radius])
    wanted = np.column_stack([np.ones(len(directions)), EYE_SIZE * directions])
    weights = wanted.dot(np.linalg.pinv(design))
    columns = np.tile(members, len(directions))
    rows = np.repeat(np.arange(len(directions)), len(members))
    shape = (len(directions), len(neutral))
    return sp.csr_matrix((weights.reshape(-1), (rows, columns)), shape=shape)


def symmetrize(points: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Return ``points`` [V, 3] averaged with their mirror image."""
    return (points + points[mirror] * [-1.0, 1.0, 1.0]) / 2


def _mirror(base: BaseMesh, operator: sp.csr_matrix, part: np.ndarray) -> np.ndarray:
    """Return the vertex on the other side of each vertex, [N]."""
    points = operator.dot(symmetrize(base.vertices, base.mirror))
    side = np.where(part == LEFT_EYE, RIGHT_EYE, np.where(part == RIGHT_EYE, LEFT_EYE, part))
    # The part is a fourth coordinate, because teeth, tongue and lips nearly touch.
    tree = cKDTree(np.column_stack([points, part]))
    near, partner = tree.query(np.column_stack([points * [-1.0, 1.0, 1.0], side]))
    if near.max() > 1e-4 or not np.array_equal(partner[partner], np.arange(len(partner))):
        raise ValueError("the head mesh is not mirror-symmetric: {:.2g} dm off".format(near.max()))
    return partner
