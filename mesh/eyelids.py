"""Blinks that close the lids of one person exactly.

A blend shape moves the lids of every face by the same amount: large eyes stay open, and the lids of
small ones cross. Here the upper lid's movement is corrected so that its margin ends on the margin
of the lower lid.
"""

from typing import Sequence

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from face_model import FaceModel

# Blend shape -> landmarks of the margin of its upper and lower lid, corner to corner.
_LIDS = {
    "eyeBlinkRight": ((36, 37, 38, 39), (36, 41, 40, 39)),
    "eyeBlinkLeft": ((42, 43, 44, 45), (42, 47, 46, 45)),
}
_NEAR = 1.5  # widths of the eye around its center within which the margins are looked for
_NEIGHBORS = 3  # vertices of the margin whose movement another vertex shares


def close_lids(
    model: FaceModel, name: str, rest: np.ndarray, displacement: np.ndarray
) -> np.ndarray:
    """Return the displacement [N, 3] of a blend shape, of a blink such that it closes the lids.

    Args:
        model: a ``FaceModel``.
        name: name of the blend shape; all but the two blinks are returned unchanged.
        rest: [N, 3] the person's face at rest, looking along +z.
        displacement: [N, 3] the blend shape at full strength, in the same unit.
    """
    if name not in _LIDS:
        return displacement

    # 1. the margins of the lids, each point of the upper one with its counterpart on the lower one
    upper, lower = (_trace_margin(model, marks) for marks in _LIDS[name])
    shares = _arc_lengths(rest[upper]), _arc_lengths(rest[lower])
    lower_rest, lower_movement = (
        np.stack([np.interp(*shares, values[lower, axis]) for axis in range(3)], axis=1)
        for values in (rest, displacement)
    )
    closing = displacement[upper] - lower_movement
    opening = rest[upper] - lower_rest
    if opening[:, 1].mean() <= 0 or closing[:, 1].mean() >= 0:
        return displacement  # these lids do not close: a model of another kind

    # 2. the movement around the eye as a part of the nearest points' movement
    distances, nearest = cKDTree(rest[upper]).query(rest, k=_NEIGHBORS)
    weights = 1 / np.maximum(distances, 1e-9)
    weights /= weights.sum(axis=1, keepdims=True)
    near_closing, near_lower, missing = (
        np.einsum("nk,nkj->nj", weights, values[nearest])
        for values in (closing, lower_movement, -(opening + closing))
    )
    squared = np.maximum(np.sum(near_closing**2, axis=1), 1e-12)
    part = np.sum((displacement - near_lower) * near_closing, axis=1) / squared

    # 3. that part of what is missing between the lids
    part = np.clip(part, 0, 1) * np.any(displacement != 0, axis=1)
    return displacement + part[:, np.newaxis] * missing


def _arc_lengths(points: np.ndarray) -> np.ndarray:
    """Return the share of a curve's length up to each of its points [n, 3], 0..1."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    lengths = np.concatenate([[0], np.cumsum(steps)])
    return lengths / max(lengths[-1], 1e-12)


def _trace_margin(model: FaceModel, landmarks: Sequence[int]) -> np.ndarray:
    """Return the vertices on the shortest path along edges of the mean face through landmarks."""
    # 1. the edges around the eye
    mean = model.mean_shape.astype(np.float64)
    marks = model.landmarks[list(landmarks)]
    center = mean[marks].mean(axis=0)
    width = np.linalg.norm(mean[marks[0]] - mean[marks[-1]])
    near = np.linalg.norm(mean - center, axis=1) < _NEAR * width
    triangles = model.triangles[near[model.triangles].all(axis=1)]
    ends = np.unique(np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    lengths = np.linalg.norm(mean[ends[:, 0]] - mean[ends[:, 1]], axis=1)
    size = model.vertex_count
    graph = scipy.sparse.coo_matrix((lengths, tuple(ends.T)), shape=(size, size)).tocsr()

    # 2. from landmark to landmark
    path = [int(marks[0])]
    for start, end in zip(marks[:-1], marks[1:]):
        path += _shortest_path(graph, int(start), int(end))
    return np.array(path)


def _shortest_path(graph: scipy.sparse.csr_matrix, start: int, end: int) -> Sequence[int]:
    """Return the vertices after ``start`` up to ``end``; ``end`` alone if there is no path."""
    previous = dijkstra(graph, directed=False, indices=start, return_predecessors=True)[1]
    path = [end]
    while path[-1] != start:
        if previous[path[-1]] < 0:
            return [end]
        path.append(int(previous[path[-1]]))
    return path[-2::-1]
