"""Regions of the face as soft weights of the vertices: lips, brows, lashes, beard, scalp etc.

Everything is placed on the mean face, in its own frame (dm), by distance from curves through its
landmarks.
"""

from typing import Dict, Optional, Tuple, Union

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from face_model.open_model.assets import Assets
from face_model.open_model.head_mesh import (
    LEFT_EYE,
    MOUTH,
    RIGHT_EYE,
    SKIN,
    SOCKET,
    TEETH,
    TONGUE,
    HeadMesh,
)

_TEXTURE_BLUR = 3.0  # pixels of MPFB's 2048 masks

_Number = Union[float, np.ndarray]


class Regions:
    """Soft regions of the mean face: [N] weights, 0..1, unless stated otherwise.

    Args:
        points: [N, 3] mean face.
        normals: [N, 3] its unit normals.
        head: the ``HeadMesh``.
        landmarks: [68] vertices.
        assets: an ``Assets``, for MPFB's masks.
    """

    def __init__(
        self,
        points: np.ndarray,
        normals: np.ndarray,
        head: HeadMesh,
        landmarks: np.ndarray,
        assets: Assets,
    ) -> None:
        self.points, self.normals = points, normals
        self.part, self.eye_angle = head.part, head.eye_angle
        self.skin = (head.part == SKIN).astype(np.float32)
        self._marks = points[landmarks]
        self._recess: Optional[np.ndarray] = None
        self._texture = head.texture
        self._assets = assets
        self._masks: Dict[str, np.ndarray] = {}
        # Onto the image's left half, the side of the curves.
        self._folded = points * [-1.0, 1.0, 1.0]
        self._folded[:, 0] = -np.abs(points[:, 0])

    def lips(self) -> np.ndarray:
        """Return the red of the lips."""
        return self._mask("lips") * self.skin

    def ears(self) -> np.ndarray:
        """Return the ears."""
        return self._mask("ears") * self.skin

    def brow(self, thickness: float = 1.0, lift: float = 0.0, tilt: float = 0.0) -> np.ndarray:
        """Return the density of the brows' hair.

        Args:
            thickness: factor on their height.
            lift: dm upwards.
            tilt: dm that the outer end rises more than the inner one.
        """
        # 1. a curve along the brow, from the inner end outwards
        curve = _resample(self._marks[17:22][::-1] + [0.0, -0.04, 0.0], 40)
        along = np.linspace(0.0, 1.0, len(curve))
        curve = curve + np.stack([0 * along, lift + tilt * (along - 0.4), 0 * along], axis=1)

        # 2. its half height and density, by the nearest point on the curve
        distance, nearest = self._distance(curve)
        heights = np.interp(along, [0, 0.12, 0.5, 1.0], [0.024, 0.033, 0.027, 0.008])
        half = thickness * heights[nearest]
        taper = np.interp(along, [0, 0.08, 0.75, 1.0], [0.65, 1.0, 0.95, 0.55])[nearest]
        return self.skin * taper * _smooth_step(distance, half + 0.018, half - 0.010)

    def lashes(self) -> np.ndarray:
        """Return the dark line of the upper lid's margin, and half of it on the lower lid."""
        upper = _resample(self._marks[[36, 37, 38, 39]], 40)
        lower = _resample(self._marks[[36, 41, 40, 39]], 40)
        band = np.maximum(
            _smooth_step(self._distance(upper)[0], 0.030, 0.012),
            0.45 * _smooth_step(self._distance(lower)[0], 0.022, 0.008),
        )
        return band * np.isin(self.part, (SKIN, SOCKET))

    def eye_socket(self) -> np.ndarray:
        """Return lids and the shadow under the eyes."""
        center = self._marks[36:42].mean(axis=0) + [0.0, -0.02, 0.0]
        distance = np.linalg.norm((self._folded - center) / [1.25, 1.0, 1.6], axis=1)
        return self.skin * _smooth_step(distance, 0.24, 0.08)

    def upper_lid(self) -> np.ndarray:
        """Return the upper lid, the area of eye shadow."""
        curve = _resample(self._marks[[36, 37, 38, 39]], 40) + [0.0, 0.03, 0.0]
        return self.skin * _smooth_step(self._distance(curve)[0], 0.10, 0.03)

    def cheek(self) -> np.ndarray:
        """Return the apple of the cheek."""
        center = (self._marks[2] + self._marks[31] + self._marks[41] * 1.5) / 3.5
        center = center + [0.0, -0.06, 0.0]
        return self.skin * _smooth_step(np.linalg.norm(self._folded - center, axis=1), 0.36, 0.05)

    def nose(self) -> np.ndarray:
        """Return tip and wings of the nose."""
        center = self._marks[30] + [0.0, 0.0, -0.08]
        return self.skin * _smooth_step(np.linalg.norm(self._folded - center, axis=1), 0.24, 0.08)

    def beard(self) -> np.ndarray:
        """Return the area of a beard: cheeks below the mouth's corner, jaw, chin, upper lip."""
        # 1. along the jaw, higher towards the chin
        marks = self._marks
        jaw = _resample(np.concatenate([marks[[1, 2, 3, 4, 5, 6, 7, 8]]]), 60)
        distance, nearest = self._distance(jaw)
        reach = np.interp(np.arange(60), [0, 20, 35, 59], [0.10, 0.16, 0.28, 0.30])[nearest]
        jaw_hair = _smooth_step(distance, reach + 0.14, reach - 0.12)

        # 2. above the upper lip, around the mouth's corner
        mustache = np.stack(
            [
                (marks[33] + marks[51]) / 2,
                (marks[31] + marks[49]) / 2 + [-0.02, -0.01, 0],
                marks[48] + [-0.06, -0.02, 0.0],
                marks[59] + [-0.08, -0.08, 0.0],
            ]
        )
        lip_hair = _smooth_step(self._distance(_resample(mustache, 40))[0], 0.13, 0.0)

        # 3. on the chin; nothing on neck, lips and ears
        chin = _smooth_step(self._distance(marks[[57]] + [[0.0, -0.14, 0.0]])[0], 0.26, 0.10)
        neck = _smooth_step(self.points[:, 1], marks[8, 1] - 0.25, marks[8, 1] - 0.02)
        hair = np.maximum(np.maximum(jaw_hair, lip_hair), chin) * neck
        return self.skin * hair * (1 - self.lips()) * (1 - self.ears())

    def scalp(self, lift: float = 0.0) -> np.ndarray:
        """Return the region of the scalp's hair.

        Args:
            lift: dm by which the hairline is raised.
        """
        y, z, width = self.points[:, 1], self.points[:, 2], np.abs(self.points[:, 0])
        brow = self._marks[19, 1]
        line = brow + 0.53 + lift - 0.9 * np.maximum(width - 0.38, 0.0)  # recedes at the temples
        top = _smooth_step(y, line - 0.07, line + 0.07)
        behind_ear = _smooth_step(z, self._marks[0, 2] - 0.02, self._marks[0, 2] - 0.16)
        above_neck = _smooth_step(y, self._marks[2, 1] - 0.05, self._marks[2, 1] + 0.2)
        return self.skin * np.maximum(top, behind_ear * above_neck) * (1 - self.ears())

    def recess(self) -> np.ndarray:
        """Return the depth of a vertex in a fold: nostrils, corners of eyes and mouth, ear."""
        if self._recess is None:
            self._recess = self._depth_of_folds()
        return self._recess

    def _depth_of_folds(self) -> np.ndarray:
        """Return the relative depth of each vertex below its neighborhood, at two scales."""
        depth = np.zeros(len(self.points))
        members = np.flatnonzero(np.isin(self.part, (SKIN, SOCKET, MOUTH)))
        points = self.points[members]
        tree = cKDTree(points)
        for count in (24, 80):
            near = self.points[members[tree.query(points, count)[1]]]
            offset = near.mean(axis=1) - points
            size = np.linalg.norm(near - points[:, None], axis=2).mean(axis=1)
            along_normal = np.einsum("nk,nk->n", offset, self.normals[members])
            depth[members] += along_normal / np.maximum(size, 1e-6)
        return np.clip(depth, 0.0, 1.0)

    def front(self) -> np.ndarray:
        """Return [N] bool, the region of the photometric loss.

        It extends from brow to chin and from cheek to cheek, with eyes and mouth.
        """
        marks = self._marks
        x, y, z = self._folded.T
        top = marks[19, 1] + 0.34  # fringes and caps mostly hide the forehead above
        heights = [marks[8, 1], marks[5, 1], marks[3, 1], marks[0, 1], top]
        cheek = np.interp(y, heights, [0.30, 0.50, 0.60, 0.65, 0.52])
        behind = np.interp(
            y,
            [marks[8, 1], marks[4, 1], marks[0, 1]],
            [marks[8, 2] - 0.08, marks[4, 2] + 0.06, marks[0, 2] + 0.08],
        )
        facing = (self.part != SKIN) | (self.normals[:, 2] > -0.3)
        return (y < top) & (y > marks[8, 1] - 0.02) & (-x < cheek) & (z > behind) & facing

    def even_skin(self) -> np.ndarray:
        """Return the weight in the reflectance loss: 1 on plain skin of the front, else less."""
        features = np.stack(
            [
                2 * self.lips(),
                1.5 * self.brow(1.3),
                1.5 * self.lashes(),
                2 * self.recess(),
                self.scalp(),
            ]
        )
        eye_center = self._marks[36:42].mean(axis=0, keepdims=True)
        inner_eye = _smooth_step(self._distance(eye_center)[0], 0.20, 0.15)
        nostril = _smooth_step(self._distance(self._marks[[31, 32, 33]])[0], 0.10, 0.05)
        uneven = np.maximum(features.max(axis=0), np.maximum(inner_eye, nostril))
        plain = 1 - np.clip(uneven, 0.0, 1.0)
        return (self.skin * self.front() * plain).astype(np.float32)

    def eyes(self) -> np.ndarray:
        """Return [N] bool, the eyeballs."""
        return np.isin(self.part, (LEFT_EYE, RIGHT_EYE))

    def mouth_parts(self) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the inner mouth, the teeth and the tongue, each [N] bool."""
        return self.part == MOUTH, self.part == TEETH, self.part == TONGUE

    def _distance(self, curve: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Return the distance of each vertex from the points of a curve, and the nearest point."""
        return cKDTree(curve).query(self._folded)

    def _mask(self, name: str) -> np.ndarray:
        if name not in self._masks:
            self._masks[name] = self._sample_mask(name)
        return self._masks[name]

    def _sample_mask(self, name: str) -> np.ndarray:
        """Return one of MPFB's masks at the vertices; 0 on the eyeballs."""
        image = gaussian_filter(self._assets.texture_mask(name), _TEXTURE_BLUR)
        rows, columns = image.shape
        at = np.stack([(1 - self._texture[:, 1]) * rows - 0.5, self._texture[:, 0] * columns - 0.5])
        values = map_coordinates(image, np.nan_to_num(at), order=1, mode="nearest")
        return np.where(np.isnan(self._texture[:, 0]), 0.0, values)


def _resample(points: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` points evenly along a curve through ``points``.

    The curve is a polynomial of degree three through up to five points, else piecewise linear.
    """
    position = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    degree = min(3, len(points) - 1)
    wanted = np.linspace(0.0, position[-1], count)

    def interpolate(values: np.ndarray) -> np.ndarray:
        if len(points) <= 5:
            return np.polyval(np.polyfit(position, values, degree), wanted)
        return np.interp(wanted, position, values)

    return np.stack([interpolate(points[:, k]) for k in range(3)], axis=1)


def _smooth_step(value: np.ndarray, zero_at: _Number, one_at: _Number) -> np.ndarray:
    """Rise smoothly from 0 at ``zero_at`` to 1 at ``one_at``, whichever is larger."""
    t = np.clip((value - zero_at) / (np.asarray(one_at) - zero_at), 0.0, 1.0)
    return t * t * (3 - 2 * t)
