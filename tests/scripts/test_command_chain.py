"""The commands one after another, as processes: faces, both trainings, and users of the weights.

A few steps with the open face model at full size. Five points lie beside the photos, so that no
detector is needed.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import scipy.io
from PIL import Image

from tests.dataset.test_preprocessing import FIVE_POINTS
from utils.paths import REPO_ROOT

MODEL = os.path.join(REPO_ROOT, "BFM", "open_face_model.mat")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.path.isfile(MODEL), reason="the open face model is not built ('make face-model')"
    ),
]


class Workshop:
    """A folder, and the commands run in it."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.r_net, self.gcn = (
            self.path("result", "r", "iter_2.ckpt"),
            self.path("result", "g", "iter_2.ckpt"),
        )

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run(self, command, *flags):
        """Run a script, or a module, on the open face model; return its stdout."""
        script = [os.path.join(REPO_ROOT, command)] if command.endswith(".py") else ["-m", command]
        process = subprocess.run(
            [sys.executable] + script + ["--face_model", "open", "--quiet"] + list(flags),
            cwd=self.folder,
            env=dict(os.environ, PYTHONPATH=REPO_ROOT),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=600,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    def train(self, name, *flags):
        return self.run(
            "train.py",
            "--data_path",
            "faces",
            "--model_name",
            name,
            "--result_path",
            "result",
            "--batch_size",
            "1",
            "--steps",
            "2",
            "--val_faces",
            "1",
            "--init_weights",
            "none",
            "--identity",
            "none",
            *flags,
        )


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """Synthetic faces for training, a photo, and both networks, trained."""
    skimage = pytest.importorskip("skimage")
    chain = Workshop(tmp_path_factory.mktemp("chain"))
    chain.run(
        "synthesis",
        "--output",
        "faces",
        "--count",
        "4",
        "--workers",
        "2",
    )
    os.mkdir(chain.path("photos"))
    portrait = Image.open(
        os.path.join(os.path.dirname(skimage.__file__), "data", "astronaut.png")
    ).convert("RGB")
    portrait.crop((50, 0, 370, 320)).save(chain.path("photos", "me.png"))
    np.savetxt(chain.path("photos", "me.txt"), FIVE_POINTS)
    said = (
        chain.train("r"),
        chain.train(
            "g", "--model", "gcn", "--coefficient_weights", chain.r_net, "--head", "residual"
        ),
    )
    yield chain, said
    shutil.rmtree(chain.folder)  # checkpoints are large


def test_both_networks_are_trained(workshop):
    chain, said = workshop
    for prefix, line in zip((chain.r_net, chain.gcn), said):
        assert "step 2 of 2 reached, 2 steps" in line and "validation loss" in line
        with open(prefix[: -len("ckpt")] + "json") as file:
            assert json.load(file)["step"] == 2


def test_a_photo_is_reconstructed_with_a_refined_mesh(workshop):
    chain, _ = workshop
    said = chain.run(
        "demo.py",
        "--input",
        "photos",
        "--output",
        "out",
        "--steps",
        "2",
        "--use_pb",
        "0",
        "--pretrain_weights",
        chain.gcn,
    )
    assert "1 face reconstructed" in said and "meshes refined by" in said
    fields = scipy.io.loadmat(chain.path("out", "me.mat"))
    np.testing.assert_allclose(fields["lm_5p_photo"], FIVE_POINTS, atol=1e-3)
    assert fields["face_shape"].shape == fields["face_shape_refined"].shape
    assert fields["recon_img"][..., 3].any() and np.isfinite(fields["coeff"]).all()
    assert os.path.isfile(chain.path("out", "index.html"))


@pytest.mark.slow
def test_landmarks_are_measured(workshop):
    chain, _ = workshop
    chain.run(
        "synthesis",
        "--output",
        "aflw",
        "--count",
        "3",
        "--workers",
        "2",
        "--format",
        "aflw2000",
    )
    said = chain.run(
        "nme.py",
        "--data_path",
        "aflw",
        "--use_pb",
        "0",
        "--pretrain_weights",
        chain.r_net,
        "--output",
        "nme",
        "--steps",
        "2",
    )
    assert "3 faces measured" in said and "crops detected" in said and "Deep3D" in said
    assert set(os.listdir(chain.path("nme"))) == {
        stem + ending
        for stem in ("nme", "nme_detected")
        for ending in (".csv", ".json", "_curve.png", "_worst.png")
    }


def test_pictures_are_drawn(workshop):
    chain, _ = workshop
    chain.run(
        "renderer.py",
        "--input",
        "photos",
        "--output",
        "pictures",
        "--steps",
        "2",
        "--size",
        "96",
        "--frames",
        "2",
        "--use_pb",
        "0",
        "--pretrain_weights",
        chain.r_net,
    )
    with Image.open(chain.path("pictures", "me_overlay.png")) as picture:
        assert picture.size == (96, 96)
    assert {"me_turntable.gif", "contact_sheet.png", "me_photo_normals.png"} <= set(
        os.listdir(chain.path("pictures"))
    )


def test_meshes_are_written(workshop):
    chain, _ = workshop
    chain.run(
        "obj.py",
        "--input",
        "photos",
        "--output",
        "meshes",
        "--texture_size",
        "256",
        "--steps",
        "2",
        "--use_pb",
        "0",
        "--pretrain_weights",
        chain.r_net,
    )
    assert {"me.obj", "me.mtl", "me_texture.png", "me.ply", "me.glb", "me_mesh.obj"} <= set(
        os.listdir(chain.path("meshes"))
    )
