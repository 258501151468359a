"""train.py --model c_net on a tiny face model and tiny sets, and C-Net in use."""

import numpy as np
import pytest

import networks
import train
from checkpoints import __main__ as freeze
from checkpoints.c_net import build_c_net, c_net_shapes, require_c_net_of
from checkpoints.r_net import build_r_net, export_r_net
from dataset import set_stream
from dataset.set_stream import SetFeatures, SetStream
from face_model import read_face_model
from face_model.coefficients import coefficient_sizes
from fitting.joint import share_mean
from reconstruction.regressor import CoefficientRegressor
from tests.paths import TOY_MODEL
from tests.training_data import write_labeled_faces
from training.c_net_step import aggregate
from utils.errors import InputError
from utils.tf_compat import tf

SETTINGS = ["--quiet", "--batch_size", "4", "--val_faces", "4", "--steps", "2"]


def write_r_net(path, model):
    """Write a frozen R-Net of random weights."""
    sizes = coefficient_sizes(model)
    checkpoint = path[: -len(".pb")] + ".ckpt"
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        networks.r_net(
            tf.placeholder(tf.float32, [None, 224, 224, 3]),
            training=False,
            identity_count=sizes.identity,
            expression_count=sizes.expression,
            albedo_count=sizes.albedo,
        )
        session.run(tf.global_variables_initializer())
        for variable in tf.global_variables("fc-id"):
            session.run(variable.assign(tf.random_normal(variable.shape, 0, 0.1)))
        tf.train.Saver().save(session, checkpoint)
    export_r_net(checkpoint, path, 56)


def write_sets(folder, model, photos_per_person):
    """Write four labeled faces whose identities are equal within a person."""
    write_labeled_faces(folder, 4, model)
    for i, path in enumerate(sorted((folder / "coeff").iterdir())):
        values = np.fromfile(str(path), "<f4")
        values[: model.identity_count] = i // photos_per_person
        values.tofile(str(path))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("c_net"), read_face_model(TOY_MODEL)
    write_r_net(str(folder / "r_net.pb"), model)
    write_sets(folder / "faces", model, 2)
    assert train.main(flags(folder, "run") + SETTINGS) == 0
    freeze.main([str(folder / "run" / "iter_2.ckpt"), str(folder / "c_net.pb"), "--half"])
    return folder


def flags(folder, name):
    words = ["--model", "c_net", "--face_model", TOY_MODEL, "--result_path", str(folder)]
    words += ["--coefficient_weights", str(folder / "r_net.pb"), "--learning_rate", "1e-2"]
    return words + ["--data_path", str(folder / "faces"), "--model_name", name]


def crops(count=3):
    return np.random.RandomState(0).randint(0, 256, (count, 224, 224, 3)).astype(np.uint8)


def test_the_frozen_network_gives_the_confidences_of_the_checkpoint(trained):
    model = read_face_model(TOY_MODEL)
    images = np.float32(crops())
    found = []
    for path in (trained / "c_net.pb", trained / "run" / "iter_2.ckpt"):
        with tf.Graph().as_default(), tf.Session() as session:
            maps = build_r_net(
                str(trained / "r_net.pb"), tf.constant(images), model, with_maps=True
            )
            found.append(session.run(build_c_net(str(path), maps)))
    assert found[0].shape == (3, model.identity_count) and np.all(found[0] > 0)
    np.testing.assert_allclose(found[0], found[1], rtol=0.05)  # half precision
    assert np.ptp(found[0]) > 1e-3  # it has learned something


def test_the_regressor_gives_coefficients_and_confidences(trained):
    model = read_face_model(TOY_MODEL)
    weights = str(trained / "r_net.pb")
    plain = CoefficientRegressor(weights, model)
    weighing = CoefficientRegressor(weights, model, c_net=str(trained / "c_net.pb"))
    assert plain.predict_confidence(crops()) is None
    np.testing.assert_allclose(weighing.predict(crops()), plain.predict(crops()), atol=1e-5)
    confidence = weighing.predict_confidence(crops())
    assert confidence.shape == (3, model.identity_count)


def test_a_c_net_belongs_to_its_coefficient_network(trained):
    require_c_net_of(str(trained / "c_net.pb"), str(trained / "r_net.pb"))
    with pytest.raises(InputError, match="was trained on another coefficient network"):
        require_c_net_of(str(trained / "c_net.pb"), str(trained / "c_net.pb"))


@pytest.mark.parametrize("photos_per_person", [1, 3])
def test_a_folder_without_sets_is_refused(trained, tmp_path, photos_per_person):
    write_sets(tmp_path / "faces", read_face_model(TOY_MODEL), photos_per_person)
    words = flags(trained, "other") + ["--data_path", str(tmp_path / "faces")]
    if photos_per_person == 3:
        # one whole set of three, which makes no batch of four
        with pytest.raises(InputError, match="must be a multiple of 3"):
            train.main(words + SETTINGS)
    else:
        with pytest.raises(InputError, match="holds no sets of photos of one person each"):
            train.main(words + SETTINGS)


def test_untrained_confidences_are_one_and_give_the_plain_average():
    with tf.Graph().as_default(), tf.Session() as session:
        confidence = networks.c_net(
            tf.random_normal([4, 14, 14, networks.SHALLOW_WIDTH]),
            tf.random_normal([4, 4, 4, networks.DEEP_WIDTH]),
            training=False,
            identity_count=5,
        )
        session.run(tf.global_variables_initializer())
        np.testing.assert_allclose(session.run(confidence), np.ones((4, 5)), atol=1e-6)


def test_aggregation_is_that_of_the_paper():
    model = read_face_model(TOY_MODEL)
    random = np.random.RandomState(0)
    rows = random.standard_normal((3, sum(coefficient_sizes(model)))).astype(np.float32)
    confidence = random.uniform(0.1, 3, (3, model.identity_count)).astype(np.float32)
    identity = rows[:, : model.identity_count]
    wanted = [
        sum(confidence[j, k] * identity[j, k] for j in range(3))
        / sum(confidence[j, k] for j in range(3))
        for k in range(model.identity_count)
    ]
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(aggregate(tf.constant(identity[None]), tf.constant(confidence[None])))
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5)
    shared = share_mean(rows, model, confidence)
    np.testing.assert_allclose(
        shared[:, : model.identity_count], np.repeat([wanted], 3, axis=0), rtol=1e-5
    )
    light = slice(-30, None)
    np.testing.assert_array_equal(shared[:, light], rows[:, light])


def test_batches_are_whole_sets_in_an_order_of_the_seed():
    count = 12
    numbers = np.arange(count, dtype=np.float32)
    folder = set_stream.FaceFolder("sets", tuple(range(count)), ())
    features = SetFeatures(
        folder,
        3,
        numbers.reshape(count, 1, 1, 1),
        numbers.reshape(count, 1, 1, 1),
        numbers.reshape(count, 1),
        (numbers // 3).reshape(count, 1),
    )
    stream = SetStream(features, 5)
    people = [stream.batch(position, 6) for position in (0, 6, 12)]
    for batch in people:
        np.testing.assert_array_equal(batch.predicted[..., 0] // 3, batch.identity.repeat(3, 1))
        np.testing.assert_array_equal(batch.shallow.ravel(), batch.predicted.ravel())
        np.testing.assert_array_equal(batch.indices, batch.predicted.ravel())
    first_epoch = np.concatenate([batch.identity.ravel() for batch in people[:2]])
    assert sorted(first_epoch) == [0, 1, 2, 3]
    again = SetStream(features, 5).batch(6, 6)
    np.testing.assert_array_equal(again.indices, people[1].indices)


def test_shapes_follow_the_face_model():
    shapes = c_net_shapes()
    assert shapes["c_net/confidence/biases"] == [None]
    assert sum(np.prod([n or 80 for n in shape]) for shape in shapes.values()) < 5e5  # light
