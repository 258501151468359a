"""The files of one face for the page: a mesh to animate, a textured OBJ, numbers, a picture."""

import os
import zipfile
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from alignment.align import paste_crop
from face_model import FaceModel
from mesh.gltf import write_rig
from mesh.morph_targets import make_rig
from mesh.obj_ply import write_texture, write_textured_obj
from mesh.texture_baking import bake_texture, remove_light
from mesh.uv_unwrap import UVMap
from reconstruction.api import FaceReconstructor
from reconstruction.face import Reconstruction
from reconstruction.face_data import describe_face, encode_face_data
from reconstruction.html_page import cut_around_face
from reconstruction.people import Person, build_person_fields, iterate_people
from reconstruction.result_files import build_mat_fields, make_model_content
from utils.atomic import atomic_path, write_atomically
from utils.drawing import encode_jpeg, tile_pictures
from utils.errors import InputError
from utils.mat_files import write_mat
from utils.photo_sets import PhotoSet
from utils.photos import Photo, read_photo
from utils.report import RecordedReport
from web.jobs import Progress

# Names of the files of a face, by which the page asks for them; and their types.
FILES = {
    "face.glb": "model/gltf-binary",
    "face.zip": "application/zip",
    "face.mat": "application/octet-stream",
    "face.json": "application/json",
    "face.jpg": "image/jpeg",
    "albedo.png": "image/png",  # the texture without light, for the page's lamp
}
_NAME = "face"
_PERSON = "the person"  # whose photos they are, in messages
_PICTURE_SIDE = 960  # pixels, the longer side of the picture
_TILE = 400  # pixels, the side of each of several photos
_TILE_BACKGROUND = 38  # gray level of an empty place among them: about that of the page
_JPEG_QUALITY = 88
_DOUBT = "little of the face is seen surely: look at the picture"


class FaceWorker:
    """Reconstructs photos and writes their files.

    Args:
        reconstructor: a ``FaceReconstructor`` of the largest face.
        texture_size: pixels, a power of two; larger ones take seconds to bake and to load.
    """

    def __init__(self, reconstructor: FaceReconstructor, texture_size: int = 1024) -> None:
        self._texture_size = texture_size
        self._reconstructor = reconstructor
        self._uv_map = reconstructor.pipeline.uv_map
        self._content = make_model_content(reconstructor.model)

    def run(self, photos: Sequence[Photo], folder: str, progress: Progress) -> Optional[str]:
        """Reconstruct the largest face of a photo, or of all photos of one person.

        The files are :data:`FILES`.

        Args:
            photos: one photo, or several of one person.
            folder: folder to write to.
            progress: callable taking the current activity and its finished share.

        Returns:
            Doubts about the result and photos that were left out, one a line; or None.

        Raises:
            InputError: no photo can be read and shows a face, or ``progress`` raised it.
        """
        if len(photos) > 1:
            return self._reconstruct_person(photos, folder, progress)
        return self._reconstruct_face(photos[0], folder, progress)

    def _reconstruct_face(self, photo: Photo, folder: str, progress: Progress) -> Optional[str]:
        """Write the files of the largest face of one photo."""
        # 1. the face
        steps = self._reconstructor.steps

        def note_step(step: int) -> None:
            progress("fitting, step {} of {}".format(step, steps), step / max(steps, 1))

        progress("looking for the face", None)
        pixels = read_photo(photo.path)
        found = self._reconstructor.reconstruct(pixels, note_step)[0].reconstruction
        model = self._reconstructor.model

        # 2. its files
        progress("baking the texture", None)
        texture = bake_texture(found, model, self._uv_map, self._texture_size)
        albedo = remove_light(texture, found, model, self._uv_map)
        write_mesh_files(found, model, self._uv_map, texture, albedo, folder)
        picture = _shrink(paste_crop(found.face.photo, found.overlay, found.face.alignment))
        fields = build_mat_fields(found, model, self._content)
        _write_numbers_and_picture(fields, describe_face(found, model), picture, folder)
        return _DOUBT if found.face.is_doubtful else None

    def _reconstruct_person(
        self, photos: Sequence[Photo], folder: str, progress: Progress
    ) -> Optional[str]:
        """Write the files of the person that several photos show."""
        # 1. the person, with a tile of the picture and the data of each photo
        model = self._reconstructor.model
        report = _PersonReport(progress)
        shown: Dict[str, Tuple[np.ndarray, Dict[str, Any]]] = {}

        def keep(found: Reconstruction) -> None:
            picture = paste_crop(found.face.photo, found.overlay, found.face.alignment)
            tile = cut_around_face(found.face, picture, _TILE)
            shown[found.face.name] = tile, describe_face(found, model)

        people = list(
            iterate_people(
                self._reconstructor.pipeline,
                [PhotoSet(_PERSON, tuple(photos))],
                self._uv_map,
                report,
                keep,
                texture_size=self._texture_size,
            )
        )
        if not people:
            raise InputError("\n".join(reason for _, reason in report.skipped))
        person = people[0]

        # 2. the files; the texture of a person has no light
        texture = person.texture
        write_mesh_files(person, model, self._uv_map, texture, texture, folder)
        tiles = [shown[name][0] for name in person.photos]
        columns = int(np.ceil(np.sqrt(len(tiles))))
        data = {
            "face_model": model.name,
            "photos": [shown[name][1] for name in person.photos],
            "left_out": list(person.left_out),
        }
        _write_numbers_and_picture(
            build_person_fields(person, model),
            data,
            _shrink(tile_pictures(tiles, columns, _TILE_BACKGROUND)),
            folder,
        )
        return "\n".join(report.describe(person)) or None


class _PersonReport(RecordedReport):
    """Passes the activity on, and collects notes about photos.

    Args:
        progress: see :meth:`FaceWorker.run`.
    """

    def __init__(self, progress: Progress) -> None:
        super().__init__(lambda: None)
        self._progress = progress
        self._remarks: List[str] = []

    def note(self, text: str, share: Optional[float] = None) -> None:
        """Pass the current activity on."""
        self._progress(text, share)

    def remark(self, sentence: str) -> None:
        """Collect a note."""
        self._remarks.append(sentence)

    def describe(self, person: Person) -> List[str]:
        """Return sentences about photos that were left out or are doubtful, and the remarks."""
        strangers = set(person.left_out)
        lines = [
            "left out: {}".format(
                name + " shows somebody else than most photos" if name in strangers else reason
            )
            for name, reason in self.skipped
        ]
        lines += ["{}: {}".format(name, _DOUBT) for name in self.doubtful if name not in strangers]
        return lines + self._remarks


def write_mesh_files(
    face: Any,
    model: FaceModel,
    uv_map: UVMap,
    texture: np.ndarray,
    albedo: np.ndarray,
    folder: str,
) -> None:
    """Write ``face.glb``, ``albedo.png``, and ``face.zip`` with the textured OBJ.

    Args:
        face: a ``Reconstruction`` or a ``Person``.
        model: the ``FaceModel`` it was made with.
        uv_map: ``unwrap_uv(model)``.
        texture: [T, T, 3] uint8 RGB.
        albedo: [T, T, 3] uint8 RGB, the texture without light.
        folder: folder to write to.
    """
    # 1. the mesh to animate
    write_texture(os.path.join(folder, "albedo.png"), albedo)
    write_rig(
        os.path.join(folder, "face.glb"),
        make_rig(face, model),
        model.triangles,
        uv_map.coordinates,
        texture,
        _NAME,
    )

    # 2. the OBJ with its two companions, packed
    paths = write_textured_obj(
        os.path.join(folder, _NAME + ".obj"),
        face.world_shape,
        model.triangles,
        uv_map.coordinates,
        texture,
    )
    with atomic_path(os.path.join(folder, "face.zip")) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in paths:
                archive.write(path, os.path.basename(path))
    for path in paths:
        os.remove(path)


def _write_numbers_and_picture(
    fields: Mapping[str, Any], data: Dict[str, Any], picture: np.ndarray, folder: str
) -> None:
    """Write ``face.mat``, ``face.json`` and ``face.jpg``."""
    with atomic_path(os.path.join(folder, "face.mat")) as temporary:
        with open(temporary, "wb") as file:
            write_mat(file, fields)
    write_atomically(os.path.join(folder, "face.json"), encode_face_data(data))
    write_atomically(os.path.join(folder, "face.jpg"), encode_jpeg(picture, _JPEG_QUALITY))


def _shrink(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    image.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE), Image.LANCZOS)
    return np.asarray(image)
