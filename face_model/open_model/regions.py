"""Where things are on the face: lips, brows, lashes, beard, scalp and so on, as soft weights of the vertices.

Everything is placed on the mean face, in its own frame (dm), by distance from curves through its landmarks.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from face_model.open_model.head_mesh import LEFT_EYE, MOUTH, RIGHT_EYE, SKIN, SOCKET, TEETH, TONGUE

_TEXTURE_BLUR = 3.0  # pixels of MPFB's 2048 masks


class Regions:
    """Soft regions of the mean face.

    Args:
        points: [N, 3] mean face.
        normals: [N, 3] its unit normals.
        head: the ``HeadMesh``.
        landmarks: [68] vertices.
        assets: an ``Assets``, for MPFB's masks.
    """

    def __init__(self, points, normals, head, landmarks, assets):
        self.points, self.normals = points, normals
        self.part, self.eye_angle = head.part, head.eye_angle
        self.skin = (head.part == SKIN).astype(np.float32)
        self._marks = points[landmarks]
        self._recess = None
        self._texture = head.texture
        self._assets, self._masks = assets, {}
        self._folded = points * [-1.0, 1.0, 1.0]  # onto the image's left half, where the curves are
        self._folded[:, 0] = -np.abs(points[:, 0])

    def lips(self):
        """Return the red of the lips."""
        return self._mask("lips") * self.skin

    def ears(self):
        """Return the ears."""
        return self._mask("ears") * self.skin

    def brow(self, thickness=1.0, lift=0.0, tilt=0.0):
        """Return the density of the brows' hair.

        Args:
            thickness: factor on their height.
            lift: dm upwards.
            tilt: dm that the outer end rises more than the inner one.
        """
        curve = _resample(self._marks[17:22][::-1] + [0.0, -0.04, 0.0], 40)  # from the inner end outwards
        along = np.linspace(0.0, 1.0, len(curve))
        curve = curve + np.stack([0 * along, lift + tilt * (along - 0.4), 0 * along], axis=1)
        distance, nearest = self._distance(curve)
        half = thickness * np.interp(along, [0, 0.12, 0.5, 1.0], [0.024, 0.033, 0.027, 0.008])[nearest]
        taper = np.interp(along, [0, 0.08, 0.75, 1.0], [0.65, 1.0, 0.95, 0.55])[nearest]
        return self.skin * taper * _smooth_step(distance, half + 0.018, half - 0.010)

    def lashes(self):
        """Return the dark line of the upper lid's margin, and half of it on the lower lid."""
        upper = _resample(self._marks[[36, 37, 38, 39]], 40)
        lower = _resample(self._marks[[36, 41, 40, 39]], 40)
        band = np.maximum(_smooth_step(self._distance(upper)[0], 0.030, 0.012),
                          0.45 * _smooth_step(self._distance(lower)[0], 0.022, 0.008))
        return band * np.isin(self.part, (SKIN, SOCKET))

    def eye_socket(self):
        """Return lids and the shadow under the eyes."""
        centre = self._marks[36:42].mean(axis=0) + [0.0, -0.02, 0.0]
        distance = np.linalg.norm((self._folded - centre) / [1.25, 1.0, 1.6], axis=1)
        return self.skin * _smooth_step(distance, 0.24, 0.08)

    def upper_lid(self):
        """Return the upper lid, where make-up goes."""
        curve = _resample(self._marks[[36, 37, 38, 39]], 40) + [0.0, 0.03, 0.0]
        return self.skin * _smooth_step(self._distance(curve)[0], 0.10, 0.03)

    def cheek(self):
        """Return the apple of the cheek."""
        centre = (self._marks[2] + self._marks[31] + self._marks[41] * 1.5) / 3.5 + [0.0, -0.06, 0.0]
        return self.skin * _smooth_step(np.linalg.norm(self._folded - centre, axis=1), 0.36, 0.05)

    def nose(self):
        """Return tip and wings of the nose."""
        centre = self._marks[30] + [0.0, 0.0, -0.08]
        return self.skin * _smooth_step(np.linalg.norm(self._folded - centre, axis=1), 0.24, 0.08)

    def beard(self):
        """Return where a beard grows: cheeks below the mouth's corner, jaw, chin, upper lip."""
        marks = self._marks
        jaw = _resample(np.concatenate([marks[[1, 2, 3, 4, 5, 6, 7, 8]]]), 60)
        distance, nearest = self._distance(jaw)
        reach = np.interp(np.arange(60), [0, 20, 35, 59], [0.10, 0.16, 0.28, 0.30])[nearest]
        jaw_hair = _smooth_step(distance, reach + 0.14, reach - 0.12)
        moustache = _resample(np.stack([(marks[33] + marks[51]) / 2, (marks[31] + marks[49]) / 2 + [-.02, -.01, 0],
                                        marks[48] + [-0.06, -0.02, 0.0], marks[59] + [-0.08, -0.08, 0.0]]), 40)
        lip_hair = _smooth_step(self._distance(moustache)[0], 0.13, 0.0)
        chin = _smooth_step(self._distance(marks[[57]] + [[0.0, -0.14, 0.0]])[0], 0.26, 0.10)
        neck = _smooth_step(self.points[:, 1], marks[8, 1] - 0.25, marks[8, 1] - 0.02)
        hair = np.maximum(np.maximum(jaw_hair, lip_hair), chin) * neck
        return self.skin * hair * (1 - self.lips()) * (1 - self.ears())

    def scalp(self, lift=0.0):
        """Return the region of the scalp's hair.

        Args:
            lift: dm that the hairline is higher.
        """
        y, z, width = self.points[:, 1], self.points[:, 2], np.abs(self.points[:, 0])
        brow = self._marks[19, 1]
        line = brow + 0.53 + lift - 0.9 * np.maximum(width - 0.38, 0.0)  # recedes at the temples
        top = _smooth_step(y, line - 0.07, line + 0.07)
        behind = _smooth_step(z, self._marks[0, 2] - 0.02, self._marks[0, 2] - 0.16) * \
            _smooth_step(y, self._marks[2, 1] - 0.05, self._marks[2, 1] + 0.2)
        return self.skin * np.maximum(top, behind) * (1 - self.ears())

    def recess(self):
        """Return 0..1, how deep a vertex lies in a fold: nostrils, corners of eyes and mouth, ear."""
        if self._recess is None:
            self._recess = self._depth_of_folds()
        return self._recess

    def _depth_of_folds(self):
        depth = np.zeros(len(self.points))
        members = np.flatnonzero(np.isin(self.part, (SKIN, SOCKET, MOUTH)))
        tree = cKDTree(self.points[members])
        for count in (24, 80):
            near = members[tree.query(self.points[members], count)[1]]
            offset = self.points[near].mean(axis=1) - self.points[members]
            size = np.linalg.norm(self.points[near] - self.points[members][:, None], axis=2).mean(axis=1)
            depth[members] += np.einsum("nk,nk->n", offset, self.normals[members]) / np.maximum(size, 1e-6)
        return np.clip(depth, 0.0, 1.0)

    def front(self):
        """Return [N] bool, the region of the photometric loss: brow to chin, cheek to cheek, with eyes and mouth."""
        marks = self._marks
        x, y, z = self._folded.T
        top = marks[19, 1] + 0.34  # fringes and caps hide what is above more often than not
        cheek = np.interp(y, [marks[8, 1], marks[5, 1], marks[3, 1], marks[0, 1], top],
                          [0.30, 0.50, 0.60, 0.65, 0.52])
        behind = np.interp(y, [marks[8, 1], marks[4, 1], marks[0, 1]],
                           [marks[8, 2] - 0.08, marks[4, 2] + 0.06, marks[0, 2] + 0.08])
        return (y < top) & (y > marks[8, 1] - 0.02) & (-x < cheek) & (z > behind) & \
            ((self.part != SKIN) | (self.normals[:, 2] > -0.3))

    def even_skin(self):
        """Return the weight in the reflectance loss: 1 on plain skin of the front, 0 on features."""
        features = np.stack([2 * self.lips(), 1.5 * self.brow(1.3), 1.5 * self.lashes(), 2 * self.recess(),
                             self.scalp()])
        inner_eye = _smooth_step(self._distance(self._marks[36:42].mean(axis=0, keepdims=True))[0], 0.20, 0.15)
        nostril = _smooth_step(self._distance(self._marks[[31, 32, 33]])[0], 0.10, 0.05)
        plain = 1 - np.clip(np.maximum(features.max(axis=0), np.maximum(inner_eye, nostril)), 0.0, 1.0)
        return (self.skin * self.front() * plain).astype(np.float32)

    def eyes(self):
        """Return [N] bool, the eyeballs."""
        return np.isin(self.part, (LEFT_EYE, RIGHT_EYE))

    def mouth_parts(self):
        """Return [N] bool of the inner mouth, the teeth and the tongue."""
        return tuple(self.part == part for part in (MOUTH, TEETH, TONGUE))

    def _distance(self, curve):
        return cKDTree(curve).query(self._folded)

    def _mask(self, name):
        if name not in self._masks:
            self._masks[name] = self._sample_mask(name)
        return self._masks[name]

    def _sample_mask(self, name):
        image = gaussian_filter(self._assets.texture_mask(name), _TEXTURE_BLUR)
        rows, columns = image.shape
        at = np.stack([(1 - self._texture[:, 1]) * rows - 0.5, self._texture[:, 0] * columns - 0.5])
        values = map_coordinates(image, np.nan_to_num(at), order=1, mode="nearest")
        return np.where(np.isnan(self._texture[:, 0]), 0.0, values)


def _resample(points, count):
    """Return ``count`` points evenly along a smooth curve through ``points``."""
    position = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    degree = min(3, len(points) - 1)
    wanted = np.linspace(0.0, position[-1], count)
    return np.stack([np.polyval(np.polyfit(position, points[:, k], degree), wanted) if len(points) <= 5
                     else np.interp(wanted, position, points[:, k]) for k in range(3)], axis=1)


def _smooth_step(value, zero_at, one_at):
    """Rise smoothly from 0 at ``zero_at`` to 1 at ``one_at``, whichever is larger."""
    t = np.clip((value - zero_at) / (np.asarray(one_at) - zero_at), 0.0, 1.0)
    return t * t * (3 - 2 * t)
