"""The mesh of FLAME, and where its vertices lie on the head of a face model.

FLAME (Li et al., "Learning a model of facial shape and expression from 4D scans", SIGGRAPH Asia
2017) is not part of this repository; the user brings its file. Its mesh, bent by its own shape
components and then smoothly, is laid onto the average head; each of its vertices keeps its place on
that surface, whoever the face is and whatever it does.
"""

import os
from typing import NamedTuple, Optional, Tuple

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg

from face_model.anatomy import LEFT_EYE_LANDMARKS, RIGHT_EYE_LANDMARKS, find_anatomy
from face_model.model import FaceModel
from geometry.closest_points import SurfaceSearch, barycentric_of_closest
from geometry.connectivity import boundary_loops, connected_parts, vertex_connectivity
from geometry.normals import surface_normals
from geometry.similarity import fit_similarity
from utils.errors import InputError
from utils.numpy_files import read_npz
from utils.paths import BFM_DIR
from utils.pickle_files import read_pickled_arrays

FLAME_FILES = ("flame2023_Open.pkl", "flame2023.pkl", "generic_model.pkl", "flame.npz")
FLAME_HELP = "FLAME's file (.pkl or .npz) for --as flame; default: the first in BFM/ of {}".format(
    ", ".join(FLAME_FILES)
)
_NOSE, _EYE_LANDMARKS = 30, 6  # landmark; number of those of an eye
_COMPONENTS = 100  # of FLAME's shape that bend its average to that of the face model
_STEPS = 20  # of bending
_STIFFNESS = 0.02  # of the components, relative to the squared distances in dm
_SMOOTHNESS = 4.0  # of the movement that follows, relative to the distances
_FARTHEST = (0.4, 0.1)  # dm; points farther apart do not correspond: at first, and at last
_AGREEING = 0.5  # cosine between the normals of corresponding points, at least


class Flame(NamedTuple):
    """The part of FLAME's file that its mesh needs. V vertices, meters."""

    template: np.ndarray  # [V, 3] float64
    shape_basis: np.ndarray  # [V, 3, K] float64
    triangles: np.ndarray  # [F, 3] int64


class FlameMap(NamedTuple):
    """Where FLAME's V vertices lie on a head of N vertices."""

    weights: sp.csr_matrix  # [V, N], rows add up to 1
    offsets: np.ndarray  # [V, 3] dm from there, in the frame of the face model
    triangles: np.ndarray  # [F, 3] int32
    on_face: np.ndarray  # [V] bool, vertices with a counterpart on the surface
    residual: np.ndarray  # distances of these from the surface of the average head, dm


def find_flame(path: Optional[str] = None, folder: str = BFM_DIR) -> Flame:
    """Read FLAME's file.

    Args:
        path: the file; None for one of :data:`FLAME_FILES` in ``folder``.
        folder: the data folder with the models.

    Raises:
        InputError: there is no such file, or it is not FLAME's.
    """
    if not path:
        places = [os.path.join(folder, name) for name in FLAME_FILES]
        path = next((place for place in places if os.path.isfile(place)), None)
    if not path:
        raise InputError(
            "--as flame: {} holds none of {}; download FLAME 2023 Open from "
            "https://flame.is.tue.mpg.de, or give --flame FILE".format(
                folder, ", ".join(FLAME_FILES)
            )
        )
    names = ("v_template", "shapedirs", "f")
    fields = read_npz(path, names) if path.endswith(".npz") else read_pickled_arrays(path)
    missing = [name for name in names if name not in fields]
    if missing:
        raise InputError("{}: not FLAME's file, {} is missing".format(path, missing[0]))
    flame = Flame(
        np.asarray(fields["v_template"], np.float64),
        np.asarray(fields["shapedirs"], np.float64),
        np.asarray(fields["f"], np.int64),
    )
    _validate(flame, path)
    return flame


def _validate(flame: Flame, path: str) -> None:
    count = len(flame.template)
    fits = flame.template.shape == (count, 3) and flame.triangles.shape[1:] == (3,)
    fits = fits and flame.shape_basis.shape[:2] == (count, 3) and flame.shape_basis.ndim == 3
    if (
        not fits
        or not np.isfinite(flame.template).all()
        or not np.isfinite(flame.shape_basis).all()
    ):
        raise InputError("{}: the sizes of FLAME's fields do not fit each other".format(path))
    if flame.triangles.min() < 0 or flame.triangles.max() >= count:
        raise InputError("{}: f has indices of vertices that are not there".format(path))
    if len(connected_parts(flame.triangles, count)) < 3:
        raise InputError("{}: a head with two eyeballs is expected".format(path))


def map_flame(flame: Flame, head: FaceModel) -> FlameMap:
    """Lay FLAME's mesh onto the average head of a face model.

    Args:
        flame: FLAME's mesh.
        head: the face model, of the whole head where there is one.

    Raises:
        InputError: libigl is not installed.
    """
    # 1. the parts of both: eyeballs of the left (+x) and the right side, and the rest
    target = head.mean_shape.astype(np.float64)
    skin, *others = connected_parts(flame.triangles, len(flame.template))
    eyes = sorted(others[:2], key=lambda part: -flame.template[part, 0].mean())
    anatomy = find_anatomy(head)
    own_eyes = [
        np.flatnonzero(mask) if mask.any() else head.landmarks[rows]
        for mask, rows in (
            (anatomy.left_eye, LEFT_EYE_LANDMARKS),
            (anatomy.right_eye, RIGHT_EYE_LANDMARKS),
        )
    ]

    # 2. similarity by eyes and tip of the nose
    tip = skin[flame.template[skin, 2].argmax()]
    ends = [flame.template[part].mean(axis=0) for part in eyes] + [flame.template[tip]]
    goals = [_eye_center(target[part]) for part in own_eyes] + [target[head.landmarks[_NOSE]]]
    start = fit_similarity(np.array(ends), np.array(goals))
    turn = float(start.scale) * start.rotation
    basis = np.einsum("vik,ij->vjk", flame.shape_basis[..., :_COMPONENTS], turn)

    # 3. bent by FLAME's own components, then smoothly
    triangles = head.triangles[(anatomy.skin | anatomy.mouth)[head.triangles].all(axis=1)]
    surface = _Surface(target, triangles)
    faces = flame.triangles[np.isin(flame.triangles[:, 0], skin)]
    points = _bend(start.apply(flame.template), basis, skin, faces, surface)
    points, on_face = _relax(points, skin, faces, surface)

    # 4. each vertex at its closest point of the surface, eyeballs as a whole
    distances, weights = surface.closest_weights(points)
    for part, own in zip(eyes, own_eyes):
        mean = sp.csr_matrix(
            (np.full(len(own), 1 / len(own)), (np.zeros(len(own)), own)), shape=(1, len(target))
        )
        weights[part] = sp.vstack([mean] * len(part))
    weights = weights.tocsr()
    return FlameMap(
        weights=weights,
        offsets=points - weights.dot(target),
        triangles=flame.triangles.astype(np.int32),
        on_face=on_face,
        residual=distances[on_face],
    )


class _Surface:
    """The surface that FLAME's mesh is laid onto.

    Args:
        vertices: [N, 3] of a head, dm.
        triangles: [F, 3] of the surface.
    """

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        self._vertices, self._triangles = vertices, triangles
        self._normals = surface_normals(vertices, triangles)
        self._search = SurfaceSearch(vertices, triangles)
        # What is closest to a point of the outline says nothing about what lies beyond it.
        self._on_outline = np.zeros(len(vertices), bool)
        for loop in boundary_loops(triangles):
            self._on_outline[loop] = True

    def counterparts(
        self, points: np.ndarray, normals: np.ndarray, farthest: float
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Return the closest point of each point [n, 3], and [n] bool: whether they correspond."""
        distances, closest, index = self._search.find(points)
        corners = self._triangles[index]
        facing = np.einsum("nk,nk->n", self._normals[corners].mean(axis=1), normals)
        inside = ~self._on_outline[corners].any(axis=1)
        return closest, inside & (distances < farthest) & (facing > _AGREEING)

    def closest_weights(self, points: np.ndarray) -> Tuple[np.ndarray, sp.lil_matrix]:
        """Return the distance [n] and the weights [n, N] of the closest point of each point."""
        distances, closest, index = self._search.find(points)
        corners = self._triangles[index]
        weights = barycentric_of_closest(closest, self._vertices[corners])
        rows = np.repeat(np.arange(len(points)), 3)
        entries = (weights.ravel(), (rows, corners.ravel()))
        return distances, sp.csr_matrix(entries, (len(points), len(self._vertices))).tolil()


def _bend(
    points: np.ndarray, basis: np.ndarray, skin: np.ndarray, faces: np.ndarray, surface: _Surface
) -> np.ndarray:
    """Return FLAME's vertices [V, 3] bent by its components, and moved, onto a surface.

    Args:
        points: [V, 3] dm, placed on the surface by a similarity.
        basis: [V, 3, K] components.
        skin: FLAME's vertices without the eyeballs.
        faces: their triangles.
        surface: the surface.
    """
    coefficients, bent = np.zeros(basis.shape[2]), points
    for farthest in np.linspace(_FARTHEST[0], _FARTHEST[1], _STEPS):
        # 1. pairs, and the similarity between them
        normals = surface_normals(bent, faces)[skin]
        closest, paired = surface.counterparts(bent[skin], normals, farthest)
        rows, goals = skin[paired], closest[paired]
        motion = fit_similarity(bent[rows], goals)
        points = motion.apply(points)
        basis = np.einsum("vik,ij->vjk", basis, float(motion.scale) * motion.rotation)

        # 2. the components, in regularized least squares
        design = basis[rows].reshape(-1, basis.shape[2])
        normal = design.T.dot(design) + _STIFFNESS * np.eye(len(coefficients))
        coefficients = np.linalg.solve(normal, design.T.dot((goals - points[rows]).ravel()))
        bent = points + basis.dot(coefficients)
    return bent


def _relax(
    points: np.ndarray, skin: np.ndarray, faces: np.ndarray, surface: _Surface
) -> Tuple[np.ndarray, np.ndarray]:
    """Return FLAME's vertices moved smoothly towards a surface, and which have a counterpart there.

    Arguments of :func:`_bend`.
    """
    # 1. the Laplacian of FLAME's mesh
    count = len(points)
    links = (vertex_connectivity(faces, count) > 0).astype(np.float64)
    laplacian = sp.diags(np.ravel(links.sum(axis=1))) - links
    smooth = laplacian.dot(laplacian)

    # 2. movements that are as smooth as possible and end near the surface, less and less stiff
    on_face = np.zeros(count, bool)
    for smoothness in (_SMOOTHNESS, _SMOOTHNESS / 4, _SMOOTHNESS / 16):
        normals = surface_normals(points, faces)[skin]
        closest, paired = surface.counterparts(points[skin], normals, _FARTHEST[1])
        on_face[skin] = paired
        moved = np.zeros_like(points)
        moved[skin] = (closest - points[skin]) * paired[:, np.newaxis]
        system = sp.diags(on_face + 1e-6) + smoothness * smooth
        points = points + scipy.sparse.linalg.splu(system.tocsc()).solve(moved)
    return points, on_face


def _eye_center(points: np.ndarray) -> np.ndarray:
    """Return the center [3] of the sphere through points [n, 3], or of the six landmarks."""
    if len(points) == _EYE_LANDMARKS:
        return points.mean(axis=0)
    design = np.column_stack([2 * points, np.ones(len(points))])
    return np.linalg.lstsq(design, np.sum(points**2, axis=1), rcond=None)[0][:3]
