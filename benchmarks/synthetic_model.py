"""A face model of BFM09's size whose bases are random waves, for timing."""

import numpy as np

from benchmarks.synthetic_mesh import GRID, face_like_mesh
from face_model.coefficients import coefficient_sizes
from face_model.model import FaceModel, vertex_triangle_table
from geometry.landmark_layout import LANDMARK_COUNT

IDENTITIES, EXPRESSIONS, ALBEDOS = 80, 64, 80
_SHAPE_DEVIATION, _ALBEDO_DEVIATION = 0.005, 2.0  # of each component; dm, gray levels
_FREQUENCY = 3.0  # of the components, which are waves: radians per dm
_FRONT_SHARE = (
    0.87  # of each side of the grid: three quarters of the triangles, like BFM09's front region
)
_POSE_DEVIATION = 0.1  # radians, dm
_LIGHT_DEVIATION = 0.05


def synthetic_face_model(grid=GRID, seed=0):
    """Return a ``FaceModel`` whose mean is ``face_like_mesh(grid)``."""
    random = np.random.RandomState(seed)
    vertices, triangles = face_like_mesh(grid)
    count = len(vertices)

    def basis(components, deviation):
        frequencies = _FREQUENCY * random.standard_normal((3, components))
        phases = random.uniform(0, 2 * np.pi, (3, components))
        waves = vertices.dot(frequencies)[:, np.newaxis] + phases  # [N, 3, components]
        return np.float32(deviation * np.sin(waves)).reshape(3 * count, components)

    inside = np.abs(np.arange(grid) / (grid - 1.0) - 0.5) <= _FRONT_SHARE / 2
    front = (inside[:, np.newaxis] & inside).reshape(-1)
    return FaceModel(
        name="synthetic",
        mean_shape=vertices.astype(np.float32),
        identity_basis=basis(IDENTITIES, _SHAPE_DEVIATION),
        expression_basis=basis(EXPRESSIONS, _SHAPE_DEVIATION),
        mean_albedo=random.uniform(90, 190, (count, 3)).astype(np.float32),
        albedo_basis=basis(ALBEDOS, _ALBEDO_DEVIATION),
        triangles=triangles,
        vertex_triangles=vertex_triangle_table(triangles, count),
        front_vertices=np.flatnonzero(front).astype(np.int32),
        front_triangles=triangles[front[triangles].all(axis=1)],
        landmarks=random.choice(count, LANDMARK_COUNT, replace=False).astype(np.int32),
        skin_mask=front.astype(np.float32),
    )


def random_coefficients(model, batch, seed=0):
    """Return coefficients [batch, K] float32 of roughly frontal faces."""
    random = np.random.RandomState(seed)
    sizes = coefficient_sizes(model)
    deviations = (1.0, 1.0, 1.0, _POSE_DEVIATION, _LIGHT_DEVIATION, _POSE_DEVIATION)
    parts = [
        deviation * random.standard_normal((batch, size))
        for size, deviation in zip(sizes, deviations)
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def random_photos(batch, seed=0):
    """Return random photos, attention and labels, float32.

    Shapes: [batch, 224, 224, 3], [batch, 224, 224, 1] and [batch, 68, 2].
    """
    random = np.random.RandomState(seed)
    photos = random.randint(0, 256, (batch, 224, 224, 3)).astype(np.float32)
    attention = random.uniform(0, 1, (batch, 224, 224, 1)).astype(np.float32)
    return photos, attention, random.uniform(40, 180, (batch, LANDMARK_COUNT, 2)).astype(np.float32)


def published_fields(model):
    """Return the model's arrays in the shapes of the published code, for ``numpy.savez``."""
    return {
        "mean_shape": model.mean_shape.reshape(1, -1),
        "identity_basis": model.identity_basis,
        "expression_basis": model.expression_basis,
        "mean_albedo": model.mean_albedo.reshape(1, -1),
        "albedo_basis": model.albedo_basis,
        "triangles": model.triangles,
        "front_triangles": model.front_triangles,
        "vertex_triangles": model.vertex_triangles,
        "landmarks": model.landmarks,
        "skin_mask": model.skin_mask,
    }
