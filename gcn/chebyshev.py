"""Convolution on a graph by Chebyshev polynomials of its Laplacian (Defferrard et al., NIPS 2016).

A filter of order K is sum_k T_k(L) x W_k, with T_0 = 1, T_1 = L, T_k = 2 L T_(k-1) - T_(k-2).

Signals are kept vertices first, [N, B, F], so that a product with a sparse matrix over the
vertices needs no transposition: it is one product with [N, B F].
"""

from tf_runtime import tf

CHEBYSHEV_ORDER = 6  # K of the published generator
_INITIAL_DEVIATION = 0.1  # of the truncated normal that weights start from


def chebyshev_convolution(signal, laplacian, width, *, order=CHEBYSHEV_ORDER, initializer=None):
    """Filter a signal on a graph, creating ``weights`` in the current variable scope.

    Args:
        signal: [N, B, F] float32.
        laplacian: [N, N] ``tf.SparseTensor``, symmetric, eigenvalues in -1..1; unused if ``order`` is 1.
        width: number of output features.
        order: K, the number of polynomials; 1 mixes the features of each vertex alone.
        initializer: of the weights; by default the published truncated normal.

    Returns:
        [N, B, width].
    """
    features = int(signal.shape[2])
    weights = tf.get_variable(
        "weights", [features * order, width], tf.float32,
        initializer or tf.truncated_normal_initializer(stddev=_INITIAL_DEVIATION))
    if width < features:
        return _filter_outputs(signal, laplacian, weights, order)
    return _filter_inputs(signal, laplacian, weights, order)


def sparse_product(matrix, signal):
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


def _filter_inputs(signal, laplacian, weights, order):
    """Apply the polynomials first: sparse products as wide as the input."""
    count, features, width = int(signal.shape[0]), int(signal.shape[2]), int(weights.shape[1])
    terms = [signal]
    for k in range(1, order):
        product = sparse_product(laplacian, terms[-1])
        terms.append(product if k == 1 else 2.0 * product - terms[-2])
    stacked = tf.reshape(tf.stack(terms, axis=3), [-1, features * order])  # [N B, F K], F outermost
    return tf.reshape(tf.matmul(stacked, weights), [count, -1, width])


def _filter_outputs(signal, laplacian, weights, order):
    """Apply the weights first and sum by Clenshaw's recurrence: sparse products as wide as the output."""
    count, features, width = int(signal.shape[0]), int(signal.shape[2]), int(weights.shape[1])
    pixels = tf.reshape(signal, [-1, features])
    by_order = tf.reshape(weights, [features, order, width])
    terms = [tf.reshape(tf.matmul(pixels, by_order[:, k]), [count, -1, width]) for k in range(order)]
    after, after_next = terms[-1], None
    for term in terms[-2:0:-1]:
        current = term + 2.0 * sparse_product(laplacian, after)
        if after_next is not None:
            current -= after_next
        after, after_next = current, after
    if order == 1:
        return after
    result = terms[0] + sparse_product(laplacian, after)
    return result if after_next is None else result - after_next


def _flat(signal):
    """View [N, B, F] as [N, B F]."""
    return tf.reshape(signal, [int(signal.shape[0]), -1])
