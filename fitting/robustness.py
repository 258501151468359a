"""Weights of pixels that the face model cannot explain: hair, glasses, a hand.

They lose their weight as the fit proceeds (Geman & McClure, "Statistical methods for tomographic
image reconstruction", 1987).
"""

from utils.tf_compat import Tensor, tf

# Gray levels at which a pixel keeps a quarter of its weight: at the first step, and after half of
# them.
FIRST_ROBUST_SCALE, LAST_ROBUST_SCALE = 250.0, 150.0


def robust_scale_at(fraction: float) -> float:
    """Return the gray levels at which a pixel keeps a quarter of its weight.

    Args:
        fraction: 0..1 of all steps.
    """
    return FIRST_ROBUST_SCALE + min(1.0, 2 * fraction) * (LAST_ROBUST_SCALE - FIRST_ROBUST_SCALE)


def robust_weight(photo: Tensor, rendered: Tensor, scale: Tensor) -> Tensor:
    """Return the weight of each pixel, [B, H, W, 1]: 1 / (1 + (r / scale)^2)^2, no gradient.

    Args:
        photo, rendered: [B, H, W, 3] gray levels.
        scale: distance r at which a pixel keeps a quarter of its weight, gray levels.
    """
    squared = tf.reduce_sum(tf.square(photo - rendered), axis=-1, keepdims=True)
    return tf.stop_gradient(1.0 / tf.square(1.0 + squared / tf.square(scale)))
