"""The published commands, word for word, in a clone: without any files, and with stand-in files.

The stand-in files have the published formats and sizes (``tests.published_files``); no network in
them was trained, so that only files, messages and agreements are checked, not faces.
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

from alignment.mediapipe_networks import DENSE_LANDMARK_NETWORK, DETECTOR_NETWORK
from geometry.camera import flip_y
from tests import published_files
from utils.paths import REPO_ROOT

OPEN_MODEL = os.path.join(REPO_ROOT, "BFM", "open_face_model.mat")
UNUSED = ("benchmarks", "docs", "tests")  # folders of the checkout that no command reads
LARGE = 1 << 20  # bytes; files from this size on are linked instead of copied
USE_R_NET = "--use_pb 0 --pretrain_weights weights/r_net.ckpt"
USE_GENERATOR = "--use_pb 0 --pretrain_weights weights/generator.ckpt"
ONE_STEP = "--steps 1 --batch_size 1 --val_faces 1 --quiet"
MISSING = "--use_pb 0 --pretrain_weights X.ckpt"
NO_PYRAMID = (
    "weights/generator.ckpt: it needs the mesh pyramid of the published code, which is missing; "
    "put its 18 .npz files into "
)


class Clone:
    """A copy of the checkout's tracked files, and the commands run in it."""

    def __init__(self, folder):
        self.folder = str(folder)
        for name in tracked_files():
            self.add(os.path.join(REPO_ROOT, name), name)
        library = os.path.join(REPO_ROOT, "mesh_renderer", "lib")
        os.makedirs(library, exist_ok=True)
        os.symlink(library, self.path("mesh_renderer", "lib"))
        for path in (DETECTOR_NETWORK, DENSE_LANDMARK_NETWORK):  # made by `make setup`, as that
            os.symlink(path, self.path("network", os.path.basename(path)))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def add(self, source, name):
        """Put a file where ``name``, relative to the clone, says."""
        target = self.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.getsize(source) < LARGE:
            shutil.copyfile(source, target)
        else:
            os.symlink(source, target)

    def call(self, command):
        """Run a command line that begins with ``python``; return the finished process."""
        words = command.split()
        assert words[0] == "python"
        return subprocess.run(
            [sys.executable] + words[1:],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=600,
        )

    def run(self, command):
        """Run a command that succeeds; return its output, stdout first."""
        process = self.call(command)
        assert process.returncode == 0, process.stderr
        return process.stdout + process.stderr

    def refuse(self, command):
        """Run a command that ends with one sentence and the status 1; return the sentence."""
        process = self.call(command)
        lines = process.stderr.splitlines()
        assert process.returncode == 1, process.stderr
        assert "Traceback" not in process.stderr
        assert [line.startswith("error: ") for line in lines].count(True) == 1, process.stderr
        assert lines[-1].startswith("error: ")
        return lines[-1][len("error: ") :]

    def read_json(self, *names):
        with open(self.path(*names)) as file:
            return json.load(file)

    def fields(self, *names):
        return scipy.io.loadmat(self.path(*names))

    def files(self, *names):
        return set(os.listdir(self.path(*names)))


def tracked_files():
    """Return the files that a fresh clone has, as far as commands need them."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=REPO_ROOT, stdout=subprocess.PIPE, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git, or no repository")
    names = [name for name in listed.decode().split("\0") if name]
    return [
        name
        for name in names
        if name.split("/")[0] not in UNUSED and os.path.isfile(os.path.join(REPO_ROOT, name))
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The stand-in files of all clones."""
    pytest.importorskip("skimage")  # has the portrait
    folder = str(tmp_path_factory.mktemp("published"))
    published_files.write_published_files(folder)
    yield folder
    shutil.rmtree(folder)  # half a gigabyte


def furnished(folder, files, pyramid):
    """Return a clone with the stand-in files, the pyramid's in a folder of any name or nowhere."""
    clone = Clone(folder)
    for place, _, names in os.walk(files):
        inside = os.path.relpath(place, files)
        target = pyramid if inside == "data" else inside
        for name in names if target else ():
            clone.add(os.path.join(place, name), os.path.join(target, name))
    return clone


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A clone as it comes from git."""
    return Clone(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A clone after ``make setup``, which builds the open face model."""
    if not os.path.isfile(OPEN_MODEL):
        pytest.skip("the open face model is not built ('make face-model')")
    clone = Clone(tmp_path_factory.mktemp("made"))
    clone.add(OPEN_MODEL, "BFM/open_face_model.mat")
    return clone


@pytest.fixture(scope="module")
def clone(tmp_path_factory, files):
    """A clone with all files, the pyramid in ``data`` as in the published repository."""
    return furnished(tmp_path_factory.mktemp("clone"), files, "data")


@pytest.fixture(scope="module")
def processed(clone):
    """The output of preprocess_img.py on the clone's portrait."""
    return clone.run("python preprocess_img.py")


@pytest.fixture(scope="module")
def without_pyramid(tmp_path_factory, files):
    """A clone with all files but the pyramid's."""
    return furnished(tmp_path_factory.mktemp("without"), files, None)


# As cloned.


@pytest.mark.parametrize("script", ["demo.py", "renderer.py", "obj.py"])
def test_reconstruction_as_cloned_names_the_missing_face_model(bare, script):
    sentence = bare.refuse("python {} {}".format(script, MISSING))
    assert sentence.endswith(
        "open_face_model.mat: the open face model is not built yet; run 'make face-model' or "
        "'python -m face_model.open_model'"
    )


def test_training_as_cloned_names_the_missing_face_model(bare):
    assert "run 'make face-model'" in bare.refuse("python train.py")


def test_measuring_as_cloned_names_the_missing_photos(bare):
    sentence = bare.refuse("python nme.py " + MISSING)
    assert sentence.startswith(bare.path("input", "AFLW2000") + ": no such folder; put the photos")


def test_preprocessing_a_missing_folder_names_it(bare):
    sentence = bare.refuse("python preprocess_img.py --img_path P --save_path Q")
    assert sentence == "P does not exist; name a photo or a folder of photos"
    assert "Q" not in bare.files()


@pytest.mark.parametrize("script", ["demo.py", "renderer.py", "obj.py"])
def test_reconstruction_names_the_missing_checkpoint(made, script):
    sentence = made.refuse("python {} {}".format(script, MISSING))
    assert sentence.startswith("X.ckpt: no such checkpoint")
    assert made.files("output") == {"README.md"}


@pytest.mark.parametrize("flags", ["", " --model gcn --head absolute"])
def test_training_names_the_missing_faces(made, flags):
    sentence = made.refuse("python train.py" + flags)
    assert sentence.startswith(made.path("processed_data") + ": no training faces here; run ")


def test_training_names_the_missing_folder(made):
    sentence = made.refuse("python train.py --data_path P --val_data_path Q --model_name ./name")
    assert sentence.startswith("P: cannot be read as a data folder")


def test_preprocessing_as_cloned_takes_the_portrait(bare):
    pytest.importorskip("skimage")
    sentence = bare.refuse("python preprocess_img.py")
    assert "open face model is not built yet; run 'make face-model'" in sentence
    if not os.path.isfile(OPEN_MODEL):
        pytest.skip("the open face model is not built")
    bare.add(OPEN_MODEL, "BFM/open_face_model.mat")
    said = bare.run("python preprocess_img.py")
    os.remove(bare.path("BFM", "open_face_model.mat"))
    assert said.startswith("1 photo preprocessed")
    assert {"astronaut.png", "mask", "lm", "lm_bin"} < bare.files("processed_data")


# With all files in place.


def test_photos_are_preprocessed_with_the_published_detector(clone, processed):
    assert processed.startswith("1 photo preprocessed")
    with Image.open(clone.path("processed_data", "portrait.png")) as image:
        crop = np.asarray(image)
    assert crop.shape == (224, 224, 3)
    labels = np.fromfile(clone.path("processed_data", "lm_bin", "portrait.bin")).reshape(68, 2)
    five_points = published_files.PORTRAIT_FIVE_POINTS
    expected = published_files.crop_landmarks(five_points, *published_files.PORTRAIT_SIZE)
    expected += 0.01 * (crop.mean() - 128)
    np.testing.assert_allclose(labels, flip_y(expected), atol=1e-3)


def test_photos_are_preprocessed_into_another_folder(clone, processed):
    clone.run("python preprocess_img.py --img_path input --save_path data/faces")
    for name in ("portrait.png", "mask/portrait.png", "lm_bin/portrait.bin", "lm/portrait.txt"):
        with open(clone.path("processed_data", name), "rb") as first:
            with open(clone.path("data", "faces", name), "rb") as second:
                assert first.read() == second.read(), name


@pytest.fixture(scope="module")
def trained(clone, processed):
    """The output of a training step of R-Net on named folders, in a run of the default name."""
    return clone.run(
        "python train.py --data_path processed_data --val_data_path processed_data "
        "--model_name ./model_test " + ONE_STEP
    )


def test_r_net_is_trained_from_imagenet_with_facenet(clone, trained):
    assert "perceptual loss: facenet" in trained
    assert "started from the weights of {}".format(clone.path("weights", "resnet")) in trained
    assert "step 1 of 1 reached" in trained
    assert clone.files("result", "model_test", "summary") == {"train", "val"}
    assert {"iter_1.ckpt.index", "iter_1.json"} < clone.files("result", "model_test")


def test_a_second_training_of_the_same_name_is_refused(clone, trained):
    sentence = clone.refuse("python train.py")
    assert sentence.startswith(clone.path("result", "model_test")) and "--resume" in sentence


def test_the_published_generator_is_trained(clone, processed):
    said = clone.run("python train.py --model gcn --head absolute --model_name gcn " + ONE_STEP)
    assert "identity features: facenet" in said
    options = clone.read_json("result", "gcn", "iter_1.json")["options"]
    assert options["pyramid"] == "published" and options["head"] == "absolute"
    assert options["coefficient_weights"].endswith(os.path.join("network", "FaceReconModel.pb"))


def test_training_continues_a_published_generator(clone, processed):
    said = clone.run(
        "python train.py --model gcn --head absolute --init_weights weights/generator.ckpt "
        "--model_name continued " + ONE_STEP
    )
    assert "started from the weights of weights/generator.ckpt" in said
    assert (
        clone.read_json("result", "continued", "iter_1.json")["options"]["pyramid"] == "published"
    )


def test_the_checkpoint_gives_the_face_of_the_graph_frozen_from_it(clone):
    said = clone.run("python demo.py {} --page 0 --output output/ckpt".format(USE_R_NET))
    assert "coefficients: from weights/r_net.ckpt" in said
    assert clone.files("output", "ckpt") == {
        "portrait.json",
        "portrait.mat",
        "portrait.png",
        "portrait_mesh.obj",
    }
    said = clone.run("python demo.py --page 0 --output output/graph")
    assert "coefficients: from network/FaceReconModel.pb" in said
    of_checkpoint, of_graph = (
        clone.fields("output", name, "portrait.mat") for name in ("ckpt", "graph")
    )
    assert 0.1 < np.abs(of_graph["coeff"]).max() < 10
    np.testing.assert_allclose(of_checkpoint["coeff"], of_graph["coeff"], atol=1e-4)
    np.testing.assert_allclose(of_checkpoint["face_shape"], of_graph["face_shape"], atol=1e-4)
    np.testing.assert_allclose(of_checkpoint["lm_68p"], of_graph["lm_68p"], atol=1e-2)


def test_faces_are_refined_by_a_published_generator(clone):
    said = clone.run("python demo.py " + USE_GENERATOR)
    assert "from network/FaceReconModel.pb; meshes refined by weights/generator.ckpt" in said
    assert {"portrait_mesh.obj", "portrait_refined_mesh.obj"} < clone.files("output")
    fields = clone.fields("output", "portrait.mat")
    assert fields["face_shape_refined"].shape == fields["face_shape"].shape == (35709, 3)
    assert np.abs(fields["face_shape_refined"] - fields["face_shape"]).max() > 0.01


def test_landmarks_are_measured_in_the_default_folder(clone):
    said = clone.run("python nme.py " + USE_R_NET)
    assert "2 faces measured" in said and "from weights/r_net.ckpt" in said
    summary = clone.read_json("output", "nme", "nme.json")
    assert summary["all"]["count"] == 2 and summary["failures"] == 0


def test_refined_landmarks_are_measured_with_the_pyramid_in_network(tmp_path, files):
    clone = furnished(tmp_path, files, os.path.join("network", "gcn_pyramid"))
    said = clone.run("python nme.py " + USE_GENERATOR)
    assert "2 faces measured" in said and "meshes refined by weights/generator.ckpt" in said


def test_pictures_are_drawn(clone):
    clone.run("python renderer.py {} --frames 0 --size 64 --kinds geometry".format(USE_R_NET))
    assert {"portrait_geometry.png", "contact_sheet.png"} < clone.files("output", "pictures")


def test_pictures_of_the_refined_mesh_are_drawn(clone):
    flags = "--frames 0 --size 64 --kinds geometry --output output/refined_pictures"
    clone.run("python renderer.py {} {}".format(USE_GENERATOR, flags))
    written = clone.files("output", "refined_pictures")
    assert {"portrait_geometry.png", "portrait_refined_geometry.png"} < written


def test_meshes_are_written(clone):
    clone.run("python obj.py {} --texture_size 256".format(USE_R_NET))
    ends = (".obj", "_mesh.obj", ".mtl", "_texture.png", "_albedo_map.png", "_normal_map.png")
    ends += (".ply", ".stl", ".glb")
    assert clone.files("output", "meshes") == {"portrait" + end for end in ends}


def test_refined_meshes_are_written(clone):
    flags = "--formats colors --output output/refined_meshes"
    clone.run("python obj.py {} {}".format(USE_GENERATOR, flags))
    names = {"portrait_mesh.obj", "portrait_refined_mesh.obj"}
    assert clone.files("output", "refined_meshes") == names


# With all files but the published pyramid.


@pytest.mark.parametrize(
    "command",
    [
        "python demo.py " + USE_GENERATOR,
        "python demo.py --refine weights/generator.ckpt",
        "python renderer.py " + USE_GENERATOR,
        "python obj.py " + USE_GENERATOR,
        "python nme.py " + USE_GENERATOR,
        "python train.py --model gcn --head absolute --init_weights weights/generator.ckpt",
    ],
)
def test_a_published_generator_is_refused_on_another_pyramid(without_pyramid, command):
    sentence = without_pyramid.refuse(command)
    assert sentence == NO_PYRAMID + without_pyramid.path("network", "gcn_pyramid")
    assert without_pyramid.files("output") == {"README.md"}
    assert "result" not in without_pyramid.files()
