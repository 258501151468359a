"""Which vertices of a face model are skin, eyeballs, teeth, tongue or the inside of the mouth.

The file of a face model does not say so; the connected parts of its mesh, its landmarks and its
albedo do.
"""

from typing import List, NamedTuple, Sequence

import numpy as np

from face_model.model import FaceModel
from geometry.connectivity import connected_parts
from geometry.landmark_layout import MOUTH

LEFT_EYE_LANDMARKS, RIGHT_EYE_LANDMARKS = slice(42, 48), slice(36, 42)  # of the person
_WHITE = 80.0  # mean level of green that teeth, which are dark behind, exceed and tongues do not
_RED = 0.6  # ratio of green to red below which a surface is mucous membrane and not skin
_ORAL_DISTANCE = 0.5  # dm from the middle of the lips to the middle of teeth or tongue, at most


class Anatomy(NamedTuple):
    """Masks [N] of the vertices of a face model; those that a model lacks are empty."""

    skin: np.ndarray  # with the sockets of the eyes
    mouth: np.ndarray  # the inside of the mouth
    tongue: np.ndarray
    teeth: np.ndarray
    left_eye: np.ndarray  # of the person
    right_eye: np.ndarray


def find_anatomy(model: FaceModel) -> Anatomy:
    """Return the :class:`Anatomy` of a face model.

    Args:
        model: a ``FaceModel``, whose eyeballs, teeth and tongue, if any, are parts of their own.
    """
    # 1. parts of the mesh: the largest is the skin
    points = model.mean_shape.astype(np.float64)
    parts = connected_parts(model.triangles, model.vertex_count)
    skin, *small = (np.isin(np.arange(len(points)), part) for part in parts)

    # 2. eyeballs lie nearest to the landmarks of the eyes, teeth and tongue near those of the mouth
    landmarks = points[model.landmarks]
    eyes = []
    for marks in (LEFT_EYE_LANDMARKS, RIGHT_EYE_LANDMARKS):
        near = _near(small, points, landmarks[marks].mean(axis=0), _ORAL_DISTANCE / 2)
        eyes.append(max(near, key=np.sum) if near else np.zeros(len(points), bool))
    oral = _near(small, points, landmarks[MOUTH].mean(axis=0), _ORAL_DISTANCE)
    white = [part for part in oral if model.mean_albedo[part, 1].mean() > _WHITE]
    teeth, every = _union(white, len(points)), _union(oral, len(points))

    # 3. the inside of the mouth belongs to the skin's part: red, and around teeth and tongue
    mouth = np.zeros(len(points), bool)
    if every.any():
        low, high = points[every].min(axis=0), points[every].max(axis=0)
        red = model.mean_albedo[:, 1] < _RED * model.mean_albedo[:, 0]
        mouth = skin & red & np.all((points > low) & (points < high), axis=1)
    return Anatomy(skin & ~mouth, mouth, every & ~teeth, teeth, *eyes)


def _near(
    parts: Sequence[np.ndarray], points: np.ndarray, center: np.ndarray, distance: float
) -> List[np.ndarray]:
    """Return the parts whose mean lies within a distance of a point."""
    return [part for part in parts if np.linalg.norm(points[part].mean(axis=0) - center) < distance]


def _union(masks: Sequence[np.ndarray], count: int) -> np.ndarray:
    return np.any(masks, axis=0) if masks else np.zeros(count, bool)
