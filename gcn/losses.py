"""The mesh generator's losses: landmarks in the photo, and a target mesh.

The target is the coefficient mesh in the published system, or the true mesh if it is known.
"""

from typing import NamedTuple, Optional

from losses import landmark_loss
from utils.tf_compat import Tensor, tf


class MeshLossWeights(NamedTuple):
    """Weight of each term in the total loss; the defaults are the published ones."""

    landmark: float = 1.6e-3
    shape: float = 100.0
    normal: float = 100.0


class MeshLosses(NamedTuple):
    """The unweighted terms, each a scalar tensor."""

    landmark: Tensor  # pixels squared, as in R-Net's losses
    shape: Tensor  # dm squared
    normal: Tensor  # differences of unit vectors, squared


def mesh_losses(
    landmarks: Tensor,
    labels: Tensor,
    vertices: Tensor,
    target: Tensor,
    normals: Tensor,
    target_normals: Tensor,
) -> MeshLosses:
    """Return the three unweighted terms.

    The published terms compare posed meshes. A common pose changes neither distances nor angles,
    so meshes and normals may also be given in model space.

    Args:
        landmarks: [B, 68, 2] crop pixels, y up, of the posed generated mesh.
        labels: [B, 68, 2] crop pixels, y up, of the photo.
        vertices: [B, N, 3] dm, the generated mesh.
        target: [B, N, 3] dm, in the same space.
        normals: [B, N, 3] unit vertex normals of ``vertices``.
        target_normals: [B, N, 3] unit vertex normals of ``target``.
    """
    return MeshLosses(
        landmark_loss(landmarks, labels),
        shape_loss(vertices, target),
        normal_loss(normals, target_normals),
    )


def shape_loss(vertices: Tensor, target: Tensor) -> Tensor:
    """Return ||vertices - target||^2 / (2 * number of elements)."""
    return tf.reduce_mean(tf.square(vertices - target)) / 2.0


def normal_loss(normals: Tensor, target: Tensor) -> Tensor:
    """Return the mean square over all elements of the difference of unit normals."""
    return tf.reduce_mean(tf.square(normals - target))


def total_mesh_loss(losses: MeshLosses, weights: Optional[MeshLossWeights] = None) -> Tensor:
    """Return the weighted sum of the terms.

    Args:
        losses: the unweighted terms.
        weights: their weights; None for the published ones.
    """
    weights = weights or MeshLossWeights()
    return tf.add_n([weight * loss for weight, loss in zip(weights, losses)])
