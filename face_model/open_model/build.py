"""Building the open face model: from CC0 assets to a ``FaceModel`` in BFM's frame and scale."""

from typing import NamedTuple

import numpy as np

from face_model.model import FaceModel, vertex_triangle_table
from face_model.open_model.albedo import albedo_model
from face_model.open_model.alignment import similarity
from face_model.open_model.assets import group_vertices
from face_model.open_model.expression import EXPRESSION_NAMES, FACIAL_ACTIONS, facial_displacements
from face_model.open_model.head_mesh import SKIN, build_head_mesh, symmetrise
from face_model.open_model.identity import identity_model
from face_model.open_model.landmarks import landmark_vertices, outline_vertices
from face_model.open_model.phenotypes import load_targets, neutral_weights
from face_model.open_model.regions import Regions
from geometry.landmarks import STANDARD_POINTS_3D, five_from_68
from geometry.normals import surface_normals

MODEL_NAME = "open face model 1 (MakeHuman, CC0)"
IDENTITY_COUNT, ALBEDO_COUNT = 80, 80  # as BFM in the published system
HEAD_COUNT, SKIN_COUNT = 3000, 1200
SEED = 20190317

# MakeHuman's lips stand a millimetre apart; this much of the jaw's opening, taken back, lets them touch.
_JAW_CLOSING = -0.03
# Its upper teeth end above the lip, and its tongue fills the gap between the teeth; a smile shows teeth, dm (x, y, z).
_ORAL_SHIFTS = (("helper-upper-teeth", (0.0, -0.028, 0.0)), ("helper-tongue", (0.0, -0.05, -0.07)))


class Statistics(NamedTuple):
    """What the build measured of its own model."""

    identity_explained: float  # share of the variance of the random heads
    identity_residual: float  # dm, root mean square
    albedo_explained: float  # share of the weighted variance of the random skins


class Head(NamedTuple):
    """The average head before statistics. V vertices of the base mesh that the head mesh uses."""

    mesh: NamedTuple  # HeadMesh, whose operator is [N, V] here
    base: np.ndarray  # [V, 3] base mesh, dm, MakeHuman's coordinates
    neutral: np.ndarray  # [V, 3] average head
    mirror: np.ndarray  # [V]
    targets: NamedTuple  # TargetSet over the V vertices
    expressions: np.ndarray  # [64, V, 3] displacements


def build_open_face_model(assets, head_count=HEAD_COUNT, skin_count=SKIN_COUNT, seed=SEED, progress=None):
    """Build the open face model.

    Args:
        assets: an ``Assets``.
        head_count: random heads behind the identity components.
        skin_count: random skins behind the albedo components.
        seed: of both.
        progress: called with a line before each step, or None.

    Returns:
        (``FaceModel``, :class:`Statistics`).
    """
    say = progress or (lambda text: None)
    say("reading the base mesh and its targets")
    head = average_head(assets)
    say("drawing {} heads".format(head_count))
    align, importance = _vertex_weights(head)
    identity = identity_model(head.neutral, head.base, head.targets, align, importance, head_count, IDENTITY_COUNT,
                              seed)
    landmarks = landmark_vertices(head.mesh)
    mean, frame = _standard_frame(head.mesh.operator.dot(symmetrise(identity.mean, head.mirror)), landmarks)
    say("painting {} skins".format(skin_count))
    triangles = head.mesh.triangles
    regions = Regions(mean, surface_normals(mean, triangles), head.mesh, outline_vertices(head.mesh), assets)
    albedo = albedo_model(regions, skin_count, ALBEDO_COUNT, seed + 1)
    front = regions.front()
    model = FaceModel(
        name=MODEL_NAME, mean_shape=mean.astype(np.float32),
        identity_basis=_fine_basis(head.mesh.operator, identity.basis, frame),
        expression_basis=_fine_basis(head.mesh.operator, _columns(head.expressions), frame),
        mean_albedo=albedo.mean, albedo_basis=albedo.basis, triangles=triangles.astype(np.int32),
        vertex_triangles=vertex_triangle_table(triangles, len(mean)),
        front_vertices=np.flatnonzero(front).astype(np.int32),
        front_triangles=triangles[front[triangles].all(axis=1)].astype(np.int32),
        landmarks=landmarks, skin_mask=regions.even_skin(), expression_names=EXPRESSION_NAMES)
    return model, Statistics(identity.explained, identity.residual * frame[0], albedo.explained)


def average_head(assets):
    """Return the :class:`Head`: mesh, average shape and everything that displaces it."""
    base = assets.base_mesh()
    count = len(base.vertices)
    targets = load_targets(assets, slice(None), count)
    expressions = facial_displacements(assets, count)
    closing = _JAW_CLOSING * expressions[FACIAL_ACTIONS.index("jawOpen")].astype(np.float64)
    shape = base.vertices + closing
    for group, shift in _ORAL_SHIFTS:
        shape[group_vertices(base, group)] += shift
    neutral = symmetrise(shape + np.tensordot(neutral_weights(targets), targets.displacements, 1), base.mirror)
    mesh = build_head_mesh(base, neutral)
    used = np.flatnonzero(np.diff(mesh.operator.tocsc().indptr))
    row = np.full(count, -1)
    row[used] = np.arange(len(used))
    return Head(
        mesh=mesh._replace(operator=mesh.operator[:, used]), base=shape[used], neutral=neutral[used],
        mirror=row[base.mirror[used]], targets=targets._replace(displacements=targets.displacements[:, used]),
        expressions=expressions[:, used])


def _vertex_weights(head):
    """Return weights of the base vertices: in the alignment of heads, and in their variance.

    A base vertex counts as much as the vertices of the model that it moves: those of the face's front in the
    alignment; all in the variance, hidden ones little.
    """
    position = head.mesh.operator.dot(head.neutral)
    visible = (head.mesh.part == SKIN).astype(np.float64)
    low, high = position[:, 1].min(), position[:, 1].max()
    front = visible * (position[:, 2] > 0.8) * (position[:, 1] > low + 0.15 * (high - low))
    operator = abs(head.mesh.operator).T
    return operator.dot(front), operator.dot(np.where(visible > 0, np.where(front > 0, 1.0, 0.35), 0.1))


def _standard_frame(points, landmarks):
    """Scale, turn and centre the mean face so that its five points are the standard ones.

    The decoder subtracts the mean over the vertices of the mean shape, so that mean is made the origin; the crop
    of the mesh is such that the five points then still lie where they should.

    Returns:
        (points [N, 3], (scale, rotation)) for the displacements.
    """
    # BFM's points differ by a few tenths of a millimetre between left and right; the frame does without that.
    mirrored = STANDARD_POINTS_3D[[1, 0, 2, 4, 3]] * [-1.0, 1.0, 1.0]
    scale, rotation, translation = similarity(five_from_68(points[landmarks]), (STANDARD_POINTS_3D + mirrored) / 2)
    placed = scale * points.dot(rotation) + translation
    return placed - placed.mean(axis=0), (float(scale), rotation)


def _columns(displacements):
    return displacements.reshape(len(displacements), -1).T


def _fine_basis(operator, basis, frame):
    """Carry a basis [3V, K] of the base mesh over to the model's vertices and frame, [3N, K] float32."""
    scale, rotation = frame
    components = basis.shape[1]
    fields = operator.dot(basis.reshape(operator.shape[1], 3 * components)).reshape(-1, 3, components)
    return np.einsum("njk,jl->nlk", fields, scale * rotation).reshape(-1, components).astype(np.float32)
