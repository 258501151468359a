"""One face of one photo: from its aligned crop to the files that demo.py writes."""

from typing import NamedTuple, Optional

import numpy as np

from alignment.align import Alignment, crop_to_photo, photo_to_crop
from gcn.refiner import OVERLAY_SIZE, RefinedMesh
from geometry.camera import flip_y

REFINED_SUFFIX = "_refined"  # of the names of a refined face's files


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
    """What was found for one face; see ``face_decoder.DecodedBatch`` for units."""

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
        face_graph: a ``FaceDecoder``.

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


def crop_landmarks(face):
    """Return the detected 68 landmarks in the crop, [68, 2], y up, as labels are kept."""
    return flip_y(photo_to_crop(face.landmarks, face.alignment.trans_params))
