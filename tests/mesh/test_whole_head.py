"""The whole head around a face: its mesh, its texture, and its file."""

import os

import numpy as np
import pytest
from PIL import Image

import obj
from face_model.head import HeadExtension, find_head, head_path, load_head, write_head
from face_model.loading import OPEN_MODEL_FILE
from face_model.model import vertex_triangle_table
from geometry.connectivity import boundary_loops
from mesh.uv_unwrap import unwrap_uv
from mesh.whole_head import extend_face, make_whole_head
from tests.toy_reconstruction import closed_face_model, toy_reconstruction
from utils.errors import InputError

trimesh = pytest.importorskip("trimesh")


def split_model():
    """The front of an ellipsoid as a face model, and the rest without its lower end as its head."""
    whole = closed_face_model()
    corners = whole.mean_shape[whole.triangles].mean(axis=1)
    front, above = corners[:, 2] > 0.25, corners[:, 1] > -0.8
    inside = np.zeros(whole.vertex_count, bool)
    inside[whole.triangles[front]] = True
    order = np.concatenate([np.flatnonzero(inside), np.flatnonzero(~inside)])
    number = np.argsort(order).astype(np.int32)
    around = whole.triangles[~front & above]
    outer = np.setdiff1d(np.unique(around), np.flatnonzero(inside))
    count = int(inside.sum())
    number[outer] = count + np.arange(len(outer))

    def rows(values, vertices):
        return values.reshape(whole.vertex_count, -1)[vertices].reshape(-1, values.shape[-1])

    face = np.flatnonzero(inside)
    triangles = number[whole.triangles[front]]
    model = whole._replace(
        name="open face model of a test",
        mean_shape=whole.mean_shape[face],
        identity_basis=rows(whole.identity_basis, face),
        expression_basis=rows(whole.expression_basis, face),
        mean_albedo=whole.mean_albedo[face],
        albedo_basis=rows(whole.albedo_basis, face),
        triangles=triangles,
        vertex_triangles=vertex_triangle_table(triangles, count),
        front_vertices=np.arange(count, dtype=np.int32),
        front_triangles=triangles,
        landmarks=np.arange(68, dtype=np.int32),
        skin_mask=np.ones(count, np.float32),
    )
    head = HeadExtension(
        model.fingerprint(),
        whole.mean_shape[outer],
        rows(whole.identity_basis, outer),
        rows(whole.expression_basis, outer),
        number[around],
    )
    return model, head


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("heads"))
    model, head = split_model()
    uv_map = unwrap_uv(model)
    whole = make_whole_head(model, head, uv_map)
    reconstruction = toy_reconstruction(model=model)
    rest = {"_neutral": np.zeros(model.expression_count)}
    obj.write_meshes(reconstruction, model, uv_map, folder, unit="mm", expressions=rest, head=whole)
    return folder, model, whole, reconstruction


def load(folder, name):
    return trimesh.load(os.path.join(folder, name), process=False, maintain_order=True)


def test_the_head_continues_the_face_without_a_gap(written):
    folder, model, whole, reconstruction = written
    for name in ("face_head.ply", "face_head_mesh.obj", "face_head.obj", "face_neutral_head.ply"):
        mesh = load(folder, name)
        assert len(mesh.vertices) == whole.model.vertex_count > model.vertex_count
        face = 100 * reconstruction.world_shape
        np.testing.assert_allclose(mesh.vertices[: model.vertex_count], face, atol=1e-3)
        assert len(boundary_loops(mesh.faces)) == 1  # the cut through the neck
    stl = load(folder, "face_head.stl")
    size = np.ptp(100 * whole.model.mean_shape, axis=0)
    np.testing.assert_allclose(np.ptp(stl.vertices, axis=0), size, rtol=1e-4)
    (glb,) = load(folder, "face_head.glb").geometry.values()
    assert len(glb.vertices) == whole.model.vertex_count


def test_what_adjoins_the_face_follows_a_mesh_that_left_the_model(written):
    _, model, whole, reconstruction = written
    lifted = reconstruction.world_shape + np.float32([0, 0, 0.1])
    moved = extend_face(reconstruction._replace(world_shape=lifted), model, whole).world_shape
    still = extend_face(reconstruction, model, whole).world_shape
    shift = (moved - still)[model.vertex_count :, 2]
    assert shift.max() > 0.07 and shift.min() == 0


def test_the_texture_is_the_photo_in_the_face_and_even_skin_around_it(written):
    folder, model, whole, _ = written
    with Image.open(os.path.join(folder, "face_texture.png")) as image:
        face = np.asarray(image).astype(float)
    with Image.open(os.path.join(folder, "face_head_albedo_map.png")) as image:
        albedo = np.asarray(image).astype(float)
    with Image.open(os.path.join(folder, "face_head_texture.png")) as image:
        texture = np.asarray(image).astype(float)
    assert len(texture) == 2 * len(face)

    def at(picture, coordinates):
        places = np.rint((coordinates * [1, -1] + [0, 1]) * len(picture) - 0.5).astype(int)
        return picture[places[:, 1], places[:, 0]]

    inside = np.flatnonzero(whole.face_share == 1)
    wanted = at(face, whole.face_coordinates[inside])
    difference = at(texture, whole.uv_map.coordinates[inside]) - wanted
    assert np.median(np.abs(difference)) < 2 and np.ptp(wanted) > 50
    around = at(albedo, whole.uv_map.coordinates[model.vertex_count :])
    assert np.ptp(around, axis=0).max() <= 2


def test_the_file_of_a_head_comes_back_and_belongs_to_one_model(tmp_path):
    model, head = split_model()
    path = head_path(str(tmp_path / OPEN_MODEL_FILE))
    assert find_head(model, str(tmp_path)) is None
    with pytest.raises(InputError, match="not there; run 'make face-model'"):
        load_head(model, str(tmp_path))
    write_head(head, path)
    read = load_head(model._replace(name="renamed"), str(tmp_path))  # the numbers count
    for one, other in zip(read, head):
        np.testing.assert_array_equal(one, other)
    other = model._replace(mean_shape=model.mean_shape + 1)
    assert find_head(other, str(tmp_path)) is None
    with pytest.raises(InputError, match="is not the head of open face model .* use --face_model"):
        load_head(other, str(tmp_path))
    write_head(head._replace(triangles=head.triangles + 999), path)
    with pytest.raises(InputError, match="vertices that are not there"):
        load_head(model, str(tmp_path))
