"""Variables on disk: reading them from checkpoints and frozen graphs, and restoring networks.

Files may come from strangers, so each is checked before use; an error names the file, and the
variables that are missing or unfit.
"""

import os
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

import numpy as np

import networks
from checkpoints.frozen_graph import read_graph_def
from checkpoints.index_check import require_sound_index
from utils.errors import InputError, join_first
from utils.tf_compat import tf

Shape = Sequence[Optional[int]]  # None matches any length

_MAX_FREE_LENGTH = 1 << 14  # of a dimension whose length the face model decides; bounds the memory


def checkpoint_exists(prefix: str) -> bool:
    """Return True if a TensorFlow checkpoint lies at ``prefix`` (a V2 prefix, or a V1 file)."""
    is_part = prefix.endswith((".pb", ".index", ".meta")) or ".data-" in os.path.basename(prefix)
    return os.path.isfile(prefix + ".index") or (os.path.isfile(prefix) and not is_part)


def variable_shapes(path: str) -> Dict[str, List[int]]:
    """Return variable name -> shape of all variables of a checkpoint, without reading values.

    Args:
        path: prefix of a checkpoint, such as ``result/run/iter_100.ckpt``.

    Raises:
        InputError: the checkpoint is missing or damaged.
    """
    return dict(_open_checkpoint(path).get_variable_to_shape_map())


def read_variables(path: str, shapes: Mapping[str, Shape]) -> Dict[str, np.ndarray]:
    """Read variables from a checkpoint, or from the constants of a frozen graph.

    Args:
        path: prefix of a checkpoint, or a ``.pb`` file whose constants have their variables' names.
        shapes: variable name -> expected shape; None in a shape matches any length.

    Returns:
        Variable name -> array, for exactly the names of ``shapes``.

    Raises:
        InputError: the file is missing or damaged, or variables are missing or of other shapes.
    """
    # 1. a frozen graph
    if path.endswith(".pb"):
        try:
            with np.errstate(all="ignore"):  # damaged variances may be negative
                constants = _graph_constants(read_graph_def(path), shapes)
        except (TypeError, ValueError):
            raise InputError(
                "{}: the shapes of its constants disagree; copy or download the graph again".format(
                    path
                )
            ) from None
        found = {name: list(value.shape) for name, value in constants.items()}
        _require_shapes(path, found, shapes)
        return constants

    # 2. a checkpoint
    reader = _open_checkpoint(path)
    _require_shapes(path, reader.get_variable_to_shape_map(), shapes)
    try:
        return {name: reader.get_tensor(name) for name in shapes}
    except Exception:  # its type differs between versions of TensorFlow
        raise InputError(
            "{}: the checkpoint's data is damaged; copy or download it again".format(path)
        ) from None


def restore(session: Any, path: str, variables: Sequence[Any]) -> None:
    """Set variables of a graph from a checkpoint or frozen graph, by name.

    To start training from the public ``resnet_v1_50.ckpt``, initialize all variables and restore
    only those of the trunk (scope ``networks.R_NET_SCOPE``): the heads then keep their zeros.

    Args:
        session: session of the variables' graph.
        path: prefix of a checkpoint, or a ``.pb`` file, see :func:`read_variables`.
        variables: the variables to set; the file must contain each with its shape.

    Raises:
        InputError: as :func:`read_variables`; nothing is changed then.
    """
    shapes = {variable.op.name: variable.shape.as_list() for variable in variables}
    assign(session, variables, read_variables(path, shapes))


def network_variables(scope: str) -> List[Any]:
    """Return the weights and moving averages of a network in the current graph.

    Args:
        scope: of the network's variables.
    """
    variables = tf.trainable_variables(scope + "/")
    return variables + [v for v in tf.global_variables(scope + "/") if "/moving_" in v.op.name]


def assign(session: Any, variables: Iterable[Any], values: Mapping[str, np.ndarray]) -> None:
    """Set variables of a graph, all in one call: every further call would prepare the graph anew.

    Args:
        session: session of the variables' graph.
        variables: the variables to set.
        values: variable name -> array.
    """
    variables = list(variables)
    session.run(
        [variable.initializer for variable in variables],
        {variable.initializer.inputs[1]: values[variable.op.name] for variable in variables},
    )


def _open_checkpoint(path: str) -> Any:
    """Return a ``CheckpointReader``."""
    if not checkpoint_exists(path):
        raise InputError(
            "{}: no such checkpoint; give the part of its name before .index or .data".format(path)
        )
    require_sound_index(path)
    try:
        return tf.train.NewCheckpointReader(path)
    except Exception:  # its type differs between versions of TensorFlow
        raise InputError(
            "{}: not a TensorFlow checkpoint, or a damaged one; copy or download it again".format(
                path
            )
        ) from None


def _graph_constants(graph_def: Any, names: Iterable[str]) -> Dict[str, np.ndarray]:
    """Return the constants of a frozen graph that have one of ``names``, normalization unfolded."""
    names = set(names)
    biases = {name[: -len("weights")] + "biases" for name in names if name.endswith("/weights")}
    constants = {
        node.name: np.asarray(tf.make_ndarray(node.attr["value"].tensor))
        for node in graph_def.node
        if node.op == "Const" and (node.name in names or node.name in biases)
    }
    unfolded = networks.unfold_batch_norm(constants)
    return {name: value for name, value in unfolded.items() if name in names}


def _require_shapes(
    path: str, found: Mapping[str, Sequence[int]], expected: Mapping[str, Shape]
) -> None:
    """Raise an InputError that names the variables missing from ``found``, or the first unfit."""
    missing = sorted(name for name in expected if name not in found)
    if missing:
        raise InputError(
            "{}: {} of {} variables missing ({}); give a checkpoint of this network".format(
                path, len(missing), len(expected), join_first(missing)
            )
        )
    for name in sorted(expected):
        if not _matches(found[name], expected[name]):
            raise InputError(
                "{}: variable {} has shape {} instead of {}; the checkpoint belongs to another "
                "network or face model".format(path, name, list(found[name]), list(expected[name]))
            )


def _matches(shape: Sequence[int], expected: Shape) -> bool:
    """Return True if a shape has the expected lengths; None matches all up to a bound."""
    return len(shape) == len(expected) and all(
        length <= _MAX_FREE_LENGTH if wanted is None else length == wanted
        for length, wanted in zip(shape, expected)
    )
