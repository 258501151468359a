"""FLAME's mesh on a face model: a made-up FLAME of the same sizes, and its files."""

import os
import pickle

import numpy as np
import pytest
import scipy.sparse

import obj
from face_model.flame import Flame, find_flame, map_flame
from geometry.closest_points import SurfaceSearch
from geometry.normals import surface_normals
from mesh.flame_mesh import FlameMesh, in_flame_topology
from mesh.uv_unwrap import unwrap_uv
from tests.toy_reconstruction import closed_face_model, toy_reconstruction
from utils.errors import InputError, run_main
from utils.pickle_files import read_pickled_arrays

pytest.importorskip("igl")
trimesh = pytest.importorskip("trimesh")

VERTEX_COUNT, TRIANGLE_COUNT, EYE_COUNT = 5023, 9976, 546


def ball(rings, segments):
    """A closed sphere of ``rings`` circles and two poles: its points and triangles."""
    polar, around = np.meshgrid(
        np.pi * (np.arange(rings) + 1) / (rings + 1),
        2 * np.pi * np.arange(segments) / segments,
        indexing="ij",
    )
    circles = [np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)]
    points = np.concatenate([[[0, 1, 0]], np.stack(circles, axis=2).reshape(-1, 3), [[0, -1, 0]]])
    here, after = np.arange(segments) + 1, (np.arange(segments) + 1) % segments + 1
    triangles = [np.stack([0 * here, here, after], axis=1)]
    for k in range(rings - 1):
        one, two = here + k * segments, after + k * segments
        below = segments
        triangles += [np.stack([one, one + below, two], axis=1)]
        triangles += [np.stack([two, one + below, two + below], axis=1)]
    last = (rings - 1) * segments
    triangles.append(np.stack([here + last, 0 * here + len(points) - 1, after + last], axis=1))
    return points, np.concatenate(triangles)


def with_nose(points):
    """An ellipsoid's points with a nose in front, which tells up from down."""
    distance = np.linalg.norm(points[:, :2] - [0, -0.1], axis=1)
    bump = 0.25 * np.exp(-((distance / 0.2) ** 2)) * (points[:, 2] > 0)
    return points + bump[:, np.newaxis] * [0, 0, 1.0]


def made_up_flame():
    """A head of FLAME's sizes: an ellipsoid with a nose, wider than the face model's; meters."""
    points, triangles = ball(57, 69)  # 3,935 vertices
    points, triangles = points[:-4], triangles[(triangles < len(points) - 4).all(axis=1)]
    head = with_nose(points * [0.8, 1.1, 0.9])
    eye, eye_triangles = ball(17, 32)  # 546 vertices
    eyes = [0.1 * eye + [side * 0.3, 0.2, 0.75] for side in (-1, 1)]
    vertices = np.concatenate([head] + eyes)
    triangles = np.concatenate(
        [triangles, eye_triangles + len(head), eye_triangles + len(head) + len(eye)]
    )
    basis = np.zeros((len(vertices), 3, 400))
    basis[:, 0, 0] = basis[:, 1, 1] = 0.0
    basis[:, 0, 0], basis[:, 1, 1], basis[:, 2, 2] = 0.05 * vertices.T
    return Flame((vertices * [1.1, 1, 1]) * 0.1 + [0, 0.02, -0.01], 0.1 * basis, triangles)


def face_model():
    """The ellipsoid of the tests with the same nose, and landmarks of eyes and nose."""
    model = closed_face_model()
    shape = with_nose(model.mean_shape.astype(np.float64))
    landmarks = model.landmarks.copy()

    def nearest(x, y):
        return np.argmin(np.linalg.norm(shape - [x, y, 1.0], axis=1))

    for first, side in ((36, -1), (42, 1)):
        for k in range(6):
            angle = 2 * np.pi * k / 6
            landmarks[first + k] = nearest(
                side * 0.3 + 0.1 * np.cos(angle), 0.2 + 0.1 * np.sin(angle)
            )
    landmarks[30] = shape[:, 2].argmax()
    return model._replace(mean_shape=shape.astype(np.float32), landmarks=landmarks)


@pytest.fixture(scope="module")
def mapped():
    model = face_model()
    return model, FlameMesh(map_flame(made_up_flame(), model), None)


def test_flames_mesh_lies_on_the_face_and_follows_it(mapped):
    model, flame = mapped
    reconstruction = toy_reconstruction(model=model)
    found = in_flame_topology(reconstruction, model, flame)
    assert found.world_shape.shape == found.colors.shape == (VERTEX_COUNT, 3)
    assert abs(len(flame.map.triangles) - TRIANGLE_COUNT) < 100
    on_face = flame.map.on_face
    assert on_face.sum() > 3500 and not on_face[-2 * EYE_COUNT :].any()

    surface = SurfaceSearch(reconstruction.world_shape, model.triangles)
    distances = surface.find(found.world_shape[on_face])[0]
    print(
        "{:.2f} mm median, 95% within {:.2f} mm".format(*(100 * np.percentile(distances, [50, 95])))
    )
    assert np.median(distances) < 0.005 and np.percentile(distances, 95) < 0.02  # dm
    normals = surface_normals(found.world_shape, flame.map.triangles)[on_face]
    outward = found.world_shape[on_face] - found.world_shape[on_face].mean(axis=0)
    assert np.mean(np.einsum("nk,nk->n", normals, outward) > 0) > 0.99

    moved = reconstruction._replace(world_shape=reconstruction.world_shape + np.float32(0.3))
    shift = in_flame_topology(moved, model, flame).world_shape - found.world_shape
    np.testing.assert_allclose(shift, 0.3, atol=1e-5)


def test_files_in_flames_topology(mapped, tmp_path):
    model, flame = mapped
    reconstruction = toy_reconstruction(model=model)
    formats = ("colors", "ply", "stl")
    obj.write_meshes(
        reconstruction, model, unwrap_uv(model), str(tmp_path), formats, unit="mm", flame=flame
    )
    wanted = 100 * in_flame_topology(reconstruction, model, flame).world_shape
    for name in ("face_flame.ply", "face_flame_mesh.obj"):
        mesh = trimesh.load(str(tmp_path / name), process=False, maintain_order=True)
        np.testing.assert_allclose(mesh.vertices, wanted, atol=1e-3)
        np.testing.assert_array_equal(mesh.faces, flame.map.triangles)
    assert (tmp_path / "face_flame.stl").is_file() and (tmp_path / "face.ply").is_file()


class chumpy_array:  # noqa: N801
    """Stands for chumpy's ``Ch``, which keeps its array as the attribute x."""

    def __init__(self, x):
        self.x = x


chumpy_array.__module__, chumpy_array.__qualname__ = "chumpy.ch", "Ch"


def fields(flame):
    return {
        "v_template": flame.template,
        "shapedirs": flame.shape_basis[..., :5],
        "f": flame.triangles.astype(np.uint32),
        "J_regressor": np.eye(5, VERTEX_COUNT),
        "weights": np.ones((VERTEX_COUNT, 5)),
        "bs_type": "lrotmin",
    }


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_are_read_without_running_them(tmp_path, protocol, monkeypatch):
    import sys
    import types

    module = types.ModuleType("chumpy.ch")
    module.Ch = chumpy_array
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    flame = made_up_flame()
    content = fields(flame)
    content["shapedirs"] = chumpy_array(np.asfortranarray(content["shapedirs"]))
    content["J_regressor"] = scipy.sparse.csc_matrix(content["J_regressor"])
    path = tmp_path / "flame2023.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    monkeypatch.delitem(sys.modules, "chumpy.ch")

    arrays = read_pickled_arrays(str(path))
    assert "bs_type" not in arrays
    for name, wanted in fields(flame).items():
        if name != "bs_type":
            np.testing.assert_array_equal(arrays[name], wanted)
    read = find_flame(None, str(tmp_path))
    np.testing.assert_array_equal(read.triangles, flame.triangles)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("was-run",)


class Scary:
    def __reduce__(self):
        return np.save, ("was-run", 1)


@pytest.mark.parametrize("content", [Hostile(), {"f": Scary()}, [1, 2], {"f": Hostile()}])
def test_a_pickle_that_calls_anything_is_refused_or_ignored(tmp_path, content, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match="bad.pkl: not (a pickle of plain arrays|FLAME's file)"):
        find_flame("bad.pkl")
    assert os.listdir(str(tmp_path)) == ["bad.pkl"]


def test_files_that_are_not_flame_are_named(tmp_path):
    with pytest.raises(InputError, match="holds none of flame2023_Open.pkl"):
        find_flame(None, str(tmp_path))
    path, content = str(tmp_path / "flame.npz"), fields(made_up_flame())
    content.pop("bs_type")
    np.savez(path, **dict(content, f=content["f"] + 9000))
    with pytest.raises(InputError, match="vertices that are not there"):
        find_flame(path)
    np.savez(path, v_template=content["v_template"])
    with pytest.raises(InputError, match="shapedirs is missing"):
        find_flame(path)
    (tmp_path / "cut.pkl").write_bytes(pickle.dumps(content)[:5000])
    with pytest.raises(InputError, match="cut.pkl: not a pickle of plain arrays"):
        find_flame(str(tmp_path / "cut.pkl"))


def test_a_file_of_flame_that_nothing_uses_is_an_error(tmp_path, capsys):
    flags = ["--flame", str(tmp_path / "flame.npz")]
    with pytest.raises(SystemExit) as ended:
        run_main(obj.main, flags)
    assert ended.value.code == 1
    assert "flame.npz: no mesh in FLAME's topology is asked for; give --as flame too" in (
        capsys.readouterr().err
    )
    assert obj.parse_arguments(flags + ["--as", "flame"]).flame == flags[1]
