"""A small face model and one reconstruction with it, made by hand instead of by fitting."""

from typing import Optional

import numpy as np
from PIL import Image

from alignment.align import align
from face_model import read_face_model
from face_model.model import FaceModel, vertex_triangle_table
from geometry.landmark_layout import STANDARD_POINTS_3D
from reconstruction.face import LocatedFace, Reconstruction
from tests.paths import TOY_MODEL

YAW = 0.35  # radians


def toy_face_model() -> FaceModel:
    """The small face model of the golden numbers."""
    return read_face_model(TOY_MODEL)


def closed_face_model() -> FaceModel:
    """A head-like ellipsoid without any outline, as a face model of the golden one's kind."""
    import trimesh

    sphere = trimesh.creation.icosphere(subdivisions=3, radius=1.0)
    vertices = (sphere.vertices * [0.8, 1.1, 0.9]).astype(np.float32)
    triangles = sphere.faces.astype(np.int32)
    count = len(vertices)
    golden = toy_face_model()
    front = np.flatnonzero(vertices[:, 2] > 0.3).astype(np.int32)
    random = np.random.RandomState(0)
    bases = [
        random.normal(0, 0.01, (3 * count, basis.shape[1])).astype(np.float32)
        for basis in (golden.identity_basis, golden.expression_basis, golden.albedo_basis)
    ]
    return golden._replace(
        name="closed",
        mean_shape=vertices,
        identity_basis=bases[0],
        expression_basis=bases[1],
        albedo_basis=bases[2],
        mean_albedo=np.full((count, 3), 180, np.float32),
        triangles=triangles,
        front_vertices=front,
        vertex_triangles=vertex_triangle_table(triangles, count),
        skin_mask=np.ones(count, np.float32),
        front_triangles=triangles[np.isin(triangles, front).all(axis=1)],
        landmarks=front[np.arange(68) % len(front)],
    )


def toy_reconstruction(
    name: str = "face", photo_size: int = 400, model: Optional[FaceModel] = None
) -> Reconstruction:
    """Return the turned mean face of a model over a photo of two color ramps, red and green."""
    model = model or toy_face_model()
    ramp = np.linspace(0, 255, photo_size)
    photo = np.stack(
        np.broadcast_arrays(ramp[np.newaxis, :], ramp[:, np.newaxis], 128.0), axis=2
    ).astype(np.uint8)
    five_points = photo_size / 2 + STANDARD_POINTS_3D[:, :2] * [150, -150]
    alignment = align(photo, five_points)
    sin, cos = np.sin(YAW), np.cos(YAW)
    shape = (model.mean_shape - model.mean_shape.mean(axis=0)).astype(np.float64)
    translation = np.array([0.1, -0.05, 0.2])
    world = shape.dot(np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T) + translation
    coefficients = np.zeros(
        sum((model.identity_count, model.expression_count, model.albedo_count, 33))
    )
    first = model.identity_count + model.expression_count + model.albedo_count
    coefficients[first + 1] = YAW
    coefficients[-3:] = translation
    overlay = np.asarray(Image.new("RGBA", (448, 448), (200, 100, 50, 0)))
    face = LocatedFace(
        name, name + ".png", photo, alignment, np.full((68, 2), 200.0), np.ones(68), five_points
    )
    return Reconstruction(
        face,
        coefficients,
        world.astype(np.float32),
        model.mean_albedo,
        model.mean_albedo,
        np.full((68, 2), 112.0),
        overlay[::2, ::2],
        np.zeros((224, 224), bool),
        overlay,
    )
