"""TensorFlow in graph mode: 1.12 itself, or 2.x through ``tensorflow.compat.v1``.

Every other module gets TensorFlow from here::

    from utils.tf_compat import tf

``tf`` is a proxy that imports the real package when one of its attributes is first used.
Importing a module of this project is therefore cheap, ``--help`` responds at once, and scripts
can set environment variables before TensorFlow reads them.

Graphs are always explicit (``with tf.Graph().as_default():``). Eager execution remains
available outside of them.
"""

import contextlib
import importlib
import os
import sys
import tempfile
import types
import warnings
from typing import Any, Callable, Iterator, Set, Tuple

from utils.errors import InputError

Tensor = Any  # a tensor of whichever TensorFlow is installed

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# Passes of the graph rewriter that change nothing in a network of constants but take up to 1 s.
_USELESS_PASSES = (
    "arithmetic_optimization",
    "common_subgraph_elimination",
    "dependency_optimization",
    "function_optimization",
    "layout_optimizer",
    "loop_optimization",
    "shape_optimization",
)
_BFLOAT16_OPTION = "auto_mixed_precision_onednn_bfloat16"  # of the graph rewriter
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # of /proc/cpuinfo


class _LazyTensorFlow(types.ModuleType):
    """Imports TensorFlow, quietly and in its version-1 form, at the first attribute access."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # inspection (copy, pickle, doctest) must not trigger the import
            raise AttributeError(name)
        module = _import_tensorflow()
        self.__dict__.update(module.__dict__)  # later accesses bypass this method
        return getattr(module, name)


def _import_tensorflow() -> Any:
    """Return the version-1 API of the installed TensorFlow, logging errors only."""
    if _LOG_LEVEL in os.environ:  # the user chose which messages to show
        with hidden_modules("keras"):
            return _version_1_api(importlib.import_module("tensorflow"))
    os.environ[_LOG_LEVEL] = "2"
    # TensorFlow 2.21 prints its greeting (oneDNN, missing CUDA) before it reads the log level,
    # and again when the first session looks for devices.
    with hidden_modules("keras"), _stderr_held_back():
        v1 = _version_1_api(importlib.import_module("tensorflow"))
        if not v1.VERSION.startswith("1."):
            v1.Session(graph=v1.Graph(), config=_config(v1)).close()
    return v1


def _version_1_api(tensorflow: Any) -> Any:
    if int(tensorflow.__version__.split(".")[0]) < 2:
        tensorflow.logging.set_verbosity(tensorflow.logging.ERROR)
        return tensorflow
    tensorflow.get_logger().setLevel("ERROR")
    v1 = importlib.import_module("tensorflow.compat.v1")
    # Reference variables and plain Switch/Merge control flow: graphs that 1.12 can read.
    v1.disable_resource_variables()
    v1.disable_control_flow_v2()
    return v1


@contextlib.contextmanager
def hidden_modules(*names: str) -> Iterator[None]:
    """Make optional imports of modules fail within the block, as if they were not installed.

    TensorFlow 2 imports Keras, and Keras matplotlib, neither of which its graphs need: they take
    0.9 of the 3.6 s from start to the first operation. None in ``sys.modules`` is Python's own
    mark of a module that cannot be imported. Modules already imported remain available.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update((name, None) for name in hidden)  # type: ignore[misc]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Hold back output of C++ code to file descriptor 2; print it only if the block fails."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


tf: Any = _LazyTensorFlow("tensorflow", "TensorFlow's version-1 API, imported at first use.")


def tensorflow_version() -> Tuple[int, ...]:
    """Return the installed TensorFlow's version as a tuple of two ints, e.g. ``(1, 12)``."""
    return tuple(int(part) for part in tf.VERSION.split(".")[:2])


def without_autograph(function: Callable[..., Any]) -> Callable[..., Any]:
    """Exclude a function, which only builds graph operations, from TensorFlow 2's AutoGraph.

    ``tf.data`` would otherwise search it for Python loops to convert, which takes time and leaves
    a file in the temporary folder if the process is killed.
    """
    if not hasattr(tf, "autograph"):
        return function
    return tf.autograph.experimental.do_not_convert(function)


def session_config(intra_op_threads: int = 0, inter_op_threads: int = 0) -> Any:
    """Return a ``tf.ConfigProto`` that grows GPU memory on demand.

    Args:
        intra_op_threads: threads inside one operation; 0 lets TensorFlow choose.
        inter_op_threads: operations run at once; 0 lets TensorFlow choose.
    """
    return _config(
        tf,
        intra_op_parallelism_threads=intra_op_threads,
        inter_op_parallelism_threads=inter_op_threads,
    )


def all_reduce_sum(tensor: Tensor, group_size: int, instance: int) -> Tensor:
    """Return the sum of a tensor over the workers of a cluster, the same bits in all of them.

    Args:
        tensor: on a device that is named in full, of the same shape in all workers.
        group_size: number of workers.
        instance: number of the exchange, the same in all workers, and unique in the graph.
    """
    collectives = importlib.import_module("tensorflow.python.ops.collective_ops")
    return collectives.all_reduce(tensor, group_size, 1, instance, "Add", "Id")


def inference_config() -> Any:
    """Return a ``tf.ConfigProto`` for networks of constant weights, which need few rewrites.

    Constants are folded and operations fused; all other rewriting passes are off.
    """
    config = session_config()
    rewriter = config.graph_options.rewrite_options
    for name in _USELESS_PASSES:
        if hasattr(rewriter, name):
            setattr(rewriter, name, type(rewriter).OFF)
    rewriter.memory_optimization = type(rewriter).NO_MEM_OPT
    rewriter.meta_optimizer_iterations = type(rewriter).ONE
    return config


def tflite_interpreter(model: bytes) -> Any:
    """Return TensorFlow's interpreter of a TFLite model, for one thread.

    It is None if this TensorFlow has no interpreter, as 1.12, and as a later 2.x may.

    Args:
        model: content of the file, known to be whole: the interpreter does not check it.
    """
    interpreter_class = getattr(getattr(tf, "lite", None), "Interpreter", None)
    if interpreter_class is None:
        return None
    # It greets on stderr, and warns that it will be a package of its own.
    with warnings.catch_warnings(), _stderr_held_back():
        warnings.simplefilter("ignore", UserWarning)
        interpreter = interpreter_class(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
    return interpreter


def use_bfloat16(config: Any) -> None:
    """Let a session compute convolutions and matrix products in bfloat16.

    Sums and variables remain float32.

    Args:
        config: ``tf.ConfigProto`` to change.

    Raises:
        InputError: TensorFlow or the processor does not support it.
    """
    rewriter = config.graph_options.rewrite_options
    if not hasattr(rewriter, _BFLOAT16_OPTION):
        raise InputError(
            "--precision bfloat16 needs TensorFlow 2.10 or newer, this is {}; use float32".format(
                tf.VERSION
            )
        )
    if not _BFLOAT16_FLAGS.intersection(_processor_flags()):
        raise InputError(
            "--precision bfloat16 needs a processor with AVX512-BF16 or AMX, or it would be "
            "slower; use float32"
        )
    setattr(rewriter, _BFLOAT16_OPTION, type(rewriter).ON)


def _processor_flags() -> Set[str]:
    """Return the names of the processor's features that Linux lists; empty on other systems."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return set(next((line for line in file if line.startswith("flags")), "").split())
    except OSError:
        return set()


def _config(v1: Any, **settings: Any) -> Any:
    return v1.ConfigProto(gpu_options=v1.GPUOptions(allow_growth=True), **settings)
