"""The inputs of the mesh generator from the frozen networks: coefficients and an embedding."""

from typing import NamedTuple, Optional

import networks
from checkpoints.r_net import build_r_net
from face_model.model import FaceModel
from identity import IdentityNetwork
from utils.errors import InputError
from utils.tf_compat import Tensor, tf

# Width of an embedding -> kind of the identity network whose features it contains.
_IDENTITY_BY_WIDTH = {
    networks.POOL5_WIDTH: None,
    networks.POOL5_WIDTH + networks.AVERAGE_POOL_WIDTH: "facenet",
    networks.POOL5_WIDTH + 256: "dlib",
}


class FrozenFeatures(NamedTuple):
    """Outputs of the frozen networks for a batch of photos, without gradients."""

    coefficients: Tensor  # [B, 257]
    embedding: Tensor  # [B, E], R-Net's pool5 beside the identity network's pooled features


def build_frozen_features(
    photos: Tensor,
    path: str,
    model: FaceModel,
    identity_network: Optional[IdentityNetwork] = None,
    allow_any_op: bool = False,
) -> FrozenFeatures:
    """Build the frozen networks.

    Args:
        photos: [B, 224, 224, 3] float32 BGR, 0..255, aligned.
        path: R-Net's checkpoint, or its frozen graph with the tensors of ``FaceReconModel.pb``.
        model: the face model that decodes the coefficients.
        identity_network: the identity network; None for pool5 alone.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``.

    Returns:
        :class:`FrozenFeatures`; the static shape of the embedding includes E.

    Raises:
        InputError: the weights are missing, damaged, or were made for another face model.
    """
    with tf.name_scope("frozen"):
        network = build_r_net(path, photos, model, with_pool5=True, allow_any_op=allow_any_op)
        parts = [tf.reshape(network.pool5, [-1, networks.POOL5_WIDTH])]
        if identity_network is not None:
            parts.append(identity_network.pooled_features(photos))
        embedding = tf.concat(parts, axis=1)
        return FrozenFeatures(tf.stop_gradient(network.coefficients), tf.stop_gradient(embedding))


def identity_kind(embedding_width: int, path: str) -> Optional[str]:
    """Return the identity network of a generator's embedding: ``"facenet"``, ``"dlib"`` or None.

    Args:
        embedding_width: E, the rows of the generator's first weights.
        path: its checkpoint, for the message.

    Raises:
        InputError: no combination of networks has this width.
    """
    if embedding_width not in _IDENTITY_BY_WIDTH:
        raise InputError(
            "{}: its mesh generator reads {} features, which no identity network here gives; "
            "choose another checkpoint".format(path, embedding_width)
        )
    return _IDENTITY_BY_WIDTH[embedding_width]
