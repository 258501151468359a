"""train.py --model landmarks on a tiny face model and tiny data, and the frozen network."""

import numpy as np
import pytest

import train
from alignment.landmark_network import LandmarkNetwork
from checkpoints import __main__ as freeze
from dataset.augmentation import Placement, place
from face_model import read_face_model
from geometry.camera import row_from_y_up
from tests.paths import TOY_MODEL
from tests.training_data import write_labeled_faces
from training.landmark_step import gaussian_likelihood_loss
from utils.tf_compat import tf


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("landmarks"), read_face_model(TOY_MODEL)
    write_labeled_faces(folder / "faces", 4, model)
    words = "--model landmarks --batch_size 4 --val_faces 4 --steps 3 --quiet --augment".split()
    words += ["--data_path", str(folder / "faces"), "--face_model", TOY_MODEL]
    words += ["--result_path", str(folder), "--model_name", "run", "--learning_rate", "1e-3"]
    assert train.main(words) == 0
    return folder


def test_the_frozen_network_is_a_landmark_detector(trained):
    graph = str(trained / "open.pb")
    freeze.main([str(trained / "run" / "iter_3.ckpt"), graph, "--half"])
    crops = np.random.RandomState(0).randint(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    network = LandmarkNetwork(graph, with_noise=True)
    points, noise = network.predict_noise(crops)
    np.testing.assert_allclose(points, network.predict_in_crops(crops), atol=1e-4)
    assert points.shape == (2, 68, 2) and noise.shape == (2, 68)
    assert (noise > 0.3).all() and (noise < 60).all() and np.ptp(points) < 224


def test_likelihood_agrees_with_the_formula():
    random = np.random.RandomState(0)
    found, labels = random.standard_normal((2, 3, 68, 2)).astype(np.float32)
    log_noise = random.standard_normal((3, 68)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        value = session.run(gaussian_likelihood_loss(*map(tf.constant, (found, log_noise, labels))))
    total = 0.0
    for b in range(3):
        for k in range(68):
            deviation = np.exp(log_noise[b, k])
            for axis in range(2):
                z = (found[b, k, axis] - labels[b, k, axis]) / deviation
                total += np.log(deviation) + z**2 / 2
    assert value == pytest.approx(total / (3 * 68), rel=1e-5)


@pytest.mark.parametrize("flip", [False, True])
def test_landmarks_move_with_the_photo(flip):
    photo = np.zeros((112, 112, 3), np.uint8)
    photo[40:44, 70:74] = 255  # around (72, 42) in pixel corners, (143.5, 83.5) in the 224 crop
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[[30, 8]] = [143.5, row_from_y_up(83.5)]  # on the midline: a flip keeps their index
    moved, points = place(photo, landmarks, Placement(flip, 1.2, 20.0, (6.0, -4.0)))
    rows, columns = np.nonzero(moved[..., 0] > 60)
    center = np.array([columns.mean(), rows.mean()]) * 2 + 0.5
    np.testing.assert_allclose([points[30, 0], row_from_y_up(points[30, 1])], center, atol=1.0)
    np.testing.assert_allclose(points[8], points[30])
