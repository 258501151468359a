"""The files of a clone of ICT-FaceKit (USC Institute for Creative Technologies, MIT license).

Its folder ``FaceXModel`` holds the average face (``generic_neutral_mesh.obj``), the average face
changed by one standard deviation of each identity component (``identity000.obj`` and so on) and by
each whole expression (``browDown_L.obj`` and so on, listed in ``vertex_indices.json``). All share
their vertices and faces. The README of the clone lists which vertices belong to which part, and the
landmarks. Lengths are centimeters, y up, z out of the face. The model is described in Li et al.,
"Learning Formation of Physically-Based Face Attributes" (CVPR 2020).
"""

import os
from typing import List, NamedTuple, Tuple

import numpy as np

from utils.errors import InputError
from utils.json_files import read_json_object

NEUTRAL_FILE, LIST_FILE = "generic_neutral_mesh.obj", "vertex_indices.json"
MODEL_FOLDER = "FaceXModel"
SOURCE = "clone https://github.com/ICT-VGL/ICT-FaceKit anew"

# First vertex of the mouth's and of the eyes' sockets, of gums and tongue, teeth, left and right
# eyeball, and of what follows: tear fluid, shades and lashes, which are transparent. The first
# vertices are those of the head.
MOUTH, SOCKETS, GUMS, TEETH = 11248, 13294, 14062, 17039
LEFT_EYE, RIGHT_EYE, END = 21451, 23021, 24591

# The README's Multi-PIE landmarks, in iBUG's order, with its other jaw lines in their places.
# fmt: off
LANDMARKS = (
    1278, 1272, 12, 1834, 243, 781, 2199, 1447, 966, 3661, 4390, 3022, 2484, 4036, 2253, 3490, 3496,
    268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857,
    1140, 2075, 1147, 4269, 3360, 1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725,
    3732, 5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533,
    6216, 6207, 6470, 5517, 5966,
)
# fmt: on

_LARGEST_FILE = 64 << 20  # bytes of an OBJ file; the real ones have 3.4 million
_MOST_COMPONENTS = 400


class Clone(NamedTuple):
    """The contents of a clone that make a face model; N = :data:`END` vertices, centimeters."""

    neutral: np.ndarray  # [N, 3] float64
    identity: np.ndarray  # [identities, N, 3] float32 displacements, one standard deviation each
    expression: np.ndarray  # [expressions, N, 3] float32 displacements, whole movements
    expression_names: Tuple[str, ...]  # browDown_L and so on
    triangles: np.ndarray  # [F, 3] int32
    landmarks: np.ndarray  # [68] int32, iBUG's order


def read_clone(path: str) -> Clone:
    """Read a clone of ICT-FaceKit.

    Args:
        path: the folder of the clone, or its folder ``FaceXModel``.

    Returns:
        A :class:`Clone`.

    Raises:
        InputError: a file is missing or damaged; the message names it.
    """
    # 1. the average face
    folder = _model_folder(path)
    neutral_path = os.path.join(folder, NEUTRAL_FILE)
    text = _read_text(neutral_path)
    neutral = _parse_vertices(text, neutral_path)
    triangles = _parse_triangles(text, neutral_path)

    # 2. what people and expressions change
    names = _read_expression_names(os.path.join(folder, LIST_FILE))
    identities = _identity_names(folder)
    changes = [
        np.stack([_read_displacement(folder, name, neutral) for name in group])
        for group in (identities, names)
    ]
    return Clone(
        neutral=neutral,
        identity=changes[0],
        expression=changes[1],
        expression_names=names,
        triangles=triangles,
        landmarks=np.array(LANDMARKS, np.int32),
    )


def _model_folder(path: str) -> str:
    """Return the folder of the OBJ files in a clone."""
    for folder in (os.path.join(path, MODEL_FOLDER), path):
        if os.path.isfile(os.path.join(folder, NEUTRAL_FILE)):
            return folder
    raise InputError(
        "{}: no clone of ICT-FaceKit, {}/{} is missing; {}".format(
            path, MODEL_FOLDER, NEUTRAL_FILE, SOURCE
        )
    )


def _read_text(path: str) -> str:
    try:
        if not os.path.isfile(path):  # a pipe would be waited for
            raise ValueError("no such file")
        if os.path.getsize(path) > _LARGEST_FILE:
            raise ValueError("larger than any of ICT-FaceKit's")
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError("{}: cannot be read ({}); {}".format(path, reason, SOURCE)) from None


def _parse_vertices(text: str, path: str) -> np.ndarray:
    """Return the first :data:`END` vertices of an OBJ file, [N, 3] float64."""
    lines = [line[2:] for line in text.splitlines() if line.startswith("v ")][:END]
    try:
        values = np.array(" ".join(lines).split(), np.float64).reshape(len(lines), 3)
    except ValueError:
        values = np.zeros((0, 3))
    if len(values) < END or not np.all(np.abs(values) < 1e3):
        raise InputError(
            "{}: holds no vertices of ICT-FaceKit (at least {} of three numbers); {}".format(
                path, END, SOURCE
            )
        )
    return values


def _parse_triangles(text: str, path: str) -> np.ndarray:
    """Return the faces between the first :data:`END` vertices, cut into triangles, [F, 3] int32."""
    triangles: List[Tuple[int, int, int]] = []
    try:
        for line in text.splitlines():
            if line.startswith("f "):
                corners = [int(corner.partition("/")[0]) - 1 for corner in line.split()[1:]]
                fan = zip(corners[1:-1], corners[2:])
                triangles += [(corners[0], second, third) for second, third in fan]
        found = np.array(triangles, np.int64).reshape(-1, 3)
    except (ValueError, OverflowError):
        found = np.zeros((0, 3), np.int64)
    if not len(found) or found.min() < 0:
        raise InputError("{}: holds no usable faces; {}".format(path, SOURCE))
    return found[found.max(axis=1) < END].astype(np.int32)


def _read_expression_names(path: str) -> Tuple[str, ...]:
    names = (read_json_object(path) or {}).get("expressions")
    if (
        not isinstance(names, list)
        or not 0 < len(names) <= _MOST_COMPONENTS
        or not all(isinstance(name, str) and name.isidentifier() for name in names)
    ):
        raise InputError("{}: holds no list of expressions; {}".format(path, SOURCE))
    return tuple(names)


def _identity_names(folder: str) -> List[str]:
    """Return the names of the identity components that are there, in order."""
    names: List[str] = []
    while len(names) < _MOST_COMPONENTS:
        name = "identity{:03d}".format(len(names))
        if not os.path.isfile(os.path.join(folder, name + ".obj")):
            break
        names.append(name)
    if not names:
        raise InputError("{}: identity000.obj is missing; {}".format(folder, SOURCE))
    return names


def _read_displacement(folder: str, name: str, neutral: np.ndarray) -> np.ndarray:
    path = os.path.join(folder, name + ".obj")
    return (_parse_vertices(_read_text(path), path) - neutral).astype(np.float32)
