"""The published mesh pyramid and a generator on it; a suite of ``tests/parity.py``."""

import os
import zlib
from typing import Any, Iterator, NamedTuple

import numpy as np

from gcn import generator
from gcn.laplacian import normalize_adjacency
from gcn.published_pyramid import LEVELS, _read_matrix, read_published_pyramid
from gcn.pyramid import MeshPyramid
from utils.tf_compat import tf

LAPLACIAN_TOLERANCE, GENERATOR_TOLERANCE = 1e-6, 1e-4
FOLDER = "gcn_pyramid"
_EMBEDDING_WIDTH = 3840


class Comparison(NamedTuple):
    """Two matrices or arrays to compare."""

    name: str
    ours: Any
    published: Any
    tolerance: float


def laplacians(golden: str) -> Iterator[Comparison]:
    """Yield the Laplacian of each level: from the published adjacency, and the published one."""
    folder = os.path.join(golden, FOLDER)
    for level in range(LEVELS):
        if os.path.isfile(os.path.join(folder, "adjacency{}.npz".format(level))):
            ours = normalize_adjacency(_read_matrix(folder, "adjacency{}".format(level)))
            theirs = _read_matrix(folder, "laplacians{}".format(level))
            identity = np.ones(theirs.shape[0], np.float32)
            theirs.setdiag(theirs.diagonal() - identity)
            difference = abs(ours - theirs).max()
            yield Comparison("Laplacian {}".format(level), difference, 0.0, LAPLACIAN_TOLERANCE)


def published_generator(golden: str) -> Comparison:
    """Return the vertices of the published generator on its own pyramid."""
    folder = os.path.join(golden, FOLDER)
    published = np.load(os.path.join(folder, "published_generator.npz"), allow_pickle=False)["out"]
    matrices = read_published_pyramid(folder)
    sizes = [matrix.shape[0] for matrix in matrices.laplacians]
    pyramid = MeshPyramid(
        vertices=tuple(np.zeros((size, 3), np.float32) for size in sizes),
        triangles=(),
        laplacians=matrices.laplacians,
        upsampling=matrices.upsampling,
        kept=matrices.kept,
    )
    latent = np.abs(np.random.RandomState(5).standard_normal((4, _EMBEDDING_WIDTH)))
    meshes = 0.5 * np.random.RandomState(6).standard_normal((4, sizes[0], 3))
    with tf.Graph().as_default(), tf.Session() as session:
        mesh = generator.generate_mesh(
            tf.constant(np.float32(latent[:1])),
            tf.constant(np.float32(meshes[:1])),
            generator.pyramid_tensors(pyramid),
        )
        for variable in tf.global_variables():
            variable.load(_value(variable.op.name, variable.shape.as_list()), session)
        vertices = session.run(mesh.vertices)
    return Comparison("published generator", vertices, published, GENERATOR_TOLERANCE)


def _value(name: str, shape: Any) -> np.ndarray:
    """Return the value under which the generator was measured."""
    if name.split("/")[-1].startswith("bias"):
        return np.full(shape, 0.1, np.float32)
    noise = np.random.RandomState(zlib.crc32(name.encode()) & 0xFFFFFFFF).standard_normal(shape)
    return np.float32(0.1 * np.clip(noise, -2, 2))
