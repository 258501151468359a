"""Train the coefficient network (R-Net), or the mesh generator on top of it, on processed faces.

    python train.py                                   # processed_data/, published settings
    python train.py --data_path faces/ --val_data_path held_out/ --model_name my_model
    python train.py --model_name my_model --resume    # continue an interrupted run
    python train.py --model gcn --coefficient_weights result/my_model/iter_9.ckpt --model_name gcn
    python train.py --workers 4                       # four processes share each batch
    python train.py --model gcn --head absolute       # the published mesh generator
    tensorboard --logdir result/my_model

Checkpoints are result/NAME/iter_N.ckpt, each with a record iter_N.json beside it; demo.py reads
them with --use_pb 0 --pretrain_weights, and those of a mesh generator with --refine. Ctrl-C and
SIGTERM save before they stop. The published runs have 200,000 steps of 16 faces, those of the
mesh generator 500,000.
"""

if __name__ == "__main__":  # before the imports below, which take a second
    from utils.errors import end_on_interrupt

    end_on_interrupt()

import argparse
import functools
import math
import os
import signal
import sys
from typing import Any, List, Optional, Sequence

from checkpoints.c_net import digest_weights
from checkpoints.graph_allowlist import TRUST_GRAPH_HELP
from checkpoints.record import read_record
from checkpoints.variables import checkpoint_exists
from dataset.mesh_targets import MESH_TARGETS
from face_model import FACE_MODEL_HELP, FaceModel, load_face_model
from gcn.generator import HEADS
from gcn.losses import MeshLossWeights
from gcn.pyramid import (
    OWN_PYRAMID,
    PUBLISHED_PYRAMID,
    has_published_pyramid,
    recorded_pyramid,
)
from gcn.refiner import load_pyramid_of
from identity import IDENTITY_CHOICES
from losses import LossWeights
from networks import LANDMARK_NET_INPUT_SIZE, R_NET_INPUT_SIZES
from reconstruction.network_choice import choose_coefficient_network
from training.cluster import (
    ENVIRONMENT,
    Cluster,
    LoneWorker,
    read_membership,
    start_workers,
)
from training.coefficient_losses import CoefficientLossWeights
from training.options import (
    DEFAULT_STEPS,
    IMAGENET_WEIGHTS,
    MODELS,
    NO_IDENTITY,
    PRECISIONS,
    SCHEDULES,
    SUPERVISIONS,
    TrainingOptions,
)
from training.run_folder import plain_run_name
from training.tasks import find_task
from training.trainer import Outcome, Task, train
from utils.arguments import non_negative_int, positive_float, positive_int, seed
from utils.errors import SIGNALED_STATUS, InputError, log_notes, run_main

# Metrics of a validation that the last line of output names.
_VALIDATION_PHRASES = (
    ("metrics/landmark_error_pixels", "landmarks {:.2f} px"),
    ("metrics/plain_average_mm", "plain average {:.4g}"),
    ("metrics/single_photo_mm", "single photos {:.4g}"),
)
PYRAMID_CHOICES = ("auto", "own", "published")


def parse_arguments(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--model",
        choices=MODELS,
        help="r_net: the coefficient network; gcn: the mesh generator that refines its faces; "
        "c_net: the confidences of photos of one person, on sets of python -m synthesis "
        "--photos_per_person; "
        "landmarks: the landmark network, on faces of python -m synthesis, at {} pixels".format(
            LANDMARK_NET_INPUT_SIZE
        ),
    )
    _add_data_arguments(parser)
    _add_schedule_arguments(parser)
    _add_supervision_arguments(parser)
    _add_mesh_generator_arguments(parser)
    _add_run_arguments(parser)
    defaults = TrainingOptions()._asdict()
    del defaults["loss_weights"]  # these three depend on other arguments
    del defaults["init_weights"]
    del defaults["steps"]
    del defaults["coefficient_digest"]
    defaults["pyramid"] = "auto"
    parser.set_defaults(**defaults)
    arguments = parser.parse_args(argv)
    if arguments.model == "c_net":
        arguments.supervision = "truth"
    if arguments.model == "landmarks":
        arguments.supervision, arguments.image_size = "truth", LANDMARK_NET_INPUT_SIZE
    if arguments.steps is None:
        arguments.steps = DEFAULT_STEPS[arguments.model]
    return arguments


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data_path",
        metavar="DIR",
        help="training faces, from preprocess_img.py or python -m synthesis",
    )
    group.add_argument(
        "--val_data_path", metavar="DIR", help="validation faces; None: the training faces"
    )
    group.add_argument(
        "--augment",
        action="store_true",
        help="mirror, shift, scale and recolor the faces at random, with their landmarks and "
        "masks; under --supervision truth: recolor, blur, add noise and cover patches",
    )
    group.add_argument(
        "--threads", type=non_negative_int, help="threads that read faces; 0: one per core"
    )
    group.add_argument("--face_model", help=FACE_MODEL_HELP)
    group.add_argument(
        "--init_weights",
        metavar="PATH",
        help="initial weights: resnet_v1_50.ckpt, an R-Net checkpoint or an unfolded .pb (gcn: a "
        "checkpoint of a mesh generator); 'none': random weights; default for R-Net: "
        "weights/resnet/resnet_v1_50.ckpt if present",
    )


def _add_schedule_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("optimization")
    group.add_argument("--batch_size", type=positive_int, help="faces per step, of all workers")
    group.add_argument(
        "--steps",
        type=positive_int,
        help="steps in all, including those before --resume; None: {r_net} for --model r_net and "
        "{gcn} for --model gcn, as published; {landmarks} for landmarks, {c_net} for c_net".format(
            **DEFAULT_STEPS
        ),
    )
    group.add_argument("--learning_rate", type=positive_float, help="learning rate of Adam")
    group.add_argument(
        "--schedule",
        choices=SCHEDULES,
        help="published: two levels; cool_down: rise over --warm_up steps, stay constant, and fall "
        "to zero over the last --cool_down steps",
    )
    group.add_argument(
        "--warm_up",
        type=non_negative_int,
        metavar="STEPS",
        help="length of the rise under --schedule cool_down",
    )
    group.add_argument(
        "--cool_down",
        type=non_negative_int,
        metavar="STEPS",
        help="length of the fall under --schedule cool_down",
    )
    group.add_argument(
        "--late_learning_rate",
        type=positive_float,
        help="learning rate of Adam after step --late_from",
    )
    group.add_argument(
        "--late_from",
        type=non_negative_int,
        metavar="STEP",
        help="last step, counted from 0, that has the first learning rate",
    )
    group.add_argument("--seed", type=seed, help="seed of weights, order and augmentation")
    group.add_argument(
        "--deterministic",
        action="store_true",
        help="use one thread, so that sums have one order: same bits on the same machine, but "
        "slower; on a GPU, also set TF_DETERMINISTIC_OPS=1",
    )
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="precision of convolutions and matrix products; bfloat16 needs TensorFlow 2 and a "
        "recent processor",
    )


def _add_supervision_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("supervision")
    group.add_argument(
        "--supervision",
        choices=SUPERVISIONS,
        help="photo: render and compare with the photo, as published; truth (R-Net only): compare "
        "with the coefficients in coeff/NAME.bin (from python -m synthesis), without rendering",
    )
    group.add_argument(
        "--image_size",
        type=int,
        choices=R_NET_INPUT_SIZES,
        help="input resolution of R-Net (area-averaged from 224); stored with the checkpoint; "
        "other sizes than 224 need --supervision truth",
    )
    group.add_argument(
        "--head_rate",
        type=positive_float,
        metavar="FACTOR",
        help="learning rate of R-Net's heads relative to the trunk's, under --supervision truth",
    )
    group.add_argument(
        "--identity",
        choices=IDENTITY_CHOICES + (NO_IDENTITY,),
        help="network of the perceptual loss, or of the mesh generator's embedding; auto: FaceNet "
        "if its weights are present, else dlib's; none: no such network",
    )
    group.add_argument(
        "--loss_weights",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="loss weights other than the published ones: {}; under --supervision truth: {}; of "
        "the mesh generator: {}".format(
            *(
                ", ".join(kind._fields)
                for kind in (LossWeights, CoefficientLossWeights, MeshLossWeights)
            )
        ),
    )


def _add_mesh_generator_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("mesh generator (--model gcn)")
    group.add_argument(
        "--coefficient_weights",
        metavar="PATH",
        help="trained coefficient network, checkpoint or .pb, which remains unchanged; None: "
        "network/FaceReconModel.pb if present and compatible with the face model (without a "
        "record it counts as BFM09's), else the network shipped with the repository if compatible",
    )
    group.add_argument(
        "--head",
        choices=HEADS,
        help="residual: offsets to the coefficient mesh; absolute: positions, as published",
    )
    group.add_argument(
        "--pyramid",
        choices=PYRAMID_CHOICES,
        help="mesh pyramid; published: the 18 files in network/gcn_pyramid or data; own: built "
        "from the face model; auto: that of the generator in --init_weights, else the published "
        "one if its files have the vertices of the face model, else own",
    )
    group.add_argument(
        "--mesh_targets",
        choices=MESH_TARGETS,
        help="truth: mesh/NAME.npy beside the photos ([N, 3], dm, model space); coefficients: the "
        "coefficient mesh, as published; auto: truth if the folder mesh exists",
    )


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument(
        "--model_name",
        metavar="NAME",
        help="name of the run and of its folder in --result_path; ./NAME is the same",
    )
    group.add_argument("--result_path", metavar="DIR", help="folder of the runs")
    group.add_argument(
        "--resume", action="store_true", help="continue from the newest whole checkpoint of the run"
    )
    intervals = {
        "scalar": "scalars",
        "image": "pictures and histograms",
        "val": "validations",
        "checkpoint": "checkpoints",
    }
    for name, outputs in intervals.items():
        group.add_argument(
            "--{}_interval".format(name),
            type=positive_int,
            metavar="STEPS",
            help="steps between " + outputs,
        )
    group.add_argument("--keep", type=positive_int, help="number of checkpoints to keep")
    group.add_argument(
        "--val_faces",
        type=positive_int,
        help="number of faces of a validation, rounded up to whole batches",
    )
    group.add_argument(
        "--workers",
        type=positive_int,
        help="processes on this machine that share each batch, one a GPU if there are several; "
        "clusters of machines are described by {}, see docs/cluster.md".format(ENVIRONMENT),
    )
    group.add_argument("--trust_graph", action="store_true", help=TRUST_GRAPH_HELP)
    group.add_argument("--quiet", action="store_true", help="hide the progress line")


def main(argv: Optional[List[str]] = None) -> int:
    """Train a network; returns the exit status."""
    arguments = parse_arguments(argv)
    task = _choose_task(arguments)
    options = _read_options(arguments, task)
    membership = read_membership(os.environ)
    if membership is None:
        words = sys.argv[1:] if argv is None else list(argv)
        command = [sys.executable, sys.argv[0]] + words + ["--workers", "1"]
        with start_workers(options.workers, command) as cluster:
            return _train(arguments, options, task, cluster)
    if options.workers > 1:
        raise InputError(
            "--workers {}: {} describes a cluster already; leave one of them out".format(
                options.workers, ENVIRONMENT
            )
        )
    options = options._replace(workers=len(membership.hosts))
    return _train(arguments, options, task, Cluster(membership))


def _train(
    arguments: argparse.Namespace, options: TrainingOptions, task: Task, cluster: LoneWorker
) -> int:
    """Train as one worker of a cluster, or alone; returns the exit status."""
    # 1. Face model and networks.
    model = load_face_model(options.face_model)
    if options.model == "c_net":
        options = _settle_coefficient_weights(options, model)
    if options.model == "gcn":
        weights = _choose_coefficient_weights(options.coefficient_weights, model)
        pyramid = _choose_pyramid(arguments.pyramid, options.init_weights, model)
        options = options._replace(coefficient_weights=weights, pyramid=pyramid)
        if arguments.trust_graph:
            builder = functools.partial(task.build_step, allow_any_op=True)
            task = task._replace(build_step=builder)

    # 2. Training.
    if cluster.is_chief:
        print(
            "face model: {} ({} vertices); {} steps of {} faces from {}".format(
                model.name, model.vertex_count, options.steps, options.batch_size, options.data_path
            ),
            flush=True,
        )
    outcome = train(options, model, task, cluster)
    if cluster.is_chief:
        print(_summarize(outcome, options))
    return SIGNALED_STATUS + outcome.signal if outcome.signal else 0


def _choose_task(arguments: argparse.Namespace) -> Task:
    """Return the task of --model and --supervision."""
    task = find_task(arguments.model, arguments.supervision)
    if task is None:
        raise InputError(
            "--supervision truth trains R-Net only; train the mesh generator with --mesh_targets "
            "truth"
        )
    if arguments.image_size not in task.image_sizes:
        raise InputError(
            "--image_size {}: only --supervision truth trains at other sizes than {}".format(
                arguments.image_size, task.image_sizes[0]
            )
        )
    return task


def _read_options(arguments: argparse.Namespace, task: Task) -> TrainingOptions:
    """Convert the arguments to training options."""
    elsewhere = ("trust_graph", "pyramid")  # settled when the face model is known
    values = {name: value for name, value in vars(arguments).items() if name not in elsewhere}
    values["model_name"] = plain_run_name(arguments.model_name)
    values["loss_weights"] = _set_loss_weights(arguments.loss_weights, task.loss_weights())
    if arguments.model in ("gcn", "c_net") and arguments.coefficient_weights:
        # demo.py finds the network by this path, possibly from another working folder.
        values["coefficient_weights"] = os.path.abspath(arguments.coefficient_weights)
    is_r_net = arguments.model == "r_net"
    if arguments.init_weights is None and is_r_net and checkpoint_exists(IMAGENET_WEIGHTS):
        values["init_weights"] = IMAGENET_WEIGHTS
    elif arguments.init_weights == "none":
        values["init_weights"] = None
    return TrainingOptions(**values)


def _choose_coefficient_weights(named: Optional[str], model: FaceModel) -> Optional[str]:
    """Return the coefficient network below a mesh generator, or None; log notices about it."""
    weights, notices = choose_coefficient_network(named, model)
    log_notes(notices)
    return weights


def _settle_coefficient_weights(options: TrainingOptions, model: FaceModel) -> TrainingOptions:
    """Return options that name the coefficient network below C-Net.

    Raises:
        InputError: there is none for the face model.
    """
    weights = _choose_coefficient_weights(options.coefficient_weights, model)
    if weights is None:
        raise InputError(
            "C-Net needs a trained coefficient network; give its checkpoint or frozen graph as "
            "--coefficient_weights"
        )
    return options._replace(coefficient_weights=weights, coefficient_digest=digest_weights(weights))


def _choose_pyramid(requested: str, init_weights: Optional[str], model: FaceModel) -> str:
    """Return the name of the mesh pyramid of a run.

    Args:
        requested: one of :data:`PYRAMID_CHOICES`.
        init_weights: checkpoint of the mesh generator to start from, or None.
        model: the face model.

    Raises:
        InputError: the generator to start from was trained on another pyramid.
    """
    # 1. the requested pyramid, None for the best one
    names = {"own": OWN_PYRAMID, "published": PUBLISHED_PYRAMID}
    name = names.get(requested)

    # 2. a generator continues on its own pyramid only
    if init_weights and checkpoint_exists(init_weights):
        trained = recorded_pyramid(read_record(init_weights))
        if name not in (None, trained):
            raise InputError(
                "{}: was trained on another mesh pyramid ({}) than --pyramid {}; leave that flag "
                "out".format(init_weights, trained, requested)
            )
        load_pyramid_of(init_weights, model, trained)
        return trained
    if name is None:
        return PUBLISHED_PYRAMID if has_published_pyramid(model) else OWN_PYRAMID
    return name


def _set_loss_weights(settings: Sequence[str], weights: Any) -> Any:
    """Return ``weights`` with ``NAME=VALUE`` settings applied."""
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in weights._fields:
            raise InputError(
                "--loss_weights {}: there is no such loss; choose from {}".format(
                    setting, ", ".join(weights._fields)
                )
            )
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf:
            raise InputError(
                "--loss_weights {}: must be NAME=VALUE with a number of at least 0".format(setting)
            )
        weights = weights._replace(**{name: value})
    return weights


def _summarize(outcome: Outcome, options: TrainingOptions) -> str:
    """Return the last line of output: steps, speed, losses, and the newest checkpoint."""
    steps = outcome.last_step - outcome.first_step
    if not steps:
        if not outcome.checkpoint:
            return "stopped before the first step"
        return "nothing to do: {} has {} steps already".format(
            outcome.checkpoint, outcome.last_step
        )

    # 1. Steps.
    line = "step {} of {} reached".format(outcome.last_step, options.steps)
    if outcome.signal:
        line = "stopped by {} after step {} of {}".format(
            "Ctrl-C" if outcome.signal == signal.SIGINT else "SIGTERM",
            outcome.last_step,
            options.steps,
        )
    line += ", {} in {:.0f} s ({:.2f} images/s); loss {:.4g}".format(
        "1 step" if steps == 1 else "{} steps".format(steps),
        outcome.seconds,
        outcome.images / outcome.seconds,
        outcome.losses["total"],
    )

    # 2. Validation, broken faces, checkpoint.
    if outcome.validation:
        line += "; validation loss {:.4g}".format(outcome.validation["loss/total"])
        for tag, phrase in _VALIDATION_PHRASES:
            if tag in outcome.validation:
                line += ", " + phrase.format(outcome.validation[tag])
    if outcome.broken:
        line += "; {} broken face{} skipped".format(
            outcome.broken, "" if outcome.broken == 1 else "s"
        )
    return "{}; checkpoint {}".format(line, outcome.checkpoint)


if __name__ == "__main__":
    run_main(main)
