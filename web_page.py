"""One self-contained page of results: every photo, its overlay, and its mesh to turn with the mouse.

The page needs no network and opens from the file system. Meshes are quantised to 16 bits and
embedded; the viewer is ``page_viewer.js``. Triangles and texture coordinates, the same for every
face, are embedded once.
"""

import base64
import html
import io
import json
import os

import numpy as np
from PIL import Image

from alignment.align import paste_crop
from avatar import upright_shape
from texture_maps import bake_texture
from unwrap import unwrap
from workspace.atomic import atomic_path

FACE_LIMIT = 100  # faces on a page; beyond, browsers get slow: a face weighs about half a megabyte
_TEXTURE_SIZE = 512  # pixels
_PICTURE_HEIGHT = 420  # pixels
_QUANTA = 65535
_VIEWER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page_viewer.js")

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Reconstructed faces</title>
<style>
body { margin: 0 auto; max-width: 1500px; padding: 16px; background: #181818; color: #ddd; font: 15px/1.4 sans-serif; }
h1 { font-size: 20px; font-weight: normal; }
figure { display: flex; flex-wrap: wrap; gap: 8px; margin: 0 0 20px; }
figcaption { width: 100%; }
img, canvas { height: 420px; max-width: 100%; object-fit: contain; background: #181818; }
canvas { width: 420px; cursor: grab; touch-action: none; }
canvas:active { cursor: grabbing; }
button { background: #333; color: #ddd; border: 0; border-radius: 3px; padding: 2px 8px; margin-left: 8px; }
.no-webgl canvas, .no-webgl button { display: none; }
</style>
</head>
<body>
<h1>Reconstructed faces <small>drag to turn, Ctrl + wheel to zoom</small></h1>
"""


class ResultPage:
    """Collects faces and writes them as one page.

    Args:
        model: the ``FaceModel`` of all faces.
    """

    def __init__(self, model):
        self._model = model
        self._unwrapping = unwrap(model)
        self._figures = []
        self._count = 0

    def add(self, reconstruction):
        """Add a face; from the :data:`FACE_LIMIT` th on they are only counted."""
        self._count += 1
        if self._count <= FACE_LIMIT:
            self._figures.append(self._figure(reconstruction))

    def write(self, path):
        """Write the page, atomically."""
        shared = {"triangles": _base64(self._model.triangles.astype("<u4")),
                  "coordinates": _base64(np.rint(
                      (self._unwrapping.coordinates * [1, -1] + [0, 1]) * _QUANTA).astype("<u2"))}
        with open(_VIEWER, encoding="utf-8") as file:
            viewer = file.read()
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(_HEAD)
            file.writelines(self._figures)
            if self._count > FACE_LIMIT:
                file.write("<p>The first {} of {} faces.</p>\n".format(FACE_LIMIT, self._count))
            file.write('<script type="application/json" id="shared">{}</script>\n'.format(json.dumps(shared)))
            file.write("<script>\n{}</script>\n</body>\n</html>\n".format(viewer))

    def _figure(self, reconstruction):
        """Return the HTML of one face."""
        vertices = upright_shape(reconstruction, self._model)
        low = vertices.min(axis=0)
        step = np.maximum(np.ptp(vertices, axis=0), 1e-6) / _QUANTA
        located = reconstruction.face
        overlaid = paste_crop(located.photo, reconstruction.overlay, located.alignment.trans_params)
        texture = bake_texture(reconstruction, self._model, self._unwrapping, _TEXTURE_SIZE)
        face = {"positions": _base64(np.rint((vertices - low) / step).astype("<u2")), "low": low.tolist(),
                "step": step.tolist(), "texture": _data_url(texture)}
        return ('<figure>\n<figcaption>{name} <button>photo or clay</button></figcaption>\n<img src="{photo}" '
                'alt="{name}">\n<img src="{result}" alt="reconstruction of {name}">\n<canvas></canvas>\n'
                '<script type="application/json">{face}</script>\n</figure>\n').format(
                    name=html.escape(located.name), photo=_data_url(_scaled(located.photo)),
                    result=_data_url(_scaled(overlaid)), face=json.dumps(face))


def _scaled(picture):
    height, width = picture.shape[:2]
    if height <= _PICTURE_HEIGHT:
        return picture
    size = (max(1, width * _PICTURE_HEIGHT // height), _PICTURE_HEIGHT)
    return np.asarray(Image.fromarray(picture).resize(size, Image.LANCZOS))


def _data_url(picture):
    """Return a picture as a JPEG inside a URL."""
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def _base64(values):
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
