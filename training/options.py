"""Options of a training run, with the published values as defaults.

Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (CVPRW 2019),
section 4.1, and the schedule of the GCN-ResNet variant.
"""

import math
import os
from typing import Any, NamedTuple, Optional

from losses import LossWeights
from networks import R_NET_BATCH_NORM_DECAY
from utils.paths import PROCESSED_DATA_DIR, RESULT_DIR, WEIGHTS_DIR

MODELS = ("r_net", "gcn")
SUPERVISIONS = ("photo", "truth")
PRECISIONS = ("float32", "bfloat16")
SCHEDULES = ("published", "cool_down")
IMAGENET_WEIGHTS = os.path.join(WEIGHTS_DIR, "resnet", "resnet_v1_50.ckpt")


class TrainingOptions(NamedTuple):
    """What a run is told; written beside its results."""

    data_path: str = PROCESSED_DATA_DIR
    val_data_path: Optional[str] = None  # None: the training data
    model_name: str = "model_test"
    result_path: str = RESULT_DIR
    face_model: Optional[str] = None  # as in face_model.load_face_model
    init_weights: Optional[str] = None  # checkpoint or frozen graph to start from
    identity: str = "auto"  # identity.IDENTITY_CHOICES, or "none" for no perceptual loss
    loss_weights: Any = LossWeights()  # or those of the other supervision or model

    supervision: str = "photo"  # of R-Net: "photo" as published; "truth": known coefficients
    image_size: int = 224  # of R-Net's input under "truth"
    precision: str = "float32"
    head_rate: float = 1.0  # learning rate of R-Net's heads relative to the trunk's, under "truth"

    model: str = "r_net"  # what to train: one of MODELS
    coefficient_weights: Optional[str] = None  # R-Net's, under the mesh generator
    # Of the mesh generator, gcn.generator.HEADS. Not the published "absolute": benchmarks/mesh_refinement.py says why.
    head: str = "residual"
    mesh_targets: str = "auto"  # of the mesh generator, training.mesh_targets.MESH_TARGETS

    batch_size: int = 16
    steps: int = 200000
    learning_rate: float = 1e-4
    late_learning_rate: float = 2e-5
    late_from: int = 100000  # step from which the late rate holds
    schedule: str = "published"  # or "cool_down"
    warm_up: int = 500  # steps, of "cool_down"
    cool_down: int = 2000  # the last steps, of "cool_down"
    augment: bool = False
    seed: int = 0

    scalar_interval: int = 50  # steps, as the following
    image_interval: int = 200
    val_interval: int = 1000
    checkpoint_interval: int = 10000
    keep: int = 50  # checkpoints
    val_faces: int = 64  # validated on: the same ones each time

    resume: bool = False
    deterministic: bool = False
    threads: int = 0  # that read faces; 0: one per core
    quiet: bool = False


def learning_rate_at(step, options):
    """Return the learning rate of the update after ``step`` updates.

    The published schedule has two levels. "cool_down" rises linearly, stays, and falls to zero along a
    cosine at the end: unlike a cosine over the whole run it lets a run be lengthened or ended early
    (``--resume`` with other ``--steps``) as if that had been planned from the start.
    """
    if options.schedule == "published":
        return options.learning_rate if step < options.late_from else options.late_learning_rate
    rate = options.learning_rate * min(1.0, (step + 1.0) / max(1, options.warm_up))
    left = options.steps - step
    if left < options.cool_down:
        rate *= 0.5 * (1 - math.cos(math.pi * left / options.cool_down))
    return rate


def batch_norm_decay_at(step):
    """Return the decay of the batch normalisation's moving averages after ``step`` updates.

    It rises to the published constant within some 3,000 steps. With the constant from the start,
    a tenth of the arbitrary initial averages would still be there after 770 steps, and no short
    run would be usable outside of training mode.
    """
    return min(R_NET_BATCH_NORM_DECAY, (1.0 + step) / (10.0 + step))
