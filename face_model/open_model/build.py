"""Building the open face model: from CC0 assets to a ``FaceModel`` in BFM's frame and scale."""

from typing import Callable, NamedTuple, Optional, Tuple

import numpy as np
import scipy.sparse as sp

from face_model.head import HeadExtension
from face_model.model import FaceModel, vertex_triangle_table
from face_model.open_model.albedo import build_albedo_model
from face_model.open_model.assets import Assets, group_vertices
from face_model.open_model.expression import (
    ARKIT_BLENDSHAPES,
    EXPRESSION_NAMES,
    expression_displacements,
)
from face_model.open_model.head_mesh import SKIN, HeadMesh, build_head_mesh, symmetrize
from face_model.open_model.identity import build_identity_model, extend_identity
from face_model.open_model.landmarks import landmark_vertices, outline_vertices
from face_model.open_model.outer_head import OuterMesh, build_outer_mesh
from face_model.open_model.phenotypes import TargetSet, load_targets, neutral_weights
from face_model.open_model.regions import Regions
from geometry.landmark_layout import STANDARD_POINTS_3D, five_from_68
from geometry.normals import surface_normals
from geometry.similarity import Similarity, fit_similarity

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


class BaseHead(NamedTuple):
    """The average head, and what moves it, on V vertices of the base mesh."""

    vertices: np.ndarray  # [V] numbers of these vertices in the base mesh
    base: np.ndarray  # [V, 3] base mesh, dm, MakeHuman's coordinates
    neutral: np.ndarray  # [V, 3] average head
    mirror: np.ndarray  # [V]
    targets: TargetSet  # over the V vertices
    expressions: np.ndarray  # [64, V, 3] displacements


class Head(NamedTuple):
    """The average head before statistics: the face, and what surrounds it."""

    mesh: HeadMesh  # of the face, its operator [N, V] over the vertices of ``face``
    face: BaseHead
    outer: OuterMesh  # its operator is over the vertices of ``whole``
    whole: BaseHead


def build_open_face_model(
    assets: Assets,
    head_count: int = HEAD_COUNT,
    skin_count: int = SKIN_COUNT,
    seed: int = SEED,
    progress: Optional[Callable[[str], None]] = None,
) -> Tuple[FaceModel, HeadExtension, Statistics]:
    """Build the open face model.

    Args:
        assets: an ``Assets``.
        head_count: random heads behind the identity components.
        skin_count: random skins behind the albedo components.
        seed: seed of both.
        progress: called with a line before each step, or None.

    Returns:
        (``FaceModel``, its ``HeadExtension``, :class:`Statistics`).
    """
    announce = progress or (lambda text: None)
    announce("reading the base mesh and its targets")
    head = average_head(assets)

    announce("drawing {} heads".format(head_count))
    align, importance = _vertex_weights(head)
    face = head.face
    identity = build_identity_model(
        face.neutral,
        face.base,
        face.targets,
        align,
        importance,
        head_count,
        IDENTITY_COUNT,
        seed,
    )
    landmarks = landmark_vertices(head.mesh)
    symmetric = head.mesh.operator.dot(symmetrize(identity.mean, face.mirror))
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
        expression_basis=_fine_basis(head.mesh.operator, _columns(face.expressions), frame),
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
    statistics = Statistics(identity.explained, residual, albedo.explained)
    return model, _extend(head, model, align, identity.scores, frame, seed), statistics


def _extend(
    head: Head,
    model: FaceModel,
    align: np.ndarray,
    scores: np.ndarray,
    frame: Similarity,
    seed: int,
) -> HeadExtension:
    """Return what surrounds the face.

    Args:
        head: the average head.
        model: the face model of its face.
        align: [V] weights of the vertices of ``head.face`` in the alignment of heads.
        scores: coefficients of the random heads.
        frame: from MakeHuman's coordinates to those of the model.
        seed: seed of the random heads.
    """
    # 1. the same heads on more vertices
    whole, outer = head.whole, head.outer
    align_whole = np.zeros(len(whole.vertices))
    align_whole[np.searchsorted(whole.vertices, head.face.vertices)] = align
    mean, basis = extend_identity(
        whole.neutral, whole.base, whole.targets, align_whole, scores, seed
    )
    mean = frame.apply(outer.operator.dot(symmetrize(mean, whole.mirror)))
    identity = _fine_basis(outer.operator, basis, frame)
    expression = _fine_basis(outer.operator, _columns(whole.expressions), frame)

    # 2. what adjoins the rim of the face follows it
    def attach(face: np.ndarray, rest: np.ndarray) -> np.ndarray:
        count = len(outer.pull)
        face = face.reshape(model.vertex_count, -1)[outer.rim]
        rest = rest.reshape(count + len(outer.rim), -1)
        return (rest[:count] + outer.pull.dot(face - rest[count:])).astype(np.float32)

    return HeadExtension(
        face_fingerprint=model.fingerprint(),
        mean_shape=attach(model.mean_shape, mean),
        identity_basis=attach(model.identity_basis, identity).reshape(-1, model.identity_count),
        expression_basis=attach(model.expression_basis, expression).reshape(
            -1, model.expression_count
        ),
        triangles=outer.triangles.astype(np.int32),
    )


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

    # 3. the mesh of the face, that around it, and the base vertices that they use
    mesh = build_head_mesh(base, neutral)
    outer = build_outer_mesh(base, neutral, mesh)

    def restrict(*operators: sp.csr_matrix) -> BaseHead:
        used = np.flatnonzero(sum(np.diff(operator.tocsc().indptr) for operator in operators))
        row = np.full(count, -1)
        row[used] = np.arange(len(used))
        return BaseHead(
            vertices=used,
            base=shape[used],
            neutral=neutral[used],
            mirror=row[base.mirror[used]],
            targets=targets._replace(displacements=targets.displacements[:, used]),
            expressions=expressions[:, used],
        )

    face, whole = restrict(mesh.operator), restrict(mesh.operator, outer.operator)
    return Head(
        mesh=mesh._replace(operator=mesh.operator[:, face.vertices]),
        face=face,
        outer=outer._replace(operator=outer.operator[:, whole.vertices]),
        whole=whole,
    )


def _vertex_weights(head: Head) -> Tuple[np.ndarray, np.ndarray]:
    """Return weights of the base vertices: in the alignment of heads, and in their variance.

    A base vertex has the weight of the model's vertices that it moves: those of the face's front in
    the alignment; all in the variance, hidden ones little.
    """
    position = head.mesh.operator.dot(head.face.neutral)
    visible = (head.mesh.part == SKIN).astype(np.float64)
    low, high = position[:, 1].min(), position[:, 1].max()
    front = visible * (position[:, 2] > 0.8) * (position[:, 1] > low + 0.15 * (high - low))
    importance = np.where(visible > 0, np.where(front > 0, 1.0, 0.35), 0.1)
    operator = abs(head.mesh.operator).T
    return operator.dot(front), operator.dot(importance)


def _standard_frame(points: np.ndarray, landmarks: np.ndarray) -> Tuple[np.ndarray, Similarity]:
    """Scale, rotate and center the mean face so that its five points are the standard ones.

    The decoder subtracts the centroid of the mean shape, so that centroid becomes the origin; with
    the crop of this mesh the five points still match the standard ones then.

    Returns:
        points [N, 3], and the map from MakeHuman's coordinates to them.
    """
    # BFM's left and right points differ by a few tenths of a millimeter; the frame is symmetric.
    mirrored = STANDARD_POINTS_3D[[1, 0, 2, 4, 3]] * [-1.0, 1.0, 1.0]
    standard = (STANDARD_POINTS_3D + mirrored) / 2
    scale, rotation, translation = fit_similarity(five_from_68(points[landmarks]), standard)
    placed = scale * points.dot(rotation) + translation
    center = placed.mean(axis=0)
    return placed - center, Similarity(float(scale), rotation, translation - center)


def _columns(displacements: np.ndarray) -> np.ndarray:
    return displacements.reshape(len(displacements), -1).T


def _fine_basis(operator: sp.csr_matrix, basis: np.ndarray, frame: Similarity) -> np.ndarray:
    """Convert a basis [3V, K] of the base mesh to the model's vertices and frame, [3N, K]."""
    components = basis.shape[1]
    fields = operator.dot(basis.reshape(operator.shape[1], 3 * components))
    fields = fields.reshape(-1, 3, components)
    fine = np.einsum("njk,jl->nlk", fields, frame.scale * frame.rotation)
    return fine.reshape(-1, components).astype(np.float32)
