"""Rows with a TensorFlow graph on both sides."""

import contextlib

import numpy as np

import networks
from benchmarks.measuring import alternate, comparison_row, measure_seconds
from benchmarks.peer import PeerProcess
from identity.features import FaceNetIdentity, IdentityNetwork, face_net_shapes
from utils.tf_compat import session_config, tf


def measure_graph(name, goal, task, scene, run, arguments):
    """Time our graph and the peer's alternately.

    Args:
        name: title of the row.
        goal: wanted ratio of the peer's time to ours.
        task: the peer's task, a key of ``peer_worker.TASKS``.
        scene: name -> array, the peer's input; the length of its "coefficients" or "photos" is
            the batch.
        run: callable that works once on our side and returns name -> array.
        arguments: parsed flags of ``measuring.row_command``.

    Returns:
        A row; ``difference`` is the mean difference of the results relative to the largest value.
    """
    units = len(scene["coefficients" if "coefficients" in scene else "photos"])
    sides = {"ours": lambda: measure_seconds(run)}
    with contextlib.ExitStack() as stack:
        peer = None
        if not arguments.no_peer:
            peer = stack.enter_context(PeerProcess(task, scene))
            sides["peer"] = peer.seconds
        row = comparison_row(name, alternate(sides, arguments.repetitions), units, goal, peer)
        theirs = peer.result() if peer else {}
    ours = run()
    row["difference"] = {
        key: relative_difference(ours[key], theirs[key]) for key in sorted(set(ours) & set(theirs))
    }
    return row


def relative_difference(ours, theirs):
    """Return the mean absolute difference over the largest absolute value."""
    return float(np.abs(ours - theirs).mean() / np.abs(theirs).max())


def build_runner(fetches, feed):
    """Return a callable that runs tensors of the current graph, whose variables it initializes."""
    session = tf.Session(config=session_config())
    session.run(tf.global_variables_initializer())
    return lambda: session.run(fetches, feed)


class RandomFaceNet(FaceNetIdentity):
    """FaceNet with random weights, frozen like the real one."""

    def __init__(self, seed=0):
        IdentityNetwork.__init__(self, "random weights")  # FaceNetIdentity would read a file
        self._random = np.random.RandomState(seed)

    def _make_constants(self):
        return networks.frozen_parameters(
            {name: self._value(name, shape) for name, shape in face_net_shapes().items()}
        )

    def _value(self, name, shape):
        if name.endswith("moving_variance"):
            return np.ones(shape, np.float32)
        if not name.endswith("weights"):
            return np.zeros(shape, np.float32)
        return (self._random.standard_normal(shape) * np.sqrt(2.0 / np.prod(shape[:-1]))).astype(
            np.float32
        )
