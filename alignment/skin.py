"""Skin attention mask: the probability of skin in each pixel, by its color alone.

Naive Bayes over two mixtures of four Gaussians each in YCbCr, as in "Accurate 3D Face
Reconstruction with Weakly-Supervised Learning" (Deng et al., CVPRW 2019), section 3.1; the
parameters are in ``skin_gmm.json``. Training weighs the photometric loss with the mask.
"""

import functools
import json
import os
from typing import Tuple

import numpy as np

_MIXTURES_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "skin_gmm.json")

# RGB 0..255 to YCbCr of ITU-R BT.601, 8-bit studio range.
_YCBCR_FROM_RGB = (
    np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
    / 255.0
)
_YCBCR_OFFSET = np.array([16.0, 128.0, 128.0])


def skin_mask(photo: np.ndarray) -> np.ndarray:
    """Return the posterior probability of skin of each pixel, 0..255.

    Args:
        photo: [H, W, 3] uint8 RGB.

    Returns:
        [H, W] uint8.
    """
    # 1. squared Mahalanobis distances to all components
    whiten, shift, log_weight, skin_count = _mixtures()
    pixels = np.ascontiguousarray(photo.reshape(-1, 3).T, dtype=np.float64)  # [3, H*W]
    whitened = whiten.dot(pixels)  # [components * 3, H*W]
    whitened += shift
    np.square(whitened, out=whitened)
    exponent = whitened[0::3] + whitened[1::3]  # [components, H*W]
    exponent += whitened[2::3]

    # 2. Bayes' rule
    likelihood = np.exp(log_weight - exponent)
    skin = likelihood[:skin_count].sum(axis=0)
    posterior = skin / (skin + likelihood[skin_count:].sum(axis=0))
    return np.rint(posterior * 255).astype(np.uint8).reshape(photo.shape[:2])


@functools.lru_cache(maxsize=1)
def _mixtures() -> Tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return both mixtures as one affine map of RGB, at the cost of one matrix product a pixel.

    Component k has the density exp(log_weight_k - |W_k rgb + b_k|^2), prior included.

    Returns:
        W [components * 3, 3], b [components * 3, 1], log_weight [components, 1], all float64,
        and the number of skin components, which come first.
    """
    with open(_MIXTURES_PATH) as file:
        constants = json.load(file)
    prior = constants["prior_skin"]
    whiten, shift, log_weight = [], [], []
    for mixture, weight in (("skin", prior), ("non_skin", 1 - prior)):
        for component in constants[mixture]:
            # (v' C^-1 v) / 2 = |root v|^2 with root' root = C^-1 / 2
            root = np.linalg.cholesky(np.array(component["inv_cov"]) / 2).T
            whiten.append(root.dot(_YCBCR_FROM_RGB))
            shift.append(root.dot(_YCBCR_OFFSET - component["mean"]))
            normalization = np.sqrt((2 * np.pi) ** 3 * component["det_cov"])
            log_weight.append(np.log(weight * component["weight"] / normalization))
    return (
        np.concatenate(whiten).astype(np.float64),
        np.concatenate(shift)[:, None].astype(np.float64),
        np.array(log_weight, np.float64)[:, None],
        len(constants["skin"]),
    )
