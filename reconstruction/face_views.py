"""Pictures of a reconstructed face: overlay, geometry, albedo, normals, depth, turntable."""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from alignment.align import crop_to_photo_matrix
from alignment.square import cut_affine
from face_model.model import FaceModel
from geometry.camera import IMAGE_SIZE, project_to_image
from geometry.normals import surface_normals
from mesh_renderer.core import rasterize
from reconstruction.face import Reconstruction, map_landmarks_to_photo
from utils.drawing import add_titles, draw_points, tile_pictures

KINDS = ("overlay", "geometry", "albedo", "normals", "depth", "landmarks")
_SUPERSAMPLING = 2  # in each direction, against jagged edges
_LARGEST_CANVAS = 4096  # pixels drawn; wider faces are drawn without supersampling
_DEPTH_RANGE = 10.0  # dm in front of and behind the origin
_CLAY = np.array([205.0, 200.0, 192.0])
# Strength of each lamp, and direction to it.
_LIGHTS = ((0.55, (0.35, 0.45, 0.82)), (0.25, (-0.75, 0.2, 0.63)))
_AMBIENT = 0.25
_BACKGROUND = 24  # gray level


class View(NamedTuple):
    """The vertices of a face as a camera sees them."""

    screen: np.ndarray  # [N, 2] x right, y down, pixel corners at integers
    depth: np.ndarray  # [N] dm, larger is farther
    width: int
    height: int
    of_photo: bool = False  # the whole photo, pixel by pixel, instead of the crop


def crop_view(world_shape: np.ndarray, size: int) -> View:
    """Return the :class:`View` of the 224x224 crop, drawn at ``size`` pixels."""
    return View(project_to_image(world_shape, size), -world_shape[:, 2], size, size)


def photo_view(reconstruction: Reconstruction) -> View:
    """Return the :class:`View` of the original photo, at its own resolution."""
    height, width = reconstruction.face.photo.shape[:2]
    corners = project_to_image(reconstruction.world_shape)
    centers = reconstruction.face.alignment.to_photo(corners - 0.5)
    return View(centers + 0.5, -reconstruction.world_shape[:, 2], width, height, of_photo=True)


def draw_attributes(
    view: View, triangles: np.ndarray, attributes: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Draw vertex attributes.

    Args:
        view: a :class:`View`.
        triangles: [F, 3] vertex indices.
        attributes: [N, C].

    Returns:
        [height, width, C] float32, 0 where empty and averaged over the covered part of the pixel
        elsewhere, and coverage [height, width] float32, 0..1.
    """
    image = np.zeros((view.height, view.width, attributes.shape[1]), np.float32)
    coverage = np.zeros((view.height, view.width), np.float32)

    # 1. the box of the face inside the view
    limits = [view.width, view.height]
    first = np.clip(np.floor(view.screen.min(axis=0)), 0, limits).astype(int)
    last = np.clip(np.ceil(view.screen.max(axis=0)), first, limits).astype(int)
    if np.any(last <= first):
        return image, coverage

    # 2. the triangle of each sample in the box
    is_small = max(last - first) * _SUPERSAMPLING <= _LARGEST_CANVAS
    samples = _SUPERSAMPLING if is_small else 1
    columns, rows = (last - first) * samples
    ndc = (view.screen - first) / (last - first) * 2 - 1
    clip = np.stack([ndc[:, 0], -ndc[:, 1], view.depth / _DEPTH_RANGE, np.ones(len(ndc))], axis=1)
    barycentric, ids, _, mask, _ = (
        array[0] for array in rasterize(clip[np.newaxis], triangles, columns, rows)
    )

    # 3. interpolated attributes, averaged over the samples of each pixel
    part = np.zeros((rows, columns, attributes.shape[1]), np.float32)
    covered = mask[..., 0] > 0
    corners = triangles[ids[covered]]
    weights = barycentric[covered]
    part[covered] = sum(
        attributes[corners[:, i]].astype(np.float32) * weights[:, i : i + 1] for i in range(3)
    )
    share = _average(mask, samples)
    window = (slice(first[1], last[1]), slice(first[0], last[0]))
    image[window] = _average(part, samples) / np.maximum(share, 1e-6)
    coverage[window] = share[..., 0]
    return image, coverage


def _average(image: np.ndarray, factor: int) -> np.ndarray:
    rows, columns, channels = image.shape
    blocks = image.reshape(rows // factor, factor, columns // factor, factor, channels)
    return blocks.mean(axis=(1, 3))


def draw_pictures(
    reconstruction: Reconstruction, model: FaceModel, view: View, under: np.ndarray
) -> Dict[str, np.ndarray]:
    """Draw every kind of picture of a face.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.
        view: :func:`crop_view` or :func:`photo_view` of it.
        under: [height, width, 3] uint8 RGB, the photo in that view.

    Returns:
        A dict of kind (:data:`KINDS`) -> [height, width, 3] uint8 RGB.
    """
    # 1. the colors of all kinds as vertex attributes, drawn together
    normals = surface_normals(reconstruction.world_shape, model.triangles)
    depth = reconstruction.world_shape[:, 2:]
    nearness = 255 * (depth - depth.min()) / max(np.ptp(depth), 1e-6)
    attributes = np.concatenate(
        [
            np.clip(reconstruction.colors, 0, 255),
            shade_clay(normals),
            np.clip(reconstruction.albedo, 0, 255),
            127.5 * (normals + 1),
            nearness.repeat(3, axis=1),
        ],
        axis=1,
    )
    image, coverage = draw_attributes(view, model.triangles, attributes)

    # 2. each kind over the photo or over gray
    gray = np.full_like(under, _BACKGROUND)
    pictures = {}
    for i, kind in enumerate(KINDS[:-1]):
        background = under if kind in ("overlay", "geometry") else gray
        pictures[kind] = blend(background, image[..., 3 * i : 3 * i + 3], coverage)
    pictures["landmarks"] = _draw_landmarks(reconstruction, view, under, model)
    return pictures


def cut_crop(reconstruction: Reconstruction, size: int) -> np.ndarray:
    """Cut the crop from the photo at another size, [size, size, 3] uint8 RGB."""
    alignment = reconstruction.face.alignment
    if alignment.degrees:
        matrix = crop_to_photo_matrix(alignment.trans_params, alignment.degrees)
        step = IMAGE_SIZE / size
        matrix[:, 2] += matrix[:, :2].dot([(step - 1) / 2] * 2)
        matrix[:, :2] *= step
        return cut_affine(reconstruction.face.photo, matrix, (size, size))
    scale, offset = _crop_window(reconstruction)
    step = IMAGE_SIZE / size
    return np.asarray(
        Image.fromarray(reconstruction.face.photo).transform(
            (size, size),
            Image.AFFINE,
            (scale[0] * step, 0, offset[0], 0, scale[1] * step, offset[1]),
            resample=Image.BICUBIC,
        )
    )


def _crop_window(reconstruction: Reconstruction) -> Tuple[np.ndarray, np.ndarray]:
    """Return photo pixels per crop pixel, and the photo position of the crop's corner."""
    corners = np.array([[-0.5, -0.5], [IMAGE_SIZE - 0.5] * 2])
    corner, end = reconstruction.face.alignment.to_photo(corners) + 0.5
    return (end - corner) / IMAGE_SIZE, corner


def shade_clay(normals: np.ndarray) -> np.ndarray:
    """Return the colors [N, 3] of unpainted clay under two lamps."""
    light = _AMBIENT + sum(
        strength * np.maximum(normals.dot(direction), 0) for strength, direction in _LIGHTS
    )
    return np.clip(light, 0, 1)[:, np.newaxis] * _CLAY


def blend(under: np.ndarray, image: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """Lay a drawn image over a picture, uint8."""
    alpha = coverage[..., np.newaxis]
    mixed = under * (1 - alpha) + image * alpha
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _draw_landmarks(
    reconstruction: Reconstruction, view: View, under: np.ndarray, model: FaceModel
) -> np.ndarray:
    """Mark detected landmarks of nonzero confidence in green, and the model's in red."""
    canvas = Image.fromarray(under)
    face = reconstruction.face
    face_height = np.ptp(view.screen[model.landmarks, 1])
    radius = max(1.0, face_height / 100)
    detected = face.landmarks[face.landmark_confidence > 0] + 0.5
    own = map_landmarks_to_photo(reconstruction) + 0.5
    for points, color in ((detected, (60, 220, 90)), (own, (255, 80, 60))):
        draw_points(canvas, _map_to_view(points, reconstruction, view), color, radius)
    return np.asarray(canvas)


def _map_to_view(points: np.ndarray, reconstruction: Reconstruction, view: View) -> np.ndarray:
    """Map photo positions (pixel corners) into a view of the photo or of the crop."""
    if view.of_photo:
        return points
    in_crop = reconstruction.face.alignment.to_crop(points - 0.5) + 0.5
    return in_crop * (view.width / IMAGE_SIZE)


def draw_turntable(
    reconstruction: Reconstruction,
    model: FaceModel,
    size: int,
    frames: int = 36,
    textured: bool = True,
    swing: Optional[float] = None,
) -> List[np.ndarray]:
    """Draw the turning face, a list of [size, size, 3] uint8 RGB.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.
        size: width and height in pixels.
        frames: number of pictures.
        textured: draw lit colors instead of clay.
        swing: degrees to each side, swinging; None for a whole turn.
    """
    world = reconstruction.world_shape
    center = (world.min(axis=0) + world.max(axis=0)) / 2
    phases = 2 * np.pi * np.arange(frames) / frames
    angles = phases if swing is None else np.radians(swing) * np.sin(phases)
    background = np.full((size, size, 3), _BACKGROUND, np.uint8)
    pictures = []
    for angle in angles:
        turned = (world - center).dot(Rotation.from_euler("y", angle).as_matrix().T)
        colors = reconstruction.colors
        if not textured:
            colors = shade_clay(surface_normals(turned, model.triangles))
        image, coverage = draw_attributes(
            crop_view(turned, size), model.triangles, np.clip(colors, 0, 255)
        )
        pictures.append(blend(background, image, coverage))
    return pictures


def arrange_contact_sheet(
    rows: Sequence[Sequence[np.ndarray]], size: int, titles: Sequence[str]
) -> np.ndarray:
    """Return one picture of rows of pictures, each resized to a square of ``size`` pixels.

    Args:
        rows: one for each face.
        size: width and height of a cell.
        titles: of the columns.
    """
    cells = [
        Image.fromarray(picture).resize((size, size), Image.LANCZOS)
        for row in rows
        for picture in row
    ]
    return add_titles(tile_pictures(cells, columns=len(rows[0])), titles)
