"""Weights on disk: reading checkpoints, restoring networks, loading and writing frozen graphs.

Every file may come from a stranger, so each is checked before use, and what is wrong with it
is said in one sentence that names the file and the variables or tensors.

``python -m checkpoints CHECKPOINT GRAPH`` freezes R-Net, for use without this code; the record of the
checkpoint, which names its face model, is copied beside it as GRAPH.json, without the folders of this machine.
"""

import argparse
import os

import numpy as np

import networks
from checkpoint_index import require_sound_index
from graph_safety import MAX_FILE_SIZE, require_constants, require_harmless
from tf_runtime import tf
from training.records import read_record, record_path, trained_image_size, write_json
from workspace.atomic import atomic_path
from workspace.errors import InputError, run_main
from workspace.numbers import within
from workspace.paths import from_root

# Tensors of the published FaceReconModel.pb.
INPUT_TENSOR = "input_imgs:0"
COEFFICIENT_TENSOR = "coeff:0"
POOL5_TENSOR = "resnet_v1_50/pool5:0"

IMAGE_SIZE = 224
_MOST_OUTPUTS = 1 << 14  # of a layer whose width the face model decides: as many numbers as memory should bear
_LARGEST_ANSWER = 1e6  # of a network: more than any coefficient or pixel, and little enough to calculate with
_NAMES_TOLD = 3  # how many missing names a message lists before it only counts


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


def read_r_net(path):
    """Read R-Net's variables from a training checkpoint, whatever face model it was trained for.

    Args:
        path: as in :func:`read_variables`.

    Returns:
        (values, counts): variable name -> array, and the widths of the face-model heads as
        keyword arguments of ``networks.r_net``.

    Raises:
        InputError: as :func:`read_variables`.
    """
    values = read_variables(path, r_net_shapes())
    return values, networks.coefficient_counts({name: value.shape for name, value in values.items()})


def r_net_shapes():
    """Return variable name -> shape of R-Net; None where the face model decides."""
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3])
        networks.r_net(images, training=False)
        shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    for head in ("fc-id", "fc-ex", "fc-tex"):
        shapes[head + "/weights"][-1] = shapes[head + "/biases"][-1] = None
    return shapes


def face_net_shapes():
    """Return variable name -> shape of FaceNet."""
    with tf.Graph().as_default():
        networks.face_net(tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3]))
        return {v.op.name: v.shape.as_list() for v in tf.global_variables()}


def read_graph_def(path):
    """Read a frozen graph.

    Args:
        path: a ``.pb`` file.

    Returns:
        A ``tf.GraphDef``.

    Raises:
        InputError: the file is missing, or not a graph.
    """
    if not os.path.isfile(path):
        raise InputError("{}: no such file; put the frozen network there or give its path".format(path))
    graph_def = tf.GraphDef()
    try:
        if os.path.getsize(path) > MAX_FILE_SIZE:
            raise ValueError("larger than any graph")
        with open(path, "rb") as file:
            graph_def.ParseFromString(file.read())
    except OSError as error:
        raise InputError("{}: cannot be read ({}); check its permissions".format(path, error.strerror)) from None
    except Exception:  # protobuf's DecodeError lives in another module in each of its versions
        raise InputError("{}: not a frozen TensorFlow graph; copy or download it again".format(path)) from None
    if not graph_def.node:
        raise InputError("{}: a graph without operations; copy or download it again".format(path))
    require_constants(path, graph_def)
    return graph_def


def load_frozen_graph(path, inputs, outputs):
    """Import a frozen graph into the current graph.

    Args:
        path: a ``.pb`` file.
        inputs: name of a tensor in the file (such as ``input_imgs:0``) -> the tensor to put in its place.
        outputs: names of the tensors to return.

    Returns:
        The output tensors, in the order of ``outputs``. Gradients flow through them.

    Raises:
        InputError: the file is missing or damaged, needs another TensorFlow, lacks a tensor, or holds
            operations beyond those of ``graph_safety``.
    """
    graph_def = read_graph_def(path)
    require_harmless(path, graph_def)
    for node in graph_def.node:
        node.device = ""  # of the machine where it was made
    known = {node.name for node in graph_def.node}
    missing = [name for name in list(inputs) + list(outputs) if name.split(":")[0] not in known]
    if missing:
        raise InputError("{}: the graph has no tensor {}; give the graph this network is published as".format(
            path, _listing(missing)))
    try:
        return tf.import_graph_def(graph_def, input_map=dict(inputs), return_elements=list(outputs),
                                   name=os.path.splitext(os.path.basename(path))[0])
    except Exception as error:  # what TensorFlow raises differs from version to version
        raise InputError("{}: TensorFlow {} cannot use this graph ({})".format(
            path, tf.VERSION, str(error).splitlines()[0])) from None


def evaluate(session, path, output, feeds, shape):
    """Evaluate an output of a network that came from a file.

    Args:
        session: of the network's graph.
        path: the file, for messages.
        output: the tensor.
        feeds: placeholder -> array.
        shape: of the result, whatever the network's arrangement of the same numbers.

    Returns:
        An array of that shape, of numbers of a size that coefficients or pixels have.

    Raises:
        InputError: the network cannot be evaluated, or gives something else.
    """
    try:
        values = np.asarray(session.run(output, feeds))
    except (tf.errors.OpError, TypeError, ValueError) as error:
        raise InputError("{}: the network cannot be evaluated ({}); copy or download it again".format(
            path, str(error).splitlines()[0])) from None
    if values.dtype.kind != "f" or values.size != int(np.prod(shape)) or not within(values, _LARGEST_ANSWER):
        raise InputError("{}: the network does not give {} plausible numbers; copy or download it again".format(
            path, " x ".join(str(size) for size in shape)))
    return values.reshape(shape)


def export_r_net(checkpoint, path, image_size=IMAGE_SIZE, half=False):
    """Write R-Net's checkpoint as a frozen graph with the tensor names of ``FaceReconModel.pb``.

    The graph uses only operations that TensorFlow 1.12 knows, whichever version writes it.

    Args:
        checkpoint: prefix of a training checkpoint.
        path: the ``.pb`` file to write.
        image_size: to which the graph averages its input of 224x224 pixels first.
        half: store the weights as float16, half the bytes; the graph computes in float32 all the same.

    Raises:
        InputError: as :func:`read_r_net`.
    """
    values, counts = read_r_net(checkpoint)
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], name=_operation(INPUT_TENSOR))
        network = networks.r_net(networks.area_average(images, image_size), training=False,
                                 frozen=networks.frozen_parameters(values, half), **counts)
        tf.identity(network.coefficients, name=_operation(COEFFICIENT_TENSOR))
        for name in sorted(values):  # not used by the graph; with them it can be trained on, see networks.unfolded
            if "/BatchNorm/" in name:
                tf.constant(values[name], tf.float32, name=name)
        graph.get_tensor_by_name(POOL5_TENSOR)  # its name is part of the format
        graph_def = _portable_graph_def(graph)
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as file:
            file.write(graph_def.SerializeToString(deterministic=True))


def _portable_graph_def(graph):
    """Return the graph in terms of operations and attributes that TensorFlow 1.12 knows."""
    graph_def = tf.train.export_meta_graph(graph=graph, strip_default_attrs=True).graph_def
    for node in graph_def.node:
        if node.op == "AddV2":  # differs from Add only in refusing strings
            node.op = "Add"
        elif node.op == "Const":
            _pack_half_values(node.attr["value"].tensor)
    return graph_def


def _pack_half_values(tensor):
    """Store float16 values as bytes: TensorFlow 1.12 writes a number of up to three bytes for each."""
    if len(tensor.half_val) > 1:
        tensor.tensor_content = np.fromiter(tensor.half_val, np.uint16, len(tensor.half_val)).tobytes()
        del tensor.half_val[:]


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
    found = networks.unfolded({
        node.name: np.asarray(tf.make_ndarray(node.attr["value"].tensor))
        for node in graph_def.node if node.op == "Const" and (node.name in names or node.name in biases)})
    return {name: value for name, value in found.items() if name in names}


def _check_shapes(path, found, wanted):
    """Raise an InputError that names what is missing from ``found`` or does not fit ``wanted``."""
    missing = sorted(name for name in wanted if name not in found)
    if missing:
        raise InputError("{}: {} of {} variables missing ({}); give a checkpoint of this network".format(
            path, len(missing), len(wanted), _listing(missing)))
    for name in sorted(wanted):
        shape, expected = list(found[name]), list(wanted[name])
        fits = len(shape) == len(expected) and all(
            s == e or e is None and s <= _MOST_OUTPUTS for s, e in zip(shape, expected))
        if not fits:
            raise InputError("{}: variable {} has shape {} instead of {}; the checkpoint belongs to another "
                             "network or face model".format(path, name, shape, expected))


def _listing(names):
    """Join the first few names, and count the rest."""
    told = ", ".join(names[:_NAMES_TOLD])
    return told if len(names) <= _NAMES_TOLD else "{} and {} more".format(told, len(names) - _NAMES_TOLD)


def _operation(tensor_name):
    return tensor_name.split(":")[0]


def parse_arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m checkpoints", description="Write R-Net's checkpoint as a frozen graph.")
    parser.add_argument("checkpoint", help="its prefix, such as result/run/iter_200000.ckpt")
    parser.add_argument("graph", help="the .pb file to write, such as network/FaceReconModel.pb")
    parser.add_argument("--half", action="store_true", help="store the weights as float16")
    return parser.parse_args(argv)


def main(argv=None):
    """Freeze a checkpoint, and copy its record."""
    arguments = parse_arguments(argv)
    export_r_net(arguments.checkpoint, arguments.graph, trained_image_size(arguments.checkpoint), arguments.half)
    record = read_record(arguments.checkpoint)
    if record:
        write_json(record_path(arguments.graph), _without_places(record))


def _without_places(record):
    """Return a record that can be passed on: folders of the machine that it was written on tell others nothing."""
    def shown(value):
        if not isinstance(value, str) or not os.path.isabs(value):
            return value
        path = from_root(value)
        return os.path.basename(path) if os.path.isabs(path) else path

    options = record.get("options") or {}
    return dict(record, options={name: shown(value) for name, value in options.items()})


if __name__ == "__main__":
    run_main(main)
