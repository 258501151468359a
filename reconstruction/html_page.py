"""A self-contained page of results: every photo, its overlay, and its mesh to turn with the mouse.

The page needs no network and opens from the file system. Meshes are quantized to 16 bits and
embedded; ``viewer.js`` draws them, and ``result_page.js`` attaches it to the figures. Triangles and
texture coordinates are the same for every face and are embedded once.
"""

import base64
import functools
import html
import json
import os
from concurrent import futures
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np
from PIL import Image

from alignment.align import paste_crop
from alignment.square import resize_box
from face_model.model import FaceModel
from geometry.camera import IMAGE_SIZE
from mesh.morph_targets import upright_shape
from mesh.texture_baking import bake_texture
from mesh.uv_unwrap import UVMap, unwrap_uv
from reconstruction.face import LocatedFace, Reconstruction, mesh_variants
from reconstruction.look_ahead import SHOWN_FACES
from reconstruction.people import Person, describe_photos
from utils.atomic import atomic_path
from utils.drawing import encode_jpeg

FACE_LIMIT = (
    SHOWN_FACES  # faces on a page; a face has half a megabyte, and browsers get slow beyond
)
_TEXTURE_SIZE = 512  # pixels
_PERSON_TEXTURE_SIZE = 1024  # pixels
_TILE = 480  # width and height of the pictures of photo and overlay, pixels
_SMALL_TILE = 256  # of the photos of one person
_SURROUNDINGS = 1.35  # side of these pictures relative to the crop
_QUANTA = 65535
_JPEG_QUALITY = 88
_HERE = os.path.dirname(os.path.abspath(__file__))
VIEWER = os.path.join(_HERE, "viewer.js")
_SCRIPTS = (VIEWER, os.path.join(_HERE, "result_page.js"))
_VARIANT_NAMES = ("coefficient mesh", "refined mesh")

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Reconstructed faces</title>
<style>
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1280px; padding: 24px 16px 48px; background: #14161a; color: #e4e6ea;
  font: 15px/1.45 system-ui, sans-serif; }
header { margin: 0 4px 20px; }
h1 { font-size: 24px; font-weight: 600; margin: 0 0 2px; }
p { color: #9aa1ac; margin: 0; }
figure { margin: 0 0 20px; padding: 12px; background: #1d2026; border-radius: 14px; }
figcaption { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; margin: 0 4px 10px; }
figcaption b { font-weight: 600; flex: 1 1 auto; overflow-wrap: anywhere; }
figcaption span { color: #9aa1ac; overflow-wrap: anywhere; }
.choice { display: inline-flex; border-radius: 8px; overflow: hidden; background: #2a2e36; }
button { font: 13px system-ui, sans-serif; color: #b9c0ca; background: none; border: 0; padding: 6px 12px; }
button[aria-pressed=true] { background: #4a7bd0; color: #fff; }
.tiles { display: grid; grid-template-columns: repeat(3, 1fr); gap: 10px; }
.tiles > * { width: 100%; aspect-ratio: 1; border-radius: 8px; display: block; background: #262a31; }
canvas { cursor: grab; touch-action: pan-y; }
canvas:active { cursor: grabbing; }
button:focus-visible, canvas:focus-visible { outline: 2px solid #7da7f0; outline-offset: 2px; }
.person { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; align-items: start; }
.person > canvas { width: 100%; aspect-ratio: 1; border-radius: 8px; display: block; background: #262a31; }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); gap: 10px; }
.photos img { width: 100%; aspect-ratio: 1; border-radius: 8px; display: block; margin-bottom: 4px; }
.no-webgl canvas, .no-webgl .choice { display: none; }
@media (max-width: 700px) {
  body { padding: 16px 8px 32px; }
  .tiles { grid-template-columns: repeat(2, 1fr); }
  canvas { grid-column: 1 / 3; }
  .photos { grid-column: 1 / 3; }
}
</style>
</head>
<body>
<header>
<h1>Reconstructed faces</h1>
<p>Photo, reconstruction laid into it, and mesh. Drag the mesh to turn it; Ctrl + wheel zooms, double click resets.</p>
</header>
"""  # noqa: E501, the lines of the page


_FIGURE = """<figure>
<figcaption><b>{name}</b>{choices}</figcaption>
<div class="tiles">
<img src="{photo}" alt="{name}">
<img class="overlay" src="{overlay}" alt="reconstruction of {name}">
<canvas tabindex="0" aria-label="mesh of {name}, arrow keys turn it"></canvas>
</div>
<script type="application/json">{variants}</script>
</figure>
"""


_PERSON_HEAD = """<figure>
<figcaption><b>{name}</b><span>{photos}</span>{choices}</figcaption>
<div class="person">
<canvas tabindex="0" aria-label="mesh of {name}, arrow keys turn it"></canvas>
<div class="photos">
"""

_PERSON_REST = """</div>
</div>
<script type="application/json">{variants}</script>
</figure>
"""

_PHOTO_OF_PERSON = """<div>
<img src="{photo}" alt="{name}" title="{name}">
<img class="overlay" src="{overlay}" alt="reconstruction of {name}">
</div>
"""


class Figure(NamedTuple):
    """A piece of the page."""

    kind: str  # "face", "photo" of the next person, or "person"
    html: str
    rest: str = ""  # of a person, behind the photos


class ResultPage:
    """Collects faces and people and writes them as one page.

    Args:
        model: the ``FaceModel`` of all faces.
        unwrap: returns the ``UVMap`` of the model; None to unwrap it here.

    Attributes:
        count: number of faces.
        figures: those within :data:`FACE_LIMIT`, in their order.
    """

    def __init__(self, model: FaceModel, unwrap: Optional[Callable[[], UVMap]] = None) -> None:
        self._model = model
        self.count = 0
        self.figures: List[Figure] = []
        self._units: Dict[int, List[Figure]] = {}
        # Unwrapping takes a quarter of a second: it runs until the first face arrives.
        executor = futures.ThreadPoolExecutor(max_workers=1)
        self._uv_map = executor.submit(unwrap or functools.partial(unwrap_uv, model))
        executor.shutdown(wait=False)

    def add(self, reconstruction: Reconstruction) -> None:
        """Add a face; beyond :data:`FACE_LIMIT`, faces are only counted."""
        self.count += 1
        if self.count <= FACE_LIMIT:
            self.figures.append(Figure("face", self._figure(reconstruction)))

    def add_photo_of_person(self, reconstruction: Reconstruction) -> None:
        """Add a photo of the person that :meth:`add_person` adds next; limited as :meth:`add`."""
        self.count += 1
        if self.count <= FACE_LIMIT:
            face = reconstruction.face
            overlaid = paste_crop(face.photo, reconstruction.overlay, face.alignment)
            html_of_photo = _PHOTO_OF_PERSON.format(
                name=html.escape(face.name),
                photo=_data_url(cut_around_face(face, face.photo, _SMALL_TILE)),
                overlay=_data_url(cut_around_face(face, overlaid, _SMALL_TILE)),
            )
            self.figures.append(Figure("photo", html_of_photo))

    def add_person(self, person: Person) -> None:
        """Add a person: all photos that were added before, beside the one head."""
        if not self.figures or self.figures[-1].kind != "photo":
            return  # all of them are beyond the limit
        variant = self._mesh(person.world_shape)
        texture = Image.fromarray(person.texture)
        variant["texture"] = _data_url(
            np.asarray(texture.resize((_PERSON_TEXTURE_SIZE,) * 2, Image.LANCZOS))
        )
        head = _PERSON_HEAD.format(
            name=html.escape(person.name),
            photos=html.escape(describe_photos(person)),
            choices=_choice("look", ("photo", "clay"), 0),
        )
        rest = _PERSON_REST.format(variants=json.dumps([variant]))
        self.figures.append(Figure("person", head, rest))

    def insert(self, number: int, count: int, figures: Sequence[Figure]) -> None:
        """Add the faces of a work unit, between those of other units; limited as :meth:`add`.

        Args:
            number: of the unit, which determines the order.
            count: number of its faces.
            figures: those of its page.
        """
        self.count += count
        if not figures:
            return
        self._units[number] = list(figures)
        self.figures, faces = [], 0
        for unit in sorted(self._units):
            kept: List[Figure] = []
            for figure in self._units.pop(unit):
                if figure.kind == "person":
                    is_kept = bool(kept) and kept[-1].kind == "photo"
                else:
                    is_kept = faces < FACE_LIMIT
                    faces += 1
                kept += [figure] if is_kept else []
            if kept:
                self._units[unit] = kept
            self.figures += kept

    def write(self, path: str) -> None:
        """Write the page, atomically."""
        coordinates = self._uv_map.result().coordinates * [1, -1] + [0, 1]
        shared = {
            "triangles": _base64(self._model.triangles.astype("<u4")),
            "coordinates": _base64(np.rint(coordinates * _QUANTA).astype("<u2")),
        }
        scripts = ""
        for script in _SCRIPTS:
            with open(script, encoding="utf-8") as file:
                scripts += file.read()
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(_HEAD)
            file.writelines(_arrange(self.figures))
            if self.count > FACE_LIMIT:
                file.write("<p>The first {} of {} faces.</p>\n".format(FACE_LIMIT, self.count))
            file.write(
                '<script type="application/json" id="shared">{}</script>\n'.format(
                    json.dumps(shared)
                )
            )
            file.write("<script>\n{}</script>\n</body>\n</html>\n".format(scripts))

    def _figure(self, reconstruction: Reconstruction) -> str:
        """Return the HTML of one face; the last variant of its mesh is shown first."""
        face = reconstruction.face
        variants = [self._variant(variant) for variant in mesh_variants(reconstruction)]
        choices = _choice("look", ("photo", "clay"), 0)
        last = len(variants) - 1
        if last > 0:
            choices = _choice("version", _VARIANT_NAMES[: last + 1], last) + choices
        return _FIGURE.format(
            name=html.escape(face.name),
            choices=choices,
            photo=_data_url(cut_around_face(face, face.photo)),
            overlay=variants[-1].pop("overlay"),
            variants=json.dumps(variants),
        )

    def _variant(self, variant: Reconstruction) -> Dict[str, Any]:
        """Return the data of one mesh for the viewer."""
        # 1. the upright mesh
        data = self._mesh(upright_shape(variant, self._model))

        # 2. its texture, and its overlay
        texture = bake_texture(variant, self._model, self._uv_map.result(), _TEXTURE_SIZE)
        face = variant.face
        overlaid = paste_crop(face.photo, variant.overlay, face.alignment)
        data["texture"] = _data_url(texture)
        data["overlay"] = _data_url(cut_around_face(face, overlaid))
        return data

    def _mesh(self, vertices: np.ndarray) -> Dict[str, Any]:
        """Return the quantized vertices of an upright mesh for the viewer."""
        low: Any = vertices.min(axis=0)
        step: Any = np.maximum(np.ptp(vertices, axis=0), 1e-6) / _QUANTA
        return {
            "positions": _base64(np.rint((vertices - low) / step).astype("<u2")),
            "low": low.tolist(),
            "step": step.tolist(),
        }


def _arrange(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield the HTML of figures, the photos of a person inside of the person's."""
    photos: List[str] = []
    for figure in figures:
        if figure.kind == "photo":
            photos.append(figure.html)
        else:
            yield figure.html + "".join(photos) + figure.rest
            photos = []


def _choice(name: str, labels: Sequence[str], chosen: int) -> str:
    """Return the HTML of buttons, one of them pressed."""
    buttons = "".join(
        '<button type="button" aria-pressed="{}">{}</button>'.format(
            "true" if i == chosen else "false", label
        )
        for i, label in enumerate(labels)
    )
    return '<span class="choice" data-name="{}">{}</span>'.format(name, buttons)


def cut_around_face(face: LocatedFace, picture: np.ndarray, tile: int = _TILE) -> np.ndarray:
    """Return a square of a picture of the photo, centered on the face where the photo allows.

    Args:
        face: the located face.
        picture: [H, W, 3] uint8 RGB, as large as the photo.
        tile: width of the square that is returned, pixels.

    Returns:
        [tile, tile, 3] uint8 RGB.
    """
    # The square in pixel corners, moved into the picture.
    low, high = -0.5, IMAGE_SIZE - 0.5
    corners = np.array([[low, low], [high, low], [low, high], [high, high]])
    corners = face.alignment.to_photo(corners) + 0.5
    size = np.array(picture.shape[1::-1], float)
    side = min(_SURROUNDINGS * np.ptp(corners, axis=0).max(), size.min())
    first = np.clip(corners.mean(axis=0) - side / 2, 0, size - side)

    return resize_box(picture, first, first + side, np.array([tile, tile]), Image.LANCZOS)


def _data_url(picture: np.ndarray) -> str:
    """Return a picture as a JPEG inside a URL."""
    encoded = base64.b64encode(encode_jpeg(picture, _JPEG_QUALITY)).decode("ascii")
    return "data:image/jpeg;base64," + encoded


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
