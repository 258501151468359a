"""People from outside the face model: the populations that ``benchmarks.people`` draws from.

A population is a ``FaceModel`` of its own, so that all of ``synthesis`` can draw its faces:

- ICT-FaceKit's identities and expressions (light-stage scans), with the albedo and the eyes of our
  model transferred by closest surface;
- without that file our model's own people, deformed smoothly outside of its span: a Gaussian
  process over the surface, after Luethi et al., "Gaussian Process Morphable Models" (PAMI 2018);
- any other face model, as it is.
"""

import os
from typing import NamedTuple, Tuple

import numpy as np
import scipy.sparse

from evaluation.scan_distance import (
    SEVEN_FROM_68,
    Mesh,
    in_face_region,
)
from face_model import FaceModel, read_face_model
from face_model.anatomy import LEFT_EYE_LANDMARKS, RIGHT_EYE_LANDMARKS, find_anatomy
from face_model.ict.build import arkit_name
from face_model.ict.transfer import transfer_basis
from face_model.model import neutral_shape, vertex_triangle_table
from geometry.camera import MILLIMETERS_PER_DM
from geometry.closest_points import (
    SurfaceSearch,
    barycentric_of_closest,
    interpolation_matrix,
)
from geometry.similarity import fit_similarity
from synthesis.sampling import typical_identity
from utils.errors import InputError
from utils.numpy_files import read_npz

_ICT_FIELDS = (
    "neutral",
    "identity",
    "expression",
    "expression_names",
    "triangles",
    "landmarks68",
)
_ICT_UNIT = 0.1  # dm: the file is in centimeters
_NARROW_FACE = 6706  # ICT-FaceKit's first vertices: the face without ears, sockets and neck
_CELL, _THICKNESS = 0.02, 0.06  # dm, see outer_triangles
_REACH = 0.12  # dm around our model's surface, beyond which ICT's head is not drawn
_BELOW_CHIN = 0.08  # dm, where it ends too: synthesis paints necks

# The Gaussian process: two kernels of (length, standard deviation) in dm. Our model fitted to such
# a person leaves a third of the mean face's distance; to ICT-FaceKit's people it leaves half.
_KERNELS = ((0.6, 0.03), (0.25, 0.015))
_WAVES = 120  # random Fourier features of each kernel
_MODES = 60  # of the process
_DRAWS = 100  # that its modes are found from

# Fitting our model to a scan: standard deviation of a point, and how many points are independent.
_POINT_NOISE, _INDEPENDENT_POINTS = 0.01, 150.0  # dm
_SLIDING = 0.1  # weight of the distance along the surface, relative to that across it
_FIT_ROUNDS = 8


class Population(NamedTuple):
    """People that are drawn, and measured."""

    name: str
    model: FaceModel  # of the people: their identities are ``mean_identity`` plus unit normals
    mean_identity: np.ndarray  # [identities]
    scan_vertices: np.ndarray  # [S] indices, of the vertices that their scans consist of

    def scan(self, identity: np.ndarray) -> Tuple[Mesh, np.ndarray]:
        """Return the scan of a person with neutral expression, and its 68 landmarks; mm.

        Args:
            identity: [identities].
        """
        shape = neutral_millimeters(self.model, identity)
        number = np.full(self.model.vertex_count, -1)
        number[self.scan_vertices] = np.arange(len(self.scan_vertices))
        triangles = number[self.model.triangles]
        triangles = triangles[(triangles >= 0).all(axis=1)]
        return Mesh(shape[self.scan_vertices], triangles), shape[self.model.landmarks]


def neutral_millimeters(model: FaceModel, identity: np.ndarray) -> np.ndarray:
    """Return the vertices of a face without expression, [N, 3] mm."""
    shape = neutral_shape(model, np.asarray(identity, np.float32))
    return MILLIMETERS_PER_DM * shape.astype(np.float64)


def load_population(path: str, model: FaceModel) -> Population:
    """Return the people of a file, or deformed people of a model.

    Args:
        path: ``.npz`` with ICT-FaceKit's model, ``.mat`` of a face model, or "" for people of
            ``model`` deformed by a Gaussian process.
        model: our face model.

    Raises:
        InputError: the file is missing or damaged.
    """
    if not path:
        return _deformed_population(model)
    if path.endswith(".npz"):
        return _ict_population(path, model)
    other = read_face_model(path)
    return Population(
        os.path.basename(path), other, np.zeros(other.identity_count), outer_face(other)
    )


def fit_to_scan(model: FaceModel, scan: Mesh, landmarks: np.ndarray) -> np.ndarray:
    """Return the identity [identities] with which a model comes closest to a neutral scan.

    Amberg et al., "Expression invariant 3D face recognition with a Morphable Model" (FG 2008),
    without expression: nearest points of the surface, then regularized least squares in identity.

    Args:
        model: face model.
        scan: the scan, mm.
        landmarks: [68, 3] of the scan, mm.
    """
    # 1. points of the scan's face region, dm, and the model
    seven = landmarks[list(SEVEN_FROM_68)]
    points = scan.vertices[in_face_region(scan.vertices, seven)] / MILLIMETERS_PER_DM
    points = points[:: max(1, len(points) // 3000)]
    triangles = outer_triangles(model)
    basis = model.identity_basis.astype(np.float64).reshape(model.vertex_count, 3, -1)
    identity = np.zeros(model.identity_count)
    shape = model.mean_shape.astype(np.float64)
    motion = fit_similarity(landmarks / MILLIMETERS_PER_DM, shape[model.landmarks], False)

    for _ in range(_FIT_ROUNDS):
        # 2. nearest points of the model's surface, and the motion of the scan onto them
        moved = motion.apply(points)
        _, nearest, found = SurfaceSearch(shape, triangles).find(moved)
        motion = fit_similarity(points, nearest, False)
        moved = motion.apply(points)

        # 3. identity, by the distance across the surface and, less, along it
        corners = triangles[found]
        shares = barycentric_of_closest(nearest, shape[corners])
        local = np.einsum("pc,pcdk->pdk", shares, basis[corners])
        start = np.einsum("pc,pcd->pd", shares, model.mean_shape[corners].astype(np.float64))
        edges = shape[corners]
        normals = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        across = np.einsum("pd,pdk->pk", normals, local)
        target = np.sum(normals * (moved - start), axis=1)
        design = np.concatenate([across, _SLIDING * local.reshape(-1, local.shape[2])])
        wanted = np.concatenate([target, _SLIDING * (moved - start).reshape(-1)])
        precision = _INDEPENDENT_POINTS / len(points) / _POINT_NOISE**2
        identity = np.linalg.solve(
            precision * design.T.dot(design) + np.eye(design.shape[1]),
            precision * design.T.dot(wanted),
        )
        shape = model.mean_shape + basis.dot(identity)
    return identity


def near_triangles(model: FaceModel, margin: float = 1.25) -> np.ndarray:
    """Return the triangles of a model within its enlarged face region: distances to it are quick.

    Args:
        model: face model.
        margin: radius, relative to that of the region.
    """
    seven = model.mean_shape[model.landmarks[list(SEVEN_FROM_68)]]
    center = seven[4]
    inside = in_face_region(center + (model.mean_shape - center) / margin, seven)
    return model.triangles[inside[model.triangles].any(axis=1)]


def outer_triangles(model: FaceModel) -> np.ndarray:
    """Return the triangles of a model that can be seen from the front, without the mouth's inside.

    They are those with a vertex at most :data:`_THICKNESS` behind the foremost one at its place.
    """
    points = model.mean_shape.astype(np.float64)
    cells = np.round((points[:, :2] - points[:, :2].min(axis=0)) / _CELL).astype(int)
    cells = cells[:, 0] * (cells[:, 1].max() + 1) + cells[:, 1]
    foremost = np.full(cells.max() + 1, -np.inf)
    np.maximum.at(foremost, cells, points[:, 2])
    seen = points[:, 2] >= foremost[cells] - _THICKNESS
    return model.triangles[seen[model.triangles].all(axis=1)]


def outer_face(model: FaceModel) -> np.ndarray:
    """Return the vertices of a model's front region that a scanner would see."""
    return np.intersect1d(model.front_vertices, outer_triangles(model))


def _deformed_population(model: FaceModel) -> Population:
    """Return people of a model whose identity has modes of a Gaussian process outside its span."""
    # 1. draws of the process, symmetric as faces mostly are
    random = np.random.RandomState(0)
    points = model.mean_shape.astype(np.float64)
    mirrored = points * [-1, 1, 1]
    draws = np.zeros((len(points), _DRAWS, 3))
    for length, deviation in _KERNELS:
        frequencies = random.normal(0, 1 / length, (3, _WAVES))
        phases = random.uniform(0, 2 * np.pi, _WAVES)
        weights = random.normal(0, deviation * np.sqrt(1.0 / _WAVES), (_WAVES, _DRAWS * 3))
        for place, signs in ((points, (1, 1, 1)), (mirrored, (-1, 1, 1))):
            waves = np.cos(place.dot(frequencies) + phases).dot(weights)
            draws += waves.reshape(draws.shape) * signs

    # 2. their parts outside of the span of the identities
    identities = model.identity_basis.astype(np.float64)
    flat = draws.transpose(0, 2, 1).reshape(-1, _DRAWS)
    inside = np.linalg.pinv(identities.T.dot(identities)).dot(identities.T.dot(flat))
    outside = flat - identities.dot(inside)

    # 3. modes: principal components of the draws
    u, values, _ = np.linalg.svd(outside, full_matrices=False)
    modes = u[:, :_MODES] * (values[:_MODES] / np.sqrt(_DRAWS))
    people = model._replace(
        name="{}, deformed".format(model.name),
        identity_basis=np.concatenate([model.identity_basis, modes], axis=1).astype(np.float32),
    )
    mean = np.concatenate([typical_identity(model), np.zeros(modes.shape[1])])
    return Population(people.name, people, mean, outer_face(model))


def _ict_population(path: str, model: FaceModel) -> Population:
    """Return ICT-FaceKit's people with the albedo and the eyes of a model."""
    # 1. the file, in decimeters
    fields = read_npz(path, _ICT_FIELDS)
    missing = [name for name in _ICT_FIELDS if name not in fields]
    if missing:
        raise InputError("{}: holds no {}; give ICT-FaceKit's model".format(path, missing[0]))
    neutral = _ICT_UNIT * fields["neutral"].astype(np.float64)
    landmarks = fields["landmarks68"].astype(np.int64)
    # Upright as our mean face is, which the poses that synthesis draws are meant for.
    upright = fit_similarity(neutral[landmarks], model.mean_shape[model.landmarks], False)
    neutral = upright.apply(neutral)
    bases = [
        (_ICT_UNIT * fields[name].astype(np.float64).dot(upright.rotation)).transpose(1, 2, 0)
        for name in ("identity", "expression")
    ]

    # 2. our model, fitted to the mean face and moved onto it
    scan = Mesh(MILLIMETERS_PER_DM * neutral[:_NARROW_FACE], np.zeros((0, 3), int))
    identity = fit_to_scan(model, scan, MILLIMETERS_PER_DM * neutral[landmarks])
    fitted = neutral_millimeters(model, identity) / MILLIMETERS_PER_DM
    fitted = fit_similarity(fitted[model.landmarks], neutral[landmarks], False).apply(fitted)

    # 3. the part of the head that our model covers, and two eyes that move with the lids
    distances = SurfaceSearch(fitted, model.triangles).find(neutral)[0]
    triangles = fields["triangles"].astype(np.int64)
    drawn = (distances < _REACH) & (neutral[:, 1] > neutral[landmarks[8], 1] - _BELOW_CHIN)
    triangles = triangles[drawn[triangles].any(axis=1)]
    shapes, names = [neutral], [triangles]
    transfer = [interpolation_matrix(neutral, fitted, outer_triangles(model))]
    anatomy = find_anatomy(model)
    for lids, eye_mask in (
        (RIGHT_EYE_LANDMARKS, anatomy.right_eye),
        (LEFT_EYE_LANDMARKS, anatomy.left_eye),
    ):
        vertices = np.flatnonzero(eye_mask)
        count = sum(len(shape) for shape in shapes)
        number = np.full(model.vertex_count, -1)
        number[vertices] = count + np.arange(len(vertices))
        eye = number[model.triangles]
        shapes.append(fitted[vertices])
        names.append(eye[(eye >= 0).all(axis=1)])
        transfer.append(scipy.sparse.identity(model.vertex_count, format="csr")[vertices])
        motion = bases[0][landmarks[lids]].mean(axis=0)
        bases[0] = np.concatenate([bases[0], np.tile(motion, (len(vertices), 1, 1))])
        still = np.zeros((len(vertices),) + bases[1].shape[1:])
        bases[1] = np.concatenate([bases[1], still])

    # 4. the model of these people
    triangles = np.concatenate(names)
    shape = np.concatenate(shapes)
    matrix = scipy.sparse.vstack(transfer).tocsr()
    front = np.arange(_NARROW_FACE)
    people = FaceModel(
        name="ICT-FaceKit",
        mean_shape=shape.astype(np.float32),
        identity_basis=bases[0].reshape(3 * len(shape), -1).astype(np.float32),
        expression_basis=bases[1].reshape(3 * len(shape), -1).astype(np.float32),
        mean_albedo=matrix.dot(model.mean_albedo.astype(np.float64)).astype(np.float32),
        albedo_basis=transfer_basis(matrix, model.albedo_basis),
        triangles=triangles.astype(np.int32),
        vertex_triangles=vertex_triangle_table(triangles, len(shape)),
        front_vertices=front.astype(np.int32),
        front_triangles=triangles[(triangles < _NARROW_FACE).all(axis=1)].astype(np.int32),
        landmarks=landmarks.astype(np.int32),
        skin_mask=np.ones(len(shape), np.float32),
        expression_names=tuple(arkit_name(str(name)) for name in fields["expression_names"]),
    )
    return Population("ICT-FaceKit", people, np.zeros(people.identity_count), front)
