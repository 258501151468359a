"""The interface between a network's graph and the training loop."""

from typing import Any, Dict, NamedTuple, Optional, Tuple

from utils.tf_compat import Tensor


class Pictures(NamedTuple):
    """Rendered predictions of a batch, as tensors or as arrays."""

    rendered: Any  # [B, 224, 224, 3] BGR, 0..255, not clipped
    mask: Any  # [B, 224, 224, 1], 1 on the face
    albedo: Any  # [B, 224, 224, 3] BGR, the face without lighting
    landmarks: Any  # [B, 68, 2] crop pixels, y up
    shape: Any  # [B, N, 3] vertices in model space, dm
    colors: Any  # [B, N, 3] RGB, lit
    # name -> (vertices [B, N, 3], colors [B, N, 3]), for TensorBoard's mesh plugin
    further_meshes: Dict[str, Tuple[Any, Any]] = {}


class TrainingStep(NamedTuple):
    """The graph of a training step.

    All fields below ``prediction`` are computed from it. To evaluate the network in inference
    mode, evaluate ``applied_prediction`` and feed the result in place of ``prediction``.
    """

    update: Any  # operation: one step of the optimizer, of ``step`` and of all moving averages
    step: Any  # variable, scalar int64: number of updates
    learning_rate: Tensor  # placeholder, scalar float32
    batch_norm_decay: Tensor  # placeholder, scalar float32
    prediction: Tensor  # in training mode (normalized by the batch)
    applied_prediction: Tensor  # in inference mode (normalized by the moving averages)
    losses: Dict[str, Tensor]  # scalar of each unweighted term, and of the weighted ``total``
    metrics: Dict[str, Tensor]  # further scalars
    gradient_norm: Tensor  # scalar, of the total loss with respect to all trained variables
    loss_gradient_norms: Dict[str, Tensor]  # scalar of each weighted term, w.r.t. the prediction
    histograms: Tensor  # serialized summary
    pictures: Optional[Pictures]
    validation_feeds: Dict[Any, Any] = {}  # feeds that mark a batch of validation faces
    published: Dict[str, Tensor] = {}  # scalars by the tags of the published code's summaries


def present_terms(terms: Any) -> Dict[str, Any]:
    """Return name -> value of the fields of a NamedTuple that are not None."""
    return {name: value for name, value in terms._asdict().items() if value is not None}
