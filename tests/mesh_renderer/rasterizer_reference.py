"""A slow, readable rasterizer for comparison with the fast one.

It evaluates every triangle at every pixel center, in single precision and in the order of
operations of the published rasterizer: coverage of a center that lies on an edge depends on it.
"""

import numpy as np


def pixel_centers(width, height):
    """Return device coordinates x [1, W] and y [H, 1] of pixel centers; row 0 is the top row."""
    x = (2 * (np.arange(width) + 0.5) / width - 1).astype(np.float32)
    y = (2 * (np.arange(height) + 0.5) / height - 1).astype(np.float32)
    return x[np.newaxis, :], -y[:, np.newaxis]


def cofactors(x, y, w):
    """Return C [3, 3] with inverse([x; y; w]) = C / det; each column of [x; y; w] is a vertex."""
    rows = []
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        rows.append(
            [y[j] * w[k] - y[k] * w[j], w[j] * x[k] - w[k] * x[j], x[j] * y[k] - x[k] * y[j]]
        )
    return np.array(rows)


def touched_pixels(x, y, w, width, height):
    """Return a mask [H, W] of the pixels that the projected triangle's bounding box touches."""
    if not (w > 0).all():
        return np.ones([height, width], bool)
    one, half = np.float32(1), np.float32(0.5)
    columns = (x / w + one) * half * np.float32(width)
    rows = (-y / w + one) * half * np.float32(height)
    column, row = np.arange(width)[np.newaxis, :], np.arange(height)[:, np.newaxis]
    return (
        (column >= np.floor(columns.min()))
        & (column < np.ceil(columns.max()))
        & (row >= np.floor(rows.min()))
        & (row < np.ceil(rows.max()))
    )


def rasterize(clip_vertices, triangles, width, height):
    """Draw one image: barycentrics [H, W, 3], triangle ids [H, W], z buffer [H, W], mask [H, W]."""
    barycentrics = np.zeros([height, width, 3], np.float32)
    ids = np.zeros([height, width], np.int32)
    z_buffer = np.ones([height, width], np.float32)
    mask = np.zeros([height, width], bool)
    px, py = pixel_centers(width, height)
    for number, corners in enumerate(triangles):
        vertices = np.asarray(clip_vertices, np.float32)[corners]
        if not np.isfinite(vertices).all():
            continue

        x, y, z, w = vertices.T
        with np.errstate(all="ignore"):
            # Edge functions; the sign makes them positive inside, in either winding.
            c = cofactors(x, y, w)
            det = x[0] * c[0, 0] + x[1] * c[1, 0] + x[2] * c[2, 0]
            sign = np.float32(1 if det > 0 else -1)
            edges = np.stack([sign * (a * px + b * py + d) for a, b, d in c], axis=-1)

            # Perspective-correct barycentrics, and the depth.
            total = edges[..., 0] + edges[..., 1] + edges[..., 2]
            b = edges / total[..., np.newaxis]
            depth = (b[..., 0] * z[0] + b[..., 1] * z[1] + b[..., 2] * z[2]) / (
                b[..., 0] * w[0] + b[..., 1] * w[1] + b[..., 2] * w[2]
            )

            # Of equally near triangles, the last remains.
            covered = (edges >= 0).all(axis=-1) & (total > 0) & (depth >= -1) & (depth <= 1)
            nearest = covered & touched_pixels(x, y, w, width, height) & (depth <= z_buffer)
        barycentrics[nearest] = b[nearest]
        ids[nearest] = number
        z_buffer[nearest] = depth[nearest]
        mask |= nearest
    return barycentrics, ids, z_buffer, mask


def visible_barycentrics(clip_vertices, triangles, ids, mask):
    """Return barycentrics [H, W, 3] in double precision, for given visible triangles."""
    height, width = ids.shape
    barycentrics = np.zeros([height, width, 3])
    px = 2 * (np.arange(width) + 0.5) / width - 1
    py = 1 - 2 * (np.arange(height) + 0.5) / height
    for row, column in np.argwhere(mask):
        x, y, _, w = np.asarray(clip_vertices, np.float64)[triangles[ids[row, column]]].T
        a = np.linalg.solve(np.stack([x, y, w]), [px[column], py[row], 1])
        barycentrics[row, column] = a / a.sum()
    return barycentrics


def interpolate(attributes, triangles, barycentrics, ids):
    """Return [H, W, C] attributes at the pixels; zeros where the barycentrics are zero."""
    return np.einsum("hwk,hwkc->hwc", barycentrics, attributes[triangles[ids]])
