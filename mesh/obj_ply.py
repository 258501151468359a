"""Meshes as OBJ and PLY files."""

import os
from typing import List, Optional

import numpy as np
from PIL import Image

from mesh_renderer.obj_text import format_rows, format_triangles
from utils.atomic import atomic_path
from utils.paths import texture_stem


def write_obj(
    path: str,
    vertices: np.ndarray,
    triangles: np.ndarray,
    colors: np.ndarray,
    triangle_lines: Optional[bytes] = None,
) -> None:
    """Write a Wavefront OBJ with vertex colors (``v x y z r g b``), atomically.

    Args:
        path: the file to write.
        vertices: [N, 3] positions.
        triangles: [F, 3] vertex indices, counted from 0, counter-clockwise seen from outside.
        colors: [N, 3] RGB, 0..255; clipped.
        triangle_lines: ``format_triangles(triangles)``, for callers that write many meshes with
            the same triangles.
    """
    rows = np.concatenate([vertices, np.clip(colors, 0, 255) / 255.0], axis=1)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(format_rows("v", rows, (5, 5, 5, 4, 4, 4)))
        file.write(format_triangles(triangles) if triangle_lines is None else triangle_lines)


def write_textured_obj(
    path: str,
    vertices: np.ndarray,
    triangles: np.ndarray,
    coordinates: np.ndarray,
    texture: np.ndarray,
) -> List[str]:
    """Write a Wavefront OBJ with its texture: NAME.obj, NAME.mtl, NAME_texture.png; atomically.

    Args:
        path: the .obj file to write; the other two are written beside it, by the name that
            ``utils.paths.texture_stem`` gives.
        vertices: [N, 3] positions.
        triangles: [F, 3] vertex indices, counted from 0, counter-clockwise seen from outside.
        coordinates: [N, 2] texture coordinates, u right, v up, 0..1.
        texture: [T, T, 3] uint8 RGB.

    Returns:
        The paths written.
    """
    folder, name = os.path.split(os.path.splitext(path)[0])
    stem = os.path.join(folder, texture_stem(name))
    paths = [stem + "_texture.png", stem + ".mtl", path]

    # 1. texture
    write_texture(paths[0], texture)

    # 2. material: the light is part of the texture, so all of it is shown unchanged
    with atomic_path(paths[1]) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(
            "newmtl face\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {}\n".format(
                os.path.basename(paths[0])
            )
        )

    # 3. vertices, texture coordinates and faces
    text = (format_rows("v", vertices, (5, 5, 5)) + format_rows("vt", coordinates, (6, 6))).decode(
        "ascii"
    )
    corners = np.repeat(np.asarray(triangles).reshape(-1) + 1, 2)
    faces = ("f %d/%d %d/%d %d/%d\n" * len(triangles)) % tuple(corners.tolist())
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write("mtllib {}\n".format(os.path.basename(paths[1])))
        file.write(text + "usemtl face\n" + faces)
    return paths


def write_texture(path: str, texture: np.ndarray) -> None:
    """Write a texture [T, T, 3], uint8 RGB, as PNG, atomically."""
    with atomic_path(path) as temporary:
        Image.fromarray(texture).save(temporary, compress_level=6)


def write_ply(path: str, vertices: np.ndarray, triangles: np.ndarray, colors: np.ndarray) -> None:
    """Write a binary PLY with vertex colors, atomically.

    Args:
        path: the file to write.
        vertices: [N, 3] positions.
        triangles: [F, 3] vertex indices, counted from 0, counter-clockwise seen from outside.
        colors: [N, 3] RGB, 0..255; clipped.
    """
    # 1. vertices and faces as rows
    rows = np.empty(len(vertices), [("position", "<f4", 3), ("color", "u1", 3)])
    rows["position"] = vertices
    rows["color"] = np.clip(np.rint(colors), 0, 255)
    faces = np.empty(len(triangles), [("count", "u1"), ("vertices", "<i4", 3)])
    faces["count"] = 3
    faces["vertices"] = triangles

    # 2. header
    header = "ply\nformat binary_little_endian 1.0\nelement vertex {}\n".format(len(rows))
    header += "".join("property float {}\n".format(axis) for axis in "xyz")
    header += "".join("property uchar {}\n".format(color) for color in ("red", "green", "blue"))
    header += "element face {}\nproperty list uchar int vertex_indices\nend_header\n".format(
        len(faces)
    )

    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(header.encode("ascii"))
        file.write(rows.tobytes())
        file.write(faces.tobytes())
