"""Baking the texture of a person from the photo, at the resolution of the photo.

Texels that the photo does not show are filled from the other half of the face and from the face
model. Both enter as differences from the lit colors of the model, so that light and skin tone
continue without an edge: texture = model + (photo - model where seen, else the mirrored
difference, else its smooth continuation).

Where the surface turns away or ends in front of something farther, an error of a few pixels in its
shape puts background, hair or collar onto it. There, photo texels are kept only if they agree with
the colors extrapolated from the interior.
"""

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import scipy.ndimage

from alignment.align import Alignment
from face_model import FaceModel
from face_model.anatomy import Anatomy, find_anatomy
from geometry.camera import CAMERA_DISTANCE, IMAGE_SIZE, project_to_image
from geometry.normals import surface_normals
from mesh.face_light import light_on_face
from mesh.uv_unwrap import UVMap
from mesh_renderer.core import rasterize

SMALLEST_TEXTURE = 512  # pixels
LARGEST_TEXTURE = 4096
_FACING = (0.2, 0.6)  # cosine between normal and view; weight 0 below, 1 above
_OUTLINE = (1.0, 4.0)  # crop pixels (1 mm) from the outline; weight 0 below, 1 above
# Above these, a texel is trusted regardless of its color.
_CERTAIN_FACING, _CERTAIN_OUTLINE = (0.5, 0.75), (8.0, 22.0)
# Gray levels from the extrapolated interior that halve the weight of an uncertain texel.
_DISAGREEMENT = 30.0
_OUTLINE_STEP = 0.3  # dm; a surface ends if its surroundings are farther by this much
_DEPTH_TOLERANCE = 0.02  # dm behind the nearest surface that still count as seen
_LARGEST_DEPTH_IMAGE = 1024  # pixels, of the test for visibility
_DEPTH_RANGE = 10.0  # dm in front of and behind the origin
_ENOUGH_SEEN = 0.05  # share of an eyeball or tooth that must be seen to color the rest
_SOFTNESS = 1 / 150.0  # edge between seen and unseen, relative to the width of the texture
# Teeth darken from their front backwards, in the shadow of lips and cheeks: dm behind the frontmost
# point at which they have all of their color, and none.
_TEETH_SHADOW = (0.01, 0.10)
_ROWS = 256  # rows of the texture that are filled at once, to bound memory


class Texels(NamedTuple):
    """Values of each pixel of a texture [T, T]."""

    covered: np.ndarray  # [T, T] bool, True on the face
    model: np.ndarray  # [T, T, 3] float32, lit colors of the face model
    difference: np.ndarray  # [T, T, 3] float32, photo - model
    weight: np.ndarray  # [T, T] float32, visibility in the photo, 0..1
    certain: np.ndarray  # [T, T] float32, confidence that the photo shows this surface, <= weight
    part: np.ndarray  # [T, T] uint8, connected part of the mesh, 0 for the face itself
    oral: np.ndarray  # [T, T] bool, True inside of the mouth, on teeth and tongue
    mirror: np.ndarray  # [2, T, T] float32, row and column of its mirror image


def bake_texture(
    reconstruction: Any, model: FaceModel, uv_map: UVMap, size: Optional[int] = None
) -> np.ndarray:
    """Return the texture of one reconstructed face, [T, T, 3] uint8 RGB, first row on top (v = 1).

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.
        uv_map: texture coordinates of the model.
        size: T; None for the power of two that holds every pixel of the face in the photo.
    """
    size = size or texture_size(reconstruction, model, uv_map)
    texels = look_up_texels(reconstruction, model, uv_map, size)
    return complete_texture(texels, agreeing_weight(texels))


def complete_texture(texels: Texels, weight: np.ndarray) -> np.ndarray:
    """Return a whole texture, [T, T, 3] uint8 RGB: unseen texels are filled.

    Args:
        texels: :class:`Texels`; ``model`` is overwritten.
        weight: [T, T] weights of their differences, 0..1.
    """
    difference = texels.difference

    # 1. smooth continuation; weights are squared, so that many unreliable texels cannot outweigh
    # a few reliable ones
    smooth = _fill(difference, np.square(weight))
    for part in range(1, texels.part.max() + 1):
        inside = texels.part == part
        if inside.any():
            smooth[inside] *= min(1.0, weight[inside].mean() / _ENOUGH_SEEN)
    smooth[texels.oral & (texels.part == 0)] = 0  # lips do not color what is behind them

    # 2. mirrored half
    mirrored_weight = scipy.ndimage.map_coordinates(weight, texels.mirror, order=1, mode="nearest")
    mirrored_weight[~texels.covered] = 0

    # 3. model + difference: of the photo, else mirrored, else smooth
    result = texels.model
    for channel in range(3):
        mirrored = scipy.ndimage.map_coordinates(
            difference[..., channel], texels.mirror, order=1, mode="nearest"
        )
        unseen = mirrored_weight * mirrored + (1 - mirrored_weight) * smooth[..., channel]
        result[..., channel] += weight * difference[..., channel] + (1 - weight) * unseen

    # 4. from red to white in the mouth, whatever the photo shows in its place
    oral = result[texels.oral]
    result[texels.oral] = np.minimum(oral, oral[:, :1])

    # 5. margin around the face, for filters of viewers
    result = with_margin(result[texels.covered], texels.covered)
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def remove_light(
    texture: np.ndarray, reconstruction: Any, model: FaceModel, uv_map: UVMap
) -> np.ndarray:
    """Return the albedo of a baked texture, [T, T, 3] uint8 RGB: divided by the light of the face.

    Light is what nine spherical harmonics explain; cast shadows and highlights stay.
    Surfaces in deep shadow are brightened by a limited factor.

    Args:
        texture: [T, T, 3] uint8, result of :func:`bake_texture`.
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.
        uv_map: texture coordinates of the model.
    """
    # 1. the light on each vertex
    lit = light_on_face(reconstruction, model).astype(np.float32)

    # 2. on each texel, and beyond the face
    values, covered = draw_attributes(lit, model, uv_map, len(texture))
    light = with_margin(values, covered)
    return np.clip(np.rint(texture / light), 0, 255).astype(np.uint8)


def texture_size(reconstruction: Any, model: FaceModel, uv_map: UVMap) -> int:
    """Return the power of two at which the front of the face has a texel per photo pixel.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.
        uv_map: texture coordinates of the model.
    """
    wanted = face_resolution(reconstruction, model, uv_map)
    return int(np.clip(2 ** np.ceil(np.log2(wanted)), SMALLEST_TEXTURE, LARGEST_TEXTURE))


def face_resolution(reconstruction: Any, model: FaceModel, uv_map: UVMap) -> float:
    """Return the width of a texture that has a texel per photo pixel on the front of the face.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.
        uv_map: texture coordinates of the model.
    """
    pixels = _photo_pixels(reconstruction.world_shape, reconstruction.face.alignment)
    area = [
        np.abs(_doubled_areas(points, model.front_triangles)).sum()
        for points in (pixels, uv_map.coordinates)
    ]
    return float(np.sqrt(area[0] / area[1]))


def _doubled_areas(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return twice the signed areas [F] of triangles of points [N, 2]."""
    first = points[triangles[:, 1]] - points[triangles[:, 0]]
    second = points[triangles[:, 2]] - points[triangles[:, 0]]
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def _photo_pixels(world: np.ndarray, alignment: Alignment) -> np.ndarray:
    """Project world points [..., 3] into the photo, [..., 2], y down, pixel centers at integers."""
    # The rasterizer counts pixel corners, the photo pixel centers.
    return alignment.to_photo(project_to_image(world) - 0.5)


def look_up_texels(reconstruction: Any, model: FaceModel, uv_map: UVMap, size: int) -> Texels:
    """Look up every texel on the face, in the photo and on the other half of the face.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.
        uv_map: texture coordinates of the model.
        size: T.
    """
    # 1. triangle and barycentric coordinates of each texel; attributes to interpolate
    barycentric, triangle_ids, covered = draw_map(model, uv_map, size)
    attributes = _vertex_attributes(reconstruction, model, uv_map, size)
    alignment = reconstruction.face.alignment

    # 2. the photo, and the surfaces that it shows
    photo, corner = _part_of_photo(reconstruction)
    limits = np.array(photo[0].shape[::-1]) - 1
    world = reconstruction.world_shape.astype(np.float64)
    depth = _depth_image(world, model.triangles, min(size, _LARGEST_DEPTH_IMAGE))
    outline = _outline_distance(depth)

    # 3. fill the texture, some rows at a time
    texels = _empty_texels(covered)
    clear = np.zeros((size, size), np.float32)
    for start in range(0, size, _ROWS):
        rows, columns = np.nonzero(covered[start : start + _ROWS])
        rows += start
        corners = model.triangles[triangle_ids[rows, columns]]
        values = sum(
            attributes[corners[:, i]] * barycentric[rows, columns, i, np.newaxis] for i in range(3)
        )
        points, normals, colors, mirrored, oral = np.split(values, [3, 6, 9, 11], axis=1)
        texels.model[rows, columns] = colors
        texels.part[rows, columns] = uv_map.parts[corners[:, 0]]
        texels.oral[rows, columns] = oral[:, 0] > 0.5
        texels.mirror[:, rows, columns] = mirrored.T

        # difference from the photo
        pixels = _photo_pixels(points, alignment) - corner
        texels.difference[rows, columns] = _sample_photo(photo, pixels) - colors

        # visibility in it
        inside = np.all((pixels > 0) & (pixels < limits), axis=1)
        cells = _depth_cells(points, len(depth))
        seen = -points[:, 2] <= depth[cells] + _DEPTH_TOLERANCE
        facing = _facing(points, normals)
        away = outline[cells]
        texels.weight[rows, columns] = inside & seen
        clear[rows, columns] = ramp(facing, *_FACING) * ramp(away, *_OUTLINE)
        certain = ramp(facing, *_CERTAIN_FACING) * ramp(away, *_CERTAIN_OUTLINE)
        texels.certain[rows, columns] = certain

    # 4. soft edge between seen and unseen
    soft = np.clip(2 * scipy.ndimage.gaussian_filter(texels.weight, size * _SOFTNESS) - 1, 0, 1)
    texels.weight[...] = clear * soft
    texels.certain[...] *= soft
    return texels


def draw_map(
    model: FaceModel, uv_map: UVMap, size: int
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the mesh at its texture coordinates.

    Args:
        model: the face model.
        uv_map: its texture coordinates.
        size: T.

    Returns:
        [T, T, 3] barycentric coordinates and [T, T] triangle of each texel; [T, T] bool, True on
        the face.
    """
    clip = np.concatenate(
        [
            2 * uv_map.coordinates - 1,
            -model.mean_shape[:, 2:] / _DEPTH_RANGE,
            np.ones((model.vertex_count, 1)),
        ],
        axis=1,
    )
    barycentric, triangle_ids, _, mask, _ = rasterize(clip[np.newaxis], model.triangles, size, size)
    return barycentric[0], triangle_ids[0], mask[0, ..., 0] > 0


def draw_attributes(
    attributes: np.ndarray, model: FaceModel, uv_map: UVMap, size: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Interpolate attributes of the vertices over a texture.

    Args:
        attributes: [N, C].
        model: the face model.
        uv_map: its texture coordinates.
        size: T.

    Returns:
        [P, C] the attributes of the texels on the face, in the order of [T, T] bool, which is True
        there.
    """
    barycentric, triangle_ids, covered = draw_map(model, uv_map, size)
    corners, shares = model.triangles[triangle_ids[covered]], barycentric[covered]
    return sum(attributes[corners[:, i]] * shares[:, i : i + 1] for i in range(3)), covered


def with_margin(values: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Return texels continued smoothly beyond the face, for filters of viewers, [T, T, C] float32.

    Args:
        values: [P, C] of the texels on the face.
        covered: [T, T] bool, True on the face.
    """
    result = np.zeros(covered.shape + values.shape[1:], np.float32)
    result[covered] = values
    result[~covered] = _fill(result, covered.astype(np.float32))[~covered]
    return result


def texel_places(coordinates: np.ndarray, size: int) -> np.ndarray:
    """Return the places (column, row) of texture coordinates [n, 2] in a texture, [n, 2] pixels."""
    return (coordinates * [1, -1] + [0, 1]) * size - 0.5


def sample_texture(texture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the colors [n, 3] of a texture at places [n, 2] (column, row), pixels."""
    channels = [
        scipy.ndimage.map_coordinates(
            texture[..., i].astype(np.float32), places.T[::-1], order=1, mode="nearest"
        )
        for i in range(3)
    ]
    return np.stack(channels, axis=1)


def _vertex_attributes(
    reconstruction: Any, model: FaceModel, uv_map: UVMap, size: int
) -> np.ndarray:
    """Return [N, 12] float32.

    World position, normal, lit color, row and column of the mirror image, and 1 in the mouth.
    """
    world = reconstruction.world_shape.astype(np.float64)
    columns_rows = texel_places(uv_map.coordinates[uv_map.mirrored], size)
    normals = surface_normals(world, model.triangles)
    anatomy = find_anatomy(model)
    oral = anatomy.mouth | anatomy.tongue | anatomy.teeth
    colors = _shade_teeth(reconstruction.colors, model, anatomy)
    attributes = [world, normals, colors, columns_rows[:, ::-1], oral[:, np.newaxis]]
    return np.concatenate(attributes, axis=1).astype(np.float32)


def _shade_teeth(colors: np.ndarray, model: FaceModel, anatomy: Anatomy) -> np.ndarray:
    """Return colors [N, 3] with teeth that fade backwards into the color of the mouth."""
    if not (anatomy.teeth.any() and anatomy.mouth.any()):
        return colors
    shaded = np.array(colors, np.float64)
    depth = model.mean_shape[anatomy.teeth, 2].max() - model.mean_shape[anatomy.teeth, 2]
    shadow = ramp(depth, *_TEETH_SHADOW)[:, np.newaxis]
    dark = np.median(shaded[anatomy.mouth], axis=0)
    shaded[anatomy.teeth] += shadow * (dark - shaded[anatomy.teeth])
    return shaded


def _empty_texels(covered: np.ndarray) -> Texels:
    shape = covered.shape
    return Texels(
        covered=covered,
        model=np.zeros(shape + (3,), np.float32),
        difference=np.zeros(shape + (3,), np.float32),
        weight=np.zeros(shape, np.float32),
        certain=np.zeros(shape, np.float32),
        part=np.zeros(shape, np.uint8),
        oral=np.zeros(shape, bool),
        mirror=np.zeros((2,) + shape, np.float32),
    )


def _sample_photo(photo: Sequence[np.ndarray], pixels: np.ndarray) -> np.ndarray:
    """Return colors [n, 3] at pixels [n, 2] (x, y) of a photo given as spline coefficients."""
    samples = [
        scipy.ndimage.map_coordinates(
            channel, pixels.T[::-1], order=3, mode="nearest", prefilter=False
        )
        for channel in photo
    ]
    return np.clip(np.stack(samples, axis=1), 0, 255)


def agreeing_weight(texels: Texels) -> np.ndarray:
    """Return the weights [T, T] of the photo, reduced where it disagrees with the interior.

    Args:
        texels: :class:`Texels` of one photo.
    """
    expected = _fill(texels.difference, np.square(texels.certain))
    distance = np.sqrt(np.mean(np.square(texels.difference - expected), axis=2))
    distance = scipy.ndimage.gaussian_filter(distance, len(distance) * _SOFTNESS / 2)
    agreement = 1 / (1 + (distance / _DISAGREEMENT) ** 4)
    return texels.weight * (texels.certain + (1 - texels.certain) * agreement)


def _part_of_photo(reconstruction: Any) -> Tuple[List[np.ndarray], np.ndarray]:
    """Return the photo around the face as spline coefficients, and its corner (x, y)."""
    photo = reconstruction.face.photo
    pixels = _photo_pixels(reconstruction.world_shape, reconstruction.face.alignment)
    limit = np.array(photo.shape[1::-1])
    first = np.clip(np.floor(pixels.min(axis=0)).astype(int) - 8, 0, limit - 2)
    last = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 8, first + 2, limit)
    part = photo[first[1] : last[1], first[0] : last[0]]
    channels = [
        scipy.ndimage.spline_filter(part[..., i].astype(np.float32), output=np.float32)
        for i in range(3)
    ]
    return channels, first


def _depth_image(world: np.ndarray, triangles: np.ndarray, size: int) -> np.ndarray:
    """Return the depth of the nearest surface in the crop.

    Returns:
        [size, size], dm from the origin away from the camera.
    """
    screen = project_to_image(world) / IMAGE_SIZE * 2 - 1
    clip = np.stack(
        [screen[:, 0], -screen[:, 1], -world[:, 2] / _DEPTH_RANGE, np.ones(len(world))], axis=1
    )
    return rasterize(clip[np.newaxis], triangles, size, size, masks=False)[2][0] * _DEPTH_RANGE


def _outline_distance(depth: np.ndarray) -> np.ndarray:
    """Return the distance of each pixel of a depth image from the outline, in crop pixels."""
    ends = scipy.ndimage.maximum_filter(depth, 3) - depth > _OUTLINE_STEP
    return scipy.ndimage.distance_transform_edt(~ends).astype(np.float32) * (
        IMAGE_SIZE / len(depth)
    )


def _depth_cells(points: np.ndarray, size: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return row and column of world points [n, 3] in a depth image, clipped to the crop."""
    cells = np.clip(np.floor(project_to_image(points) * size / IMAGE_SIZE), 0, size - 1).astype(int)
    return cells[:, 1], cells[:, 0]


def _facing(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return the cosines [n] between normals and the direction to the camera."""
    to_camera = [0, 0, CAMERA_DISTANCE] - points
    return np.sum(to_camera * normals, axis=1) / np.maximum(
        np.linalg.norm(to_camera, axis=1) * np.linalg.norm(normals, axis=1), 1e-12
    )


def ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return a smooth step from 0 at ``low`` to 1 at ``high``."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def _fill(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Continue values smoothly to texels with small weights.

    Pull-push, Gortler et al., "The Lumigraph" (SIGGRAPH 1996).

    Args:
        values: [T, T, C] float32, T a power of two.
        weights: [T, T] float32, 0..1.
    """
    if len(values) == 1:
        return values
    weighted = _halve(values * weights[..., np.newaxis])
    total = _halve(weights)
    coarse = weighted / np.maximum(total, 1e-6)[..., np.newaxis]
    filled = _fill(coarse, np.minimum(1, 4 * total)).repeat(2, axis=0).repeat(2, axis=1)
    # Smoothing hides the blocks of the repeated coarse texels.
    filled = scipy.ndimage.uniform_filter(filled, size=(3, 3, 1))
    return filled + weights[..., np.newaxis] * (values - filled)


def _halve(values: np.ndarray) -> np.ndarray:
    """Return means of 2 x 2 texels."""
    return (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]) / 4
