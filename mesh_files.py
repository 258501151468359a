"""Meshes as files that other programs open."""

import numpy as np

from workspace.atomic import atomic_path


def write_obj(path, vertices, triangles, colors):
    """Write a Wavefront OBJ with vertex colours (``v x y z r g b``), atomically.

    Args:
        path: the file to write.
        vertices: [N, 3] positions.
        triangles: [F, 3] vertex indices, counted from 0, counter-clockwise seen from outside.
        colors: [N, 3] RGB, 0..255; clipped.
    """
    rows = np.concatenate([vertices, np.clip(colors, 0, 255) / 255.0], axis=1)
    # One format string for all lines: a Python loop per vertex takes several times as long.
    text = ("v %.5f %.5f %.5f %.4f %.4f %.4f\n" * len(rows)) % tuple(rows.reshape(-1).tolist())
    faces = ("f %d %d %d\n" * len(triangles)) % tuple((np.asarray(triangles) + 1).reshape(-1).tolist())
    with atomic_path(path) as temporary, open(temporary, "w") as file:
        file.write(text)
        file.write(faces)
