"""Options of a training run, with the published values as defaults.

Those of R-Net are from Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised
Learning" (CVPRW 2019), section 4.1, and their released code. The released code of the GCN-ResNet
variant trains the mesh generator with the same values, but for 500,000 steps
(:data:`DEFAULT_STEPS`) and with the head "absolute", which is not the default here.
"""

import math
import os
from typing import Any, Mapping, NamedTuple, Optional

from gcn.pyramid import OWN_PYRAMID
from losses import LossWeights
from networks import R_NET_BATCH_NORM_DECAY
from utils.paths import PROCESSED_DATA_DIR, RESULT_DIR, WEIGHTS_DIR

MODELS = ("r_net", "gcn", "landmarks", "c_net")
SUPERVISIONS = ("photo", "truth")
PRECISIONS = ("float32", "bfloat16")
SCHEDULES = ("published", "cool_down")
IMAGENET_WEIGHTS = os.path.join(WEIGHTS_DIR, "resnet", "resnet_v1_50.ckpt")
NO_IDENTITY = "none"
BATCH_NORM_DECAYS = ("constant", "ramp")  # of the moving averages; the first as published
# Steps of a run, by network; the first two are the published ones.
DEFAULT_STEPS = {"r_net": 200000, "gcn": 500000, "landmarks": 6000, "c_net": 3000}


class TrainingOptions(NamedTuple):
    """Options of a run; they are recorded beside its results."""

    data_path: str = PROCESSED_DATA_DIR
    val_data_path: Optional[str] = None  # None: the training data
    model_name: str = "model_test"
    result_path: str = RESULT_DIR
    face_model: Optional[str] = None  # see face_model.load_face_model
    init_weights: Optional[str] = None  # checkpoint or frozen graph to start from
    identity: str = "auto"  # one of identity.IDENTITY_CHOICES, or NO_IDENTITY
    loss_weights: Any = LossWeights()  # or those of another training.tasks.Task

    # Task
    model: str = "r_net"  # network to train: one of MODELS
    supervision: str = "photo"  # "photo": as published; "truth": known coefficients (R-Net only)
    precision: str = "float32"

    # R-Net under supervision "truth"
    image_size: int = 224  # width and height of the input, pixels
    head_rate: float = 1.0  # learning rate of the heads relative to the trunk's

    # Mesh generator and C-Net
    coefficient_weights: Optional[str] = None  # of the R-Net below it
    coefficient_digest: Optional[str] = None  # of these weights, for C-Net

    # Mesh generator
    pyramid: str = OWN_PYRAMID  # name of its mesh pyramid, see gcn.pyramid.load_pyramid
    # One of gcn.generator.HEADS. The published one, "absolute", is less accurate: see
    # benchmarks/mesh_refinement.py.
    head: str = "residual"
    mesh_targets: str = "auto"  # one of dataset.mesh_targets.MESH_TARGETS

    # Optimization
    batch_size: int = 16
    steps: int = DEFAULT_STEPS["r_net"]
    learning_rate: float = 1e-4
    late_learning_rate: float = 2e-5
    late_from: int = 100000  # last step, counted from 0, that has the first rate
    schedule: str = "published"  # or "cool_down"
    warm_up: int = 500  # steps, of "cool_down"
    cool_down: int = 2000  # last steps, of "cool_down"
    augment: bool = False
    # One of BATCH_NORM_DECAYS; None: see choose_batch_norm_decay. The mesh generator has none.
    batch_norm_decay: Optional[str] = None
    seed: int = 0

    # Intervals in steps
    scalar_interval: int = 50
    image_interval: int = 200
    val_interval: int = 1000
    checkpoint_interval: int = 10000
    keep: int = 50  # number of checkpoints
    val_faces: int = 64  # number of faces of a validation, the same ones each time

    # Run
    resume: bool = False
    deterministic: bool = False
    threads: int = 0  # reading faces; 0: one per core
    workers: int = 1  # processes that share each batch
    quiet: bool = False


def learning_rate_at(step: int, options: TrainingOptions) -> float:
    """Return the learning rate of the update after ``step`` updates.

    The published schedule has two levels, the first one up to and including the step
    ``late_from``, as in ``tf.train.piecewise_constant``. "cool_down" rises linearly, stays
    constant, and falls to zero along a cosine in the last steps. In contrast to a cosine over the
    whole run, it allows a run to be lengthened or ended early (``--resume`` with other ``--steps``)
    with the same result as if that had been planned from the start.
    """
    if options.schedule == "published":
        return options.learning_rate if step <= options.late_from else options.late_learning_rate
    rate = options.learning_rate * min(1.0, (step + 1.0) / max(1, options.warm_up))
    left = options.steps - step
    if left < options.cool_down:
        rate *= 0.5 * (1 - math.cos(math.pi * left / options.cool_down))
    return rate


def choose_batch_norm_decay(
    options: TrainingOptions, resumed: Optional[Mapping[str, Any]] = None
) -> str:
    """Return how the moving averages of a run decay, one of :data:`BATCH_NORM_DECAYS`.

    It is the published constant for given weights, whose averages are meaningful and must not be
    forgotten within a few steps, and the ramp for random weights. A resumed run continues as it
    began.

    Args:
        options: options of the run.
        resumed: record of the checkpoint from which the run continues; None for a new run.
            Records without this option are of earlier versions, which always used the ramp.
    """
    constant, ramp = BATCH_NORM_DECAYS
    if resumed is not None:
        is_constant = resumed.get("options", {}).get("batch_norm_decay") == constant
    else:
        is_constant = options.init_weights is not None
    return constant if is_constant else ramp


def batch_norm_decay_at(step: int, options: TrainingOptions) -> float:
    """Return the decay of the batch normalization's moving averages after ``step`` updates.

    The ramp rises to the published constant within some 3,000 steps. With that constant from the
    start, a tenth of the arbitrary averages of random weights would remain after 770 steps, and
    networks of short runs would be useless in inference mode.
    """
    if options.batch_norm_decay == "ramp":
        return min(R_NET_BATCH_NORM_DECAY, (1.0 + step) / (10.0 + step))
    return R_NET_BATCH_NORM_DECAY
