"""Distances to scans: closed forms, an independent computation, both layouts, damaged files."""

import csv
import json
import os

import numpy as np
import pytest
import scipy.io
import scipy.spatial

pytest.importorskip("igl")
trimesh = pytest.importorskip("trimesh")

from evaluation import scans  # noqa: E402
from evaluation.scan_distance import (  # noqa: E402
    SEVEN_FROM_68,
    Mesh,
    in_face_region,
    measure_distances,
)
from evaluation.scan_files import read_landmarks  # noqa: E402
from face_model import write_face_model  # noqa: E402
from geometry.normals import surface_normals  # noqa: E402
from geometry.rotation import rotation_with_derivatives  # noqa: E402
from geometry.similarity import fit_similarity  # noqa: E402
from tests.toy_reconstruction import closed_face_model  # noqa: E402
from utils.errors import InputError, run_main  # noqa: E402

ANGLES, SHIFT = (0.3, -0.5, 0.2), (12.0, -7.0, 30.0)


@pytest.fixture(scope="module")
def model():
    """A closed head whose seven landmarks lie around its front."""
    closed = closed_face_model()
    places = [(-0.45, 0.35), (-0.15, 0.35), (0.15, 0.35), (0.45, 0.35), (0, -0.1)]
    places += [(-0.25, -0.45), (0.25, -0.45)]
    front = closed.front_vertices
    landmarks = closed.landmarks.copy()
    for row, place in zip(SEVEN_FROM_68, places):
        distances = np.linalg.norm(closed.mean_shape[front, :2] - place, axis=1)
        landmarks[row] = front[distances.argmin()]
    return closed._replace(landmarks=landmarks)


@pytest.fixture()
def head(model):
    """The head in millimeters, and its seven landmarks."""
    mesh = Mesh(100.0 * model.mean_shape.astype(np.float64), model.triangles)
    return mesh, mesh.vertices[model.landmarks[list(SEVEN_FROM_68)]]


def moved(points, scale=1.0):
    return scale * points.dot(rotation_with_derivatives(np.array(ANGLES))[0]) + SHIFT


def noisy(points):
    return points + np.random.RandomState(1).normal(0, 1.5, points.shape)


@pytest.mark.parametrize("with_scale", [False, True])
def test_a_mesh_has_no_distance_to_itself_moved_turned_and_scaled(head, with_scale):
    mesh, seven = head
    scale = 1.3 if with_scale else 1.0
    there = Mesh(moved(mesh.vertices, scale), mesh.triangles)
    found = measure_distances(mesh.vertices, seven, there, noisy(moved(seven, scale)), with_scale)
    assert found.distances.max() < 1e-3
    assert found.alignment.scale == pytest.approx(1 / scale, abs=1e-6)


def test_a_mesh_inflated_by_a_millimeter_is_a_millimeter_away(head):
    # Fine enough that its triangles are nowhere far inside of the ellipsoid.
    sphere = trimesh.creation.icosphere(subdivisions=5, radius=1.0)
    vertices = np.array(sphere.vertices) * [80.0, 110.0, 90.0]
    normals = surface_normals(vertices, sphere.faces)
    inflated = Mesh(moved(vertices + normals), np.array(sphere.faces))
    seven = head[1]
    found = measure_distances(vertices, seven, inflated, noisy(moved(seven)))
    assert np.median(found.distances) == pytest.approx(1.0, abs=0.02)
    assert np.mean(found.distances) == pytest.approx(1.0, abs=0.02)


def dense_points(mesh):
    """Points all over the surface of a mesh, at most 1.5 mm apart."""
    steps = 12
    shares = [
        (i / steps, j / steps, 1 - (i + j) / steps)
        for i in range(steps + 1)
        for j in range(steps + 1 - i)
    ]
    return np.einsum("sc,fcd->sfd", np.array(shares), mesh.vertices[mesh.triangles]).reshape(-1, 3)


@pytest.mark.parametrize("with_scale", [False, True])
def test_distances_agree_with_an_independent_computation(head, with_scale):
    mesh, seven = head
    random = np.random.RandomState(2)
    bumps = 3 * np.sin(mesh.vertices.dot(random.normal(0, 0.03, (3, 3))))
    other = Mesh(mesh.vertices * [1.03, 0.98, 1.02] + bumps, mesh.triangles)
    points = mesh.vertices[in_face_region(mesh.vertices, seven)][::3]
    found = measure_distances(points, seven, other, noisy(seven), with_scale)

    # The nearest of many points on the surface; and no motion near by brings it closer.
    tree = scipy.spatial.cKDTree(dense_points(other))

    def distances(alignment):
        return alignment.scale * tree.query(alignment.undo(points))[0]

    sampled = distances(found.alignment)
    assert np.all(sampled > found.distances - 1e-6)
    assert np.all(sampled < np.sqrt(found.distances**2 + 0.9**2))  # the samples' spacing
    least = np.sqrt(np.mean(sampled**2))
    for _ in range(30):
        turn = rotation_with_derivatives(random.normal(0, 0.01, 3))[0]
        other_way = found.alignment._replace(
            rotation=found.alignment.rotation.dot(turn),
            translation=found.alignment.translation + random.normal(0, 0.5, 3),
            scale=found.alignment.scale * (1 + with_scale * random.normal(0, 0.01)),
        )
        assert np.sqrt(np.mean(distances(other_way) ** 2)) > least - 0.02


def test_the_best_similarity_has_no_better_neighbor():
    random = np.random.RandomState(3)
    points, targets = random.normal(size=(2, 20, 3))
    for with_scale in (False, True):
        best = fit_similarity(points, targets, with_scale)
        least = np.sum((best.apply(points) - targets) ** 2)
        assert np.linalg.det(best.rotation) == pytest.approx(1)
        np.testing.assert_allclose(best.undo(best.apply(points)), points, atol=1e-12)
        for _ in range(50):
            turn = rotation_with_derivatives(random.normal(0, 1e-3, 3))[0]
            other = best._replace(
                rotation=best.rotation.dot(turn),
                translation=best.translation + random.normal(0, 1e-3, 3),
                scale=best.scale * (1 + with_scale * random.normal(0, 1e-3)),
            )
            assert np.sum((other.apply(points) - targets) ** 2) >= least


def write_obj(path, vertices, triangles):
    lines = ["v {:.9f} {:.9f} {:.9f}".format(*vertex) for vertex in vertices]
    lines += ["f {} {} {}".format(*(triangle + 1)) for triangle in triangles]
    path.write_text("\n".join(lines) + "\n")


def write_picked_points(path, points):
    rows = '<point y="{1}" x="{0}" z="{2}" active="1" name="{3}"/>'
    lines = [rows.format(*(list(point) + [i])) for i, point in enumerate(points)]
    path.write_text("<PickedPoints>\n" + "\n".join(lines) + "\n</PickedPoints>\n")


@pytest.fixture()
def data(tmp_path, model, head):
    """Two scans, a result of demo.py for one of them, and another program's mesh for the other."""
    mesh, seven = head
    (tmp_path / "scans").mkdir()
    (tmp_path / "output").mkdir()
    write_face_model(model, str(tmp_path / "model.mat"))
    write_obj(tmp_path / "scans" / "a.obj", moved(mesh.vertices), mesh.triangles)
    np.savetxt(str(tmp_path / "scans" / "a.txt"), moved(seven))
    write_obj(tmp_path / "scans" / "b.obj", mesh.vertices, mesh.triangles)
    write_picked_points(tmp_path / "scans" / "b.pp", seven)

    fields = {"face_shape": model.mean_shape, "coeff": np.zeros((1, 257))}
    scipy.io.savemat(str(tmp_path / "output" / "a.mat"), fields)
    write_obj(tmp_path / "output" / "b.obj", 1.02 * mesh.vertices / 1000, mesh.triangles)
    np.save(str(tmp_path / "output" / "b.npy"), 1.02 * seven / 1000)
    return tmp_path


def arguments(data, *more):
    return [
        "--scans", str(data / "scans"), "--predictions", str(data / "output"),
        "--output", str(data / "result"), "--face_model", str(data / "model.mat"), "--quiet",
    ] + list(more)  # fmt: skip


def test_the_command_measures_results_and_other_meshes(data, capsys):
    assert scans.main(arguments(data, "--unit", "m", "--whole")) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("2 faces measured")
    with open(str(data / "result" / "scans.csv"), newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert float(rows["a"]["rigid_median"]) < 0.01
    assert float(rows["b"]["rigid_median"]) > 0.5 > 100 * float(rows["b"]["scaled_median"])
    assert float(rows["b"]["scale"]) == pytest.approx(1 / 1.02, abs=1e-5)
    with open(str(data / "result" / "scans.json")) as file:
        record = json.load(file)
    means = [float(rows[name]["rigid_mean"]) for name in "ab"]
    assert record["rigid"]["mean"] == pytest.approx(np.mean(means), abs=1e-9)
    assert "{:.2f}".format(record["rigid"]["sd"]) in printed and record["skipped"] == []
    names = {"scans.csv", "scans.json", "scans_curve.png", "maps"}
    assert set(os.listdir(str(data / "result"))) == names
    assert sorted(os.listdir(str(data / "result" / "maps"))) == ["a.png", "b.png"]


def test_now_s_folders_are_read(data, capsys):
    source, now = data / "scans", data / "now"
    for name, file in (("scans", "a.obj"), ("scans_lmks_onlypp", "a.pp")):
        (now / name / "S1").mkdir(parents=True)
        if file == "a.pp":
            write_picked_points(now / name / "S1" / file, read_landmarks(str(source / "a.txt")))
        else:
            (source / file).rename(now / name / "S1" / file)
    listed = ["S1/selfie/IMG_1.jpg", "S1/selfie/IMG_2.jpg"]
    (now / "imagepathsvalidation.txt").write_text("\n".join(listed))
    (data / "output" / "S1" / "selfie").mkdir(parents=True)
    (data / "output" / "a.mat").rename(data / "output" / "S1" / "selfie" / "IMG_1.mat")

    flags = arguments(data, "--neutral", "--no_maps")
    flags[1] = str(now)
    assert scans.main(flags) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("1 face measured, 1 skipped") and "MICA" in printed.out
    assert "IMG_2: a predicted mesh is missing" in printed.err
    assert not (data / "result" / "maps").exists()


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("scans/a.obj", "v 0 0\nf 1 2", "a.obj: "),
        ("scans/a.txt", "1 2 3\n" * 6, "a.txt: must hold 7 or 68 landmarks"),
        ("scans/a.txt", "nan 2 3\n" * 7, "a.txt: holds coordinates that are not finite"),
        ("output/a.mat", "nonsense", "a.mat: not a readable MATLAB 5 file"),
    ],
)
def test_a_damaged_file_is_named_and_the_others_are_measured(data, capsys, name, content, message):
    (data / name).write_text(content)
    assert scans.main(arguments(data, "--unit", "m", "--no_maps")) == 0
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1
    assert printed.out.startswith("1 face measured, 1 skipped")


def test_results_of_another_face_model_are_refused(data, model):
    path = str(data / "output" / "a.mat")
    scipy.io.savemat(path, {"face_shape": model.mean_shape, "face_model_fingerprint": "0" * 16})
    reader = scans.PredictionReader(model)
    with pytest.raises(InputError, match="made with another face model"):
        reader.read(path[: -len(".mat")])
    scipy.io.savemat(path, {"face_shape": model.mean_shape[:-1]})
    with pytest.raises(InputError, match="name its face model by --face_model"):
        reader.read(path[: -len(".mat")])


@pytest.mark.parametrize("missing", ["scans", "output"])
def test_a_missing_folder_is_one_sentence(data, capsys, missing):
    (data / missing).rename(data / "elsewhere")
    with pytest.raises(SystemExit) as stopped:
        run_main(scans.main, arguments(data))
    assert stopped.value.code == 1
    assert capsys.readouterr().err.endswith("no such folder; give an existing one\n")
