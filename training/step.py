"""What the training loop knows of a network: one structure that each kind of step fills in."""

from typing import Any, Dict, NamedTuple


class Pictures(NamedTuple):
    """What there is to see of a batch of predictions; tensors or arrays."""

    rendered: Any  # [B, 224, 224, 3] BGR, 0..255, not clipped
    mask: Any  # [B, 224, 224, 1], 1 where the face is
    albedo: Any  # [B, 224, 224, 3] BGR, the face without light
    landmarks: Any  # [B, 68, 2] crop pixels, y up
    shape: Any  # [B, N, 3] vertices in model space, dm
    colors: Any  # [B, N, 3] RGB, lit
    further_meshes: Dict[str, Any] = {}  # name -> (vertices [B, N, 3], colours [B, N, 3]), for the mesh plugin


class TrainingStep(NamedTuple):
    """The graph of a training step.

    Everything below ``prediction`` is computed from it. To judge the network as it will be
    applied, evaluate ``applied_prediction`` and feed the result in place of ``prediction``.
    """

    update: Any  # operation: one step of the optimiser, of ``step`` and of all moving averages
    step: Any  # variable, scalar int64: updates done
    learning_rate: Any  # placeholder, scalar float32
    batch_norm_decay: Any  # placeholder, scalar float32
    prediction: Any  # in training mode (normalised by the batch)
    applied_prediction: Any  # normalised by the moving averages
    losses: Dict[str, Any]  # scalar of each unweighted term, and of the weighted ``total``
    metrics: Dict[str, Any]  # further scalars
    gradient_norm: Any  # scalar, of the total loss with respect to all trained variables
    loss_gradient_norms: Dict[str, Any]  # scalar of each weighted term, with respect to ``prediction``
    histograms: Any  # serialised summary
    pictures: Pictures
    validation_feeds: Dict[Any, Any] = {}  # what tells the graph that a batch is for validation


def named(terms):
    """Return name -> value of the fields of a NamedTuple that are not None."""
    return {name: value for name, value in terms._asdict().items() if value is not None}
