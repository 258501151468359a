"""The mesh pyramid: decimation, upsampling, Laplacians, cache and command."""

import os

import numpy as np
import pytest
from PIL import Image

from face_model import read_face_model
from gcn import decimation, pyramid
from tests.paths import GOLDEN
from utils import installed
from utils.errors import InputError, run_main

TOY_MODEL = os.path.join(GOLDEN, "toy_model.mat")


@pytest.fixture(scope="module")
def toy():
    return read_face_model(TOY_MODEL)


@pytest.fixture(scope="module")
def toy_pyramid(toy):
    pytest.importorskip("igl")
    return pyramid.build_pyramid(toy.mean_shape, toy.triangles)


def _grid(side):
    """A bumpy square sheet of side x side vertices, 1 dm wide."""
    rows, columns = np.mgrid[0:side, 0:side] / (side - 1.0)
    height = 0.1 * np.sin(5 * rows) * np.cos(4 * columns)
    corner = np.arange(side * side).reshape(side, side)
    a, b, c, d = (
        corner[r, c].ravel()
        for r in (slice(None, -1), slice(1, None))
        for c in (slice(None, -1), slice(1, None))
    )
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])
    return np.stack([columns.ravel(), rows.ravel(), height.ravel()], 1), triangles


def _edge_multiplicity(triangles):
    edges = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    return np.unique(edges, axis=0, return_counts=True)[1]


def test_each_level_keeps_a_quarter_of_the_vertices_above(toy, toy_pyramid):
    assert [len(vertices) for vertices in toy_pyramid.vertices] == [625, 157, 40, 10, 4]
    for fine, coarse, kept in zip(toy_pyramid.vertices, toy_pyramid.vertices[1:], toy_pyramid.kept):
        assert len(np.unique(kept)) == len(kept)
        np.testing.assert_array_equal(fine[kept], coarse)
    for vertices, triangles in zip(toy_pyramid.vertices, toy_pyramid.triangles):
        assert triangles.max() < len(vertices)
        assert _edge_multiplicity(triangles).max() <= 2


def test_upsampling_interpolates(toy_pyramid):
    for fine, coarse, matrix, kept in zip(
        toy_pyramid.vertices, toy_pyramid.vertices[1:], toy_pyramid.upsampling, toy_pyramid.kept
    ):
        assert matrix.min() >= 0
        np.testing.assert_allclose(np.asarray(matrix.sum(axis=1)), 1, atol=1e-6)
        assert np.diff(matrix.indptr).max() <= 3
        np.testing.assert_allclose(
            (matrix @ coarse)[kept], coarse, atol=1e-5
        )  # kept vertices stay put
        distances = np.linalg.norm(matrix @ coarse - fine, axis=1)
        to_vertices = np.linalg.norm(fine[:, None] - coarse[None], axis=2).min(axis=1)
        assert (distances <= to_vertices + 1e-6).all()


def test_a_smooth_sheet_survives_the_first_level():
    pytest.importorskip("igl")
    vertices, triangles = _grid(60)
    levels = pyramid.build_pyramid(vertices, triangles, steps=2)
    reports = pyramid.report_levels(levels, np.arange(68))
    assert reports[0].mean_error < 0.1 and reports[0].largest_error < 1.0
    assert reports[0].mean_error < reports[1].mean_error
    for points, faces in zip(levels.vertices, levels.triangles):  # the border and its corners stay
        border = points[decimation.boundary_vertices(faces, len(points))]
        on_square = np.minimum(np.abs(border[:, :2]), np.abs(border[:, :2] - 1)).min(axis=1)
        np.testing.assert_allclose(on_square, 0, atol=1e-6)
        np.testing.assert_allclose(np.ptp(points[:, :2], axis=0), 1, atol=0.02)


def test_laplacians_are_the_normalized_ones(toy_pyramid):
    for laplacian, triangles in zip(toy_pyramid.laplacians, toy_pyramid.triangles):
        count = laplacian.shape[0]
        adjacency = np.zeros((count, count))
        for a, b, c in triangles:
            adjacency[[a, b, b, c, c, a], [b, a, c, b, a, c]] += 1  # triangles at each edge
        scale = np.diag(1 / np.sqrt(adjacency.sum(axis=1)))
        np.testing.assert_allclose(laplacian.toarray(), -scale @ adjacency @ scale, atol=1e-6)
        eigenvalues = np.linalg.eigvalsh(laplacian.toarray())
        assert -1 - 1e-5 < eigenvalues.min() and eigenvalues.max() < 1 + 1e-5


def _unruly_meshes():
    vertices, triangles = _grid(20)
    random = np.random.RandomState(0)
    turned = triangles.copy()
    turned[::7] = turned[::7, ::-1]
    return {
        "duplicates": (vertices, np.concatenate([triangles, triangles[:50], triangles[:9, ::-1]])),
        "fin": (np.vstack([vertices, [[0.5, 0.5, 1]]]), np.vstack([triangles, [[45, 46, 400]]])),
        "hourglass": (
            np.vstack([vertices, [[2, 2, 0], [2, 3, 0]]]),
            np.vstack([triangles, [[399, 400, 401]]]),
        ),
        "turned over": (vertices, turned),
        "unused vertices": (np.vstack([vertices, random.uniform(size=(50, 3))]), triangles),
        "two sheets": (
            np.vstack([vertices, vertices + 3]),
            np.vstack([triangles, triangles + 400]),
        ),
        "one triangle": (np.eye(3), np.array([[0, 1, 2]])),
        "soup": (random.uniform(size=(90, 3)), random.randint(0, 90, (200, 3))),
        "all in one point": (np.zeros((400, 3)), triangles),
    }


@pytest.mark.parametrize("name", sorted(_unruly_meshes()))
def test_unruly_meshes_give_usable_pyramids(name):
    pytest.importorskip("igl")
    levels = pyramid.build_pyramid(*_unruly_meshes()[name])
    assert len(levels.vertices) == 5
    for fine, coarse, kept, matrix in zip(
        levels.vertices, levels.vertices[1:], levels.kept, levels.upsampling
    ):
        np.testing.assert_array_equal(fine[kept], coarse)
        np.testing.assert_allclose(np.asarray(matrix.sum(axis=1)), 1, atol=1e-6)
    for laplacian in levels.laplacians:
        assert np.isfinite(laplacian.data).all()


def test_a_mesh_without_surface_is_refused():
    with pytest.raises(InputError, match="no surface"):
        decimation.decimate(np.eye(3), np.zeros((2, 3), int), 4)


def test_the_cache_is_used_and_renewed(toy, toy_pyramid, tmp_path, monkeypatch):
    folder = str(tmp_path)
    first = pyramid.load_pyramid(toy, folder=folder)
    [name] = os.listdir(folder)
    with monkeypatch.context() as patch:
        patch.setattr(pyramid, "build_pyramid", lambda *_: pytest.fail("built although cached"))
        second = pyramid.load_pyramid(toy, folder=folder)
    for a, b in zip(first.laplacians + first.upsampling, second.laplacians + second.upsampling):
        assert (a != b).nnz == 0
    for a, b in zip(
        first.vertices + first.triangles + first.kept,
        second.vertices + second.triangles + second.kept,
    ):
        np.testing.assert_array_equal(a, b)
    moved = toy._replace(mean_shape=toy.mean_shape * np.float32(1.1))
    pyramid.load_pyramid(moved, folder=folder)
    assert len(os.listdir(folder)) == 2  # another face, another pyramid


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_a_damaged_cache_is_built_anew(toy, toy_pyramid, tmp_path, keep):
    folder = str(tmp_path)
    pyramid.load_pyramid(toy, folder=folder)
    [name] = os.listdir(folder)
    with open(os.path.join(folder, name), "r+b") as file:
        file.truncate(keep)
    levels = pyramid.load_pyramid(toy, folder=folder)
    assert [len(vertices) for vertices in levels.vertices] == [625, 157, 40, 10, 4]


@pytest.mark.parametrize(
    "name, value",
    [
        ("kept1", np.full(40, 157)),
        ("triangles0", np.full((9, 3), -1)),
        ("vertices2", np.full((40, 3), np.nan, np.float32)),
        ("vertices4", np.zeros((5, 3), np.float32)),
        ("steps", np.array(3)),
        ("kept0", np.zeros(157)),
        ("laplacians0_data", np.full(9, 1e300)),
        ("upsampling3_shape", np.array([11, 4])),
    ],
)
def test_a_cache_whose_parts_do_not_fit_is_built_anew(toy, toy_pyramid, tmp_path, name, value):
    folder = str(tmp_path)
    pyramid.load_pyramid(toy, folder=folder)
    path = os.path.join(folder, os.listdir(folder)[0])
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    np.savez(path, **dict(arrays, **{name: value}))
    levels = pyramid.load_pyramid(toy, folder=folder)
    assert [len(vertices) for vertices in levels.vertices] == [625, 157, 40, 10, 4] and len(
        levels.kept
    ) == 4
    assert (
        all(np.isfinite(vertices).all() for vertices in levels.vertices)
        and levels.kept[1].max() < 157
    )


def test_without_libigl_the_error_names_the_remedy(toy, tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(installed.importlib, "import_module", missing)
    with pytest.raises(InputError, match="pip install libigl"):
        pyramid.load_pyramid(toy, folder=str(tmp_path))
    assert os.listdir(str(tmp_path)) == []


def test_the_command_prints_and_draws(toy_pyramid, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pyramid, "CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(SystemExit) as stopped:
        run_main(
            pyramid.main, ["--face_model", TOY_MODEL, "--pictures", str(tmp_path / "pictures")]
        )
    assert stopped.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [
        ["0", "625"],
        ["1", "157"],
        ["2", "40"],
        ["3", "10"],
        ["4", "4"],
    ]
    assert len(os.listdir(str(tmp_path / "cache"))) == 1
    pictures = tmp_path / "pictures"
    assert sorted(os.listdir(str(pictures))) == ["level{}.png".format(i) for i in range(5)]
    picture = np.asarray(Image.open(str(pictures / "level0.png")).convert("L"))
    assert 0.05 < (picture < 250).mean() < 0.95
