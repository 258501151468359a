"""The published rasteriser in the place of ours: mesh_renderer 1.4 from PyPI, under TensorFlow 1.12.

It draws what ours draws, an image at a time and on one thread each, and its gradient is its own. The
environment variable :data:`VARIABLE` chooses it, for comparisons with the published system.
"""

import importlib
import os

import numpy as np

from utils.errors import InputError
from utils.tf_compat import tf

VARIABLE = "RASTERIZER"
OWN, PUBLISHED = "own", "mesh_renderer"
_MODULE = "rasterize_triangles"  # of the package; its module mesh_renderer is hidden by our package


def published_is_chosen():
    """Say whether the published rasteriser is to draw.

    Raises:
        InputError: the variable names neither.
    """
    name = os.environ.get(VARIABLE, OWN)
    if name not in (OWN, PUBLISHED):
        raise InputError("{}={}: there is no such rasteriser; choose {} or {}".format(VARIABLE, name, OWN, PUBLISHED))
    return name == PUBLISHED


def rasterize_as_published(clip_vertices, triangles, image_width, image_height, *, drawn, front):
    """Draw with the published rasteriser; once for the picture and once for the front mask.

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
        InputError: it is not installed.
    """
    triangles = np.asarray(triangles, np.int32)
    operations = _operations()

    def draw(numbers):
        def draw_one(vertices):
            return tuple(operations.rasterize_triangles(
                vertices, triangles[numbers], image_width=image_width, image_height=image_height))

        outputs = tf.map_fn(draw_one, clip_vertices, (tf.float32, tf.int32, tf.float32))
        barycentrics, numbers_drawn, z_buffer = (tf.reverse(output, [1]) for output in outputs)  # row 0 is its lowest
        barycentrics.set_shape([None, image_height, image_width, 3])
        covered = tf.reduce_sum(barycentrics, axis=3) > 0.5  # they add up to 1, or to 0 where empty
        mask = tf.stop_gradient(tf.cast(covered, tf.float32)[..., tf.newaxis])
        ids = tf.gather(np.asarray(numbers, np.int32), numbers_drawn) * tf.cast(covered, tf.int32)
        return barycentrics, ids, z_buffer, mask

    picture = draw(drawn)
    front_mask = draw(front)[3] if len(front) else tf.zeros_like(picture[3])
    return picture + (front_mask,)


def _operations():
    """Return the package's compiled operations; loading them registers their gradient."""
    try:
        return importlib.import_module(_MODULE).rasterize_triangles_module
    except ImportError:
        raise InputError("{}={}: the published rasteriser needs TensorFlow 1.12 and the package mesh_renderer 1.4; run "
                         "`pip install -r requirements/published-rasterizer.txt` there".format(
                             VARIABLE, PUBLISHED)) from None
