"""What the frozen networks give the mesh generator of a photo: coefficients and an embedding."""

from typing import Any, NamedTuple

import networks
from checkpoints.r_net import build_r_net
from utils.errors import InputError
from utils.tf_compat import tf

# Which identity network an embedding contains follows from its width.
_IDENTITY_BY_WIDTH = {
    networks.POOL5_WIDTH: None,
    networks.POOL5_WIDTH + networks.AVERAGE_POOL_WIDTH: "facenet",
    networks.POOL5_WIDTH + 256: "dlib",
}


class FrozenFeatures(NamedTuple):
    """What the frozen networks say of a batch of photos; no gradient flows into them."""

    coefficients: Any  # [B, 257]
    embedding: Any  # [B, E], R-Net's pool5 beside the identity network's pooled features


def frozen_features(photos, path, model, identity_network=None):
    """Build the frozen networks.

    Args:
        photos: [B, 224, 224, 3] float32 BGR, 0..255, aligned.
        path: R-Net's checkpoint, or its frozen graph with the tensors of ``FaceReconModel.pb``.
        model: the ``FaceModel`` that is to decode the coefficients.
        identity_network: an ``identity.IdentityNetwork``, or None for pool5 alone.

    Returns:
        :class:`FrozenFeatures`; E is known.

    Raises:
        InputError: the weights are missing, damaged, or were made for another face model.
    """
    with tf.name_scope("frozen"):
        network = build_r_net(path, photos, model, with_pool5=True)
        parts = [tf.reshape(network.pool5, [-1, networks.POOL5_WIDTH])]
        if identity_network is not None:
            parts.append(identity_network.pooled_features(photos))
        return FrozenFeatures(*(tf.stop_gradient(part) for part in (network.coefficients, tf.concat(parts, axis=1))))


def identity_kind(embedding_width, path):
    """Return which identity network a generator was trained with: ``"facenet"``, ``"dlib"`` or None.

    Args:
        embedding_width: E, the rows of the generator's first weights.
        path: of its checkpoint, for the message.

    Raises:
        InputError: no combination of networks has this width.
    """
    if embedding_width not in _IDENTITY_BY_WIDTH:
        raise InputError("{}: its mesh generator reads {} features, which no identity network here gives; choose "
                         "another checkpoint".format(path, embedding_width))
    return _IDENTITY_BY_WIDTH[embedding_width]
