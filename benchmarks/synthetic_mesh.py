"""A mesh of the size of BFM09's face, in front of the camera, for timing."""

import numpy as np

GRID = 189  # 189^2 = 35,721 vertices and 2 * 188^2 = 70,688 triangles; BFM09 has 35,709 and 70,789
_BUMP_HEIGHT = 0.05  # of a head's radius: hides a few per cent of the triangles, as a nose does
_NOISE = 0.0005  # dm; keeps vertices off the pixel grid
_LARGEST_ANGLES = (0.2, 0.5, 0.2)  # radians about x, y, z


def face_like_mesh(grid=GRID):
    """Return a bumpy half ellipsoid: vertices [grid^2, 3] float64 (dm), triangles [F, 3] int32."""
    u, v = np.meshgrid(np.linspace(-1.25, 1.25, grid), np.linspace(-1.2, 1.2, grid))
    nose = 0.25 * np.exp(-8 * u**2 - 5 * (v + 0.1) ** 2)
    bumps = _BUMP_HEIGHT * np.sin(9 * u) * np.cos(8 * v)
    vertices = np.stack(
        [
            0.72 * np.sin(u) * np.cos(0.6 * v),
            np.sin(v),
            0.75 * np.cos(u) * np.cos(v) + bumps + nose,
        ],
        axis=-1,
    )
    index = np.arange(grid * grid).reshape(grid, grid)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = np.stack([a, b, c, c, b, d], axis=-1)  # two for each square of the grid
    return vertices.reshape(-1, 3), triangles.reshape(-1, 3).astype(np.int32)


def posed_batch(batch, grid=GRID, seed=0):
    """Return world vertices [batch, N, 3] float32 with random poses, and triangles [F, 3] int32."""
    vertices, triangles = face_like_mesh(grid)
    random = np.random.RandomState(seed)
    world = []
    for _ in range(batch):
        turned = vertices.dot(_rotation(random.uniform(-1, 1, 3) * _LARGEST_ANGLES))
        world.append(turned + _NOISE * random.standard_normal(turned.shape))
    return np.array(world, np.float32).reshape(batch, -1, 3), triangles


def _rotation(angles):
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles), np.cos(angles)
    about_x = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_z = np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]])
    return about_x.dot(about_y).dot(about_z)
