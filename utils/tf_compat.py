"""TensorFlow in graph mode: 1.12 as it is, 2.x through ``tensorflow.compat.v1``.

Every other module gets TensorFlow from here::

    from utils.tf_compat import tf

``tf`` is a stand-in that imports the real package at the first use of one of its
attributes. Importing a module of this project therefore costs nothing, ``--help``
answers at once, and scripts can set environment variables before TensorFlow reads them.

Graphs are always explicit (``with tf.Graph().as_default():``). Eager execution stays
available outside of them, because the MTCNN detector of TensorFlow 2 needs it.
"""

import contextlib
import importlib
import os
import sys
import tempfile
import types
from typing import Any

from utils.errors import InputError

Tensor = Any  # a tensor of whichever TensorFlow is installed

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# TensorFlow 2 imports Keras and that draws with matplotlib, where they are installed: a quarter of the time.
_NOT_NEEDED = ("keras", "matplotlib")
# Passes of the graph rewriter that find nothing in a network of constants but take a second to look.
_FRUITLESS_PASSES = (
    "arithmetic_optimization", "common_subgraph_elimination", "dependency_optimization", "function_optimization",
    "layout_optimizer", "loop_optimization", "shape_optimization")
_BFLOAT16_OPTION = "auto_mixed_precision_onednn_bfloat16"  # of the graph rewriter
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # of /proc/cpuinfo


class _LazyTensorFlow(types.ModuleType):
    """Imports TensorFlow, quietly and in its version-1 form, at the first attribute access."""

    def __getattr__(self, name):
        if name.startswith("__"):  # inspection (copy, pickle, doctest) must not trigger the import
            raise AttributeError(name)
        module = _import_tensorflow()
        self.__dict__.update(module.__dict__)  # later accesses no longer come through here
        return getattr(module, name)


def _import_tensorflow():
    """Return the version-1 API of the installed TensorFlow, logging errors only."""
    if _LOG_LEVEL in os.environ:  # whoever sets it wants to see what it lets through
        return _version_1_api(importlib.import_module("tensorflow"))
    os.environ[_LOG_LEVEL] = "2"
    # TensorFlow 2.21 writes its greeting (oneDNN, missing CUDA) before it reads the log level,
    # and again when the first session looks for devices.
    with hidden_modules(*_NOT_NEEDED), _stderr_kept_back():
        v1 = _version_1_api(importlib.import_module("tensorflow"))
        if not v1.VERSION.startswith("1."):
            v1.Session(graph=v1.Graph(), config=_config(v1)).close()
    return v1


def _version_1_api(tensorflow):
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
def hidden_modules(*names):
    """Make modules that are not imported yet look as if they were not installed: nothing imports them in passing."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update((name, None) for name in hidden)
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def _stderr_kept_back():
    """Hold back what C++ code writes to file descriptor 2; show it only if the block fails."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(saved, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


tf = _LazyTensorFlow("tensorflow", "TensorFlow's version-1 API, imported at first use.")


def tensorflow_version():
    """Return the installed TensorFlow's version as a tuple of ints, e.g. ``(1, 12)``."""
    return tuple(int(part) for part in tf.VERSION.split(".")[:2])


def as_it_is(function):
    """Mark a function of graph operations alone, for ``tf.data`` to call as it is.

    TensorFlow 2 would otherwise look for Python loops to convert: that takes a while, and leaves a file in the
    temporary folder if the process is killed.
    """
    return tf.autograph.experimental.do_not_convert(function) if hasattr(tf, "autograph") else function


def session_config(intra_op_threads=0, inter_op_threads=0):
    """Return a ``tf.ConfigProto`` that grows GPU memory on demand.

    Args:
        intra_op_threads: threads inside one operation; 0 lets TensorFlow choose.
        inter_op_threads: operations run at once; 0 lets TensorFlow choose.
    """
    return _config(tf, intra_op_parallelism_threads=intra_op_threads,
                   inter_op_parallelism_threads=inter_op_threads)


def inference_config():
    """Return a ``tf.ConfigProto`` for networks whose weights are constants: they are folded and fused, and no more."""
    config = session_config()
    rewriter = config.graph_options.rewrite_options
    for name in _FRUITLESS_PASSES:
        if hasattr(rewriter, name):
            setattr(rewriter, name, type(rewriter).OFF)
    rewriter.memory_optimization = type(rewriter).NO_MEM_OPT
    rewriter.meta_optimizer_iterations = type(rewriter).ONE
    return config


def use_bfloat16(config):
    """Let a session compute its convolutions and matrix products in bfloat16, with float32 sums and variables.

    Args:
        config: the ``tf.ConfigProto`` to change.

    Raises:
        InputError: TensorFlow or the processor cannot.
    """
    rewriter = config.graph_options.rewrite_options
    if not hasattr(rewriter, _BFLOAT16_OPTION):
        raise InputError("--precision bfloat16 needs TensorFlow 2.10 or newer, this is {}; use float32".format(
            tf.VERSION))
    if not _BFLOAT16_FLAGS.intersection(_processor_flags()):
        raise InputError("--precision bfloat16 needs a processor with AVX512-BF16 or AMX, or it would be slower; "
                         "use float32")
    setattr(rewriter, _BFLOAT16_OPTION, type(rewriter).ON)


def _processor_flags():
    """Return the names of what the processor can do, as Linux tells them; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return set(next((line for line in file if line.startswith("flags")), "").split())
    except OSError:
        return set()


def _config(v1, **settings):
    return v1.ConfigProto(gpu_options=v1.GPUOptions(allow_growth=True), **settings)
