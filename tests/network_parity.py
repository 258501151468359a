"""The three networks against the published ones; a suite of ``tests/parity.py``."""

import json
import os
from typing import Any, Iterator, NamedTuple

import numpy as np
import scipy.sparse

import networks
from gcn import generator
from gcn.pyramid import MeshPyramid
from tests.golden_weights import load_golden_variables
from utils.tf_compat import tf

NETWORK_TOLERANCE = 1e-4
# Training mode divides by the deviation of two nearly equal images. The published float32 figures
# are 3e-4 off the same computation in float64; TensorFlow 1.12 repeats them exactly.
TRAINING_TOLERANCE = 1e-3


class NetworkOutput(NamedTuple):
    """One quantity to compare."""

    name: str
    ours: Any
    published: Any
    tolerance: float


def network_outputs(golden: str) -> Iterator[NetworkOutput]:
    """Yield checks of R-Net, FaceNet and the mesh generator on the golden inputs.

    Args:
        golden: folder with ``networks_alignment_skin.npz`` and ``variables.json``.
    """
    published = np.load(os.path.join(golden, "networks_alignment_skin.npz"), allow_pickle=False)
    with open(os.path.join(golden, "variables.json")) as file:
        variables = json.load(file)
    images = np.float32(published["image_bgr"])
    for training in (False, True):
        shapes, network = _run(
            lambda training=training: networks.r_net(tf.constant(images), training=training)
        )
        name, tolerance = (
            ("R-Net, training", TRAINING_TOLERANCE) if training else ("R-Net", NETWORK_TOLERANCE)
        )
        expected = published["rnet_coeff_training" if training else "rnet_coeff"]
        yield NetworkOutput(name + " coefficients", network.coefficients, expected, tolerance)
    yield NetworkOutput(
        "R-Net variables that differ", _differences(shapes, variables["r_net"]), 0, 0
    )
    shapes, network = _run(lambda: networks.face_net(tf.constant(images)))
    yield NetworkOutput(
        "FaceNet bottleneck", network.bottleneck, published["facenet_bottleneck"], NETWORK_TOLERANCE
    )
    yield NetworkOutput(
        "FaceNet average pool",
        network.average_pool,
        published["facenet_avgpool"],
        NETWORK_TOLERANCE,
    )
    yield NetworkOutput(
        "FaceNet variables that differ", _differences(shapes, variables["facenet"]), 0, 0
    )
    shapes, mesh = _run(lambda: _golden_generator(published))
    yield NetworkOutput("GCN vertices", mesh.vertices, published["gcn_vertices"], NETWORK_TOLERANCE)
    yield NetworkOutput(
        "GCN variables that differ", _differences(shapes, variables["gcn_mesh_generator"]), 0, 0
    )


def published_pyramid(published: Any) -> Any:
    """Return the pyramid under which the published generator was measured (625 to 4 vertices).

    Args:
        published: arrays ``gcn_*``: sizes, and L, U, D as triplets. L still contains the identity.
    """
    sizes = published["gcn_sizes"]

    def matrix(name, shape):
        data, rows, columns = (
            published["gcn_{}_{}".format(name, part)] for part in ("val", "row", "col")
        )
        return scipy.sparse.csr_matrix((data, (rows, columns)), shape=shape)

    laplacians = [
        matrix("L{}".format(i), (n, n)) - scipy.sparse.identity(n, np.float32, "csr")
        for i, n in enumerate(sizes)
    ]
    for laplacian in laplacians:
        laplacian.eliminate_zeros()
    steps = range(len(sizes) - 1)
    return MeshPyramid(
        vertices=tuple(np.zeros((n, 3), np.float32) for n in sizes),
        triangles=(),
        laplacians=tuple(laplacians),
        upsampling=tuple(matrix("U{}".format(i), (sizes[i], sizes[i + 1])) for i in steps),
        kept=tuple(matrix("D{}".format(i), (sizes[i + 1], sizes[i])).indices for i in steps),
    )


def _golden_generator(published):
    return generator.generate_mesh(
        tf.constant(published["gcn_embedding"]),
        tf.constant(published["gcn_pca_mesh"]),
        generator.pyramid_tensors(published_pyramid(published)),
    )


def _run(build):
    """Return the shapes of a network's variables and its outputs under the golden weights."""
    with tf.Graph().as_default():
        outputs = build()
        variables = tf.global_variables()
        with tf.Session() as session:
            load_golden_variables(variables, session)
            return {v.op.name: v.shape.as_list() for v in variables}, session.run(outputs)


def _differences(ours, published):
    """Count the variables that one side lacks or has in another shape."""
    return sum(ours.get(name) != published.get(name) for name in set(ours) | set(published))
