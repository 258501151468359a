"""Gauss and Newton's matrix of the objective of fitting: how curved it is, for large steps.

The derivatives of colors follow from the linear model at some visible vertices: a coefficient moves
a vertex over the picture, turns its normal in the light, or changes its color. The photometric loss
is a sum of distances, not of their squares; each gets the parabola that touches it from above, as
in iteratively reweighted least squares. Compare Blanz & Vetter, "Face Recognition Based on Fitting
a 3D Morphable Model" (PAMI 2003), section 4, and Thies et al., "Face2Face" (CVPR 2016), section 4.
"""

from typing import NamedTuple, Tuple

import numpy as np

import losses
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.landmark_basis import landmark_model, vertex_model
from face_model.model import FaceModel
from geometry.camera import IMAGE_SIZE, project, project_derivatives, row_from_y_up
from geometry.landmark_layout import LANDMARK_COUNT
from geometry.rotation import rotation_with_derivatives
from geometry.spherical_harmonics import (
    AMBIENT_OFFSET,
    SH_COUNT,
    harmonics_array,
    harmonics_gradient,
)
from utils.workers import one_blas_thread

_VERTICES = 1500  # of the front region, of which half are visible and used
_SKIN_VERTICES = 3000  # for the reflectance loss
_CELL = 6  # pixels: one vertex is used in each square of so many
_GRAZING = 0.1  # cosine between normal and viewing direction; vertices below it are skipped
# Gray levels below which the parabola gets no narrower: it is exact for one residual only.
_LEAST_DISTANCE = 30.0


class View(NamedTuple):
    """A photo's rendering at some coefficients, and how far it is from the photo."""

    world: np.ndarray  # [N, 3] dm
    normals: np.ndarray  # [N, 3] unit vectors in the world
    albedo: np.ndarray  # [N, 3] RGB, 0..255
    rendered: np.ndarray  # [224, 224, 3] RGB, 0..255
    distance: np.ndarray  # [224, 224] color distance, gray levels
    mask: np.ndarray  # [224, 224] weight of each pixel, 0 outside of the front region


class Priors(NamedTuple):
    """Weights of the terms of a photo's objective beside the photometric loss."""

    landmark_weights: np.ndarray  # [68]
    identity: float  # weight of the squared coefficients, of all terms together
    expression: float
    albedo: float
    reflectance: float


class Curvature:
    """Gauss and Newton's matrices for one face model.

    Args:
        model: a ``FaceModel``.
        weights: a ``losses.LossWeights``.
    """

    def __init__(self, model: FaceModel, weights: losses.LossWeights) -> None:
        self._sizes = coefficient_sizes(model)
        self._weights = weights
        self._landmarks = model.landmarks
        self._landmark_basis = landmark_model(model)[1].astype(np.float32)

        # 1. vertices of the front region with their part of the model
        stride = max(1, len(model.front_vertices) // _VERTICES)
        self._vertices = vertices = model.front_vertices[::stride]
        self._shape_basis = vertex_model(model, vertices)[1].astype(np.float32)
        self._normal_basis = normal_derivatives(model, vertices).astype(np.float32)
        rows = (3 * vertices[:, np.newaxis] + np.arange(3)).reshape(-1)
        self._albedo_basis = model.albedo_basis[rows].reshape(len(vertices), 3, -1)

        # 2. losses that are quadratic in the coefficients
        with one_blas_thread():
            self._reflectance = _reflectance_matrix(model)
        deviation = np.eye(3) - 1 / 3.0
        self._gamma = 2 * weights.gamma / (3 * SH_COUNT) * np.kron(deviation, np.eye(SH_COUNT))

    def matrix(self, coefficients: np.ndarray, view: View, priors: Priors) -> np.ndarray:
        """Return the matrix of one photo, [257, 257] float32, positive semidefinite.

        Args:
            coefficients: [257].
            view: the rendering at these.
            priors: weights of the other terms.
        """
        with one_blas_thread():
            pixels, weights = self.color_derivatives(coefficients, view)[2:]
            pixels = pixels * np.sqrt(weights)[:, np.newaxis, np.newaxis]
            points = self._landmark_derivatives(coefficients, view)
            scale = 2 * self._weights.landmark / LANDMARK_COUNT * priors.landmark_weights
            points *= np.sqrt(scale)[:, np.newaxis, np.newaxis]
            rows = np.concatenate(
                [part.reshape(-1, len(coefficients)) for part in (pixels, points)]
            )
            matrix = rows.T.dot(rows)

        part = self._slices()
        for columns, weight in zip(part[:3], (priors.identity, priors.expression, priors.albedo)):
            matrix[columns, columns] += 2 * weight * np.eye(columns.stop - columns.start)
        matrix[part[2], part[2]] += priors.reflectance * self._reflectance
        matrix[part[4], part[4]] += self._gamma
        return matrix

    def color_derivatives(
        self, coefficients: np.ndarray, view: View
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the derivatives of the rendered colors at S pixels by the coefficients.

        Args:
            coefficients: [257].
            view: the rendering at these.

        Returns:
            rows [S] and columns [S] of the pixels, derivatives [S, 3, 257] in gray levels (RGB),
            and the weight [S] of a squared gray level in the objective.
        """
        chosen, rows, columns, weights = self._choose_pixels(view)
        vertices = self._vertices[chosen]
        parts = split_coefficients(coefficients[np.newaxis], self._sizes)
        rotation = rotation_with_derivatives(parts.angles[0].astype(np.float64)).astype(np.float32)

        # 1. light on the vertices, and the color's derivative by their normals in the world
        normals, albedo = view.normals[vertices], view.albedo[vertices]
        light = parts.gamma[0].reshape(3, SH_COUNT).astype(np.float64)
        light[:, 0] += AMBIENT_OFFSET
        harmonics = harmonics_array(normals)
        shading = harmonics.dot(light.T).astype(np.float32)
        by_normal = np.matmul(light, harmonics_gradient(normals)).astype(np.float32)
        by_normal *= albedo[:, :, np.newaxis]

        # 2. by their positions in the world: the picture moves with them
        by_world = -np.matmul(
            _picture_gradient(view, rows, columns), project_derivatives(view.world[vertices])
        ).astype(np.float32)

        # 3. by each part of the coefficients
        derivatives = np.zeros((len(vertices), 3, len(coefficients)), np.float32)
        part = self._slices()
        turning = view.world[vertices] - parts.translation
        self._add_turning(derivatives, by_world, turning, self._shape_basis[chosen], rotation)
        self._add_turning(derivatives, by_normal, normals, self._normal_basis[chosen], rotation)
        derivatives[..., part[2]] = self._albedo_basis[chosen] * shading[:, :, np.newaxis]
        for channel in range(3):
            first = part[4].start + SH_COUNT * channel
            derivatives[:, channel, first : first + SH_COUNT] = (
                albedo[:, channel, np.newaxis] * harmonics
            )
        derivatives[..., part[5]] = by_world
        return rows, columns, derivatives, weights

    def _choose_pixels(self, view: View) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return pixels that show a vertex: number of the vertex, row, column and weight, [S]."""
        # 1. vertices that face the camera, inside of the front region of the picture
        world = view.world[self._vertices]
        points = project(world)
        columns = np.round(points[:, 0]).astype(int)
        rows = np.round(row_from_y_up(points[:, 1])).astype(int)
        inside = (np.minimum(rows, columns) > 0) & (np.maximum(rows, columns) < IMAGE_SIZE - 1)
        facing = view.normals[self._vertices, 2] > _GRAZING
        chosen = np.flatnonzero(inside & facing)
        chosen = chosen[view.mask[rows[chosen], columns[chosen]] > 0]

        # 2. the foremost one of each cell
        cells = rows[chosen] // _CELL * IMAGE_SIZE + columns[chosen] // _CELL
        order = np.lexsort((-world[chosen, 2], cells))
        chosen = chosen[order[np.unique(cells[order], return_index=True)[1]]]
        rows, columns = rows[chosen], columns[chosen]

        # 3. their shares of the loss of all pixels
        mask = view.mask[rows, columns]
        distance = np.maximum(view.distance[rows, columns], _LEAST_DISTANCE)
        weight = self._weights.photometric / 255.0 / max(float(mask.sum()), 1e-6)
        return chosen, rows, columns, (weight * mask / distance).astype(np.float32)

    def _landmark_derivatives(self, coefficients: np.ndarray, view: View) -> np.ndarray:
        """Return the derivatives of the projected landmarks, [68, 2, 257], pixels."""
        world = view.world[self._landmarks]
        parts = split_coefficients(coefficients[np.newaxis], self._sizes)
        rotation = rotation_with_derivatives(parts.angles[0].astype(np.float64)).astype(np.float32)
        by_world = project_derivatives(world).astype(np.float32)
        derivatives = np.zeros((LANDMARK_COUNT, 2, len(coefficients)), np.float32)
        turning = world - parts.translation
        self._add_turning(derivatives, by_world, turning, self._landmark_basis, rotation)
        derivatives[..., self._slices()[5]] = by_world
        return derivatives

    def _add_turning(
        self,
        derivatives: np.ndarray,
        by_vector: np.ndarray,
        vectors: np.ndarray,
        basis: np.ndarray,
        rotation: np.ndarray,
    ) -> None:
        """Add derivatives by shape and angles, through vectors that turn with the head, in place.

        Args:
            derivatives: [S, D, 257].
            by_vector: [S, D, 3] derivatives by the vectors in the world.
            vectors: [S, 3] positions from the head's center, or normals, in the world.
            basis: [S, 3, K] their derivatives by identity and expression, in model space.
            rotation: [4, 3, 3], see ``geometry.rotation.rotation_with_derivatives``.
        """
        part, to_model = self._slices(), rotation[0].T
        derivatives[..., : part[1].stop] += np.matmul(by_vector.dot(to_model), basis)
        resting = vectors.dot(to_model)
        by_angles = np.stack([resting.dot(turn) for turn in rotation[1:]], axis=2)
        derivatives[..., part[3]] += np.matmul(by_vector, by_angles)

    def _slices(self) -> Tuple[slice, ...]:
        """Return the columns of each part of the coefficients."""
        ends = np.cumsum(self._sizes)
        return tuple(slice(end - size, end) for size, end in zip(self._sizes, ends))


def normal_derivatives(model: FaceModel, vertices: np.ndarray) -> np.ndarray:
    """Return the derivatives of normals by identity and expression at the mean face, [n, 3, K].

    The normal of a vertex is the mean of its triangles' unit normals, as in the decoder.

    Args:
        model: a ``FaceModel`` with K identity and expression components.
        vertices: [n] int.
    """
    # 1. the triangles around the vertices
    around = model.vertex_triangles[vertices]
    used, numbers = np.unique(around, return_inverse=True)
    numbers = numbers.reshape(around.shape)
    used = used[used < model.triangle_count]  # the padding is the last one
    corners = model.triangles[used]

    # 2. their unit normals, and these by the edges and the coefficients
    vertices_used, places = np.unique(corners, return_inverse=True)
    points, bases = (part.astype(np.float32) for part in vertex_model(model, vertices_used))
    a, b, c = places.reshape(corners.shape).T
    first, second = points[b] - points[a], points[c] - points[a]
    normals = np.cross(first, second)
    lengths = np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
    normals /= lengths[:, np.newaxis]
    derivatives = np.matmul(_cross_matrices(first), bases[c] - bases[a])
    derivatives -= np.matmul(_cross_matrices(second), bases[b] - bases[a])
    derivatives = _tangential(derivatives / lengths[:, np.newaxis, np.newaxis], normals)

    # 3. sums over the triangles of each vertex
    sums = np.zeros((len(vertices), 3), np.float32)
    total = np.zeros((len(vertices),) + derivatives.shape[1:], np.float32)
    for column in numbers.T:
        there = column < len(used)
        sums[there] += normals[column[there]]
        total[there] += derivatives[column[there]]
    lengths = np.maximum(np.linalg.norm(sums, axis=1), 1e-12)
    sums /= lengths[:, np.newaxis]
    return _tangential(total / lengths[:, np.newaxis, np.newaxis], sums)


def _tangential(derivatives: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Remove the part along unit vectors [n, 3] from derivatives [n, 3, K]."""
    along = np.matmul(normals[:, np.newaxis], derivatives)
    return derivatives - normals[:, :, np.newaxis] * along


def _cross_matrices(vectors: np.ndarray) -> np.ndarray:
    """Return the matrices [n, 3, 3] of the cross products of vectors [n, 3] with others."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)


def _reflectance_matrix(model: FaceModel) -> np.ndarray:
    """Return the second derivatives of ``losses.reflectance_losses`` by the albedo coefficients.

    They are computed from some of the vertices.
    """
    skin = np.flatnonzero(model.skin_mask)
    skin = skin[:: max(1, len(skin) // _SKIN_VERTICES)]
    rows = (3 * skin[:, np.newaxis] + np.arange(3)).reshape(-1)
    mask = model.skin_mask[skin].astype(np.float32)
    basis = model.albedo_basis[rows].reshape(len(skin), 3, -1) / 255.0
    deviation = basis - np.tensordot(mask / mask.sum(), basis, axes=1)
    deviation *= (mask / np.sqrt(mask.sum()))[:, np.newaxis, np.newaxis]
    flat = deviation.reshape(-1, deviation.shape[2])
    return 2 * flat.T.dot(flat)


def _picture_gradient(view: View, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the rendered picture's derivatives by x and y (up) at pixels, [S, 3, 2].

    They are 0 beside the front region's edge, where colors jump.
    """
    neighbors = [(rows, columns + 1), (rows, columns - 1), (rows - 1, columns), (rows + 1, columns)]
    right, left, above, below = (view.rendered[place].astype(np.float64) for place in neighbors)
    inside = np.all([view.mask[place] > 0 for place in neighbors], axis=0)
    gradient = np.stack([(right - left) / 2, (above - below) / 2], axis=2)
    return gradient * inside[:, np.newaxis, np.newaxis]
