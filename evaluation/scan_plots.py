"""Pictures of distances to scans: the cumulative curve, and a map of each scan's errors."""

from typing import Any, Dict, Tuple

import numpy as np

from evaluation.scan_distance import Mesh
from geometry.normals import surface_normals
from utils.atomic import atomic_path

CURVE_END = 7.0  # mm, as in NoW's figures
MAP_END = 5.0  # mm, where the colors of maps end
_VIEWS = (("front", 0.0), ("turned by 60 degrees", 60.0))
_AMBIENT = 0.45  # share of light that does not depend on the normal
_OUTSIDE = (0.82, 0.82, 0.82)  # color of the scan outside of the face region


def draw_curves(path: str, distances: Dict[str, np.ndarray]) -> None:
    """Write the cumulative distribution of distances.

    Args:
        path: the picture to write.
        distances: label -> [P] mm.
    """
    figure, axes = _figure((7, 4.5), 1)
    for label, values in distances.items():
        share = np.linspace(0, 100, 1001)
        axes[0].plot(np.percentile(values, share), share, label=label)
    axes[0].set(
        xlim=(0, CURVE_END), ylim=(0, 100), xlabel="distance, mm", ylabel="points at or below, %"
    )
    axes[0].grid(alpha=0.3)
    axes[0].legend(loc="lower right", frameon=False)
    _save(figure, path)


def draw_error_map(
    path: str, title: str, scan: Mesh, inside: np.ndarray, distances: np.ndarray
) -> None:
    """Write a scan from the front and from the side, colored by the distances.

    Args:
        path: the picture to write.
        title: name and figures of the face.
        scan: the scan, y up and z out of the face.
        inside: [N] bool, vertices of the face region.
        distances: [P] mm, of the vertices inside, in their order.
    """
    from matplotlib import cm
    from matplotlib.colors import Normalize

    # 1. triangles of the region and around it, with a color each before shading
    reach = 1.1 * np.abs(scan.vertices[inside] - scan.vertices[inside].mean(axis=0)).max()
    center = scan.vertices[inside].mean(axis=0)
    near = np.abs(scan.vertices - center).max(axis=1) < reach
    triangles = scan.triangles[near[scan.triangles].all(axis=1)]
    values = np.zeros(len(scan.vertices))
    values[inside] = distances
    scale = cm.ScalarMappable(Normalize(0, MAP_END), "viridis")
    colors = scale.to_rgba(values[triangles].mean(axis=1))[:, :3]
    colors[~inside[triangles].all(axis=1)] = _OUTSIDE
    normals = surface_normals(scan.vertices, scan.triangles)[triangles].mean(axis=1)

    # 2. both views, the farthest triangles first
    figure, axes = _figure((9, 4.8), len(_VIEWS))
    for axis, (name, degrees) in zip(axes, _VIEWS):
        points, facing = _turn(scan.vertices - center, degrees), _turn(normals, degrees)[:, 2]
        seen = facing > 0
        corners = points[triangles[seen]]
        order = np.argsort(corners[:, :, 2].mean(axis=1))
        shade = (_AMBIENT + (1 - _AMBIENT) * facing[seen])[order, np.newaxis]
        _draw_triangles(axis, corners[order, :, :2], colors[seen][order] * shade)
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=name)
        axis.axis("off")

    # 3. title and scale
    scale.set_array(np.zeros(1))
    figure.colorbar(
        scale, ax=axes, label="distance, mm (from {:g} on in one color)".format(MAP_END)
    )
    figure.suptitle(title)
    _save(figure, path, tight=False)


def _figure(size: Tuple[float, float], count: int) -> Tuple[Any, Any]:
    """Return a figure that needs no display, and its axes side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, count, i + 1) for i in range(count)]


def _draw_triangles(axis: Any, corners: np.ndarray, colors: np.ndarray) -> None:
    from matplotlib.collections import PolyCollection

    # Edges in the color of their triangle leave no gaps between neighbors.
    axis.add_collection(
        PolyCollection(list(corners), facecolors=colors, edgecolors=colors, linewidths=0.3)
    )


def _turn(points: np.ndarray, degrees: float) -> np.ndarray:
    """Turn points [..., 3] about the vertical axis, to the right as seen."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points.dot(np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]]))


def _save(figure: Any, path: str, tight: bool = True) -> None:
    if tight:
        figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
