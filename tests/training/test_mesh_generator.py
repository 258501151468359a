"""train.py --model gcn on a tiny face model and tiny data, and the losses of the mesh generator."""

import contextlib
import glob
import json
import os
import shutil

import numpy as np
import pytest

import networks
import train
from checkpoints.record import BFM09_VERTICES
from checkpoints.variables import read_variables, variable_shapes
from face_model import read_face_model, write_face_model
from face_model.coefficients import coefficient_sizes
from gcn.embedding import FrozenFeatures
from gcn.generator import GENERATOR_SCOPE, generate_mesh, pyramid_tensors
from gcn.losses import (
    MeshLosses,
    MeshLossWeights,
    mesh_losses,
    normal_loss,
    shape_loss,
    total_mesh_loss,
)
from tests.network_parity import published_pyramid
from tests.paths import GOLDEN, TOY_MODEL
from tests.training_data import write_faces
from training import mesh_generator_step
from training.summaries import mesh_plugin_available
from training.trainer import Outcome
from utils.errors import InputError
from utils.tf_compat import tf


@pytest.fixture(scope="module")
def model():
    return read_face_model(TOY_MODEL)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory, model):
    """A folder with faces, with and without ground truth, and a coefficient network."""
    folder = tmp_path_factory.mktemp("gcn_training")
    write_faces(folder / "faces", 4)
    write_faces(folder / "true_faces", 4)
    write_faces(folder / "held_out", 2, seed=1)
    random = np.random.RandomState(0)
    for name, count in (("true_faces", 4), ("held_out", 2)):
        os.makedirs(str(folder / name / "mesh"))
        for index in range(count):
            mesh = (
                _toy_shape(model) + [0, 0, 0.05] + (name == "held_out") + random.normal(0, 1e-3, 3)
            )
            np.save(str(folder / name / "mesh" / "face_{:02d}.npy".format(index)), mesh)
    _write_r_net(str(folder / "r_net.ckpt"))
    yield folder
    shutil.rmtree(str(folder))


@pytest.fixture(scope="module", autouse=True)
def golden_pyramid():
    """The pyramid of the published figures: libigl, which builds them, may not be installed."""
    with replaced("load_pyramid", lambda model, name: _golden_pyramid()):
        yield


@pytest.fixture()
def cheap_features():
    """Coefficients and embedding without R-Net, for tests of the networks above it."""
    with replaced("build_frozen_features", _cheap_features):
        yield


def _cheap_features(photos, path, model, identity_network, allow_any_op):
    thumbnails = tf.reshape(tf.image.resize_bilinear(photos, [4, 4]), [-1, 48]) / 255.0
    zeros = tf.zeros([tf.shape(photos)[0], sum(coefficient_sizes(model))])
    return FrozenFeatures(zeros, thumbnails)


@contextlib.contextmanager
def replaced(name, value):
    """Replace a function of the training step within a block."""
    before = getattr(mesh_generator_step, name)
    setattr(mesh_generator_step, name, value)
    try:
        yield
    finally:
        setattr(mesh_generator_step, name, before)


def _golden_pyramid():
    return published_pyramid(np.load(os.path.join(GOLDEN, "gcn.npz"), allow_pickle=False))


def _toy_shape(model):
    return model.mean_shape - model.mean_shape.mean(axis=0)


def _write_r_net(path):
    """Write a random network whose features have realistic sizes."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        networks.r_net(tf.placeholder(tf.float32, [None, 224, 224, 3]), training=False)
        session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():
            if variable.op.name.endswith("conv3/BatchNorm/gamma"):
                variable.load(np.full(variable.shape.as_list(), 0.01, np.float32), session)
            if variable.op.name == "resnet_v1_50/conv1/BatchNorm/moving_variance":
                variable.load(np.full(variable.shape.as_list(), 1e6, np.float32), session)
        tf.train.Saver().save(session, path, write_meta_graph=False, write_state=False)


def run(workshop, name, *flags, data="faces"):
    return train.main(
        [
            "--model",
            "gcn",
            "--coefficient_weights",
            str(workshop / "r_net.ckpt"),
            "--data_path",
            str(workshop / data),
            "--face_model",
            TOY_MODEL,
            "--batch_size",
            "2",
            "--result_path",
            str(workshop),
            "--model_name",
            name,
            "--val_faces",
            "2",
            "--identity",
            "none",
            "--seed",
            "5",
            "--quiet",
        ]
        + list(flags)
    )


def events(folder, side):
    """Return (step, tag) -> summary value."""
    paths = sorted(glob.glob(str(folder / "summary" / side / "*")))
    return {
        (event.step, value.tag): value
        for path in paths
        for event in tf.train.summary_iterator(path)
        for value in event.summary.value
    }


def variables(prefix):
    return read_variables(str(prefix), variable_shapes(str(prefix)))


def test_shape_and_normal_losses_equal_their_definitions():
    random = np.random.RandomState(0)
    a, b = random.standard_normal((2, 3, 7, 3))
    with tf.Session(graph=tf.Graph()) as session, session.graph.as_default():
        shape, normal = session.run([shape_loss(tf.constant(a), b), normal_loss(tf.constant(a), b)])
    assert shape == pytest.approx(((a - b) ** 2).sum() / (2 * a.size))
    assert normal == pytest.approx(((a - b) ** 2).mean())


def test_total_has_the_published_weights():
    assert MeshLossWeights() == (1.6e-3, 100, 100)
    with tf.Session(graph=tf.Graph()) as session, session.graph.as_default():
        losses = MeshLosses(tf.constant(10.0), tf.constant(2.0), tf.constant(3.0))
        assert session.run(total_mesh_loss(losses)) == pytest.approx(500.016)
        assert session.run(total_mesh_loss(losses, MeshLossWeights(1, 0, 2))) == pytest.approx(16)


def test_gradients_of_the_losses_agree_with_finite_differences():
    random = np.random.RandomState(1)
    points = random.standard_normal((2, 9, 3))
    target = points + 0.1 * random.standard_normal((2, 9, 3))
    labels = random.uniform(0, 200, (2, 68, 2))
    with tf.Session(graph=tf.Graph()) as session, session.graph.as_default():
        vertices = tf.placeholder(tf.float64, [2, 9, 3])
        landmarks = tf.cast(tf.tile(vertices[:, :1, :2], [1, 68, 1]), tf.float32)
        total = total_mesh_loss(
            MeshLosses(
                *(
                    tf.cast(term, tf.float64)
                    for term in mesh_losses(
                        landmarks,
                        np.float32(labels),
                        vertices,
                        target,
                        tf.nn.l2_normalize(vertices, axis=-1),
                        target / np.linalg.norm(target, axis=-1, keepdims=True),
                    )
                )
            )
        )
        gradient = session.run(tf.gradients(total, vertices)[0], {vertices: points})
        direction, step = random.standard_normal(points.shape), 1e-3
        slope = [
            session.run(total, {vertices: points + sign * step * direction}) for sign in (1, -1)
        ]
    assert (slope[0] - slope[1]) / (2 * step) == pytest.approx(
        (gradient * direction).sum(), rel=1e-2
    )


# The published head must first unlearn its random start, to which the normals are the farthest off.
@pytest.mark.slow
@pytest.mark.parametrize(
    "head, term, share_left", [("absolute", "total", 0.97), ("residual", "shape", 0.5)]
)
def test_each_head_learns_ground_truth(workshop, cheap_features, head, term, share_left):
    run(
        workshop,
        "learned_" + head,
        "--head",
        head,
        "--steps",
        "40",
        "--learning_rate",
        "1e-3",
        "--scalar_interval",
        "1",
        "--loss_weights",
        "landmark=0",
        data="true_faces",
    )
    values = events(workshop / ("learned_" + head), "train")
    losses = [values[step, "loss/" + term].simple_value for step in range(1, 41)]
    assert np.isfinite(losses).all() and np.mean(losses[-4:]) < share_left * losses[0]


@pytest.mark.slow
def test_run_on_real_networks_trains_only_the_generator(workshop):
    assert run(workshop, "real", "--steps", "1", "--head", "residual") == 0
    shapes = variable_shapes(str(workshop / "real" / "iter_1.ckpt"))
    assert shapes["gcn_mesh_generator/gcn_mesh_decoder/fc/weights"] == [
        networks.POOL5_WIDTH,
        4 * 32,
    ]
    assert not any(name.startswith("resnet_v1_50") for name in shapes)


TRUTH_RUN = (
    "--steps",
    "2",
    "--head",
    "residual",
    "--scalar_interval",
    "1",
    "--deterministic",
    "--checkpoint_interval",
    "1",
    "--image_interval",
    "2",
)


@pytest.fixture(scope="module")
def truth_run(workshop):
    """The folder of a run of two steps with ground truth; validation meshes are 1 dm off."""
    flags = TRUTH_RUN + ("--val_data_path", str(workshop / "held_out"))
    with replaced("build_frozen_features", _cheap_features):
        assert run(workshop, "truth", *flags, data="true_faces") == 0
    return workshop / "truth"


@pytest.fixture(scope="module")
def published_run(workshop):
    """The folder of a run of one step without ground truth."""
    with replaced("build_frozen_features", _cheap_features):
        assert run(workshop, "published", "--steps", "1", "--head", "residual") == 0
    return workshop / "published"


def test_resumed_run_equals_an_uninterrupted_one(workshop, truth_run, cheap_features):
    record = json.loads((truth_run / "iter_2.json").read_text())
    assert record["options"]["model"] == "gcn" and record["options"]["head"] == "residual"
    assert record["options"]["coefficient_weights"] == str(workshop / "r_net.ckpt")
    assert record["loss_weights"] == {"landmark": 1.6e-3, "shape": 100.0, "normal": 100.0}
    shutil.copytree(str(truth_run), str(workshop / "resumed"))
    for path in glob.glob(str(workshop / "resumed" / "iter_2.*")):
        os.remove(path)
    assert run(workshop, "resumed", "--resume", *TRUTH_RUN, data="true_faces") == 0
    final, again = (
        variables(truth_run / "iter_2.ckpt"),
        variables(workshop / "resumed" / "iter_2.ckpt"),
    )
    assert final["global_step"] == 2
    assert all(np.array_equal(final[name], again[name]) for name in final)


def test_summaries_show_losses_distances_and_three_meshes(truth_run):
    values = events(truth_run, "val")
    for tag in (
        "loss/shape",
        "loss/normal",
        "metrics/mm_from_truth",
        "metrics/coefficient_mesh_mm_from_truth",
        "metrics/mm_from_coefficient_mesh",
        "metrics/landmark_error_pixels",
    ):
        assert np.isfinite(values[2, tag].simple_value)
    if mesh_plugin_available():
        for name in ("face", "coefficient_mesh", "distance_between_meshes"):
            assert tf.make_ndarray(values[2, name + "_VERTEX"].tensor).shape == (1, 625, 3)
    assert np.isfinite(events(truth_run, "train")[2, "offset_mm"].histo.num)


def test_summaries_have_the_published_tags(truth_run):
    values = events(truth_run, "train")
    for tag, own, function in (
        ("lm_error", "loss/landmark", np.sqrt),
        ("shape_error", "loss/shape", float),
        ("normal_error", "loss/normal", float),
        ("train_error", "loss/total", float),
    ):
        for step in (1, 2):
            expected = function(values[step, own].simple_value)
            assert values[step, tag].simple_value == pytest.approx(expected, rel=1e-5)
    assert 0 < values[2, "photo_error"].simple_value < np.sqrt(3)
    assert values[2, "gamma_error"].simple_value == 0  # the coefficients of this test are zero
    assert values[2, "reflect_error"].simple_value > 0
    assert values[2, "id_coeff"].histo.num == values[2, "tex_coeff"].histo.num == 2 * 80
    assert values[2, "imgs/image/1"].image.width == 448
    held_out = events(truth_run, "val")
    for tag in ("photo", "lm", "reflect", "gamma", "shape", "normal", "train"):
        assert np.isfinite(held_out[2, tag + "_error_1"].simple_value)


def test_validation_uses_meshes_of_the_validation_folder(truth_run):
    errors = [
        events(truth_run, side)[2, "metrics/coefficient_mesh_mm_from_truth"].simple_value
        for side in ("train", "val")
    ]
    assert errors[0] < 10 and errors[1] == pytest.approx(100 * np.sqrt(3), rel=0.05)


def test_without_meshes_the_target_is_the_coefficient_mesh(published_run):
    values = events(published_run, "train")
    assert values[1, "loss/shape"].simple_value == 0 and values[1, "loss/landmark"].simple_value > 0
    assert values[1, "metrics/mm_from_coefficient_mesh"].simple_value == 0
    assert (1, "metrics/mm_from_truth") not in values


@pytest.mark.slow
def test_generator_starts_from_another_run(workshop, published_run, cheap_features):
    first = str(published_run / "iter_1.ckpt")
    before = variables(first)
    run(
        workshop,
        "second",
        "--steps",
        "1",
        "--head",
        "residual",
        "--learning_rate",
        "1e-30",
        "--init_weights",
        first,
    )
    after = variables(workshop / "second" / "iter_1.ckpt")
    names = [name for name in before if name.startswith(GENERATOR_SCOPE) and "Adam" not in name]
    assert names and all(
        np.allclose(before[name], after[name], rtol=0, atol=1e-20) for name in names
    )


def test_generator_does_not_start_from_another_head(published_run):
    with tf.Graph().as_default(), tf.Session() as session:
        generate_mesh(
            tf.zeros([1, 48]),
            tf.zeros([1, 625, 3]),
            pyramid_tensors(_golden_pyramid()),
            head="absolute",
        )
        with pytest.raises(InputError, match="iter_1.ckpt: 1 of .* missing"):
            mesh_generator_step.initialize_mesh_generator(
                session, str(published_run / "iter_1.ckpt")
            )


@pytest.mark.parametrize(
    "flags, message",
    [
        (("--coefficient_weights", "nowhere.ckpt"), "nowhere.ckpt: no such checkpoint"),
        (("--mesh_targets", "truth"), "face_00.npy: missing or not a mesh"),
        (
            ("--loss_weights", "photometric=1"),
            "there is no such loss; choose from landmark, shape, normal",
        ),
    ],
)
def test_unfit_options_are_refused(workshop, flags, message):
    with pytest.raises(InputError, match=message):
        run(workshop, "refused", *flags)


def test_unfit_meshes_are_refused(workshop, cheap_features):
    with pytest.raises(InputError, match="--augment mirrors photos"):
        run(workshop, "refused", "--augment", data="true_faces")
    path = str(workshop / "true_faces" / "mesh" / "face_02.npy")
    mesh = np.load(path)
    np.save(path, mesh[:-1])
    with pytest.raises(
        InputError, match="face_02.npy: holds float64 of .624, 3. instead of 625 vertices"
    ):
        run(workshop, "refused", data="true_faces")
    np.save(path, mesh)


def test_weights_for_another_face_model_are_refused(workshop, model):
    other = str(workshop / "other.mat")
    write_face_model(model._replace(identity_basis=model.identity_basis[:, :10]), other)
    with pytest.raises(
        InputError, match="r_net.ckpt: gives 80.64.80 coefficients but the face model"
    ):
        run(workshop, "refused", "--face_model", other)


def test_mesh_that_breaks_during_a_run_stops_it(workshop, cheap_features, monkeypatch):
    monkeypatch.setattr("dataset.mesh_targets._mesh_paths", lambda folder, model: ["gone.npy"] * 4)
    with pytest.raises(
        InputError, match="step 1: the normal loss and the shape loss are not finite.*face_0"
    ):
        run(workshop, "broken", data="true_faces")


def test_shipped_network_is_the_default_below_the_generator(workshop, monkeypatch):
    """A named network precedes it, and it is used only with the face model of its training."""
    asked, weights = [], str(workshop / "r_net.ckpt")

    def nothing(options, *_):
        asked.append(options.coefficient_weights)
        raise InputError("far enough")

    monkeypatch.setattr(train, "train", nothing)
    monkeypatch.setattr(
        "reconstruction.network_choice.find_shipped_network", lambda model: "shipped.pb"
    )
    monkeypatch.setattr(
        "reconstruction.network_choice.PUBLISHED_NETWORK", str(workshop / "none.pb")
    )
    for flags in ((), ("--coefficient_weights", weights)):
        with pytest.raises(InputError, match="far enough"):
            train.main(
                [
                    "--model",
                    "gcn",
                    "--face_model",
                    TOY_MODEL,
                    "--data_path",
                    str(workshop / "faces"),
                    *flags,
                ]
            )
    assert asked == ["shipped.pb", weights]


def test_published_network_is_not_used_with_another_face_model(workshop, monkeypatch, capsys):
    asked, model, frozen = [], read_face_model(TOY_MODEL), str(workshop / "FaceReconModel.pb")
    with open(frozen, "wb") as file:
        file.write(b"a graph without record")

    def nothing(options, *_):
        asked.append(options.coefficient_weights)
        return Outcome(0, 0, 0.0, 0, {}, {}, None, 0, None)

    monkeypatch.setattr(train, "train", nothing)
    monkeypatch.setattr(
        "reconstruction.network_choice.find_shipped_network", lambda model: "shipped.pb"
    )
    monkeypatch.setattr("reconstruction.network_choice.PUBLISHED_NETWORK", frozen)
    bfm09 = model._replace(mean_shape=np.zeros((BFM09_VERTICES, 3), np.float32))
    for here, flags, told in (
        (model, (), "is for BFM09"),
        (bfm09, (), ""),
        (model, ("--coefficient_weights", frozen), "no record beside it"),
    ):
        monkeypatch.setattr(train, "load_face_model", lambda choice, here=here: here)
        train.main(["--model", "gcn", "--data_path", str(workshop / "faces"), *flags])
        said = capsys.readouterr().err
        assert told in said and said.count("FaceReconModel.pb: ") == bool(told)
    assert asked == ["shipped.pb", frozen, frozen]
