"""The mesh pyramid: the face mesh at four coarser resolutions, and the matrices between them.

``python -m gcn.pyramid --face_model FILE`` builds and caches it and prints for each level the time
and the error of the mean face brought back from it; ``--pictures FOLDER`` draws the levels.
"""

import argparse
import os
import sys
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import scipy.sparse

from face_model.loading import FACE_MODEL_HELP, load_face_model
from face_model.model import FaceModel
from gcn import published_pyramid
from gcn.decimation import SMALLEST_MESH, boundary_vertices, decimate, oriented_part
from gcn.laplacian import scaled_laplacian
from gcn.pictures import draw_mesh
from gcn.published_pyramid import (
    find_published_pyramid,
    published_vertex_count,
    read_published_pyramid,
)
from geometry.camera import MILLIMETERS_PER_DM
from geometry.closest_points import interpolation_matrix
from geometry.landmark_layout import EYES_AND_MOUTH
from utils.atomic import atomic_path
from utils.errors import InputError, run_main
from utils.numpy_files import read_npz
from utils.paths import CACHE_DIR

STEPS = 4  # from 35,709 vertices to 140, as published
REDUCTION = 4  # each level keeps a quarter of the vertices
_CONSTRUCTION = 2  # to be counted up when the construction changes; 1: edges of equal weight
# Names of pyramids in records: that of build_pyramid, and that of the published code.
OWN_PYRAMID, PUBLISHED_PYRAMID = "own-{}".format(_CONSTRUCTION), "published"


class MeshPyramid(NamedTuple):
    """Meshes from fine to coarse and the matrices between them."""

    vertices: Tuple[np.ndarray, ...]  # [n, 3] float32 per level, the mean face's
    triangles: Tuple[np.ndarray, ...]  # [f, 3] int32 per level
    laplacians: Tuple[scipy.sparse.csr_matrix, ...]  # [n, n] per level, scaled to -1..1
    upsampling: Tuple[scipy.sparse.csr_matrix, ...]  # [finer, coarser] per step, barycentric
    kept: Tuple[np.ndarray, ...]  # [coarser] int64 per step, vertices of the finer level


class LevelReport(NamedTuple):
    """The error of the mean face, brought down to one level and up again."""

    vertex_count: int
    triangle_count: int
    mean_error: float  # mm
    largest_error: float  # mm
    feature_error: float  # mm, mean over the landmarks of eyes and mouth
    boundary_error: float  # mm, mean over the vertices at the mesh's boundaries


def load_pyramid(model: FaceModel, name: str = OWN_PYRAMID, folder: str = CACHE_DIR) -> MeshPyramid:
    """Return a pyramid of a face model, from the cache if possible.

    Args:
        model: the face model.
        name: :data:`OWN_PYRAMID` or :data:`PUBLISHED_PYRAMID`.
        folder: cache of pyramids of our own, one file per face model.

    Raises:
        InputError: it must be built, and libigl is missing or the mesh is not a surface; the
            published pyramid is missing, damaged or has another number of vertices; or the name is
            that of an earlier construction.
    """
    if name == PUBLISHED_PYRAMID:
        return _load_published(model)
    if name != OWN_PYRAMID:
        raise InputError(
            "it was trained on the mesh pyramid {!r} of another version of this code; train it "
            "again".format(name)
        )
    path = _cache_path(model, folder)
    pyramid = _read(path, model.vertex_count)
    if pyramid is None:
        try:
            pyramid = build_pyramid(model.mean_shape, model.triangles)
        except InputError as error:
            raise InputError("{}: {}".format(model.name, error)) from None
        _write(pyramid, path)
    return pyramid


def recorded_pyramid(record: Optional[Mapping[str, Any]]) -> str:
    """Return the name of the pyramid that a generator was trained on.

    Args:
        record: record of its checkpoint; None without one, as published generators are.

    Returns:
        A name for :func:`load_pyramid`; ``"own-1"``, the first construction, if the record has
        none.
    """
    if record is None:
        return PUBLISHED_PYRAMID
    return str((record.get("options") or {}).get("pyramid") or "own-1")


def has_published_pyramid(model: FaceModel) -> bool:
    """Return True if the published pyramid is in its folder and has the vertices of a face model.

    Raises:
        InputError: its first file is damaged.
    """
    folder = find_published_pyramid()
    return folder is not None and published_vertex_count(folder) == model.vertex_count


def _load_published(model: FaceModel) -> MeshPyramid:
    """Return the published pyramid, without coarse triangles, for the vertices of a face model."""
    # 1. the files, if they belong to this face model
    folder = find_published_pyramid()
    if folder is None:
        raise InputError(
            "it needs the mesh pyramid of the published code, which is missing; put its 18 .npz "
            "files into {}".format(published_pyramid.FOLDERS[0])
        )
    matrices = read_published_pyramid(folder)
    count = matrices.laplacians[0].shape[0]
    if count != model.vertex_count:
        raise InputError(
            "the published mesh pyramid in {} has {} vertices, and the face model {} has {}; "
            "choose BFM09 with --face_model bfm".format(
                folder, count, model.name, model.vertex_count
            )
        )

    # 2. the vertices of each level
    vertices = [model.mean_shape.astype(np.float32)]
    for kept in matrices.kept:
        vertices.append(vertices[-1][kept])
    no_triangles = np.zeros((0, 3), np.int32)
    return MeshPyramid(
        vertices=tuple(vertices),
        triangles=(model.triangles.astype(np.int32),) + (no_triangles,) * len(matrices.kept),
        laplacians=matrices.laplacians,
        upsampling=matrices.upsampling,
        kept=matrices.kept,
    )


def build_pyramid(
    vertices: np.ndarray,
    triangles: np.ndarray,
    steps: int = STEPS,
    on_level: Optional[Callable[[], None]] = None,
) -> MeshPyramid:
    """Decimate a mesh level by level and join the levels.

    Args:
        vertices: [n, 3], dm.
        triangles: [f, 3].
        steps: number of coarser levels.
        on_level: function called after each.

    Returns:
        :class:`MeshPyramid` with ``steps + 1`` levels.

    Raises:
        InputError: libigl is missing, or the mesh cannot be decimated that far.
    """
    # 1. the levels, and the matrices between them
    levels = [(np.asarray(vertices, np.float64), oriented_part(triangles))]
    kept, upsampling = [], []
    for _ in range(steps):
        fine, fine_triangles = levels[-1]
        count = max(-(-len(fine) // REDUCTION), SMALLEST_MESH)
        coarse = decimate(fine, fine_triangles, count)
        kept.append(coarse.kept)
        levels.append((fine[coarse.kept], coarse.triangles))
        upsampling.append(interpolation_matrix(fine, *levels[-1]))
        if on_level:
            on_level()

    # 2. in the types of the networks, with the Laplacians
    return MeshPyramid(
        vertices=tuple(points.astype(np.float32) for points, _ in levels),
        triangles=tuple(faces.astype(np.int32) for _, faces in levels),
        laplacians=tuple(scaled_laplacian(faces, len(points)) for points, faces in levels),
        upsampling=tuple(matrix.astype(np.float32) for matrix in upsampling),
        kept=tuple(kept),
    )


def report_levels(pyramid: MeshPyramid, landmarks: np.ndarray) -> List[LevelReport]:
    """Measure the error of the mean face, brought down to each coarser level and up again.

    Args:
        pyramid: the pyramid.
        landmarks: [68] vertices of the iBUG landmarks.

    Returns:
        One :class:`LevelReport` per level below the finest.
    """
    finest = pyramid.vertices[0]
    reports = []
    boundary = boundary_vertices(pyramid.triangles[0], len(finest))
    for level in range(1, len(pyramid.vertices)):
        returned = pyramid.vertices[level]
        for matrix in reversed(pyramid.upsampling[:level]):
            returned = matrix @ returned
        errors = MILLIMETERS_PER_DM * np.linalg.norm(returned - finest, axis=1)
        reports.append(
            LevelReport(
                vertex_count=len(pyramid.vertices[level]),
                triangle_count=len(pyramid.triangles[level]),
                mean_error=float(errors.mean()),
                largest_error=float(errors.max()),
                feature_error=float(errors[landmarks[EYES_AND_MOUTH]].mean()),
                boundary_error=float(errors[boundary].mean()) if boundary.any() else 0.0,
            )
        )
    return reports


def _cache_path(model: FaceModel, folder: str) -> str:
    return os.path.join(folder, "pyramid-{}-v{}.npz".format(model.fingerprint(), _CONSTRUCTION))


def _write(pyramid: MeshPyramid, path: str) -> None:
    """Cache a pyramid; matrices as the three arrays of their format."""
    arrays: Dict[str, Any] = {"steps": np.array(len(pyramid.kept))}
    for name in ("vertices", "triangles", "kept"):
        arrays.update(
            {"{}{}".format(name, i): value for i, value in enumerate(getattr(pyramid, name))}
        )
    for name in ("laplacians", "upsampling"):
        for i, matrix in enumerate(getattr(pyramid, name)):
            for part in ("data", "indices", "indptr", "shape"):
                arrays["{}{}_{}".format(name, i, part)] = np.asarray(getattr(matrix, part))
    with atomic_path(path) as temporary:
        np.savez(temporary, **arrays)


def _read(path: str, vertex_count: int) -> Optional[MeshPyramid]:
    """Return a cached pyramid; None, to build it anew, if it is missing, damaged or unfit."""
    try:
        pyramid = _from_arrays(read_npz(path))
        return pyramid if _fits(pyramid, vertex_count) else None
    except (InputError, KeyError, TypeError, ValueError):
        return None


def _fits(pyramid: MeshPyramid, vertex_count: int) -> bool:
    """Return True if the parts of a pyramid fit each other and a face model."""
    if len(pyramid.kept) != STEPS or len(pyramid.vertices[0]) != vertex_count:
        return False
    matrices = pyramid.laplacians + pyramid.upsampling
    numbers = pyramid.vertices + tuple(matrix.data for matrix in matrices)
    if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in numbers):
        return False

    sizes = [len(vertices) for vertices in pyramid.vertices]
    levels = zip(sizes, pyramid.vertices, pyramid.triangles, pyramid.laplacians)
    steps = zip(sizes, sizes[1:], pyramid.upsampling, pyramid.kept)
    return all(_level_fits(*level) for level in levels) and all(_step_fits(*step) for step in steps)


def _level_fits(
    size: int, vertices: np.ndarray, triangles: np.ndarray, laplacian: scipy.sparse.csr_matrix
) -> bool:
    return (
        vertices.shape == (size, 3)
        and laplacian.shape == (size, size)
        and _are_indices(triangles, (len(triangles), 3), size)
    )


def _step_fits(
    fine: int, coarse: int, upsampling: scipy.sparse.csr_matrix, kept: np.ndarray
) -> bool:
    return upsampling.shape == (fine, coarse) and _are_indices(kept, (coarse,), fine)


def _are_indices(values: np.ndarray, shape: Tuple[int, ...], count: int) -> bool:
    """Return True if an array has a shape and consists of integers in 0..count - 1."""
    if values.shape != shape or values.dtype.kind not in "iu":
        return False
    return bool(np.all((values >= 0) & (values < count)))


def _from_arrays(arrays: Mapping[str, np.ndarray]) -> MeshPyramid:
    """Return the pyramid that :func:`_write` stored as arrays."""

    def matrix(name: str) -> scipy.sparse.csr_matrix:
        data, indices, indptr, shape = (
            arrays["{}_{}".format(name, part)] for part in ("data", "indices", "indptr", "shape")
        )
        result = scipy.sparse.csr_matrix((data, indices, indptr), shape=tuple(shape))
        result.check_format(full_check=True)
        return result

    steps = int(arrays["steps"])
    return MeshPyramid(
        vertices=tuple(arrays["vertices{}".format(i)] for i in range(steps + 1)),
        triangles=tuple(arrays["triangles{}".format(i)] for i in range(steps + 1)),
        laplacians=tuple(matrix("laplacians{}".format(i)) for i in range(steps + 1)),
        upsampling=tuple(matrix("upsampling{}".format(i)) for i in range(steps)),
        kept=tuple(arrays["kept{}".format(i)] for i in range(steps)),
    )


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m gcn.pyramid", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument("--pictures", metavar="FOLDER", help="draw every level into this folder")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Build a pyramid, cache it, print its figures and draw it."""
    arguments = parse_arguments(argv)
    model = load_face_model(arguments.face_model)

    # 1. build and cache
    times = [time.monotonic()]
    pyramid = build_pyramid(
        model.mean_shape, model.triangles, on_level=lambda: times.append(time.monotonic())
    )
    _write(pyramid, _cache_path(model, CACHE_DIR))

    # 2. report and draw
    reports = report_levels(pyramid, model.landmarks)
    sys.stdout.write(_format_table(model, reports, np.diff(times)))
    if arguments.pictures:
        for level, (vertices, triangles) in enumerate(zip(pyramid.vertices, pyramid.triangles)):
            path = os.path.join(arguments.pictures, "level{}.png".format(level))
            draw_mesh(vertices, triangles, path)


def _format_table(model: FaceModel, reports: List[LevelReport], seconds: np.ndarray) -> str:
    """Return the figures of all levels, one a line."""
    lines = [
        "{}: pyramid built in {:.1f} s; errors of the mean face in mm".format(
            model.name, sum(seconds)
        ),
        "level  vertices  triangles  seconds    mean     max  eyes and mouth  boundary",
        "{:5d}  {:8,d}  {:9,d}".format(0, model.vertex_count, model.triangle_count),
    ]
    for level, (report, time_taken) in enumerate(zip(reports, seconds), 1):
        lines.append(
            "{:5d}  {:8,d}  {:9,d}  {:7.2f}  {:6.3f}  {:6.2f}  {:14.3f}  {:8.3f}".format(
                level, report.vertex_count, report.triangle_count, time_taken, *report[2:]
            )
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_main(main)
