"""Building the open face model: from CC0 assets to a ``FaceModel`` in BFM's frame and scale."""

from typing import Callable, NamedTuple, Optional, Tuple

import numpy as np
import scipy.sparse as sp

from face_model.model import FaceModel, vertex_triangle_table
from face_model.open_model.albedo import build_albedo_model
from face_model.open_model.assets import Assets, group_vertices
from face_model.open_model.expression import (
    ARKIT_BLENDSHAPES,
    EXPRESSION_NAMES,
    expression_displacements,
)
from face_model.open_model.head_mesh import SKIN, HeadMesh, build_head_mesh, symmetrize
from face_model.open_model.identity import build_identity_model
from face_model.open_model.landmarks import landmark_vertices, outline_vertices
from face_model.open_model.phenotypes import TargetSet, load_targets, neutral_weights
from face_model.open_model.regions import Regions
from geometry.landmark_layout import STANDARD_POINTS_3D, five_from_68
from geometry.normals import surface_normals
from geometry.similarity import fit_similarity

MODEL_NAME = "open face model 1 (MakeHuman, CC0)"
IDENTITY_COUNT, ALBEDO_COUNT = 80, 80  # as in the published system's BFM
HEAD_COUNT, SKIN_COUNT = 3000, 1200
SEED = 20190317

# MakeHuman's lips are a millimeter apart; this (negative) share of jawOpen makes them touch.
_JAW_CLOSING = -0.03
# MakeHuman's upper teeth end above the lip, and its tongue fills the gap between the teeth; these
# shifts make a smile show teeth, dm (x, y, z).
_ORAL_SHIFTS = (
    ("helper-upper-teeth", (0.0, -0.028, 0.0)),
    ("helper-tongue", (0.0, -0.05, -0.07)),
)


class Statistics(NamedTuple):
    """Quality measures of a built model."""

    identity_explained: float  # share of the variance of the random heads
    identity_residual: float  # dm, root mean square
    albedo_explained: float  # share of the weighted variance of the random skins


class Head(NamedTuple):
    """The average head before statistics.

    V is the number of base vertices that the head mesh uses.
    """

    mesh: HeadMesh  # its operator is [N, V]
    base: np.ndarray  # [V, 3] base mesh, dm, MakeHuman's coordinates
    neutral: np.ndarray  # [V, 3] average head
    mirror: np.ndarray  # [V]
    targets: TargetSet  # over the V vertices
    expressions: np.ndarray  # [64, V, 3] displacements


class _Frame(NamedTuple):
    """Scale and rotation from MakeHuman's coordinates to BFM's frame."""

    scale: float
    rotation: np.ndarray  # [3, 3], for row vectors


def build_open_face_model(
    assets: Assets,
    head_count: int = HEAD_COUNT,
    skin_count: int = SKIN_COUNT,
    seed: int = SEED,
    progress: Optional[Callable[[str], None]] = None,
) -> Tuple[FaceModel, Statistics]:
    """Build the open face model.

    Args:
        assets: an ``Assets``.
        head_count: random heads behind the identity components.
        skin_count: random skins behind the albedo components.
        seed: seed of both.
        progress: called with a line before each step, or None.

    Returns:
        (``FaceModel``, :class:`Statistics`).
    """
    announce = progress or (lambda text: None)
    announce("reading the base mesh and its targets")
    head = average_head(assets)

    announce("drawing {} heads".format(head_count))
    align, importance = _vertex_weights(head)
    identity = build_identity_model(
        head.neutral,
        head.base,
        head.targets,
        align,
        importance,
        head_count,
        IDENTITY_COUNT,
        seed,
    )
    landmarks = landmark_vertices(head.mesh)
    symmetric = head.mesh.operator.dot(symmetrize(identity.mean, head.mirror))
    mean, frame = _standard_frame(symmetric, landmarks)

    announce("painting {} skins".format(skin_count))
    triangles = head.mesh.triangles
    normals = surface_normals(mean, triangles)
    regions = Regions(mean, normals, head.mesh, outline_vertices(head.mesh), assets)
    albedo = build_albedo_model(regions, skin_count, ALBEDO_COUNT, seed + 1)

    front = regions.front()
    model = FaceModel(
        name=MODEL_NAME,
        mean_shape=mean.astype(np.float32),
        identity_basis=_fine_basis(head.mesh.operator, identity.basis, frame),
        expression_basis=_fine_basis(head.mesh.operator, _columns(head.expressions), frame),
        mean_albedo=albedo.mean,
        albedo_basis=albedo.basis,
        triangles=triangles.astype(np.int32),
        vertex_triangles=vertex_triangle_table(triangles, len(mean)),
        front_vertices=np.flatnonzero(front).astype(np.int32),
        front_triangles=triangles[front[triangles].all(axis=1)].astype(np.int32),
        landmarks=landmarks,
        skin_mask=regions.even_skin(),
        expression_names=EXPRESSION_NAMES,
    )
    residual = identity.residual * frame.scale
    return model, Statistics(identity.explained, residual, albedo.explained)


def average_head(assets: Assets) -> Head:
    """Return the :class:`Head`: mesh, average shape and all displacements of it."""
    # 1. targets and expressions of the whole body
    base = assets.base_mesh()
    count = len(base.vertices)
    targets = load_targets(assets, slice(None), count)
    expressions = expression_displacements(assets, count)

    # 2. the average shape, with closed lips
    jaw_open = expressions[ARKIT_BLENDSHAPES.index("jawOpen")].astype(np.float64)
    shape = base.vertices + _JAW_CLOSING * jaw_open
    for group, shift in _ORAL_SHIFTS:
        shape[group_vertices(base, group)] += shift
    average = np.tensordot(neutral_weights(targets), targets.displacements, 1)
    neutral = symmetrize(shape + average, base.mirror)

    # 3. the mesh of the head, and the base vertices that it uses
    mesh = build_head_mesh(base, neutral)
    used = np.flatnonzero(np.diff(mesh.operator.tocsc().indptr))
    row = np.full(count, -1)
    row[used] = np.arange(len(used))
    return Head(
        mesh=mesh._replace(operator=mesh.operator[:, used]),
        base=shape[used],
        neutral=neutral[used],
        mirror=row[base.mirror[used]],
        targets=targets._replace(displacements=targets.displacements[:, used]),
        expressions=expressions[:, used],
    )


def _vertex_weights(head: Head) -> Tuple[np.ndarray, np.ndarray]:
    """Return weights of the base vertices: in the alignment of heads, and in their variance.

    A base vertex has the weight of the model's vertices that it moves: those of the face's front in
    the alignment; all in the variance, hidden ones little.
    """
    position = head.mesh.operator.dot(head.neutral)
    visible = (head.mesh.part == SKIN).astype(np.float64)
    low, high = position[:, 1].min(), position[:, 1].max()
    front = visible * (position[:, 2] > 0.8) * (position[:, 1] > low + 0.15 * (high - low))
    importance = np.where(visible > 0, np.where(front > 0, 1.0, 0.35), 0.1)
    operator = abs(head.mesh.operator).T
    return operator.dot(front), operator.dot(importance)


def _standard_frame(points: np.ndarray, landmarks: np.ndarray) -> Tuple[np.ndarray, _Frame]:
    """Scale, rotate and center the mean face so that its five points are the standard ones.

    The decoder subtracts the centroid of the mean shape, so that centroid becomes the origin; with
    the crop of this mesh the five points still match the standard ones then.

    Returns:
        points [N, 3], and the :class:`_Frame` for displacements.
    """
    # BFM's left and right points differ by a few tenths of a millimeter; the frame is symmetric.
    mirrored = STANDARD_POINTS_3D[[1, 0, 2, 4, 3]] * [-1.0, 1.0, 1.0]
    standard = (STANDARD_POINTS_3D + mirrored) / 2
    scale, rotation, translation = fit_similarity(five_from_68(points[landmarks]), standard)
    placed = scale * points.dot(rotation) + translation
    return placed - placed.mean(axis=0), _Frame(float(scale), rotation)


def _columns(displacements: np.ndarray) -> np.ndarray:
    return displacements.reshape(len(displacements), -1).T


def _fine_basis(operator: sp.csr_matrix, basis: np.ndarray, frame: _Frame) -> np.ndarray:
    """Convert a basis [3V, K] of the base mesh to the model's vertices and frame, [3N, K]."""
    components = basis.shape[1]
    fields = operator.dot(basis.reshape(operator.shape[1], 3 * components))
    fields = fields.reshape(-1, 3, components)
    fine = np.einsum("njk,jl->nlk", fields, frame.scale * frame.rotation)
    return fine.reshape(-1, components).astype(np.float32)
