"""Binary glTF 2.0 (.glb): a textured face with named morph targets, for engines and viewers.

Follows the Khronos specification "glTF 2.0" (2021). As it requires, positions are meters, y is up
and the face looks along +z.
"""

import io
import json
import struct
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from geometry.normals import surface_normals
from mesh.gltf_animation import Animation, add_animation
from mesh.morph_targets import FaceRig
from utils.atomic import atomic_path

_FLOAT, _UNSIGNED_INT = 5126, 5125  # component types
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963  # buffer targets
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
_STILL = 1e-6  # meters; vertices that a morph target moves by less are left out of it


class GltfBuffer:
    """Collects binary data, buffer views and accessors."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: List[Dict[str, Any]] = []
        self.accessors: List[Dict[str, Any]] = []

    def view(self, content: bytes, target: Optional[int] = None) -> int:
        """Append bytes and return the index of their buffer view."""
        self.data.extend(b"\0" * (-len(self.data) % 4))
        view: Dict[str, Any] = {
            "buffer": 0,
            "byteOffset": len(self.data),
            "byteLength": len(content),
        }
        if target:
            view["target"] = target
        self.data.extend(content)
        self.views.append(view)
        return len(self.views) - 1

    def vectors(self, values: np.ndarray) -> int:
        """Append [n, 2 or 3] floats and return the index of their accessor."""
        values = np.ascontiguousarray(values, "<f4")
        return self._accessor(
            values,
            _FLOAT,
            "VEC{}".format(values.shape[1]),
            bufferView=self.view(values.tobytes(), _ARRAY_BUFFER),
        )

    def indices(self, values: np.ndarray) -> int:
        """Append vertex indices and return the index of their accessor."""
        values = np.ascontiguousarray(values, "<u4").reshape(-1, 1)
        return self._accessor(
            values,
            _UNSIGNED_INT,
            "SCALAR",
            bufferView=self.view(values.tobytes(), _ELEMENT_ARRAY_BUFFER),
        )

    def keys(self, values: np.ndarray, kind: str, bounds: bool = False) -> int:
        """Append keys of an animation [T, n] and return the index of their accessor.

        Args:
            values: floats.
            kind: ``SCALAR``, ``VEC3`` or ``VEC4``.
            bounds: whether to note the smallest and the largest value, as times need.
        """
        values = np.ascontiguousarray(values, "<f4")
        index = self._accessor(values, _FLOAT, kind, bufferView=self.view(values.tobytes()))
        if not bounds:
            del self.accessors[index]["min"], self.accessors[index]["max"]
        return index

    def displacements(self, values: np.ndarray) -> int:
        """Append a morph target [n, 3] as a sparse accessor of the vertices that move."""
        moved = np.flatnonzero(np.abs(values).max(axis=1) > _STILL)
        if not len(moved):
            moved = np.zeros(1, int)  # an empty sparse accessor is not allowed
        kept = np.zeros(values.shape, "<f4")
        kept[moved] = values[moved]
        return self._accessor(
            kept,
            _FLOAT,
            "VEC3",
            sparse={
                "count": len(moved),
                "indices": {
                    "bufferView": self.view(moved.astype("<u4").tobytes()),
                    "componentType": _UNSIGNED_INT,
                },
                "values": {"bufferView": self.view(kept[moved].tobytes())},
            },
        )

    def _accessor(self, values: np.ndarray, component_type: int, kind: str, **more: Any) -> int:
        """Append an accessor with the bounds of its values and return its index."""
        accessor: Dict[str, Any] = {
            "componentType": component_type,
            "count": len(values),
            "type": kind,
            "min": values.min(axis=0).tolist(),
            "max": values.max(axis=0).tolist(),
        }
        accessor.update(more)
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def write_rig(
    path: str,
    rig: FaceRig,
    triangles: np.ndarray,
    coordinates: np.ndarray,
    texture: np.ndarray,
    name: str = "face",
    animation: Optional[Animation] = None,
) -> None:
    """Write a face to animate as binary glTF, atomically.

    Args:
        path: the .glb file to write.
        rig: ``mesh.morph_targets.make_rig`` of the face.
        triangles: see :func:`write_glb`, as the arguments below.
        coordinates: texture coordinates.
        texture: the texture.
        name: name of node and mesh.
        animation: keys of an animation, or None.
    """
    write_glb(
        path,
        rig.vertices,
        triangles,
        normals=surface_normals(rig.vertices, triangles),
        coordinates=coordinates,
        texture=texture,
        morph_targets=rig.morph_targets,
        name=name,
        animation=animation,
    )


def write_glb(
    path: str,
    vertices: np.ndarray,
    triangles: np.ndarray,
    *,
    normals: np.ndarray,
    coordinates: np.ndarray,
    texture: np.ndarray,
    morph_targets: Sequence[Tuple[str, np.ndarray, float]] = (),
    name: str = "face",
    animation: Optional[Animation] = None,
) -> None:
    """Write a textured mesh as binary glTF, atomically.

    The material is unlit (extension KHR_materials_unlit), because the light of the photo is part
    of the texture; programs without the extension light it once more.

    Args:
        path: the .glb file to write.
        vertices: [N, 3] meters.
        triangles: [F, 3] vertex indices, counter-clockwise seen from outside.
        normals: [N, 3] unit vectors; zeros, which glTF forbids, become +z.
        coordinates: [N, 2] texture coordinates, u right, v **up**.
        texture: [T, T, 3] uint8 RGB, first row on top.
        morph_targets: list of (name, displacements [N, 3] meters at weight 1, initial weight).
        name: name of node and mesh.
        animation: keys of an animation, or None.
    """
    # 1. geometry
    buffer = GltfBuffer()
    normals = np.where(np.any(normals, axis=1, keepdims=True), normals, [0.0, 0.0, 1.0])
    primitive: Dict[str, Any] = {
        "attributes": {
            "POSITION": buffer.vectors(vertices),
            "NORMAL": buffer.vectors(normals),
            "TEXCOORD_0": buffer.vectors(np.asarray(coordinates) * [1, -1] + [0, 1]),
        },
        "indices": buffer.indices(triangles),
        "material": 0,
    }
    mesh: Dict[str, Any] = {"name": name, "primitives": [primitive]}

    # 2. morph targets
    if morph_targets:
        primitive["targets"] = [
            {"POSITION": buffer.displacements(values)} for _, values, _ in morph_targets
        ]
        mesh["weights"] = [float(weight) for _, _, weight in morph_targets]
        mesh["extras"] = {"targetNames": [target for target, _, _ in morph_targets]}

    # 3. texture
    encoded = io.BytesIO()
    Image.fromarray(texture).save(encoded, "PNG", compress_level=6)
    image_view = buffer.view(encoded.getvalue())

    # 4. scene, material, and the tables of the buffer
    document: Dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Deep3D GCN-ResNet"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": name}],
        "meshes": [mesh],
        "materials": [
            {
                "name": "skin",
                "doubleSided": True,
                "extensions": {"KHR_materials_unlit": {}},
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "metallicFactor": 0.0,
                    "roughnessFactor": 0.9,
                },
            }
        ],
        "textures": [{"source": 0, "sampler": 0}],
        "images": [{"bufferView": image_view, "mimeType": "image/png"}],
        "samplers": [
            {
                "magFilter": _LINEAR,
                "minFilter": _LINEAR_MIPMAP_LINEAR,
                "wrapS": _CLAMP_TO_EDGE,
                "wrapT": _CLAMP_TO_EDGE,
            }
        ],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    if animation is not None:
        add_animation(document, buffer, animation)
        document["buffers"][0]["byteLength"] = len(buffer.data)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(_container(document, bytes(buffer.data)))


def _container(document: Dict[str, Any], data: bytes) -> bytes:
    """Return the bytes of a .glb: header, JSON chunk, binary chunk, each padded to four bytes."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode("utf-8")
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    chunks = (
        struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(data), b"BIN\0")
        + data
    )
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
