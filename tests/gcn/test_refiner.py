"""Inference with the mesh generator, and the choice of the network below it."""

import argparse
import os

import numpy as np
import pytest
import scipy.io

from alignment.align import Alignment
from checkpoints.record import read_record, record_path
from face_decoder import FaceDecoder
from face_model import read_face_model
from face_model.coefficients import coefficient_sizes
from gcn import refiner as refiner_module
from gcn.embedding import FrozenFeatures, identity_kind
from gcn.generator import generate_mesh, pyramid_tensors
from gcn.pyramid import OWN_PYRAMID, PUBLISHED_PYRAMID
from gcn.refiner import MeshRefiner, is_mesh_generator
from reconstruction import network_choice
from reconstruction.arguments import add_reconstruction_flags
from reconstruction.face import LocatedFace, mesh_variants
from reconstruction.face_source import decode_faces
from reconstruction.result_files import write_reconstruction
from tests.network_parity import published_pyramid
from tests.paths import GOLDEN, TOY_MODEL
from training.options import TrainingOptions
from training.run_record import describe_run
from utils.errors import InputError
from utils.json_files import write_json
from utils.tf_compat import tf

WIDTH = 2048  # of the embedding: pool5 alone


@pytest.fixture(scope="module")
def model():
    return read_face_model(TOY_MODEL)


@pytest.fixture(autouse=True)
def no_large_networks(monkeypatch):
    """The published pyramid, and an embedding without R-Net; return the weights it is built for."""
    asked = []

    def features(photos, path, model, identity_network, allow_any_op):
        asked.append((path, identity_network))
        means = tf.reduce_mean(photos, [1, 2]) / 255.0
        return FrozenFeatures(None, tf.tile(means[:, :1], [1, WIDTH]))

    monkeypatch.setattr(refiner_module, "build_frozen_features", features)
    monkeypatch.setattr(refiner_module, "load_pyramid", lambda model, name: _pyramid())
    return asked


def _pyramid():
    return published_pyramid(np.load(os.path.join(GOLDEN, "gcn.npz"), allow_pickle=False))


@pytest.fixture(scope="module", params=["absolute", "residual"])
def trained(request, model, tmp_path_factory):
    """(prefix of a generator's checkpoint with its record, head)."""
    folder = tmp_path_factory.mktemp(request.param)
    prefix, r_net = str(folder / "iter_7.ckpt"), str(folder / "r_net.pb")
    with open(r_net, "wb") as file:
        file.write(b"stands for the frozen network")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(3)
        generate_mesh(
            tf.zeros([1, WIDTH]),
            tf.zeros([1, model.vertex_count, 3]),
            pyramid_tensors(_pyramid()),
            head=request.param,
        )
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False, write_state=False)
    options = TrainingOptions(model="gcn", head=request.param, coefficient_weights=r_net)
    write_json(record_path(prefix), describe_run(options, model))
    return prefix, request.param


def _coefficients(model):
    return (
        np.random.RandomState(0)
        .normal(0, 0.1, (2, sum(coefficient_sizes(model))))
        .astype(np.float32)
    )


def _crops():
    return np.random.RandomState(1).randint(0, 256, (2, 224, 224, 3)).astype(np.uint8)


def choose(model, *words):
    parser = argparse.ArgumentParser()
    add_reconstruction_flags(parser)
    return network_choice.choose_networks(
        network_choice.read_network_request(parser.parse_args(list(words))), model
    )


def make_refiner(model, *words):
    generator = choose(model, *words).generator
    return MeshRefiner(generator.path, model, generator.coefficient_weights)


def test_only_a_fresh_residual_head_gives_the_coefficient_mesh(model, trained):
    prefix, head = trained
    refiner = make_refiner(model, "--refine", prefix)
    refined = refiner.refine(_crops(), _coefficients(model))
    refiner.close()
    graph = FaceDecoder(model)
    plain = graph.decode(_coefficients(model))
    graph.close()
    translations = _coefficients(model)[:, -3:]
    for face, shape, colors, landmarks, translation in zip(
        refined, plain.world_shape, plain.colors, plain.landmarks, translations
    ):
        same = [
            np.allclose(face.world_shape, shape, atol=1e-5),
            np.allclose(face.colors, colors, atol=0.1),
            np.allclose(face.landmarks, landmarks, atol=1e-3),
        ]
        assert all(same) if head == "residual" else not any(same)
        # tanh keeps each coordinate below 1, and rotation the distance
        assert (
            np.linalg.norm(face.world_shape - translation, axis=1).max() <= np.sqrt(3)
            or head == "residual"
        )


def test_the_embedding_comes_from_the_network_of_the_record(model, trained, no_large_networks):
    prefix, _ = trained
    recorded = network_choice.read_weights(prefix).coefficient_weights
    assert recorded == os.path.join(os.path.dirname(prefix), "r_net.pb")
    assert choose(model, "--pretrain_weights", prefix).weights == recorded
    assert choose(model, "--pretrain_weights", "other.ckpt").weights == "other.ckpt"
    make_refiner(model, "--refine", prefix, "--pretrain_weights", "other.ckpt").close()
    assert no_large_networks == [(recorded, None)]


def test_a_generator_without_record_takes_the_given_network(
    model, trained, no_large_networks, tmp_path
):
    prefix = str(tmp_path / "published.ckpt")
    for name in os.listdir(os.path.dirname(trained[0])):
        if name.startswith("iter_7.ckpt."):
            os.link(
                os.path.join(os.path.dirname(trained[0]), name), prefix + name[len("iter_7.ckpt") :]
            )
    needed = (
        "published.ckpt: .* is a published one and needs .*FaceReconModel.pb.*--pretrain_weights"
    )
    with pytest.raises(InputError, match=needed):
        make_refiner(model, "--refine", prefix)
    with pytest.raises(InputError, match=needed):
        choose(model, "--pretrain_weights", prefix)
    make_refiner(model, "--refine", prefix, "--pretrain_weights", "given.ckpt").close()
    assert no_large_networks == [("given.ckpt", None)]


def _copied(trained, folder):
    """Copy a generator's checkpoint; let its record name a missing coefficient network."""
    prefix = str(folder / "iter_7.ckpt")
    for name in os.listdir(os.path.dirname(trained[0])):
        if name.startswith("iter_7.ckpt."):
            os.link(os.path.join(os.path.dirname(trained[0]), name), str(folder / name))
    record = read_record(trained[0])
    record["options"]["coefficient_weights"] = "/elsewhere/iter_9.ckpt"
    write_json(record_path(prefix), record)
    return prefix


def test_only_the_user_can_replace_the_network_of_the_record(model, trained, tmp_path, monkeypatch):
    prefix = _copied(trained, tmp_path)
    shipped, published = str(tmp_path / "shipped.pb"), str(tmp_path / "published.pb")
    monkeypatch.setattr(network_choice, "find_shipped_network", lambda model: shipped)
    monkeypatch.setattr(network_choice, "PUBLISHED_NETWORK", published)

    def choose_below(*words):
        return tuple(choose(model, "--refine", *words).generator)[:2]

    with pytest.raises(
        InputError, match="iter_7.ckpt: the coefficient network .* --pretrain_weights"
    ):
        choose_below(prefix)
    assert choose_below(prefix, "--pretrain_weights", "r.ckpt") == (prefix, "r.ckpt")
    assert choose_below(prefix, "--pretrain_weights", "r.ckpt", "--method", "fit") == (
        prefix,
        "r.ckpt",
    )
    recorded = network_choice.read_weights(trained[0]).coefficient_weights
    assert choose_below(trained[0]) == (trained[0], recorded) and os.path.isfile(recorded)
    assert choose(model, "--refine", trained[0]).weights == shipped  # for the coefficients
    os.remove(record_path(prefix))
    with pytest.raises(InputError, match="iter_7.ckpt: .* is a published one and needs"):
        choose_below(prefix)
    with open(published, "wb") as file:
        file.write(b"a graph")
    monkeypatch.setattr(network_choice, "is_presumed_for_bfm09", lambda record, model: False)
    assert choose_below(prefix) == (prefix, published)  # both are published
    assert choose(model, "--refine", prefix).generator.pyramid == PUBLISHED_PYRAMID
    assert choose(model, "--pretrain_weights", prefix).generator.coefficient_weights == published
    assert choose(model, "--refine", trained[0]).generator.pyramid == OWN_PYRAMID


def test_a_generator_is_known_by_its_variables(trained, tmp_path):
    assert is_mesh_generator(trained[0]) and not is_mesh_generator(str(tmp_path / "nothing.ckpt"))
    other = str(tmp_path / "other.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("fc-id/weights", [1])
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, other, write_meta_graph=False, write_state=False)
    assert not is_mesh_generator(other)


def test_a_checkpoint_without_a_generator_for_the_face_model_is_refused(model, trained, tmp_path):
    prefix, _ = trained
    with pytest.raises(InputError, match="nowhere.ckpt: no such checkpoint"):
        MeshRefiner(str(tmp_path / "nowhere.ckpt"), model, "r.ckpt")
    with pytest.raises(InputError, match="nowhere.ckpt: no such checkpoint"):
        choose(model, "--refine", str(tmp_path / "nowhere.ckpt"))
    other = model._replace(mean_shape=model.mean_shape * 1.01)
    with pytest.raises(InputError, match="iter_7.ckpt: was trained for the face model"):
        MeshRefiner(prefix, other, "r.ckpt")
    empty = str(tmp_path / "empty.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("v", [1])
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, empty, write_meta_graph=False, write_state=False)
    with pytest.raises(InputError, match="empty.ckpt: holds no mesh generator"):
        MeshRefiner(empty, model, "r.ckpt")


def test_the_width_of_the_embedding_tells_the_identity_network():
    assert [identity_kind(width, "x") for width in (2048, 2304, 3840)] == [None, "dlib", "facenet"]
    with pytest.raises(InputError, match="x: its mesh generator reads 100 features"):
        identity_kind(100, "x")


def test_the_refined_mesh_is_written_beside_the_other(model, trained, tmp_path):
    refiner, graph = make_refiner(model, "--refine", trained[0]), FaceDecoder(model)
    found = decode_faces([_face()], _coefficients(model)[:1], graph)[0]
    refined = refiner.refine(_crops()[:1], _coefficients(model)[:1])[0]
    paths = write_reconstruction(found._replace(refined=refined), model, str(tmp_path))
    assert (
        sorted(os.listdir(str(tmp_path)))
        == ["p.json", "p.mat", "p.png", "p_mesh.obj", "p_refined.png", "p_refined_mesh.obj"]
        and len(paths) == 6
    )
    fields = scipy.io.loadmat(str(tmp_path / "p.mat"))
    np.testing.assert_array_equal(fields["face_shape_refined"], refined.world_shape)
    np.testing.assert_array_equal(fields["face_shape"], found.world_shape)
    with open(str(tmp_path / "p_refined_mesh.obj")) as file:
        first = np.array(file.read().split("v ", 1)[1].split("\n")[0].split(), float)
    np.testing.assert_allclose(first[:3], refined.world_shape[0], atol=1e-4)
    write_reconstruction(found, model, str(tmp_path / "plain"))
    assert "p_refined_mesh.obj" not in os.listdir(str(tmp_path / "plain"))
    plain, other = mesh_variants(found._replace(refined=refined))
    assert (
        len(mesh_variants(found)) == 1 and plain.face.name == "p" and other.face.name == "p_refined"
    )
    assert other.world_shape is refined.world_shape and other.coefficients is found.coefficients
    assert (
        plain.refined is other.refined is None
        and mesh_variants(other)[0].landmarks is refined.landmarks
    )
    refiner.close()
    graph.close()


def _face():
    random = np.random.RandomState(2)
    photo = random.randint(0, 256, (300, 300, 3)).astype(np.uint8)
    alignment = Alignment(
        crop=photo[:224, :224],
        five_points=random.uniform(0, 223, (5, 2)),
        trans_params=np.array([300, 300, 1.0, 112, 112]),
    )
    return LocatedFace(
        "p",
        "p.jpg",
        photo,
        alignment,
        random.uniform(0, 299, (68, 2)),
        np.ones(68),
        random.uniform(0, 299, (5, 2)),
    )
