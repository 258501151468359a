"""The files of one face for the page: a mesh to animate, a textured OBJ, numbers, a picture."""

import os
import zipfile
from typing import Any, Callable, Optional

import numpy as np
from PIL import Image

from alignment.align import paste_crop
from face_model import FaceModel
from mesh.gltf import write_rig
from mesh.morph_targets import make_rig
from mesh.obj_ply import write_texture, write_textured_obj
from mesh.texture_baking import bake_texture, remove_light
from mesh.uv_unwrap import UVMap, unwrap_uv
from reconstruction.api import FaceReconstructor
from reconstruction.face import Reconstruction
from reconstruction.face_data import describe_face, encode_face_data
from reconstruction.result_files import build_mat_fields, make_model_content
from utils.atomic import atomic_path, write_atomically
from utils.drawing import encode_jpeg
from utils.mat_files import write_mat
from utils.photos import read_photo

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
_PICTURE_SIDE = 960  # pixels, the longer side of the picture
_JPEG_QUALITY = 88


class FaceWorker:
    """Reconstructs photos and writes their files.

    Args:
        reconstructor: a ``FaceReconstructor`` of the largest face.
        texture_size: pixels, a power of two; larger ones take seconds to bake and to load.
    """

    def __init__(self, reconstructor: FaceReconstructor, texture_size: int = 1024) -> None:
        self._texture_size = texture_size
        self._reconstructor = reconstructor
        self._uv_map = unwrap_uv(reconstructor.model)
        self._content = make_model_content(reconstructor.model)

    def run(self, photo_path: str, folder: str, progress: Callable[[int], Any]) -> Optional[str]:
        """Reconstruct the largest face of a photo and write :data:`FILES`.

        Args:
            photo_path: the photo.
            folder: folder to write to.
            progress: callable taking the number of finished steps of fitting.

        Returns:
            A doubt about the result, or None.

        Raises:
            InputError: the photo cannot be read or shows no face, or ``progress`` raised it.
        """
        face = self._reconstructor.reconstruct(read_photo(photo_path), progress)[0]
        found = face.reconstruction
        write_mesh_files(found, face.model, self._uv_map, folder, self._texture_size)
        with atomic_path(os.path.join(folder, "face.mat")) as temporary:
            with open(temporary, "wb") as file:
                write_mat(file, build_mat_fields(found, face.model, self._content))
        data = encode_face_data(describe_face(found, face.model))
        write_atomically(os.path.join(folder, "face.json"), data)
        picture = paste_crop(found.face.photo, found.overlay, found.face.alignment)
        jpeg = encode_jpeg(_shrink(picture), _JPEG_QUALITY)
        write_atomically(os.path.join(folder, "face.jpg"), jpeg)
        if found.face.is_doubtful:
            return "little of the face is seen surely: look at the picture"
        return None


def write_mesh_files(
    reconstruction: Reconstruction,
    model: FaceModel,
    uv_map: UVMap,
    folder: str,
    texture_size: int,
) -> None:
    """Write ``face.glb``, ``albedo.png``, and ``face.zip`` with the textured OBJ.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.
        uv_map: ``unwrap_uv(model)``.
        folder: folder to write to.
        texture_size: pixels, a power of two.
    """
    # 1. the mesh to animate
    texture = bake_texture(reconstruction, model, uv_map, texture_size)
    albedo = remove_light(texture, reconstruction, model, uv_map)
    write_texture(os.path.join(folder, "albedo.png"), albedo)
    write_rig(
        os.path.join(folder, "face.glb"),
        make_rig(reconstruction, model),
        model.triangles,
        uv_map.coordinates,
        texture,
        _NAME,
    )

    # 2. the OBJ with its two companions, packed
    paths = write_textured_obj(
        os.path.join(folder, _NAME + ".obj"),
        reconstruction.world_shape,
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


def _shrink(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    image.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE), Image.LANCZOS)
    return np.asarray(image)
