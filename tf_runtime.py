"""TensorFlow in graph mode: 1.12 as it is, 2.x through ``tensorflow.compat.v1``.

Every other module gets TensorFlow from here::

    from tf_runtime import tf

``tf`` is a stand-in that imports the real package at the first use of one of its
attributes. Importing a module of this project therefore costs nothing, ``--help``
answers at once, and scripts can set environment variables before TensorFlow reads them.

Graphs are always explicit (``with tf.Graph().as_default():``). Eager execution stays
available outside of them, because the MTCNN detector of TensorFlow 2 needs it.
"""

import importlib
import os
import types


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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    tensorflow = importlib.import_module("tensorflow")
    if int(tensorflow.__version__.split(".")[0]) < 2:
        tensorflow.logging.set_verbosity(tensorflow.logging.ERROR)
        return tensorflow
    tensorflow.get_logger().setLevel("ERROR")
    v1 = importlib.import_module("tensorflow.compat.v1")
    # Reference variables and plain Switch/Merge control flow: graphs that 1.12 can read.
    v1.disable_resource_variables()
    v1.disable_control_flow_v2()
    return v1


tf = _LazyTensorFlow("tensorflow", "TensorFlow's version-1 API, imported at first use.")


def tensorflow_version():
    """Return the installed TensorFlow's version as a tuple of ints, e.g. ``(1, 12)``."""
    return tuple(int(part) for part in tf.__dict__.get("VERSION", tf.VERSION).split(".")[:2])


def session_config(intra_op_threads=0, inter_op_threads=0):
    """Return a ``tf.ConfigProto`` that grows GPU memory on demand.

    Args:
        intra_op_threads: threads inside one operation; 0 lets TensorFlow choose.
        inter_op_threads: operations run at once; 0 lets TensorFlow choose.
    """
    return tf.ConfigProto(
        intra_op_parallelism_threads=intra_op_threads,
        inter_op_parallelism_threads=inter_op_threads,
        gpu_options=tf.GPUOptions(allow_growth=True),
    )
