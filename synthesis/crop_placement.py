"""The translation of a face whose aligned crop shall have a given center and scale."""

from typing import NamedTuple

import numpy as np

from face_model import FaceModel
from face_model.landmark_basis import landmark_model
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, PRINCIPAL_POINT, project
from geometry.landmark_layout import STANDARD_POINTS_3D, five_from_68
from geometry.rotation import rotation_with_derivatives

_ITERATIONS = 4


class CropTransform(NamedTuple):
    """The map of the standard 3-D points into crop pixels, y up, that the alignment estimates.

    An exactly aligned crop has center (112, 112) and scale 102.
    """

    center: np.ndarray  # [2] pixels, image of the origin of the standard points
    scale: float  # pixels per unit of the standard points


class TranslationSolver:
    """Finds translations for the faces of one model.

    Args:
        model: face model.
    """

    def __init__(self, model: FaceModel) -> None:
        self._mean, self._basis = (five_from_68(part, axis=0) for part in landmark_model(model))
        design = np.hstack([STANDARD_POINTS_3D, np.ones((5, 1))])
        self._camera_from_points = np.linalg.pinv(design)  # [4, 5]

    def solve(
        self,
        identity: np.ndarray,
        expression: np.ndarray,
        angles: np.ndarray,
        transform: CropTransform,
    ) -> np.ndarray:
        """Return the translation [3], dm, with which the alignment finds a given transform.

        Inverts ``alignment.align.fit_crop`` by iteration: project the five points, fit the affine
        camera, and correct the translation by the remaining difference.

        Args:
            identity: [identities] coefficients.
            expression: [expressions] coefficients.
            angles: [3] about x, y, z, radians.
            transform: transform that the alignment shall find.
        """
        points = self._mean + self._basis.dot(np.concatenate([identity, expression]))  # [5, 3]
        points = points.dot(rotation_with_derivatives(angles)[0])
        translation = np.zeros(3)
        for _ in range(_ITERATIONS):
            # 1. Affine camera of the projected points.
            camera = self._camera_from_points.dot(project(points + translation))
            scale = np.linalg.norm(camera[:3], axis=0).mean()

            # 2. Distance, by the ratio of scales.
            distance = (CAMERA_DISTANCE - translation[2]) * scale / transform.scale
            translation[2] = CAMERA_DISTANCE - distance

            # 3. Position, after the zoom that the change of distance causes.
            pixels_per_dm = FOCAL_LENGTH / distance
            zoom = transform.scale / scale
            center = (camera[3] - PRINCIPAL_POINT) * zoom + PRINCIPAL_POINT
            translation[:2] += (transform.center - center) / pixels_per_dm
        return translation
