"""The face of a photo under another light.

Each pixel of the photo is multiplied by the ratio of the new to the old irradiance of the surface
that it shows (Shashua and Riklin-Raviv, "The Quotient Image", PAMI 2001), so that pores, beard and
make-up stay. Cast shadows and highlights of the photo stay too.
"""

from typing import Sequence

import numpy as np
import scipy.ndimage

from face_model.model import FaceModel
from geometry.normals import surface_normals
from geometry.spherical_harmonics import (
    DIRECTIONAL_SCALES,
    IRRADIANCE_SCALES,
    SH_COUNT,
    harmonics_array,
)
from mesh.face_light import light_on_face
from reconstruction.face import Reconstruction
from reconstruction.face_views import View, blend, draw_attributes
from utils.errors import InputError
from utils.photos import read_photo
from utils.radiance import read_radiance

_AMBIENT = 0.12  # share of light from everywhere beside a light from one direction
_DISPLAY = 2.2  # exponent between light and gray levels
_RATIOS = (0.2, 2.2)  # of new to old gray levels
_FADE = 0.06  # width of the edge of the face that fades into the photo, in heights of the face
_LARGEST_MAP = 512  # rows of an environment map that are used; more change nothing

LIGHT_HELP = (
    "also draw the face under another light, as NAME_relit.png: the direction to it, X Y Z (x to "
    "the right, y up, z towards the camera), or an environment map, .hdr or photo: a panorama of "
    "360 x 180 degrees with what the person looks at in its middle"
)


def read_light(values: Sequence[str]) -> np.ndarray:
    """Return the light that ``--light`` describes, [3, 9] bands of irradiance of red, green, blue.

    Args:
        values: the three numbers of a direction, or the path of an environment map.

    Raises:
        InputError: they are neither.
    """
    if len(values) == 1:
        path = values[0]
        if path.lower().endswith(".hdr"):
            return project_environment(read_radiance(path))
        return project_environment((read_photo(path) / np.float32(255)) ** _DISPLAY)
    try:
        direction = np.array([float(value) for value in values])
    except ValueError:
        direction = np.zeros(0)
    length = np.linalg.norm(direction)
    if len(direction) != 3 or not 0 < length < np.inf:
        raise InputError(
            "--light {}: give the three numbers of a direction, or one file".format(
                " ".join(values)
            )
        )
    bands = (1 - _AMBIENT) * harmonics_array(direction / length, DIRECTIONAL_SCALES)
    bands[0] += _AMBIENT / IRRADIANCE_SCALES[0]
    return np.tile(bands, (3, 1))


def project_environment(panorama: np.ndarray) -> np.ndarray:
    """Project an environment map on nine functions of irradiance, [3, 9].

    Ramamoorthi and Hanrahan, "An Efficient Representation for Irradiance Environment Maps"
    (SIGGRAPH 2001). A map of 1 everywhere lights every surface by 1.

    Args:
        panorama: [H, W, 3] linear light, equirectangular; its middle lies at +z, its right side
            at -x, its top at +y.
    """
    step = max(1, len(panorama) // _LARGEST_MAP)
    panorama = panorama[::step, ::step]
    rows, columns = panorama.shape[:2]

    # 1. the direction and the solid angle of each pixel
    height = np.pi * (0.5 - (np.arange(rows) + 0.5) / rows)[:, np.newaxis]
    around = 2 * np.pi * ((np.arange(columns) + 0.5) / columns - 0.5)
    across = np.cos(height)
    x, y, z = -across * np.sin(around), np.sin(height), across * np.cos(around)
    directions = np.stack(np.broadcast_arrays(x, y, z), axis=2)
    angles = np.broadcast_to(across * (np.pi / rows) * (2 * np.pi / columns), (rows, columns))

    # 2. the sum of their lights
    bands = harmonics_array(directions, DIRECTIONAL_SCALES) * angles[..., np.newaxis] / np.pi
    return np.einsum("ijc,ijb->cb", panorama.astype(np.float64), bands)


def relight(
    reconstruction: Reconstruction,
    model: FaceModel,
    view: View,
    under: np.ndarray,
    light: np.ndarray,
) -> np.ndarray:
    """Draw the photo with the face under another light, as bright on average as before.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.
        view: ``face_views.crop_view`` or ``photo_view`` of it.
        under: [height, width, 3] uint8 RGB, the photo in that view.
        light: result of :func:`read_light`.

    Returns:
        [height, width, 3] uint8 RGB.
    """
    # 1. old and new gray levels of a white surface at each vertex
    old = light_on_face(reconstruction, model)
    normals = surface_normals(reconstruction.world_shape.astype(np.float64), model.triangles)
    new = harmonics_array(normals).dot(light.reshape(3, SH_COUNT).T)
    new = np.maximum(new, 0) ** (1 / _DISPLAY)
    front = model.front_vertices
    new *= old[front].mean() / max(new[front].mean(), 1e-6)

    # 2. their ratio on each pixel, fading at the edge of the face
    ratio, coverage = draw_attributes(view, model.triangles, np.clip(new / old, *_RATIOS))
    face_height = np.ptp(view.screen[model.landmarks, 1])
    inside = scipy.ndimage.distance_transform_edt(coverage > 0.5)
    share = np.clip(inside / max(_FADE * face_height, 1.0), 0, 1) * coverage
    return blend(under, np.clip(under * ratio, 0, 255), share)
