"""demo.py on real files, in a process of its own."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.io
from PIL import Image

import demo
from utils.errors import InputError
from utils.paths import REPO_ROOT

MODEL = os.path.join(REPO_ROOT, "BFM", "open_face_model.mat")
FIELDS = {
    "cropped_img": (224, 224, 3),
    "recon_img": (224, 224, 4),
    "coeff": (1, 257),
    "lm_68p": (68, 2),
    "lm_5p": (5, 2),
    "trans_params": (1, 5),
    "lm_68p_photo": (68, 2),
    "lm_5p_photo": (5, 2),
}

pytestmark = pytest.mark.skipif(
    not os.path.isfile(MODEL), reason="the open face model is not built ('make face-model')"
)


def portrait():
    skimage = pytest.importorskip("skimage")
    return Image.open(
        os.path.join(os.path.dirname(skimage.__file__), "data", "astronaut.png")
    ).convert("RGB")


def run_demo(*arguments, **options):
    # TensorFlow in this process has set the level, which would let its greeting through.
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    options.setdefault("env", environment)
    return subprocess.run(
        [sys.executable, os.path.join(REPO_ROOT, "demo.py"), "--face_model", "open"]
        + list(arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=600,
        **options,
    )


def write_variants(folder):
    """Write the portrait in many formats, color modes, orientations and sizes."""
    photo = portrait().crop((80, 0, 380, 300))
    photo.save(str(folder / "rgba.png"), format="PNG")
    photo.convert("RGBA").save(str(folder / "rgba.png"))
    photo.convert("L").save(str(folder / "gray.jpg"))
    photo.convert("CMYK").save(str(folder / "cmyk.jpg"))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.rotate(90, expand=True).save(str(folder / "rotated.jpg"), exif=exif)
    wide = np.asarray(photo.convert("L")).astype(np.uint16) * 257
    Image.fromarray(wide).save(str(folder / "sixteen bit.png"))
    photo.resize((5200, 5200)).save(str(folder / "large.jpg"), quality=70)


def write_bad(folder):
    (folder / "zero.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("not a photo")
    Image.new("RGB", (300, 300), (90, 120, 200)).save(str(folder / "sky.png"))
    portrait().save(str(folder / "cut.png"))
    content = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 3])


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Good and bad photos in one run; few steps, because only files and messages are checked."""
    photos, output = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("output")
    write_variants(photos)
    write_bad(photos)
    process = run_demo(
        "--input", str(photos), "--output", str(output), "--steps", "3", cwd=str(photos)
    )
    return process, output


def test_good_photos_are_done_and_bad_ones_named(outcome):
    process, output = outcome
    assert process.returncode == 0, process.stderr
    last = process.stdout.strip().splitlines()[-1]
    assert last.startswith("6 faces reconstructed, 4 skipped in ")
    complaints = [line for line in process.stderr.splitlines() if line.startswith("skipped: ")]
    assert len(complaints) == 4 and "Traceback" not in process.stderr
    for name in ("zero.jpg", "text.jpg", "sky.png", "cut.png"):
        assert sum(name in line for line in complaints) == 1, name


def test_every_photo_gets_its_four_files_and_nothing_else(outcome):
    stems = ("cmyk", "gray", "large", "rgba", "rotated", "sixteen bit")
    assert sorted(os.listdir(str(outcome[1]))) == sorted(
        [stem + end for stem in stems for end in (".json", ".mat", ".png", "_mesh.obj")]
        + ["index.html"]
    )


@pytest.mark.parametrize("name", ["cmyk", "gray", "large", "rgba", "rotated", "sixteen bit"])
def test_every_form_of_the_portrait_gives_the_same_face(outcome, name):
    """The landmarks have the same positions, relative to the width of the photo."""
    fields = scipy.io.loadmat(str(outcome[1] / (name + ".mat")))
    reference = scipy.io.loadmat(str(outcome[1] / "rgba.mat"))
    scale = 300.0 / fields["trans_params"][0, 0]
    distance = np.linalg.norm(fields["lm_68p_photo"] * scale - reference["lm_68p_photo"], axis=1)
    assert distance.mean() < 6  # pixels of 300


def test_fields_have_the_published_shapes(outcome):
    fields = scipy.io.loadmat(str(outcome[1] / "rgba.mat"))
    for name, shape in FIELDS.items():
        assert fields[name].shape == shape, name
    count = fields["face_shape"].shape[0]
    assert fields["face_texture"].shape == fields["face_color"].shape == (count, 3)
    alpha = fields["recon_img"][..., 3:]
    assert fields["recon_img"].dtype == np.uint8 and set(np.unique(alpha)) == {0, 1}
    # composed as the published scripts compose it
    composed = fields["recon_img"][..., :3] * alpha + (1 - alpha) * fields["cropped_img"]
    covered = alpha[..., 0] == 1
    np.testing.assert_array_equal(composed[covered], fields["recon_img"][covered][:, :3])
    np.testing.assert_array_equal(composed[~covered], fields["cropped_img"][~covered])


def test_mesh_opens_in_trimesh_with_colors(outcome):
    trimesh = pytest.importorskip("trimesh")
    mesh = trimesh.load(str(outcome[1] / "rgba_mesh.obj"), process=False)
    fields = scipy.io.loadmat(str(outcome[1] / "rgba.mat"))
    np.testing.assert_allclose(mesh.vertices, fields["face_shape"], atol=1e-4)
    np.testing.assert_array_equal(mesh.faces, fields["tri"] - 1)
    colors = np.clip(fields["face_color"], 0, 255)
    np.testing.assert_allclose(mesh.visual.vertex_colors[:, :3], colors, atol=1.5)


def test_an_empty_input_folder_is_an_error(tmp_path):
    process = run_demo("--input", str(tmp_path), "--output", str(tmp_path / "out"))
    assert process.returncode == 1
    assert process.stderr.startswith("error: {}: no photos here".format(tmp_path))


@pytest.mark.parametrize(
    "spoil, wanted",
    [
        (lambda path: path.write_bytes(b"MATLAB"), "not a readable MATLAB"),
        (lambda path: scipy.io.savemat(str(path), {"tri": np.zeros((3, 3))}), "missing"),
        (lambda path: None, "no such file"),
    ],
)
def test_a_bad_face_model_is_refused_in_one_sentence(tmp_path, capsys, spoil, wanted):
    portrait().save(str(tmp_path / "a.png"))
    model = tmp_path / "model.mat"
    spoil(model)
    words = [
        "--input",
        str(tmp_path),
        "--output",
        str(tmp_path / "out"),
        "--face_model",
        str(model),
    ]
    with pytest.raises(InputError) as caught:
        demo.main(words)
    sentence = str(caught.value)
    assert capsys.readouterr().err == "" and "\n" not in sentence
    assert str(model) in sentence and wanted in sentence
    assert not (tmp_path / "out").exists()
