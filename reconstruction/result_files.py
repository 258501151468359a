"""The files of a face that demo.py writes: NAME.mat, NAME.json, NAME_mesh.obj, NAME.png."""

import os
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np
from PIL import Image

from alignment.align import paste_crop
from face_model.model import FaceModel
from geometry.camera import IMAGE_SIZE
from mesh.obj_ply import write_obj
from mesh_renderer.obj_text import format_triangles
from mesh_renderer.png import encode_png
from reconstruction.face import (
    Reconstruction,
    head_pose,
    map_landmarks_to_photo,
    mesh_variants,
)
from reconstruction.face_data import describe_face, encode_face_data
from utils.atomic import atomic_path, write_atomically
from utils.mat_files import write_mat

_PICTURE_HEIGHTS = (IMAGE_SIZE * 2, 960)  # smallest and largest height of the picture
_PICTURE_BACKGROUND = 24  # gray level around the rendered face


class ModelContent(NamedTuple):
    """The content shared by the files of all faces of a model; it takes long to make."""

    fingerprint: str
    triangles: np.ndarray  # [F, 3] int32, vertices counted from 1
    triangle_lines: bytes  # the same triangles as lines of an OBJ file


def make_model_content(model: FaceModel) -> ModelContent:
    """Return the :class:`ModelContent` of a ``FaceModel``."""
    return ModelContent(
        model.fingerprint(),
        np.asfortranarray(model.triangles + 1),
        format_triangles(model.triangles),
    )


def write_reconstruction(
    reconstruction: Reconstruction,
    model: FaceModel,
    folder: str,
    content: Optional[ModelContent] = None,
) -> List[str]:
    """Write ``NAME.mat``, ``NAME.json``, ``NAME_mesh.obj`` and ``NAME.png``, each atomically.

    A refined face also has ``NAME_refined_mesh.obj`` and ``NAME_refined.png``.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.
        folder: folder to write to; it is made if missing.
        content: ``make_model_content(model)``, for callers that write many faces.

    Returns:
        The paths written.
    """
    content = content or make_model_content(model)
    stem = os.path.join(folder, reconstruction.face.name)
    paths = [stem + ".mat", stem + ".json"]
    with atomic_path(paths[0]) as temporary, open(temporary, "wb") as file:
        write_mat(file, build_mat_fields(reconstruction, model, content))
    write_atomically(paths[1], encode_face_data(describe_face(reconstruction, model)))
    for variant in mesh_variants(reconstruction):
        stem = os.path.join(folder, variant.face.name)
        paths += [stem + "_mesh.obj", stem + ".png"]
        write_obj(
            paths[-2],
            variant.world_shape,
            model.triangles,
            variant.colors,
            content.triangle_lines,
        )
        write_atomically(paths[-1], encode_png(draw_comparison(variant)))
    return paths


def build_mat_fields(
    reconstruction: Reconstruction, model: FaceModel, content: ModelContent
) -> Dict[str, Any]:
    """Return the published fields of ``NAME.mat`` and our own.

    As published, ``lm_68p`` is y up and ``lm_5p`` y down, both in the crop. Ours are: the position
    of the crop in the photo (``trans_params`` of the photo turned by ``crop_angle`` degrees
    counter-clockwise), the pose of the head in it (``head_pose``, degrees), the landmarks there
    (``*_photo``, y down), the detected 68 points, the trust in the place of the face
    (``face_trust``, 0..1) and the face model; of a refined face its shape, colors, landmarks and
    rendering (``*_refined``).
    """
    face = reconstruction.face
    refined = reconstruction.refined
    fields: Dict[str, Any] = {}
    if refined is not None:
        fields = {
            "face_shape_refined": refined.world_shape,
            "face_color_refined": refined.colors,
            "lm_68p_refined": refined.landmarks,
            "recon_img_refined": _with_unit_alpha(refined.rendered),
        }
    fields.update(
        {
            "cropped_img": face.alignment.crop,
            "recon_img": _with_unit_alpha(reconstruction.rendered),
            "coeff": reconstruction.coefficients[np.newaxis].astype(np.float32),
            "face_shape": reconstruction.world_shape,
            "face_texture": reconstruction.albedo,
            "face_color": reconstruction.colors,
            "lm_68p": reconstruction.landmarks,
            "lm_5p": face.alignment.five_points,
            "trans_params": face.alignment.trans_params,
            "crop_angle": face.alignment.degrees,
            "face_trust": face.trust,
            "head_pose": head_pose(reconstruction, model),
            "lm_68p_photo": map_landmarks_to_photo(reconstruction),
            "lm_5p_photo": face.five_points,
            "lm_68p_detected_photo": face.landmarks,
            "lm_68p_detected_weight": face.landmark_confidence,
            "tri": content.triangles,
            "face_model": model.name,
            "face_model_fingerprint": content.fingerprint,
        }
    )
    return fields


def _with_unit_alpha(rendered: np.ndarray) -> np.ndarray:
    """Return an RGBA picture with alpha 0 or 1, so that it composes as the published one does."""
    picture = rendered.copy()
    picture[..., 3] = rendered[..., 3] > 0
    return picture


def draw_comparison(reconstruction: Reconstruction) -> np.ndarray:
    """Draw crop above reconstruction, beside the photo with the face laid in, as uint8 RGB."""
    # 1. the photo with the face, scaled to a height between the limits
    face = reconstruction.face
    overlaid = paste_crop(face.photo, reconstruction.overlay, face.alignment)
    height = int(np.clip(overlaid.shape[0], *_PICTURE_HEIGHTS)) // 2 * 2
    width = max(1, round(overlaid.shape[1] * height / overlaid.shape[0]))

    # 2. crop and reconstruction, each half as high
    panel = height // 2
    crop = _resize(face.alignment.crop, panel, panel)
    rendered = Image.fromarray(reconstruction.overlay)
    on_gray = Image.new("RGB", rendered.size, (_PICTURE_BACKGROUND,) * 3)
    on_gray.paste(rendered, mask=rendered)
    drawn = _resize(np.asarray(on_gray), panel, panel)

    return np.concatenate([np.concatenate([crop, drawn]), _resize(overlaid, width, height)], axis=1)


def _resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.LANCZOS))
