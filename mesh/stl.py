"""Binary STL, the format of 3-D printing: triangles without color."""

import numpy as np

from utils.atomic import atomic_path

_HEADER = b"Deep3D GCN-ResNet, millimeters".ljust(80)


def write_stl(path: str, vertices: np.ndarray, triangles: np.ndarray) -> None:
    """Write a binary STL, atomically.

    Args:
        path: the file to write.
        vertices: [N, 3] millimeters, which programs for printing expect.
        triangles: [F, 3] vertex indices, counted from 0, counter-clockwise seen from outside.
    """
    # 1. corners and unit normals
    corners = np.asarray(vertices, np.float64)[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)

    # 2. one row for each triangle
    rows = np.zeros(
        len(triangles), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("unused", "<u2")]
    )
    rows["normal"], rows["corners"] = normals, corners
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(_HEADER + np.uint32(len(rows)).astype("<u4").tobytes())
        file.write(rows.tobytes())
