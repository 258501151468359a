"""The published commands, word for word, in a clone with stand-in files.

The stand-in files have the published formats and sizes (``tests.published_files``); no network in
them was trained, so that only files, messages and agreements are checked, not faces.
"""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from geometry.camera import flip_y
from tests import published_files
from tests.clone import Clone

USE_R_NET = "--use_pb 0 --pretrain_weights weights/r_net.ckpt"
USE_GENERATOR = "--use_pb 0 --pretrain_weights weights/generator.ckpt"
ONE_STEP = "--steps 1 --batch_size 1 --val_faces 1 --quiet"
NO_PYRAMID = (
    "weights/generator.ckpt: it needs the mesh pyramid of the published code, which is missing; "
    "put its 18 .npz files into "
)

pytestmark = pytest.mark.slow


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
