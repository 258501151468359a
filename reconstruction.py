"""One face of one photo: from its aligned crop to the files that demo.py writes."""

import os
from typing import NamedTuple, Optional

import numpy as np
from PIL import Image

from alignment.align import CROP_SIZE, Alignment, crop_to_photo, flip_y, paste_crop, photo_to_crop
from mesh_files import write_obj
from mesh_refinement import OVERLAY_SIZE, RefinedMesh
from mesh_renderer.obj_text import format_triangles
from workspace.atomic import atomic_path
from workspace.mat_files import write_mat
from workspace.png_files import encode_png

REFINED_SUFFIX = "_refined"  # of the names of a refined face's files
_PICTURE_HEIGHTS = (CROP_SIZE * 2, 960)  # smallest and largest height of the picture
_PICTURE_BACKGROUND = 24  # grey level around photos that do not fill their panel


class LocatedFace(NamedTuple):
    """A face that was found and aligned, before reconstruction."""

    name: str  # of its output files
    photo_path: str
    photo: np.ndarray  # [H, W, 3] uint8 RGB
    alignment: Alignment
    landmarks: np.ndarray  # [68, 2] detected, photo pixels, y down
    landmark_weights: np.ndarray  # [68] trust, 0..1
    five_points: np.ndarray  # [5, 2] photo pixels, y down


class Reconstruction(NamedTuple):
    """What was found for one face; see ``face_graph.DecodedBatch`` for units."""

    face: LocatedFace
    coefficients: np.ndarray  # [257]
    world_shape: np.ndarray  # [N, 3]
    albedo: np.ndarray  # [N, 3]
    colors: np.ndarray  # [N, 3]
    landmarks: np.ndarray  # [68, 2] crop pixels, y up
    rendered: np.ndarray  # [224, 224, 4] uint8 RGBA
    front_mask: np.ndarray  # [224, 224] bool
    overlay: np.ndarray  # [448, 448, 4] uint8 RGBA, the same at twice the resolution
    refined: Optional[RefinedMesh] = None  # what a mesh generator made of it


def reconstructions(faces, coefficients, face_graph):
    """Decode and render the coefficients of a batch of located faces.

    Args:
        faces: list of :class:`LocatedFace`, length B.
        coefficients: [B, 257].
        face_graph: a ``FaceGraph``.

    Returns:
        A list of :class:`Reconstruction`.
    """
    batch = face_graph.decode(coefficients, overlay_size=OVERLAY_SIZE)
    return [Reconstruction(face, *rows) for face, *rows in zip(
        faces, batch.coefficients, batch.world_shape, batch.albedo, batch.colors, batch.landmarks,
        batch.rendered, batch.front_mask, batch.overlay)]


def versions(reconstruction):
    """Return a list: the reconstruction with the coefficient mesh, and that with the refined one if there is one.

    The latter is a :class:`Reconstruction` like any other, called ``NAME_refined``; albedo, light and
    pose stay those of the coefficients.
    """
    refined = reconstruction.refined
    plain = reconstruction._replace(refined=None)
    if refined is None:
        return [plain]
    face = plain.face._replace(name=plain.face.name + REFINED_SUFFIX)
    return [plain, plain._replace(face=face, **refined._asdict())]


def landmarks_in_photo(reconstruction):
    """Return the reconstruction's 68 landmarks in the original photo, [68, 2], y down."""
    return crop_to_photo(flip_y(reconstruction.landmarks), reconstruction.face.alignment.trans_params)


def landmark_error(reconstruction):
    """Return the mean distance of the 51 inner landmarks from the detected ones, in eye distances.

    The eye distance is that between the outer eye corners. Landmarks that the detector is not
    trusted with (weight 0) do not count; None if there are none.
    """
    detected, weights = reconstruction.face.landmarks, reconstruction.face.landmark_weights
    counted = (np.arange(68) >= 17) & (weights > 0)
    if not counted.any():
        return None
    distances = np.linalg.norm(landmarks_in_photo(reconstruction) - detected, axis=1)
    return float(distances[counted].mean() / np.linalg.norm(detected[36] - detected[45]))


def photometric_error(reconstruction):
    """Return the mean absolute difference to the photo on the front region, grey levels."""
    mask = reconstruction.front_mask
    if not mask.any():
        return None
    difference = reconstruction.rendered[mask][:, :3].astype(np.float64) - reconstruction.face.alignment.crop[mask]
    return float(np.abs(difference).mean())


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


def crop_landmarks(face):
    """Return the detected 68 landmarks in the crop, [68, 2], y up, as labels are kept."""
    return flip_y(photo_to_crop(face.landmarks, face.alignment.trans_params))


def _resized(image, width, height):
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.LANCZOS))
