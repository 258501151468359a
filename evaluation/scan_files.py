"""Files of a measurement against scans: scans with landmarks, predicted meshes, lists of both."""

import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from evaluation.scan_distance import SEVEN_FROM_68, Mesh
from face_model.model import FaceModel, neutral_shape
from geometry.camera import MILLIMETERS_PER_DM
from geometry.landmark_layout import LANDMARK_COUNT
from utils.errors import InputError
from utils.mat_files import read_mat
from utils.numpy_files import all_within, read_npy

MILLIMETERS = {"mm": 1.0, "cm": 10.0, "dm": MILLIMETERS_PER_DM, "m": 1000.0}
MESH_EXTENSIONS = (".obj", ".ply", ".stl", ".off")
LANDMARK_EXTENSIONS = (".pp", ".txt", ".npy")
# NoW's folders and its list of photos.
_NOW_SCANS, _NOW_LANDMARKS, _NOW_LIST = "scans", "scans_lmks_onlypp", "imagepathsvalidation.txt"
_MESH_SUFFIX = "_mesh.obj"  # of the meshes that demo.py writes
_LARGEST_TEXT = 1 << 20  # bytes of a file of landmarks
_LARGEST_COORDINATE = 1e7  # mm
_LANDMARK_COUNTS = (len(SEVEN_FROM_68), LANDMARK_COUNT)
_PICKED_POINT = re.compile(r"<point\b([^>]*)>")
_ATTRIBUTE = re.compile(r"""\b([xyz])\s*=\s*["']([^"']*)["']""")


class ScanPair(NamedTuple):
    """A scan, and a mesh to be measured against it."""

    name: str  # of the prediction, for tables and pictures
    scan: str  # file
    landmarks: str  # file with the landmarks of the scan
    prediction: str  # path of the prediction without its extension


class Surface(NamedTuple):
    """A mesh in millimeters with its seven landmarks."""

    mesh: Mesh
    landmarks: np.ndarray  # [7, 3] mm


class PredictionReader:
    """Reads predictions: results of ``demo.py``, or meshes with landmark files.

    Args:
        model: the ``FaceModel`` of the results of ``demo.py``.
        unit: unit of other meshes, a key of :data:`MILLIMETERS`.
        neutral: read faces of results without their expression.
        refined: read refined meshes.
    """

    def __init__(
        self, model: FaceModel, unit: str = "mm", neutral: bool = False, refined: bool = False
    ) -> None:
        self._model = model
        self._factor = MILLIMETERS[unit]
        self._neutral = neutral
        self._field = "face_shape_refined" if refined else "face_shape"
        self._stem = "_refined" if refined else ""

    def read(self, stem: str) -> Surface:
        """Read ``STEM.mat``, ``STEM_mesh.obj``, or a mesh ``STEM.obj`` with its landmarks.

        Raises:
            InputError: none of these files exist, or they are damaged or of another face model.
        """
        if os.path.isfile(stem + ".mat"):
            return self._from_result(stem + ".mat")
        mesh = stem + self._stem + _MESH_SUFFIX
        if os.path.isfile(mesh):
            if self._neutral:
                raise InputError(
                    "{}: holds the expression of the photo; a neutral face needs the {}.mat of "
                    "demo.py beside it".format(mesh, os.path.basename(stem))
                )
            return self._from_vertices(read_mesh(mesh, MILLIMETERS_PER_DM).vertices, mesh)
        mesh = _existing(stem, MESH_EXTENSIONS, "a predicted mesh")
        landmarks = _existing(stem, LANDMARK_EXTENSIONS, "its landmarks")
        return Surface(read_mesh(mesh, self._factor), self._factor * read_landmarks(landmarks))

    def _from_result(self, path: str) -> Surface:
        """Read a NAME.mat of demo.py."""
        fields = read_mat(path)
        self._require_model(fields, path)
        if not self._neutral:
            if self._field not in fields:
                raise InputError(
                    "{}: holds no {}; give the output folder of demo.py{}".format(
                        path, self._field, " --refine" if self._stem else ""
                    )
                )
            return self._from_vertices(MILLIMETERS_PER_DM * fields[self._field], path)
        count = self._model.identity_count
        coefficients = np.ravel(fields.get("coeff", ()))
        if len(coefficients) < count or coefficients.dtype.kind not in "fiu":
            raise InputError("{}: holds no coeff of the face model".format(path))
        shape = neutral_shape(self._model, coefficients[:count])
        return self._from_vertices(MILLIMETERS_PER_DM * shape, path)

    def _require_model(self, fields: Dict[str, Any], path: str) -> None:
        """Raise an InputError if a result was made with another face model."""
        fingerprint = "".join(
            str(item) for item in np.ravel(fields.get("face_model_fingerprint", ""))
        )
        if fingerprint and fingerprint != self._model.fingerprint():
            raise InputError(
                "{}: was made with another face model than {}; name that by --face_model".format(
                    path, self._model.name
                )
            )

    def _from_vertices(self, vertices: np.ndarray, path: str) -> Surface:
        """Return the surface of a face model's vertices, [N, 3] mm."""
        vertices = np.asarray(vertices)
        if vertices.shape != self._model.mean_shape.shape or vertices.dtype.kind not in "fiu":
            raise InputError(
                "{}: its mesh has {} vertices and {} has {}; name its face model by "
                "--face_model".format(
                    path, len(vertices), self._model.name, self._model.vertex_count
                )
            )
        _require_finite(vertices, path)
        vertices = vertices.astype(np.float64)
        return Surface(
            Mesh(vertices, self._model.triangles),
            vertices[self._model.landmarks[list(SEVEN_FROM_68)]],
        )


def find_pairs(
    scans: str, predictions: str, image_list: Optional[str] = None
) -> Tuple[List[ScanPair], bool]:
    """List the scans of a folder with their predictions.

    Args:
        scans: the folder of NoW's data, or a folder of scans NAME.obj (.ply, .stl, .off), each with
            its landmarks NAME.pp, .txt or .npy.
        predictions: in NoW's layout SUBJECT/KIND/PHOTO.*; else NAME.* for each scan, or a folder
            NAME of several.
        image_list: NoW's list of photos, lines SUBJECT/KIND/PHOTO.jpg; by default
            imagepathsvalidation.txt in the folder of the scans.

    Returns:
        The pairs, and True if the layout is NoW's.

    Raises:
        InputError: a folder or the list is missing, or no scan is found.
    """
    for folder in (scans, predictions):
        if not os.path.isdir(folder):
            raise InputError("{}: no such folder; give an existing one".format(folder))
    if os.path.isdir(os.path.join(scans, _NOW_SCANS)):
        path = image_list or os.path.join(scans, _NOW_LIST)
        return [_now_pair(scans, predictions, line) for line in _read_lines(path)], True

    pairs = []
    for name in sorted(os.listdir(scans)):
        stem, extension = os.path.splitext(name)
        if extension.lower() in MESH_EXTENSIONS and not name.startswith("."):
            landmarks = _existing(os.path.join(scans, stem), LANDMARK_EXTENSIONS, "its landmarks")
            for prediction in _predictions_of(predictions, stem):
                pair = ScanPair(
                    os.path.relpath(prediction, predictions).replace(os.sep, "_"),
                    os.path.join(scans, name),
                    landmarks,
                    prediction,
                )
                pairs.append(pair)
    if not pairs:
        raise InputError(
            "{}: no scans here; put each as NAME.obj or NAME.ply beside its landmarks "
            "NAME.txt".format(scans)
        )
    return pairs, False


def read_surface(pair: ScanPair, unit: str) -> Surface:
    """Read a scan and its landmarks.

    Args:
        pair: a :class:`ScanPair`.
        unit: a key of :data:`MILLIMETERS`.

    Raises:
        InputError: a file is missing or damaged.
    """
    factor = MILLIMETERS[unit]
    return Surface(read_mesh(pair.scan, factor), factor * read_landmarks(pair.landmarks))


def read_mesh(path: str, factor: float) -> Mesh:
    """Read a mesh and multiply its coordinates.

    Raises:
        InputError: the file is missing, damaged, or holds no triangles.
    """
    import trimesh  # slow to import

    try:
        found: Any = trimesh.load(
            path, process=False, maintain_order=True, skip_materials=True, force="mesh"
        )
        vertices = np.array(found.vertices, np.float64) * factor
        triangles = np.array(found.faces, np.int64).reshape(-1, 3)
    except Exception as error:  # parsers raise all kinds of errors on damaged files
        reason = str(error).splitlines()[:1] or [type(error).__name__]
        raise InputError("{}: not a readable mesh ({})".format(path, reason[0])) from None
    if not len(triangles) or not len(vertices):
        raise InputError("{}: holds no triangles; give a mesh, not points alone".format(path))
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise InputError("{}: damaged, its triangles name vertices that it lacks".format(path))
    _require_finite(vertices, path)
    return Mesh(vertices, triangles)


def read_landmarks(path: str) -> np.ndarray:
    """Read seven landmarks, [7, 3] float64, from seven rows x y z or from the 68 of iBUG.

    Args:
        path: ``.pp`` of MeshLab, a text of numbers, or ``.npy``.

    Raises:
        InputError: the file is missing or damaged, or has another number of points.
    """
    if path.endswith(".npy"):
        points = read_npy(path)
    else:
        rows = _picked_points(path) if path.endswith(".pp") else _text_rows(path)
        try:
            points = np.array([[float(value) for value in row] for row in rows])
        except ValueError:
            points = np.zeros(0)
    is_array = points.ndim == 2 and points.shape[1] == 3 and points.dtype.kind in "fiu"
    if not is_array or len(points) not in _LANDMARK_COUNTS:
        raise InputError(
            "{}: must hold 7 or 68 landmarks, each a row of three numbers".format(path)
        )
    _require_finite(points, path)
    points = points.astype(np.float64)
    return points[list(SEVEN_FROM_68)] if len(points) == LANDMARK_COUNT else points


def _text_rows(path: str) -> List[List[str]]:
    return [row for row in (line.replace(",", " ").split() for line in _read_lines(path)) if row]


def _picked_points(path: str) -> List[List[str]]:
    """Return the coordinates in a file of MeshLab's picked points, in their order."""
    rows = []
    for match in _PICKED_POINT.finditer("\n".join(_read_lines(path))):
        values = dict(_ATTRIBUTE.findall(match.group(1)))
        rows.append([values.get(axis, "") for axis in "xyz"])
    return rows


def _read_lines(path: str) -> List[str]:
    """Return the lines of a text that are not empty."""
    if not os.path.isfile(path):
        raise InputError("{}: no such file; give an existing one".format(path))
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.read(_LARGEST_TEXT).splitlines()
    return [line.strip() for line in lines if line.strip()]


def _now_pair(scans: str, predictions: str, line: str) -> ScanPair:
    """Return the pair of a line of NoW's list of photos."""
    parts = os.path.splitext(line)[0].replace("\\", "/").split("/")
    if len(parts) < 3 or ".." in parts[-3:]:
        raise InputError("{}: no SUBJECT/KIND/PHOTO.jpg in the list of photos".format(line))
    subject = parts[-3]
    return ScanPair(
        "_".join(parts[-3:]),
        _only_file(os.path.join(scans, _NOW_SCANS, subject), MESH_EXTENSIONS),
        _only_file(os.path.join(scans, _NOW_LANDMARKS, subject), LANDMARK_EXTENSIONS),
        os.path.join(predictions, *parts[-3:]),
    )


def _only_file(folder: str, extensions: Sequence[str]) -> str:
    """Return the first file of a folder with one of some extensions."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    found = [name for name in names if name.lower().endswith(tuple(extensions))]
    if not found:
        raise InputError("{}: no file with {} here".format(folder, " or ".join(extensions)))
    return os.path.join(folder, found[0])


def _predictions_of(folder: str, name: str) -> List[str]:
    """Return the paths without extension of the predictions for one scan."""
    path = os.path.join(folder, name)
    if not os.path.isdir(path):
        return [path]
    stems = set()
    for file in os.listdir(path):
        stem, extension = os.path.splitext(file)
        if file.endswith(_MESH_SUFFIX):
            stem = file[: -len(_MESH_SUFFIX)]
        if extension.lower() in MESH_EXTENSIONS + (".mat",) and not stem.endswith("_refined"):
            stems.add(stem)
    return [os.path.join(path, stem) for stem in sorted(stems)] or [os.path.join(path, name)]


def _existing(stem: str, extensions: Sequence[str], thing: str) -> str:
    """Return the first file with one of some extensions."""
    for extension in extensions:
        if os.path.isfile(stem + extension):
            return stem + extension
    raise InputError(
        "{}: {} is missing; it needs {}".format(
            stem, thing, " or ".join("{}{}".format(os.path.basename(stem), e) for e in extensions)
        )
    )


def _require_finite(points: np.ndarray, path: str) -> None:
    if not all_within(points, _LARGEST_COORDINATE):
        raise InputError("{}: holds coordinates that are not finite or too large".format(path))
