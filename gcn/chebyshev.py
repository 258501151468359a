"""Convolution on a graph by Chebyshev polynomials of its Laplacian (Defferrard et al., NIPS 2016).

A filter of order K is sum_k T_k(L) x W_k, with T_0 = 1, T_1 = L, T_k = 2 L T_(k-1) - T_(k-2).

Signals are kept vertices first, [N, B, F], so that a product with a sparse matrix over the
vertices needs no transposition: it is one product with [N, B F].
"""

from typing import Any, NamedTuple, Optional

import numpy as np
import scipy.sparse

from utils.tf_compat import Tensor, tf

CHEBYSHEV_ORDER = 6  # K of the published generator
_INITIAL_DEVIATION = 0.1  # of the initial weights, a truncated normal


class Laplacian(NamedTuple):
    """The scaled Laplacian L, and 2 L for the recurrence, as constants of a TensorFlow graph."""

    once: Any  # [N, N] SparseTensor, symmetric, eigenvalues in -1..1
    twice: Any  # [N, N] SparseTensor


def laplacian_tensors(matrix: scipy.sparse.spmatrix) -> Laplacian:
    """Make a :class:`Laplacian` of a scipy sparse matrix in the current graph."""
    return Laplacian(sparse_tensor(matrix), sparse_tensor(2.0 * matrix))


def sparse_tensor(matrix: scipy.sparse.spmatrix) -> Any:
    """Make a constant ``tf.SparseTensor`` of a scipy sparse matrix."""
    entries = matrix.tocsr().tocoo()  # row by row, for the kernels
    indices = np.stack([entries.row, entries.col], axis=1).astype(np.int64)
    return tf.SparseTensor(indices, entries.data.astype(np.float32), entries.shape)


def chebyshev_convolution(
    signal: Tensor,
    laplacian: Optional[Laplacian],
    width: int,
    *,
    order: int = CHEBYSHEV_ORDER,
    initializer: Any = None,
) -> Tensor:
    """Filter a signal on a graph, creating ``weights`` in the current variable scope.

    Args:
        signal: [N, B, F] float32.
        laplacian: Laplacian of the graph; unused if ``order`` is 1.
        width: number of output features.
        order: K, the number of polynomials; 1 mixes the features of each vertex alone.
        initializer: initializer of the weights; by default the published truncated normal.

    Returns:
        [N, B, width].
    """
    features = int(signal.shape[2])
    weights = tf.get_variable(
        "weights",
        [features * order, width],
        tf.float32,
        initializer or tf.truncated_normal_initializer(stddev=_INITIAL_DEVIATION),
    )
    if width < features:
        return _filter_outputs(signal, laplacian, weights, order)
    return _filter_inputs(signal, laplacian, weights, order)


def sparse_product(matrix: Any, signal: Tensor) -> Tensor:
    """Multiply a matrix over the vertices with a signal.

    Args:
        matrix: [M, N] ``tf.SparseTensor``.
        signal: [N, B, F].

    Returns:
        [M, B, F].
    """
    features = int(signal.shape[2])
    product = tf.sparse_tensor_dense_matmul(matrix, _flat(signal))
    return tf.reshape(product, [int(matrix.shape[0]), -1, features])


def _filter_inputs(signal: Tensor, laplacian: Any, weights: Tensor, order: int) -> Tensor:
    """Apply the polynomials first: sparse products as wide as the input."""
    count, features, width = int(signal.shape[0]), int(signal.shape[2]), int(weights.shape[1])

    # 1. T_k(L) x by the recurrence
    terms = [signal]
    if order > 1:
        terms.append(sparse_product(laplacian.once, signal))
    for _ in range(2, order):
        terms.append(sparse_product(laplacian.twice, terms[-1]) - terms[-2])

    # 2. One product with all weights. Joining whole terms copies F numbers at a time; interleaving
    # them, in the order of the weights, would copy single numbers.
    joined = tf.reshape(tf.concat(terms, axis=2), [-1, order * features])
    by_order = tf.reshape(_weights_by_order(weights, order), [order * features, width])
    return tf.reshape(tf.matmul(joined, by_order), [count, -1, width])


def _filter_outputs(signal: Tensor, laplacian: Any, weights: Tensor, order: int) -> Tensor:
    """Apply the weights first and sum by Clenshaw's recurrence: products as wide as the output."""
    count, features, width = int(signal.shape[0]), int(signal.shape[2]), int(weights.shape[1])

    # 1. x W_k
    rows = tf.reshape(signal, [-1, features])
    terms = [
        tf.reshape(tf.matmul(rows, matrix), [count, -1, width])
        for matrix in tf.unstack(_weights_by_order(weights, order))
    ]
    if order == 1:
        return terms[0]

    # 2. Clenshaw's recurrence, from the highest order
    later, current = tf.zeros_like(terms[-1]), terms[-1]
    for term in terms[-2:0:-1]:
        later, current = current, term + sparse_product(laplacian.twice, current) - later
    return terms[0] + sparse_product(laplacian.once, current) - later


def _weights_by_order(weights: Tensor, order: int) -> Tensor:
    """Turn weights [F K, width], F outermost, into [K, F, width]."""
    features, width = int(weights.shape[0]) // order, int(weights.shape[1])
    return tf.transpose(tf.reshape(weights, [features, order, width]), [1, 0, 2])


def _flat(signal: Tensor) -> Tensor:
    """View [N, B, F] as [N, B F]."""
    return tf.reshape(signal, [int(signal.shape[0]), -1])
