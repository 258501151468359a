"""TFLite models as TensorFlow graphs."""

import os
import shutil

import numpy as np
import pytest

from alignment import mediapipe_networks
from checkpoints.tflite_model import TfliteModel, _double_size
from utils.errors import InputError
from utils.tf_compat import tensorflow_version, tf

SIZES = {"face_detection_full_range.tflite": 192, "face_landmarks_detector.tflite": 256}


@pytest.mark.parametrize(
    "source", mediapipe_networks._SOURCES, ids=lambda source: source.members[-1]
)
def test_networks_agree_with_the_tflite_interpreter(source):
    if tensorflow_version() < (2, 0):
        pytest.skip("TensorFlow 1.12 has no interpreter for these files")
    import tensorflow as tf2

    data = mediapipe_networks._read(source)
    size = SIZES[os.path.basename(source.members[-1])]
    images = np.random.RandomState(0).rand(2, size, size, 3).astype(np.float32)
    with tf.Graph().as_default():
        holder = tf.placeholder(tf.float32, [None, None, None, 3])
        outputs = TfliteModel(data, "model").build(holder)
        with tf.Session() as session:
            found = session.run(outputs, {holder: images})

    interpreter = tf2.lite.Interpreter(model_content=data)
    interpreter.allocate_tensors()
    details = interpreter.get_output_details()
    for index in range(2):
        interpreter.set_tensor(
            interpreter.get_input_details()[0]["index"], images[index : index + 1]
        )
        interpreter.invoke()
        for values, detail in zip(found, details):
            expected = interpreter.get_tensor(detail["index"]).ravel()
            np.testing.assert_allclose(values[index].ravel(), expected, atol=2e-3)


@pytest.mark.parametrize(
    "source", mediapipe_networks._SOURCES, ids=lambda source: source.members[-1]
)
def test_interpreter_and_graph_of_a_network_agree(source):
    network = mediapipe_networks.OpenNetwork(source.graph, source.outputs[:2])
    size = SIZES[os.path.basename(source.members[-1])]
    images = np.random.RandomState(0).rand(2, size, size, 3).astype(np.float32)
    answers = network.run(images)
    network._interpreter = None
    for found, expected in zip(answers, network.run(images)):
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_missing_or_damaged_tflite_file_is_named(tmp_path):
    graph = str(tmp_path / "face_detector.pb")
    shutil.copyfile(mediapipe_networks.DETECTOR_NETWORK, graph)
    with pytest.raises(InputError, match="face_detector.tflite: missing; 'python -m"):
        mediapipe_networks.OpenNetwork(graph, mediapipe_networks.DETECTOR_OUTPUTS)
    (tmp_path / "face_detector.tflite").write_bytes(b"TFL3" * 9)
    with pytest.raises(InputError, match="face_detector.tflite: damaged; 'python -m"):
        mediapipe_networks.OpenNetwork(graph, mediapipe_networks.DETECTOR_OUTPUTS)


def test_a_doubled_image_has_pixels_at_quarters():
    images = np.random.RandomState(1).rand(1, 3, 4, 2).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        doubled = session.run(_double_size(None, [tf.constant(images)]))
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], "edge")
    for row in range(6):
        for column in range(8):
            y, x = (row + 0.5) / 2 + 0.5, (column + 0.5) / 2 + 0.5  # in padded pixels, from centers
            i, j = int(np.floor(y)), int(np.floor(x))
            a, b = y - i, x - j
            expected = (1 - a) * ((1 - b) * padded[0, i, j] + b * padded[0, i, j + 1]) + a * (
                (1 - b) * padded[0, i + 1, j] + b * padded[0, i + 1, j + 1]
            )
            np.testing.assert_allclose(doubled[0, row, column], expected, atol=1e-6)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x1c\x00\x00\x00TFL3" + b"\xff" * 60])
def test_a_damaged_model_is_one_error(data):
    with pytest.raises(InputError, match="model.tflite: not a TFLite model"):
        TfliteModel(data, "model.tflite")
