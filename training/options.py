"""Options of a training run, with the published values as defaults.

Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (CVPRW 2019),
section 4.1, and the schedule of the GCN-ResNet variant.
"""

import os
from typing import NamedTuple, Optional

from losses import LossWeights
from networks import R_NET_BATCH_NORM_DECAY
from workspace.paths import PROCESSED_DATA_DIR, RESULT_DIR, WEIGHTS_DIR

MODELS = ("r_net", "gcn")
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
    loss_weights: LossWeights = LossWeights()

    model: str = "r_net"  # what to train: one of MODELS
    coefficient_weights: Optional[str] = None  # R-Net's, under the mesh generator
    head: str = "absolute"  # of the mesh generator, gcn.generator.HEADS
    mesh_targets: str = "auto"  # of the mesh generator, training.mesh_targets.MESH_TARGETS

    batch_size: int = 16
    steps: int = 200000
    learning_rate: float = 1e-4
    late_learning_rate: float = 2e-5
    late_from: int = 100000  # step from which the late rate holds
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
    """Return the learning rate of the update after ``step`` updates."""
    return options.learning_rate if step < options.late_from else options.late_learning_rate


def batch_norm_decay_at(step):
    """Return the decay of the batch normalisation's moving averages after ``step`` updates.

    It rises to the published constant within some 3,000 steps. With the constant from the start,
    a tenth of the arbitrary initial averages would still be there after 770 steps, and no short
    run would be usable outside of training mode.
    """
    return min(R_NET_BATCH_NORM_DECAY, (1.0 + step) / (10.0 + step))
