"""The mesh generator's losses: landmarks in the photo, and a target mesh.

The published system's target is the coefficient mesh; where ground truth is known it can take
its place.
"""

from typing import Any, NamedTuple

from losses import landmark_loss
from utils.tf_compat import tf


class MeshLossWeights(NamedTuple):
    """Weight of each term in the total loss; the defaults are the published ones."""

    landmark: float = 1.6e-3
    shape: float = 100.0
    normal: float = 100.0


class MeshLosses(NamedTuple):
    """The unweighted terms, each a scalar tensor."""

    landmark: Any  # pixels squared, as of R-Net
    shape: Any  # dm squared
    normal: Any  # of unit vectors


def mesh_losses(landmarks, labels, vertices, target, normals, target_normals):
    """Return the three unweighted terms as :class:`MeshLosses`.

    The published terms compare posed meshes. Posing moves both alike, and distances and angles
    are what they were; so the meshes and normals may as well be given before pose.

    Args:
        landmarks, labels: [B, 68, 2] crop pixels, y up: of the posed generated mesh, and of the photo.
        vertices, target: [B, N, 3] dm, both in model space or both posed alike.
        normals, target_normals: [B, N, 3], their unit vertex normals.
    """
    return MeshLosses(landmark_loss(landmarks, labels), shape_loss(vertices, target),
                      normal_loss(normals, target_normals))


def shape_loss(vertices, target):
    """Return ||vertices - target||^2 / (2 * number of elements)."""
    return tf.reduce_mean(tf.square(vertices - target)) / 2.0


def normal_loss(normals, target):
    """Return the mean square over all elements of the difference of unit normals."""
    return tf.reduce_mean(tf.square(normals - target))


def total_mesh_loss(losses, weights=None):
    """Return the weighted sum of :class:`MeshLosses`; None means the published weights."""
    weights = weights or MeshLossWeights()
    return tf.add_n([weight * loss for weight, loss in zip(weights, losses)])
