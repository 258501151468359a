"""BFM09's licensed pieces, made of random numbers in their true sizes."""

import os
import shutil
from typing import Any, Dict, NamedTuple, Optional

import numpy as np
import scipy.io

from face_model import bfm
from utils.mat_files import write_mat

COMPONENTS = 199
INDEX_FILES = ("BFM_front_idx.mat", "BFM_exp_idx.mat", "facemodel_info.mat", "std_exp.txt")


class Pieces(NamedTuple):
    """The written arrays, as input of a conversion by hand."""

    folder: str
    basel: dict
    components: np.ndarray  # [79, 3 * 53215]
    deviations: np.ndarray
    trim: np.ndarray  # shape vertex of each expression vertex, counted from 0
    front: np.ndarray  # chosen expression vertices, counted from 0


def write_random_pieces(
    folder: str, front_count: int = 700, index_folder: Optional[str] = None
) -> Pieces:
    """Write all pieces into ``folder``; copy index files from ``index_folder`` if given."""
    random = np.random.RandomState(5)
    basel = _write_basel(folder, random)
    components = _write_expressions(folder, random)
    if index_folder:
        for name in INDEX_FILES:
            shutil.copy(os.path.join(index_folder, name), folder)
    else:
        _write_indices(folder, random, front_count)
    trim = (
        scipy.io.loadmat(os.path.join(folder, "BFM_exp_idx.mat"))["trimIndex"]
        .reshape(-1)
        .astype(int)
        - 1
    )
    front = (
        scipy.io.loadmat(os.path.join(folder, "BFM_front_idx.mat"))["idx"].reshape(-1).astype(int)
        - 1
    )
    deviations = np.loadtxt(os.path.join(folder, "std_exp.txt")).reshape(-1)
    return Pieces(folder, basel, components, deviations, trim, front)


def direct_rows(pieces: Pieces, vertices: np.ndarray) -> Dict[str, np.ndarray]:
    """Convert some vertices by hand: arrays [len(vertices), 3(, K)] by FaceModel field."""
    shape_rows = 3 * pieces.trim[pieces.front[vertices]][:, np.newaxis] + np.arange(3)
    expression_rows = 3 * pieces.front[vertices][:, np.newaxis] + np.arange(3)
    basel = pieces.basel
    return {
        "mean_shape": basel["shapeMU"][shape_rows, 0] / 1e5,
        "identity_basis": basel["shapePC"][shape_rows][..., :80] * basel["shapeEV"][:80, 0] / 1e5,
        "expression_basis": np.moveaxis(pieces.components[:64][:, expression_rows], 0, -1)
        * pieces.deviations[:64]
        / 1e5,
        "mean_albedo": basel["texMU"][shape_rows, 0],
        "albedo_basis": basel["texPC"][shape_rows][..., :80] * basel["texEV"][:80, 0],
    }


def _write_basel(folder, random):
    rows = 3 * bfm.SHAPE_VERTEX_COUNT
    # A random row times a random column is quicker than 160,470 x 199 random numbers.
    pattern = random.standard_normal(COMPONENTS).astype(np.float32)
    column = random.standard_normal((rows, 1)).astype(np.float32)
    basel = {
        "shapeMU": (random.standard_normal((rows, 1)) * 6e4).astype(np.float32),
        "shapePC": column * pattern,
        "shapeEV": np.linspace(900, 1, COMPONENTS)[:, np.newaxis],
        "texMU": (random.uniform(60, 200, (rows, 1))).astype(np.float32),
        "texPC": column[::-1] * pattern,
        "texEV": np.linspace(50, 1, COMPONENTS)[:, np.newaxis],
    }
    write_mat_file(os.path.join(folder, "01_MorphableModel.mat"), basel)
    return basel


def _write_expressions(folder, random):
    rows = 3 * bfm.EXPRESSION_VERTEX_COUNT
    components = random.standard_normal((79, rows)).astype("<f4")
    ignored_mean = np.full(rows, 1e6, "<f4")
    with open(os.path.join(folder, "Exp_Pca.bin"), "wb") as file:
        file.write(np.int32(79).tobytes() + ignored_mean.tobytes() + components.tobytes())
    return components


def _write_indices(folder, random, count):
    np.savetxt(os.path.join(folder, "std_exp.txt"), np.linspace(100, 10, 79)[np.newaxis])
    trim = random.permutation(bfm.SHAPE_VERTEX_COUNT)[: bfm.EXPRESSION_VERTEX_COUNT]
    front = np.sort(random.permutation(bfm.EXPRESSION_VERTEX_COUNT)[:count])
    write_mat_file(os.path.join(folder, "BFM_exp_idx.mat"), {"trimIndex": trim[:, np.newaxis] + 1})
    write_mat_file(os.path.join(folder, "BFM_front_idx.mat"), {"idx": front[:, np.newaxis] + 1.0})
    triangles = np.arange(count - 2)[:, np.newaxis] + np.arange(3)
    write_mat_file(
        os.path.join(folder, "facemodel_info.mat"),
        {
            "tri": triangles + 1.0,
            "point_buf": np.full((count, 8), len(triangles) + 1.0),
            "frontmask2_idx": np.arange(10, 40)[:, np.newaxis] + 1.0,
            "tri_mask2": np.array([[1.0, 2, 3], [28, 29, 30]]),
            "keypoints": np.arange(68)[np.newaxis] + 1.0,
            "skinmask": np.ones((1, count)),
        },
    )


def write_mat_file(path: str, fields: Dict[str, Any], compressed: bool = False) -> None:
    """Write a MATLAB file that depends on its content alone."""
    with open(path, "wb") as file:
        write_mat(file, fields, compressed)
