"""The published rasterizer, mesh_renderer 1.4 from PyPI, in place of ours.

It draws the same pictures, one image at a time and each on one thread, with its own gradient. The
environment variable :data:`VARIABLE` selects it under TensorFlow 1.12, for comparisons with the
published system.
"""

import importlib
import os
from typing import Any, Tuple

import numpy as np

from utils.errors import InputError
from utils.tf_compat import Tensor, tf

VARIABLE = "RASTERIZER"
OWN, PUBLISHED = "own", "mesh_renderer"
_MODULE = "rasterize_triangles"  # module of the package; our package hides its mesh_renderer


def published_is_chosen() -> bool:
    """Return True if the environment selects the published rasterizer.

    Raises:
        InputError: the variable has an unknown value.
    """
    name = os.environ.get(VARIABLE, OWN)
    if name not in (OWN, PUBLISHED):
        raise InputError(
            "{}={}: there is no such rasterizer; choose {} or {}".format(
                VARIABLE, name, OWN, PUBLISHED
            )
        )
    return name == PUBLISHED


def rasterize_as_published(
    clip_vertices: Tensor,
    triangles: np.ndarray,
    image_width: int,
    image_height: int,
    *,
    drawn: np.ndarray,
    front: np.ndarray,
) -> Tuple[Tensor, ...]:
    """Draw with the published rasterizer: once for the picture and once for the front mask.

    Args:
        clip_vertices: [B, N, 4] float32; B may be unknown.
        triangles: [F, 3] int array.
        image_width: columns.
        image_height: rows.
        drawn: indices of the triangles of the picture.
        front: indices of the triangles of the front mask.

    Returns:
        The fields of ``rasterize_triangles.Rasterization``, in order.

    Raises:
        InputError: the published rasterizer is not installed.
    """
    triangles = np.asarray(triangles, np.int32)
    module = _import_module()

    def draw(numbers: np.ndarray) -> Tuple[Tensor, ...]:
        def draw_one(vertices: Tensor) -> Tuple[Tensor, ...]:
            return tuple(
                module.rasterize_triangles(
                    vertices,
                    triangles[numbers],
                    image_width=image_width,
                    image_height=image_height,
                )
            )

        # Its row 0 is the lowest row.
        outputs = tf.map_fn(draw_one, clip_vertices, (tf.float32, tf.int32, tf.float32))
        barycentrics, numbers_drawn, z_buffer = (tf.reverse(output, [1]) for output in outputs)
        barycentrics.set_shape([None, image_height, image_width, 3])

        # Barycentric coordinates add up to 1, or to 0 in empty pixels.
        covered = tf.reduce_sum(barycentrics, axis=3) > 0.5
        mask = tf.stop_gradient(tf.cast(covered, tf.float32)[..., tf.newaxis])
        ids = tf.gather(np.asarray(numbers, np.int32), numbers_drawn) * tf.cast(covered, tf.int32)
        return barycentrics, ids, z_buffer, mask

    picture = draw(drawn)
    front_mask = draw(front)[3] if len(front) else tf.zeros_like(picture[3])
    return picture + (front_mask,)


def _import_module() -> Any:
    """Return the package's compiled operations; loading them registers their gradient."""
    try:
        return importlib.import_module(_MODULE).rasterize_triangles_module
    except ImportError:
        raise InputError(
            "{}={}: the published rasterizer needs TensorFlow 1.12 and the package mesh_renderer "
            "1.4; run `pip install -r requirements/published-rasterizer.txt` there".format(
                VARIABLE, PUBLISHED
            )
        ) from None
