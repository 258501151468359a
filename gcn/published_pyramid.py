"""The mesh pyramid of the published code, which published generators were trained on.

It consists of eighteen ``.npz`` files, scipy sparse matrices: ``adjacency0`` to ``adjacency4``,
``laplacians0`` to ``laplacians4``, ``downsamp_trans0`` to ``downsamp_trans3`` and
``upsamp_trans0`` to ``upsamp_trans3``. Rows of its upsampling, a least-squares fit, need not sum
to 1, and its coarse vertices are others than those of ``gcn.pyramid.build_pyramid``: no other
pyramid replaces it.
"""

import os
from typing import Any, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import scipy.sparse

from utils.errors import InputError
from utils.numpy_files import read_npz
from utils.paths import NETWORK_DIR, REPO_ROOT

LEVELS = 5
# Folders in which users have the files: ours, and the one of the published repository.
FOLDERS = (os.path.join(NETWORK_DIR, "gcn_pyramid"), os.path.join(REPO_ROOT, "data"))
_LARGEST_ENTRY = 1e3  # published entries are below 2


class PublishedMatrices(NamedTuple):
    """The matrices of the published pyramid, finest first."""

    laplacians: Tuple[scipy.sparse.csr_matrix, ...]  # L - I of each level
    upsampling: Tuple[scipy.sparse.csr_matrix, ...]  # [finer, coarser] per step
    kept: Tuple[np.ndarray, ...]  # [coarser] int64 per step, vertices of the finer level


def find_published_pyramid(folders: Optional[Sequence[str]] = None) -> Optional[str]:
    """Return the folder with the files of the published pyramid, or None.

    Args:
        folders: candidates; None for :data:`FOLDERS`.
    """
    for folder in FOLDERS if folders is None else folders:
        if os.path.isfile(os.path.join(folder, "laplacians0.npz")):
            return folder
    return None


def published_vertex_count(folder: str) -> int:
    """Return the number of vertices of the finest level.

    Raises:
        InputError: the file is damaged.
    """
    return _read_matrix(folder, "laplacians0").shape[0]


def read_published_pyramid(folder: str) -> PublishedMatrices:
    """Read the published pyramid.

    Args:
        folder: folder with the eighteen files.

    Raises:
        InputError: a file is missing or damaged, or the files do not fit each other.
    """
    # 1. L of each level without its identity
    laplacians = []
    for level in range(LEVELS):
        matrix = _read_matrix(folder, "laplacians{}".format(level))
        shifted = matrix - scipy.sparse.identity(matrix.shape[0], np.float32, "csr")
        shifted.eliminate_zeros()
        laplacians.append(shifted.tocsr())

    # 2. upsampling, and the vertices that downsampling picks
    sizes = [matrix.shape[0] for matrix in laplacians]
    upsampling, kept = [], []
    for step, (fine, coarse) in enumerate(zip(sizes, sizes[1:])):
        name = "upsamp_trans{}".format(step)
        upsampling.append(_require_shape(folder, name, _read_matrix(folder, name), (fine, coarse)))
        name = "downsamp_trans{}".format(step)
        down = _require_shape(folder, name, _read_matrix(folder, name), (coarse, fine))
        kept.append(_picked_vertices(folder, name, down))
    for level, size in enumerate(sizes):
        name = "laplacians{}".format(level)
        _require_shape(folder, name, laplacians[level], (size, size))
    return PublishedMatrices(tuple(laplacians), tuple(upsampling), tuple(kept))


def _read_matrix(folder: str, name: str) -> scipy.sparse.csr_matrix:
    """Read a matrix that ``scipy.sparse.save_npz`` wrote, as float32."""
    path = os.path.join(folder, name + ".npz")
    if not os.path.isfile(path):
        raise InputError(
            "{}: missing; the published mesh pyramid has 18 files, copy all of them".format(path)
        )
    try:
        arrays = read_npz(path)
        matrix = _build_matrix(arrays)
    except (KeyError, TypeError, ValueError):
        raise InputError("{}: not a sparse matrix of scipy; copy it again".format(path)) from None
    if not np.all(np.abs(matrix.data) <= _LARGEST_ENTRY):
        raise InputError("{}: holds implausible numbers; copy it again".format(path))
    return matrix


def _build_matrix(arrays: Any) -> scipy.sparse.csr_matrix:
    """Return the matrix of the arrays of ``scipy.sparse.save_npz``."""
    kinds = {b"csr": scipy.sparse.csr_matrix, b"csc": scipy.sparse.csc_matrix}
    kind = kinds[bytes(arrays["format"].item())]
    shape = tuple(int(size) for size in arrays["shape"])
    matrix = kind((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
    matrix.check_format(full_check=True)
    result = matrix.tocsr().astype(np.float32)
    result.sort_indices()
    return result


def _require_shape(
    folder: str, name: str, matrix: scipy.sparse.csr_matrix, shape: Tuple[int, int]
) -> scipy.sparse.csr_matrix:
    """Return the matrix, or raise an InputError if it does not fit the other levels."""
    if matrix.shape != shape:
        raise InputError(
            "{}: has the shape {} instead of {}; the files belong to different pyramids".format(
                os.path.join(folder, name + ".npz"), list(matrix.shape), list(shape)
            )
        )
    return matrix


def _picked_vertices(folder: str, name: str, down: scipy.sparse.csr_matrix) -> np.ndarray:
    """Return the vertex that each row of a downsampling matrix picks."""
    if np.any(np.diff(down.indptr) != 1) or np.any(down.data != 1):
        raise InputError(
            "{}: does not pick one vertex per row; copy it again".format(
                os.path.join(folder, name + ".npz")
            )
        )
    return down.indices.astype(np.int64)
