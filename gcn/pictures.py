"""Pictures of a mesh with its edges, to inspect the pyramid."""

import numpy as np
from PIL import Image, ImageDraw

from utils.atomic import atomic_path

_SIZE = 700  # pixels, side of one view
_FILLING = 0.94  # the mesh's share of the picture
_YAWS = (0.0, 50.0)  # degrees, the views side by side
_LIGHT = np.array([0.3, 0.4, 0.866])
_LARGE_TRIANGLE = 8.0  # pixels; edges of smaller ones would hide the shading


def draw_mesh(vertices: np.ndarray, triangles: np.ndarray, path: str) -> None:
    """Draw a mesh from the front and from the side, nearest triangles last.

    Args:
        vertices: [n, 3], x right, y up, z toward the viewer.
        triangles: [f, 3], counter-clockwise seen from outside.
        path: the picture to write.
    """
    picture = Image.new("RGB", (_SIZE * len(_YAWS), _SIZE), "white")
    draw = ImageDraw.Draw(picture)
    middle = (vertices.max(axis=0) + vertices.min(axis=0)) / 2
    scale = _FILLING * _SIZE / np.ptp(vertices, axis=0).max()
    for index, yaw in enumerate(np.radians(_YAWS)):
        turned = (vertices - middle) @ np.array(
            [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
        )
        columns = _SIZE * (index + 0.5) + scale * turned[:, 0]
        rows = _SIZE * 0.5 - scale * turned[:, 1]
        _draw_view(draw, np.stack([columns, rows], axis=1), turned, triangles)
    with atomic_path(path) as temporary:
        picture.save(temporary)


def _draw_view(
    draw: ImageDraw.ImageDraw, pixels: np.ndarray, turned: np.ndarray, triangles: np.ndarray
) -> None:
    """Draw one view.

    Args:
        draw: drawing context.
        pixels: [n, 2] vertices in the picture.
        turned: [n, 3] vertices, z toward the viewer.
        triangles: [f, 3].
    """
    # 1. shades
    corners = turned[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    shades = (60 + 190 * np.clip(normals @ _LIGHT, 0, 1)).astype(np.uint8)

    # 2. triangles that face the viewer, the farthest first
    outlined = np.median(np.ptp(pixels[triangles], axis=1).max(axis=1)) > _LARGE_TRIANGLE
    for index in np.argsort(corners[:, :, 2].mean(axis=1)):
        if normals[index, 2] > 0:
            gray = int(shades[index])
            outline = (40, 70, 140) if outlined else None
            draw.polygon(
                [tuple(p) for p in pixels[triangles[index]]],
                fill=(gray, gray, gray),
                outline=outline,
            )
