"""Where a face must stand for its crop to show it in a wanted place and size."""

from typing import NamedTuple

import numpy as np

from face_model.landmark_basis import landmark_model
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, PRINCIPAL_POINT, project
from geometry.landmarks import STANDARD_POINTS_3D, five_from_68
from geometry.rotation import rotation_matrices

_ITERATIONS = 4


class Placement(NamedTuple):
    """Where the alignment finds a face, crop pixels with y up; the exact crop has (112, 112) and 102."""

    centre: np.ndarray  # [2] where the origin of the standard 3-D points falls
    scale: float  # pixels per unit of the standard 3-D points


class FacePlacer:
    """Finds translations for the faces of one model.

    Args:
        model: a ``FaceModel``.
    """

    def __init__(self, model):
        self._mean, self._basis = (five_from_68(part, axis=0) for part in landmark_model(model))
        design = np.hstack([STANDARD_POINTS_3D, np.ones((5, 1))])
        self._camera_from_points = np.linalg.pinv(design)  # [4, 5]

    def translation(self, identity, expression, angles, placement):
        """Return the translation [3], dm, that puts a face at a :class:`Placement`.

        Inverts ``alignment.align.fit_crop`` by iteration: project the five points, fit the
        affine camera, and move the face by what is missing.
        """
        points = self._mean + self._basis.dot(np.concatenate([identity, expression]))  # [5, 3]
        points = points.dot(rotation_matrices(angles)[0])
        translation = np.zeros(3)
        for _ in range(_ITERATIONS):
            world = points + translation
            camera = self._camera_from_points.dot(project(world))
            scale = np.linalg.norm(camera[:3], axis=0).mean()
            distance = (CAMERA_DISTANCE - translation[2]) * scale / placement.scale
            per_unit = FOCAL_LENGTH / distance
            translation[2] = CAMERA_DISTANCE - distance
            zoom = placement.scale / scale  # what the change of distance makes of the offset
            offset = (camera[3] - PRINCIPAL_POINT) * zoom + PRINCIPAL_POINT
            translation[:2] += (placement.centre - offset) / per_unit
        return translation
