"""One face of one photo: located, then reconstructed."""

from typing import List, NamedTuple, Optional

import numpy as np

from alignment.align import Alignment, crop_to_photo_matrix
from alignment.landmark_confidence import LEAST_TRUST
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.model import FaceModel
from fitting.landmarks import LandmarkFit
from gcn.refined_mesh import RefinedMesh
from geometry.camera import flip_y
from geometry.camera_matrices import PictureCamera, photo_camera

REFINED_SUFFIX = "_refined"  # of the names of a refined face's files


class LocatedFace(NamedTuple):
    """A face that was found and aligned, before reconstruction."""

    name: str  # stem of its output files
    photo_path: str
    photo: np.ndarray  # [H, W, 3] uint8 RGB
    alignment: Alignment
    landmarks: np.ndarray  # [68, 2] detected, photo pixels, y down
    landmark_confidence: np.ndarray  # [68] 0..1
    five_points: np.ndarray  # [5, 2] photo pixels, y down
    evidence: Optional[np.ndarray] = None  # [5, 2] five points to fit to, in the crop, y down
    # The fit of pose, identity and expression to the detected points; None where there is none.
    fit: Optional[LandmarkFit] = None
    trust: float = 1.0  # 0..1, in the place of the face, see is_doubtful

    @property
    def is_doubtful(self) -> bool:
        """Return True if the points of the face are too uncertain for its place to be sure."""
        return self.trust < LEAST_TRUST


class Reconstruction(NamedTuple):
    """A reconstructed face; see ``face_decoder.DecodedBatch`` for units."""

    face: LocatedFace
    coefficients: np.ndarray  # [257]
    world_shape: np.ndarray  # [N, 3]
    albedo: np.ndarray  # [N, 3]
    colors: np.ndarray  # [N, 3]
    landmarks: np.ndarray  # [68, 2] crop pixels, y up
    rendered: np.ndarray  # [224, 224, 4] uint8 RGBA
    front_mask: np.ndarray  # [224, 224] bool
    overlay: np.ndarray  # [448, 448, 4] uint8 RGBA, the same picture at twice the resolution
    refined: Optional[RefinedMesh] = None  # the output of a mesh generator


def mesh_variants(reconstruction: Reconstruction) -> List[Reconstruction]:
    """Return the reconstruction with its coefficient mesh and, if it has one, its refined mesh.

    The latter is a :class:`Reconstruction` like any other, called ``NAME_refined``, with albedo,
    light and pose of the coefficients.
    """
    refined = reconstruction.refined
    plain = reconstruction._replace(refined=None)
    if refined is None:
        return [plain]
    face = plain.face._replace(name=plain.face.name + REFINED_SUFFIX)
    return [plain, plain._replace(face=face, **refined._asdict())]


def map_landmarks_to_photo(reconstruction: Reconstruction) -> np.ndarray:
    """Return the reconstruction's 68 landmarks in the original photo, [68, 2], y down."""
    return reconstruction.face.alignment.to_photo(flip_y(reconstruction.landmarks))


def camera_of_photo(face: LocatedFace) -> PictureCamera:
    """Return the camera of the original photo, which projects the world to its pixels."""
    alignment = face.alignment
    height, width = face.photo.shape[:2]
    matrix = crop_to_photo_matrix(alignment.trans_params, alignment.degrees)
    return photo_camera(matrix, width, height)


def head_pose(reconstruction: Reconstruction, model: FaceModel) -> np.ndarray:
    """Return the pose of the head in the original photo, [3] degrees: pitch, yaw, roll.

    They are the rotations about x, y and z, applied in this order: positive pitch looks down,
    positive yaw to the right side of the photo, positive roll leans counter-clockwise. All are 0
    for an upright head that looks along the camera's axis.
    """
    coefficients = np.asarray(reconstruction.coefficients, np.float64)[np.newaxis]
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    turned = [0.0, 0.0, reconstruction.face.alignment.degrees]  # the photo, before it was cropped
    return (np.degrees(parts.angles[0]) - turned + 180) % 360 - 180
