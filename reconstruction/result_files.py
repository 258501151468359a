"""The files of a reconstructed face that demo.py writes: NAME.mat, NAME_mesh.obj, NAME.png."""

import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from alignment.align import paste_crop
from geometry.camera import IMAGE_SIZE
from mesh.obj_ply import write_obj
from mesh_renderer.obj_text import format_triangles
from mesh_renderer.png import encode_png
from reconstruction.face import landmarks_in_photo, versions
from utils.atomic import atomic_path
from utils.mat_files import write_mat

_PICTURE_HEIGHTS = (IMAGE_SIZE * 2, 960)  # smallest and largest height of the picture
_PICTURE_BACKGROUND = 24  # grey level around photos that do not fill their panel


class ModelContent(NamedTuple):
    """What the files of all faces of one model have in common, made once: it takes a while."""

    fingerprint: str
    triangles: np.ndarray  # [F, 3] int32, vertices counted from 1
    triangle_lines: bytes  # the same as lines of an OBJ


def model_content(model):
    """Return the :class:`ModelContent` of a ``FaceModel``."""
    return ModelContent(model.fingerprint(), np.asfortranarray(model.triangles + 1),
                        format_triangles(model.triangles))


def write_reconstruction(reconstruction, model, folder, content=None):
    """Write ``NAME.mat``, ``NAME_mesh.obj`` and ``NAME.png`` into ``folder``, each atomically.

    A refined face has ``NAME_refined_mesh.obj`` and ``NAME_refined.png`` besides.

    Args:
        reconstruction: a :class:`Reconstruction`.
        model: the ``FaceModel`` it was made with.
        folder: where to write; made if missing.
        content: ``model_content(model)``, for callers that write many faces.

    Returns:
        The paths written.
    """
    content = content or model_content(model)
    paths = [os.path.join(folder, reconstruction.face.name + ".mat")]
    with atomic_path(paths[0]) as temporary, open(temporary, "wb") as file:
        write_mat(file, mat_fields(reconstruction, model, content))
    for version in versions(reconstruction):
        stem = os.path.join(folder, version.face.name)
        paths += [stem + "_mesh.obj", stem + ".png"]
        write_obj(paths[-2], version.world_shape, model.triangles, version.colors, content.triangle_lines)
        with atomic_path(paths[-1]) as temporary, open(temporary, "wb") as file:
            file.write(encode_png(comparison_picture(version)))
    return paths


def mat_fields(reconstruction, model, content):
    """Return the published fields of ``NAME.mat`` and ours.

    As published, ``lm_68p`` is y up and ``lm_5p`` y down, both in the crop. Ours: the crop's
    place in the photo (``trans_params``), the landmarks there (``*_photo``, y down), the
    detected 68 points and the face model; of a refined face its shape, colours, landmarks and
    rendering (``*_refined``).
    """
    face, refined = reconstruction.face, reconstruction.refined
    refined_fields = {} if refined is None else {
        "face_shape_refined": refined.world_shape, "face_color_refined": refined.colors,
        "lm_68p_refined": refined.landmarks, "recon_img_refined": refined.rendered}
    return dict(refined_fields, **{
        "cropped_img": face.alignment.crop,
        "recon_img": reconstruction.rendered,
        "coeff": reconstruction.coefficients[np.newaxis].astype(np.float32),
        "face_shape": reconstruction.world_shape,
        "face_texture": reconstruction.albedo,
        "face_color": reconstruction.colors,
        "lm_68p": reconstruction.landmarks,
        "lm_5p": face.alignment.five_points,
        "trans_params": face.alignment.trans_params,
        "lm_68p_photo": landmarks_in_photo(reconstruction),
        "lm_5p_photo": face.five_points,
        "lm_68p_detected_photo": face.landmarks,
        "lm_68p_detected_weight": face.landmark_weights,
        "tri": content.triangles,
        "face_model": model.name,
        "face_model_fingerprint": content.fingerprint,
    })


def comparison_picture(reconstruction):
    """Return one picture, uint8 RGB: crop above reconstruction, beside the photo with the face laid in."""
    face = reconstruction.face
    overlaid = paste_crop(face.photo, reconstruction.overlay, face.alignment.trans_params)
    height = int(np.clip(overlaid.shape[0], *_PICTURE_HEIGHTS)) // 2 * 2
    width = max(1, round(overlaid.shape[1] * height / overlaid.shape[0]))
    panel = height // 2
    crop = _resized(face.alignment.crop, panel, panel)
    rendered = Image.fromarray(reconstruction.overlay)
    on_grey = Image.new("RGB", rendered.size, (_PICTURE_BACKGROUND,) * 3)
    on_grey.paste(rendered, mask=rendered)
    drawn = _resized(np.asarray(on_grey), panel, panel)
    return np.concatenate([np.concatenate([crop, drawn]), _resized(overlaid, width, height)], axis=1)


def _resized(image, width, height):
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.LANCZOS))
