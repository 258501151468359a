"""Photos of one person in demo.py, obj.py and renderer.py: real files and processes."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.io

from face_model import load_face_model
from tests.portrait_set import CHANGED, write_portrait_set, write_somebody_else
from utils.paths import REPO_ROOT

MODEL = os.path.join(REPO_ROOT, "BFM", "open_face_model.mat")
OF_PERSON = (".mat", ".glb", "_neutral.obj", "_neutral.mtl", "_neutral_texture.png")
NAMES = ("plain",) + CHANGED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.path.isfile(MODEL), reason="the open face model is not built ('make face-model')"
    ),
]
pytest.importorskip("skimage")


def run(script, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, os.path.join(REPO_ROOT, script), "--face_model", "open"]
        + [str(argument) for argument in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=600,
        env=environment,
    )


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A folder of one person: five photos of her, one of somebody else, one that is broken."""
    folder = tmp_path_factory.mktemp("people")
    (folder / "anna").mkdir()
    write_portrait_set(str(folder / "anna"))
    write_somebody_else(str(folder / "anna" / "zoe.jpg"), load_face_model("open"))
    (folder / "anna" / "zero.jpg").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def outcome(people, tmp_path_factory):
    """Few steps, because only files and messages are checked."""
    output = tmp_path_factory.mktemp("output")
    process = run("demo.py", "--input", people, "--output", output, "--steps", "3")
    return process, output


def test_the_person_and_all_her_photos_are_written(outcome):
    process, output = outcome
    assert process.returncode == 0, process.stderr
    assert sorted(os.listdir(str(output))) == ["anna", "index.html"]
    wanted = [name + end for name in NAMES for end in (".mat", ".json", ".png", "_mesh.obj")]
    wanted += ["anna" + end for end in OF_PERSON]
    assert sorted(os.listdir(str(output / "anna"))) == sorted(wanted)


def test_somebody_else_is_named_and_left_out(outcome):
    process, output = outcome
    skipped = [line for line in process.stderr.splitlines() if line.startswith("skipped: ")]
    assert len(skipped) == 2 and "Traceback" not in process.stderr
    assert sum("zoe.jpg: shows somebody else" in line for line in skipped) == 1
    assert "anna: 5 photos, 1 of somebody else left out (anna/zoe)" in process.stdout
    last = process.stdout.strip().splitlines()[-1]
    assert last.startswith("5 faces reconstructed, ") and ", 2 skipped in " in last
    fields = scipy.io.loadmat(str(output / "anna" / "anna.mat"))
    names = [str(name[0]) for name in fields["photos"].ravel()]
    assert sorted(names) == sorted("anna/" + name for name in NAMES)
    assert [str(name[0]) for name in fields["left_out"].ravel()] == ["anna/zoe"]


def test_identity_and_albedo_are_the_persons_in_each_photo(outcome):
    model = load_face_model("open")
    folder = outcome[1] / "anna"
    person = scipy.io.loadmat(str(folder / "anna.mat"))["coeff"][0]
    rows = [scipy.io.loadmat(str(folder / (name + ".mat")))["coeff"][0] for name in NAMES]
    identity = slice(0, model.identity_count)
    first = model.identity_count + model.expression_count
    albedo = slice(first, first + model.albedo_count)
    for row in rows:
        np.testing.assert_array_equal(row[identity], person[identity])
        np.testing.assert_array_equal(row[albedo], person[albedo])
    assert not person[identity.stop : albedo.start].any() and not person[albedo.stop :].any()
    light = np.array([row[albedo.stop + 3 : albedo.stop + 30] for row in rows])
    assert np.ptp(light, axis=0).max() > 0.05  # each photo has its own


def test_the_head_is_neutral_upright_and_textured(outcome):
    trimesh = pytest.importorskip("trimesh")
    folder = outcome[1] / "anna"
    fields = scipy.io.loadmat(str(folder / "anna.mat"))
    mesh = trimesh.load(str(folder / "anna_neutral.obj"), process=False, maintain_order=True)
    np.testing.assert_allclose(mesh.vertices, fields["face_shape"], atol=1e-4)
    np.testing.assert_array_equal(mesh.faces, fields["tri"] - 1)
    assert np.abs(mesh.vertices.mean(axis=0)).max() < 0.3  # in the middle, dm
    assert mesh.visual.material.image.size[0] >= 512
    (glb,) = trimesh.load(str(folder / "anna.glb"), process=False).geometry.values()
    np.testing.assert_allclose(
        glb.vertices - glb.vertices.mean(axis=0),
        (mesh.vertices - mesh.vertices.mean(axis=0)) / 10,
        atol=1e-4,
    )


def test_the_page_shows_all_photos_beside_one_head(outcome):
    with open(str(outcome[1] / "index.html"), encoding="utf-8") as file:
        text = file.read()
    assert text.count("<canvas") == 1 and text.count("<figure>") == 1
    assert text.count('class="overlay"') == len(NAMES)
    assert "5 photos, 1 of somebody else left out (anna/zoe)" in text


@pytest.mark.parametrize(
    "script, flags, written",
    [
        ("obj.py", ["--formats", "ply"], "plain.ply"),
        ("renderer.py", ["--kinds", "overlay", "--frames", "0"], "plain_photo_overlay.png"),
    ],
)
def test_other_commands_take_the_saved_person(people, outcome, tmp_path, script, flags, written):
    process = run(
        script, "--input", people, "--output", tmp_path, "--coefficients", outcome[1], *flags
    )
    assert process.returncode == 0, process.stderr
    names = os.listdir(str(tmp_path / "anna"))
    assert written in names and {"anna" + end for end in OF_PERSON} <= set(names)
    mine, theirs = (
        scipy.io.loadmat(str(folder / "anna" / "anna.mat")) for folder in (tmp_path, outcome[1])
    )
    np.testing.assert_array_equal(mine["coeff"], theirs["coeff"])


def test_declared_photos_lie_in_the_output_itself_and_may_all_be_kept(people, tmp_path):
    photos = [people / "anna" / name for name in ("plain.png", "small.png", "zoe.jpg")]
    flags = ["--same_person", "--keep_all", "--method", "network", "--page", "0"]
    process = run("demo.py", "--input", *(photos + ["--output", tmp_path] + flags))
    assert process.returncode == 0, process.stderr
    assert "person: 3 photos\n" in process.stdout
    assert {"person" + end for end in OF_PERSON} <= set(os.listdir(str(tmp_path)))


def test_faces_found_one_by_one_are_no_person(people, outcome, tmp_path):
    single = tmp_path / "single"
    photos = [people / "anna" / name for name in ("plain.png", "lit.png")]
    flags = ["--input"] + photos + ["--method", "network", "--page", "0"]
    assert run("demo.py", *(flags + ["--output", single])).returncode == 0
    process = run(
        "obj.py",
        "--input",
        *(photos + ["--same_person", "--coefficients", single] + ["--output", tmp_path / "out"]),
    )
    assert process.returncode == 1
    assert process.stderr.startswith("error: ") and process.stderr.count("\n") == 1
    assert "was not made as a photo of one person" in process.stderr


def test_every_face_of_a_persons_photo_is_refused(people, tmp_path):
    process = run("demo.py", "--input", people, "--all_faces", "--output", tmp_path / "out")
    assert process.returncode == 1 and process.stderr.startswith("error: --all_faces: ")
    assert not (tmp_path / "out").exists()


def test_the_whole_head_of_the_person_is_written(people, outcome, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    flags = ("--formats", "ply", "--head", "--coefficients", outcome[1])
    process = run("obj.py", "--input", people, "--output", tmp_path, *flags)
    assert process.returncode == 0, process.stderr
    names = os.listdir(str(tmp_path / "anna"))
    assert {"plain_head.ply", "anna_head.glb", "anna_head_neutral.obj"} <= set(names)
    assert "anna_head.mat" not in names

    # The face comes first, with its texture; all of it is closed around the back.
    (face,), (head,) = (
        trimesh.load(str(tmp_path / "anna" / name), process=False).geometry.values()
        for name in ("anna.glb", "anna_head.glb")
    )
    count = len(face.vertices)
    assert len(head.vertices) > count + 1000
    np.testing.assert_allclose(head.vertices[:count], face.vertices, atol=1e-6)
    assert np.ptp(head.vertices[:, 2]) > 1.3 * np.ptp(face.vertices[:, 2])
    colors = [
        np.asarray(mesh.visual.to_color().vertex_colors, float)[:count, :3] for mesh in (face, head)
    ]
    assert np.median(np.abs(colors[0] - colors[1])) < 3  # gray levels; the rim fades into skin
