"""The mesh pyramid: the face mesh at four coarser resolutions, and the matrices between them.

``python -m gcn.pyramid --face_model FILE`` builds and caches it and prints the levels, how long
they took and how well each returns the mean face; ``--pictures FOLDER`` draws them.
"""

import argparse
import os
import sys
import time
from typing import NamedTuple, Tuple

import numpy as np
import scipy.sparse

from face_model import FACE_MODEL_HELP, load_face_model
from gcn.connectivity import vertex_connectivity
from gcn.decimation import SMALLEST_MESH, boundary_vertices, decimate, oriented_part
from gcn.pictures import draw_mesh
from gcn.upsampling import upsampling_matrix
from geometry.camera import MILLIMETERS_PER_DM
from geometry.landmarks import EYES_AND_MOUTH
from utils.atomic import atomic_path
from utils.errors import InputError, run_main
from utils.numpy_files import read_npz
from utils.paths import CACHE_DIR

STEPS = 4  # from 35,709 vertices to 140, as published
REDUCTION = 4  # each level keeps a quarter of the vertices
_FORMAT = 1  # of the cached file; counted up when the construction changes


class MeshPyramid(NamedTuple):
    """Meshes from fine to coarse and the matrices that lead between them."""

    vertices: Tuple[np.ndarray, ...]  # [n, 3] float32 per level, the mean face's
    triangles: Tuple[np.ndarray, ...]  # [f, 3] int32 per level
    laplacians: Tuple[scipy.sparse.csr_matrix, ...]  # [n, n] per level, scaled to -1..1
    upsampling: Tuple[scipy.sparse.csr_matrix, ...]  # [finer, coarser] per step, barycentric
    kept: Tuple[np.ndarray, ...]  # [coarser] int64 per step, vertices of the finer level


class LevelReport(NamedTuple):
    """How well one level returns the mean face."""

    vertex_count: int
    triangle_count: int
    mean_error: float  # mm, between the mean face and itself down to this level and up again
    largest_error: float  # mm
    feature_error: float  # mm, mean over the landmarks of eyes and mouth
    boundary_error: float  # mm, mean over the vertices at the mesh's boundaries


def load_pyramid(model, folder=CACHE_DIR):
    """Return the pyramid of a face model, from the cache where it is there.

    Args:
        model: a :class:`face_model.FaceModel`.
        folder: where pyramids are kept, one file per face model.

    Returns:
        :class:`MeshPyramid`.

    Raises:
        InputError: it must be built, and libigl is missing or the mesh is not a surface.
    """
    path = _cache_path(model, folder)
    pyramid = _read(path)
    if pyramid is None or not _fits(pyramid, model.vertex_count):
        try:
            pyramid = build_pyramid(model.mean_shape, model.triangles)
        except InputError as error:
            raise InputError("{}: {}".format(model.name, error)) from None
        _write(pyramid, path)
    return pyramid


def build_pyramid(vertices, triangles, steps=STEPS, on_level=None):
    """Decimate a mesh level by level and join the levels.

    Args:
        vertices: [n, 3], dm.
        triangles: [f, 3].
        steps: how many coarser levels to make.
        on_level: called without arguments after each.

    Returns:
        :class:`MeshPyramid` with ``steps + 1`` levels.

    Raises:
        InputError: libigl is missing, or the mesh cannot be decimated that far.
    """
    levels = [(np.asarray(vertices, np.float64), oriented_part(triangles))]
    kept, upsampling = [], []
    for _ in range(steps):
        fine, fine_triangles = levels[-1]
        coarse = decimate(fine, fine_triangles, max(-(-len(fine) // REDUCTION), SMALLEST_MESH))
        kept.append(coarse.kept)
        levels.append((fine[coarse.kept], coarse.triangles))
        upsampling.append(upsampling_matrix(fine, *levels[-1]))
        if on_level:
            on_level()
    return MeshPyramid(
        vertices=tuple(np.float32(points) for points, _ in levels),
        triangles=tuple(np.int32(faces) for _, faces in levels),
        laplacians=tuple(scaled_laplacian(faces, len(points)) for points, faces in levels),
        upsampling=tuple(matrix.astype(np.float32) for matrix in upsampling),
        kept=tuple(kept))


def scaled_laplacian(triangles, count):
    """Return the normalised Laplacian of a mesh's edges, shifted to eigenvalues in -1..1.

    L - I with L = I - D^-1/2 A D^-1/2 and the largest eigenvalue taken as 2 (Defferrard et al.
    2016, section 2.1). A vertex without edges gets an empty row.

    Args:
        triangles: [f, 3].
        count: number of vertices.

    Returns:
        [count, count] ``scipy.sparse.csr_matrix`` float32, symmetric.
    """
    joined = vertex_connectivity(triangles, count).tocoo()
    degrees = np.bincount(joined.row, minlength=count)
    weights = -1.0 / np.sqrt(degrees[joined.row] * degrees[joined.col])
    return scipy.sparse.csr_matrix((np.float32(weights), (joined.row, joined.col)), shape=(count, count))


def report_levels(pyramid, landmarks):
    """Measure how well each coarser level returns the mean face.

    Args:
        pyramid: a :class:`MeshPyramid`.
        landmarks: [68] vertices of the iBUG landmarks.

    Returns:
        One :class:`LevelReport` per level below the finest.
    """
    finest, reports = pyramid.vertices[0], []
    boundary = boundary_vertices(pyramid.triangles[0], len(finest))
    for level in range(1, len(pyramid.vertices)):
        returned = pyramid.vertices[level]
        for matrix in reversed(pyramid.upsampling[:level]):
            returned = matrix @ returned
        errors = MILLIMETERS_PER_DM * np.linalg.norm(returned - finest, axis=1)
        reports.append(LevelReport(
            len(pyramid.vertices[level]), len(pyramid.triangles[level]), float(errors.mean()), float(errors.max()),
            float(errors[landmarks[EYES_AND_MOUTH]].mean()), float(errors[boundary].mean()) if boundary.any() else 0.0))
    return reports


def _cache_path(model, folder):
    return os.path.join(folder, "pyramid-{}-v{}.npz".format(model.fingerprint(), _FORMAT))


def _write(pyramid, path):
    """Cache a pyramid; matrices as their three arrays."""
    arrays = {"steps": np.array(len(pyramid.kept))}
    for name in ("vertices", "triangles", "kept"):
        arrays.update({"{}{}".format(name, i): value for i, value in enumerate(getattr(pyramid, name))})
    for name in ("laplacians", "upsampling"):
        for i, matrix in enumerate(getattr(pyramid, name)):
            for part in ("data", "indices", "indptr", "shape"):
                arrays["{}{}_{}".format(name, i, part)] = np.asarray(getattr(matrix, part))
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)


def _read(path):
    """Return a cached pyramid, or None if there is none to be trusted."""
    try:
        return _from_arrays(read_npz(path))
    except (InputError, KeyError, TypeError, ValueError):
        return None  # absent, or damaged: it is built anew


def _fits(pyramid, vertex_count):
    """Tell whether the parts of a pyramid fit each other and a face model."""
    sizes = [len(vertices) for vertices in pyramid.vertices]
    steps = list(zip(sizes, sizes[1:], pyramid.upsampling, pyramid.kept))
    numbers = pyramid.vertices + tuple(matrix.data for matrix in pyramid.laplacians + pyramid.upsampling)
    return (sizes[0] == vertex_count and len(steps) == STEPS
            and all(values.dtype == np.float32 and np.isfinite(values).all() for values in numbers)
            and all(vertices.shape == (size, 3) for size, vertices in zip(sizes, pyramid.vertices))
            and all(matrix.shape == (size, size) for size, matrix in zip(sizes, pyramid.laplacians))
            and all(matrix.shape == (fine, coarse) for fine, coarse, matrix, _ in steps)
            and all(_are_indices(kept, (coarse,), fine) for fine, coarse, _, kept in steps)
            and all(_are_indices(triangles, (len(triangles), 3), size)
                    for size, triangles in zip(sizes, pyramid.triangles)))


def _are_indices(values, shape, count):
    return values.shape == shape and values.dtype.kind in "iu" and bool(np.all((values >= 0) & (values < count)))


def _from_arrays(arrays):
    def matrix(name):
        data, indices, indptr, shape = (
            arrays["{}_{}".format(name, part)] for part in ("data", "indices", "indptr", "shape"))
        result = scipy.sparse.csr_matrix((data, indices, indptr), shape=tuple(shape))
        result.check_format(full_check=True)
        return result

    steps = int(arrays["steps"])
    return MeshPyramid(
        vertices=tuple(arrays["vertices{}".format(i)] for i in range(steps + 1)),
        triangles=tuple(arrays["triangles{}".format(i)] for i in range(steps + 1)),
        laplacians=tuple(matrix("laplacians{}".format(i)) for i in range(steps + 1)),
        upsampling=tuple(matrix("upsampling{}".format(i)) for i in range(steps)),
        kept=tuple(arrays["kept{}".format(i)] for i in range(steps)))


def parse_arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m gcn.pyramid", description=__doc__.splitlines()[0])
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument("--pictures", metavar="FOLDER", help="draw every level into this folder")
    return parser.parse_args(argv)


def main(argv=None):
    """Build a pyramid, cache it, print its figures and draw it."""
    arguments = parse_arguments(argv)
    model = load_face_model(arguments.face_model)
    times = [time.monotonic()]
    pyramid = build_pyramid(model.mean_shape, model.triangles, on_level=lambda: times.append(time.monotonic()))
    _write(pyramid, _cache_path(model, CACHE_DIR))
    sys.stdout.write(_table(model, report_levels(pyramid, model.landmarks), np.diff(times)))
    if arguments.pictures:
        for level, (vertices, triangles) in enumerate(zip(pyramid.vertices, pyramid.triangles)):
            draw_mesh(vertices, triangles, os.path.join(arguments.pictures, "level{}.png".format(level)))


def _table(model, reports, seconds):
    """Lay out the figures of all levels, one a line."""
    lines = ["{}: pyramid built in {:.1f} s; the mean face comes back within (mm)".format(
        model.name, sum(seconds)),
        "level  vertices  triangles  seconds    mean     max  eyes and mouth  boundary",
        "{:5d}  {:8,d}  {:9,d}".format(0, model.vertex_count, model.triangle_count)]
    for level, (report, time_taken) in enumerate(zip(reports, seconds), 1):
        lines.append("{:5d}  {:8,d}  {:9,d}  {:7.2f}  {:6.3f}  {:6.2f}  {:14.3f}  {:8.3f}".format(
            level, report.vertex_count, report.triangle_count, time_taken, *report[2:]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_main(main)
