"""The rest of the open face model's head: crown, back of the head, and neck, closed below.

Its vertices are a linear function of the base mesh's vertices, as those of the face are
(``head_mesh``); along the rim of the face it uses the face's own vertices.
"""

from typing import List, NamedTuple, Sequence, Tuple

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg

from face_model.open_model.assets import BaseMesh
from face_model.open_model.head_mesh import (
    SKIN,
    TRUNK_MARGIN,
    HeadMesh,
    head_quads,
    inside_crop,
    is_fine,
    vertex_names,
)
from face_model.open_model.subdivision import subdivide, triangulate_mixed
from geometry.connectivity import boundary_loops, vertex_connectivity

# The cut through the neck, in MakeHuman's coordinates of the neutral head (dm): a plane that sinks
# forwards, from the nape to the pit of the throat, and rises beside the neck to the shoulders.
_CUT_HEIGHT, _CUT_SLOPE = 5.72, 0.28
_NECK_WIDTH, _SHOULDER_SLOPE = 0.4, 0.6
_CUT_SMOOTHING = 40  # steps along the cut
# The rim of the face and the cut are straightened; vertices up to so many edges away follow.
_PULL_STEPS = 6


class OuterMesh(NamedTuple):
    """The surface around the face. N vertices of the face, M further ones, V base vertices."""

    operator: sp.csr_matrix  # [M + R, V]; the last R rows are the rim of the face as it would be
    rim: np.ndarray  # [R] vertices of the face on its rim
    pull: np.ndarray  # [M, R] share of the movement of each rim vertex that a vertex follows
    triangles: np.ndarray  # [F, 3] int64 over N + M vertices, counter-clockwise seen from outside


def build_outer_mesh(base: BaseMesh, neutral: np.ndarray, face: HeadMesh) -> OuterMesh:
    """Cut what surrounds the face out of the base mesh, and close the neck.

    Args:
        base: a ``BaseMesh``.
        neutral: [V, 3] the average head, of which the face was made.
        face: the ``HeadMesh`` of the face.
    """
    # 1. the quads around the face, subdivided as its rim is
    quads, quad_parts, _ = head_quads(base, neutral, _CUT_HEIGHT - TRUNK_MARGIN)
    first = subdivide(quads, len(neutral))
    second = subdivide(first.quads, first.operator.shape[0])
    center = first.operator.dot(neutral)[first.quads].mean(axis=1)
    parts = np.repeat(quad_parts, 4)
    beside = np.maximum(np.abs(center[:, 0]) - _NECK_WIDTH, 0)
    cut_height = _CUT_HEIGHT - _CUT_SLOPE * center[:, 2] + _SHOULDER_SLOPE * beside
    above_cut = center[:, 1] > cut_height
    in_face = inside_crop(center, parts)
    refined = np.repeat(is_fine(neutral, quads, quad_parts), 4) & in_face
    triangles, owners = triangulate_mixed(first, second, refined)
    triangles = triangles[((parts == SKIN) & ~in_face & above_cut)[owners]]

    # 2. vertices of the face keep their numbers, the others follow
    used = np.unique(triangles)
    position = {vertex: k for k, vertex in enumerate(used.tolist())}
    number = np.full(len(used), -1)
    for name, k in vertex_names(quads, first, second, position).items():
        number[k] = face.vertex_at.get(name, -1)
    on_rim, own = number >= 0, number < 0
    face_count, own_count = len(face.part), int(own.sum())
    number[own] = face_count + np.arange(own_count)
    triangles = _without_corners(number[np.searchsorted(used, triangles)], face_count)
    operator = second.operator.dot(first.operator).tocsr()[used]
    operator, rim_operator = operator[own], operator[on_rim]

    # 3. the cut, straightened
    loops = boundary_loops(np.concatenate([face.triangles, triangles]))
    (cut,) = [loop - face_count for loop in loops if loop[0] >= face_count]
    straight = operator[cut]
    before, after = np.roll(np.arange(len(cut)), 1), np.roll(np.arange(len(cut)), -1)
    for _ in range(_CUT_SMOOTHING):
        straight = 0.5 * straight + 0.25 * (straight[before] + straight[after])
    rim = number[on_rim]
    pull = _pull_shares(triangles, np.concatenate([rim, cut + face_count]), face_count, own_count)
    operator = operator + sp.csr_matrix(pull[:, len(rim) :]).dot(straight - operator[cut])

    # 4. the cut, closed by a fan around its middle; its vertices are there twice, for a sharp edge
    ring = own_count + np.arange(len(cut))
    fan = np.stack([np.full(len(cut), own_count + len(cut)), np.roll(ring, -1), ring], axis=1)
    copied = sp.csr_matrix((np.ones(len(cut)), (np.arange(len(cut)), cut)), (len(cut), own_count))
    middle = sp.csr_matrix(copied.mean(axis=0))
    repeated = sp.vstack([sp.identity(own_count), copied, middle]).tocsr()
    return OuterMesh(
        operator=sp.vstack([repeated.dot(operator), rim_operator]).tocsr(),
        rim=rim,
        pull=repeated.dot(pull[:, : len(rim)]),
        triangles=np.concatenate([triangles, fan + face_count]),
    )


def _without_corners(triangles: np.ndarray, face_count: int) -> np.ndarray:
    """Return triangles around the face of which none fills a corner of the face's rim.

    The rim is a staircase of edges before it is straightened, and a triangle in its corner, with
    all vertices on the rim, has no area afterwards. Its edge to the triangle beyond gives way to
    one from the corner.

    Args:
        triangles: [F, 3]; vertices below ``face_count`` are on the rim.
        face_count: number of vertices of the face.
    """
    result = [tuple(triangle) for triangle in triangles.tolist()]
    owner = {edge: i for i, triangle in enumerate(result) for edge in _edges(triangle)}

    # Twice, because beyond a corner another one may lie, which has to go first.
    corners = np.flatnonzero((triangles < face_count).all(axis=1))
    for i in np.tile(corners, 2):
        if max(result[i]) >= face_count:
            continue
        for start, end in _edges(result[i]):
            beyond = owner.get((end, start))
            if beyond is None or max(result[beyond]) < face_count:
                continue
            (corner,) = set(result[i]) - {start, end}
            (apex,) = set(result[beyond]) - {start, end}
            del owner[start, end], owner[end, start]
            for place, triangle in ((i, (end, corner, apex)), (beyond, (corner, start, apex))):
                result[place] = triangle
                owner.update((edge, place) for edge in _edges(triangle))
            break
    return np.array(result, triangles.dtype)


def _edges(triangle: Sequence[int]) -> List[Tuple[int, int]]:
    return [(triangle[k], triangle[(k + 1) % 3]) for k in range(3)]


def _pull_shares(
    triangles: np.ndarray, sources: np.ndarray, face_count: int, own_count: int
) -> np.ndarray:
    """Return the share of the movement of each source that a vertex follows, [M, sources].

    Shares are harmonic: 1 at the source itself, and 0 from :data:`_PULL_STEPS` edges away.
    """
    # 1. the graph of the vertices, and those near a source
    count = face_count + own_count
    links = (vertex_connectivity(triangles, count) > 0).astype(np.float64)
    near = np.zeros(count)
    near[sources] = 1
    for _ in range(_PULL_STEPS - 1):
        near = near + links.dot(near)
    is_source = np.zeros(count, bool)
    is_source[sources] = True
    free = np.flatnonzero((near > 0) & ~is_source)

    # 2. each free vertex at the mean of its neighbors
    rows = links[free]
    laplacian = sp.diags(np.ravel(rows.sum(axis=1))) - rows[:, free]
    shares = np.zeros((count, len(sources)))
    shares[free] = scipy.sparse.linalg.splu(laplacian.tocsc()).solve(rows[:, sources].toarray())
    shares[sources, np.arange(len(sources))] = 1
    return shares[face_count:]
