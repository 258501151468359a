"""R-Net for other runtimes, as ONNX or TensorFlow Lite: ``python -m checkpoints.export --help``.

The public converters write the file: tf2onnx, or TensorFlow's own. The public runtimes then
evaluate it (onnxruntime, TensorFlow Lite), and a file that differs from TensorFlow is not kept.
"""

import argparse
import contextlib
import importlib
import logging
import os
import shutil
import sys
import warnings
from typing import Any, Iterator, Optional, Sequence

import numpy as np

from checkpoints.frozen_graph import (
    COEFFICIENT_TENSOR,
    INPUT_TENSOR,
    load_frozen_graph,
    operation_name,
    read_graph_def,
)
from checkpoints.record import record_path
from geometry.camera import IMAGE_SIZE
from utils.atomic import atomic_path
from utils.errors import InputError, run_main
from utils.paths import NETWORK_DIR
from utils.tf_compat import Tensor, tf

FORMATS = ("onnx", "tflite")
CHECKED_CROPS = 20
LARGEST_DIFFERENCE = 1e-4  # of the coefficients, relative to their root mean square
_OPSET = 17  # of ONNX; runtimes since 2022 have it
_PATCHES = 8  # of a made-up crop, in each direction
_MISSING = "{} is not installed; run `pip install -r requirements/export.txt`"


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m checkpoints.export",
        description="Convert a frozen R-Net for other runtimes, and compare it with TensorFlow.",
    )
    parser.add_argument(
        "graph",
        nargs="?",
        default=os.path.join(NETWORK_DIR, "open_face_model_r_net.pb"),
        metavar="GRAPH.pb",
        help="the frozen network (default: the shipped one); python -m checkpoints freezes a "
        "checkpoint",
    )
    parser.add_argument(
        "--to",
        choices=FORMATS,
        required=True,
        help="onnx: for onnxruntime, any number of crops; tflite: for TensorFlow Lite, one crop",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="the file to write (default: beside GRAPH.pb)"
    )
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Convert the network and print how far it differs from TensorFlow."""
    arguments = parse_arguments(argv)
    output = arguments.output or os.path.splitext(arguments.graph)[0] + "." + arguments.to
    difference = export_network(arguments.graph, output, arguments.to)
    sys.stdout.write(
        "{}: {} crops differ from TensorFlow by {:.1e} of the coefficients' scale\n".format(
            output, CHECKED_CROPS, difference
        )
    )


def export_network(path: str, output: str, kind: str) -> float:
    """Convert a frozen R-Net, check it, and copy its record beside it.

    The input is called ``input_imgs`` ([B, 224, 224, 3] float32 BGR, 0..255, B is 1 for TensorFlow
    Lite), the output ``coeff`` ([B, 257]).

    Args:
        path: the ``.pb`` file.
        output: the file to write.
        kind: one of :data:`FORMATS`.

    Returns:
        The largest difference from TensorFlow on :data:`CHECKED_CROPS` made-up crops, relative to
        the root mean square of the coefficients.

    Raises:
        InputError: the network is missing or damaged, a package is missing, or the converted
            network differs by more than :data:`LARGEST_DIFFERENCE`.
    """
    # 1. what TensorFlow computes
    crops = _make_crops()
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3])
        (coefficients,) = load_frozen_graph(path, {INPUT_TENSOR: images}, [COEFFICIENT_TENSOR])
        expected = _evaluate(graph, images, coefficients, crops)

    # 2. the converted network, which is kept only if it agrees
    convert, run = {"onnx": (_convert_to_onnx, _run_onnx), "tflite": (_convert_to_lite, _run_lite)}[
        kind
    ]
    with atomic_path(output) as temporary:
        with _without_chatter():
            content = convert(path)
            with open(temporary, "wb") as file:
                file.write(content)
            found = run(content, crops)
        difference = float(np.abs(found - expected).max() / np.sqrt(np.mean(expected**2)))
        if not difference <= LARGEST_DIFFERENCE:
            raise InputError(
                "{}: the converted network differs by {:.1e} of the coefficients' scale; use the "
                "packages of requirements/export.txt".format(output, difference)
            )

    # 3. the record, which names the face model
    if os.path.isfile(record_path(path)):
        with atomic_path(output + ".json") as temporary:
            shutil.copyfile(record_path(path), temporary)
    return difference


def _make_crops() -> np.ndarray:
    """Return crops of random patches, the same ones always, [20, 224, 224, 3] float32."""
    size = IMAGE_SIZE // _PATCHES
    patches = np.random.RandomState(0).uniform(0, 255, (CHECKED_CROPS, _PATCHES, _PATCHES, 3))
    return patches.repeat(size, axis=1).repeat(size, axis=2).astype(np.float32)


def _evaluate(graph: Any, images: Tensor, coefficients: Tensor, crops: np.ndarray) -> np.ndarray:
    with tf.Session(graph=graph) as session:
        return np.concatenate(
            [session.run(coefficients, {images: crop[np.newaxis]}) for crop in crops]
        )


def _convert_to_onnx(path: str) -> bytes:
    """Return a network as ONNX."""
    tf2onnx = _require("tf2onnx")
    _require("onnxruntime")  # before the conversion, which takes a minute
    model, _ = tf2onnx.convert.from_graph_def(
        read_graph_def(path),
        input_names=[INPUT_TENSOR],
        output_names=[COEFFICIENT_TENSOR],
        opset=_OPSET,
    )
    for tensor in list(model.graph.input) + list(model.graph.output):
        tensor.name = operation_name(tensor.name)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name in (INPUT_TENSOR, COEFFICIENT_TENSOR):
                    names[i] = operation_name(name)
    return model.SerializeToString()


def _run_onnx(content: bytes, crops: np.ndarray) -> np.ndarray:
    session = _require("onnxruntime").InferenceSession(content, providers=["CPUExecutionProvider"])
    outputs = session.run(
        [operation_name(COEFFICIENT_TENSOR)], {operation_name(INPUT_TENSOR): crops}
    )
    return np.asarray(outputs[0])


def _convert_to_lite(path: str) -> bytes:
    """Return a network as TensorFlow Lite's file, for one crop."""
    converter = _require_lite().TFLiteConverter.from_frozen_graph(
        path,
        [operation_name(INPUT_TENSOR)],
        [operation_name(COEFFICIENT_TENSOR)],
        input_shapes={operation_name(INPUT_TENSOR): [1, IMAGE_SIZE, IMAGE_SIZE, 3]},
    )
    return bytes(converter.convert())


def _run_lite(content: bytes, crops: np.ndarray) -> np.ndarray:
    interpreter = _require_lite().Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for crop in crops:
        interpreter.set_tensor(source["index"], crop[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(result["index"])[0].copy())
    return np.array(rows)


def _require(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InputError(_MISSING.format(package)) from None


def _require_lite() -> Any:
    lite = getattr(tf, "lite", None)
    if lite is None:
        raise InputError(
            "TensorFlow {} has no converter for TensorFlow Lite; use the current one".format(
                tf.VERSION
            )
        )
    return lite


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Hide what converters and runtimes say about themselves."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


if __name__ == "__main__":
    run_main(main)
