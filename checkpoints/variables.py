"""Weights on disk: reading checkpoints, restoring networks, loading and writing frozen graphs.

Every file may come from a stranger, so each is checked before use, and what is wrong with it
is said in one sentence that names the file and the variables or tensors.

``python -m checkpoints CHECKPOINT GRAPH`` freezes R-Net, for use without this code; the record of the
checkpoint, which names its face model, is copied beside it as GRAPH.json, without the folders of this machine.
"""

import os

import numpy as np

import networks
from checkpoints.frozen_graph import read_graph_def, shortened
from checkpoints.index_check import require_sound_index
from geometry.camera import IMAGE_SIZE
from utils.errors import InputError
from utils.tf_compat import tf

_MOST_OUTPUTS = 1 << 14  # of a layer whose width the face model decides: as many numbers as memory should bear


def checkpoint_exists(prefix):
    """Say whether a TensorFlow checkpoint lies at ``prefix`` (a V2 prefix, or a V1 file)."""
    is_part = prefix.endswith((".pb", ".index", ".meta")) or ".data-" in os.path.basename(prefix)
    return os.path.isfile(prefix + ".index") or (os.path.isfile(prefix) and not is_part)


def variable_shapes(path):
    """Return what a checkpoint holds, without reading the values.

    Args:
        path: a checkpoint prefix such as ``result/run/iter_100.ckpt``.

    Returns:
        Variable name -> list of ints.

    Raises:
        InputError: there is no checkpoint, or it is damaged.
    """
    return dict(_open_checkpoint(path).get_variable_to_shape_map())


def read_variables(path, shapes):
    """Read variables from a checkpoint or from the constants of a frozen graph.

    Args:
        path: a checkpoint prefix, or a ``.pb`` file whose constants keep their variables' names.
        shapes: variable name -> shape of what is wanted; None in a shape fits any length.

    Returns:
        Variable name -> array, for exactly the names of ``shapes``.

    Raises:
        InputError: the file is missing or damaged, or variables are missing or of other shapes.
    """
    if path.endswith(".pb"):
        try:
            with np.errstate(all="ignore"):  # of variances below zero
                constants = _graph_constants(read_graph_def(path), shapes)
        except (TypeError, ValueError):
            raise InputError("{}: its constants do not fit each other; copy or download the graph again".format(
                path)) from None
        _check_shapes(path, {name: list(value.shape) for name, value in constants.items()}, shapes)
        return constants
    reader = _open_checkpoint(path)
    _check_shapes(path, reader.get_variable_to_shape_map(), shapes)
    try:
        return {name: reader.get_tensor(name) for name in shapes}
    except Exception:  # what TensorFlow raises differs from version to version
        raise InputError("{}: the checkpoint's data is damaged; copy or download it again".format(path)) from None


def restore(session, path, variables):
    """Set variables of a graph from a checkpoint or frozen graph, by name.

    To start training from the public ``resnet_v1_50.ckpt``, initialise all variables and restore
    only those of the trunk (scope ``networks.R_NET_SCOPE``): the heads then keep their zeros.

    Args:
        session: a session of the variables' graph.
        path: as in :func:`read_variables`.
        variables: the variables to set; each must be in the file with its shape.

    Raises:
        InputError: as :func:`read_variables`; nothing is changed then.
    """
    assign(session, variables, read_variables(path, {v.op.name: v.shape.as_list() for v in variables}))


def assign(session, variables, values):
    """Set variables of a graph, all in one call: each call of its own would prepare the whole graph anew.

    Args:
        session: a session of the variables' graph.
        variables: the variables.
        values: variable name -> array.
    """
    session.run([variable.initializer for variable in variables],
                {variable.initializer.inputs[1]: values[variable.op.name] for variable in variables})


def face_net_shapes():
    """Return variable name -> shape of FaceNet."""
    with tf.Graph().as_default():
        networks.face_net(tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3]))
        return {v.op.name: v.shape.as_list() for v in tf.global_variables()}


def _open_checkpoint(path):
    if not checkpoint_exists(path):
        raise InputError("{}: no such checkpoint; give the part of its name before .index or .data".format(path))
    require_sound_index(path)
    try:
        return tf.train.NewCheckpointReader(path)
    except Exception:  # what TensorFlow raises differs from version to version
        raise InputError("{}: not a TensorFlow checkpoint, or a damaged one; copy or download it "
                         "again".format(path)) from None


def _graph_constants(graph_def, names):
    """Return the constants of a frozen graph that have one of ``names``, as the variables were."""
    biases = {name[:-len("weights")] + "biases" for name in names if name.endswith("/weights")}
    found = networks.unfold_batch_norm({
        node.name: np.asarray(tf.make_ndarray(node.attr["value"].tensor))
        for node in graph_def.node if node.op == "Const" and (node.name in names or node.name in biases)})
    return {name: value for name, value in found.items() if name in names}


def _check_shapes(path, found, wanted):
    """Raise an InputError that names what is missing from ``found`` or does not fit ``wanted``."""
    missing = sorted(name for name in wanted if name not in found)
    if missing:
        raise InputError("{}: {} of {} variables missing ({}); give a checkpoint of this network".format(
            path, len(missing), len(wanted), shortened(missing)))
    for name in sorted(wanted):
        shape, expected = list(found[name]), list(wanted[name])
        fits = len(shape) == len(expected) and all(
            s == e or e is None and s <= _MOST_OUTPUTS for s, e in zip(shape, expected))
        if not fits:
            raise InputError("{}: variable {} has shape {} instead of {}; the checkpoint belongs to another "
                             "network or face model".format(path, name, shape, expected))
