"""Train the coefficient network (R-Net), or the mesh generator on top of it, on processed faces.

    python train.py                                   # processed_data/, published settings
    python train.py --data_path faces/ --val_data_path held_out/ --model_name my_model
    python train.py --model_name my_model --resume    # go on where it stopped
    python train.py --model gcn --coefficient_weights result/my_model/iter_200000.ckpt --model_name my_gcn
    tensorboard --logdir result/my_model

Checkpoints are result/NAME/iter_N.ckpt, each with a record iter_N.json beside it; demo.py takes
them with --use_pb 0 --pretrain_weights, and those of a mesh generator with --refine. Ctrl-C and
SIGTERM save before they stop. The published run is 200,000 steps of 16 faces.
"""

import argparse
import math
import os
import signal

from checkpoints.graph_allowlist import TRUST_GRAPH_HELP, trust_graphs
from checkpoints.variables import checkpoint_exists
from dataset.mesh_targets import MESH_TARGETS
from face_model import FACE_MODEL_HELP, load_face_model
from gcn.generator import HEADS
from gcn.losses import MeshLossWeights
from geometry.camera import IMAGE_SIZE
from identity import IDENTITY_CHOICES
from losses import LossWeights
from networks import R_NET_INPUT_SIZES
from reconstruction.weights import choose_coefficient_network
from training.mesh_generator_step import build_mesh_generator_step, initialise_mesh_generator
from training.options import IMAGENET_WEIGHTS, MODELS, PRECISIONS, SCHEDULES, SUPERVISIONS, TrainingOptions
from training.r_net_step import build_r_net_step, initialise_r_net
from training.trainer import NO_IDENTITY, train
from training.truth_losses import TruthWeights
from training.truth_step import build_truth_step
from utils.errors import SIGNALED_STATUS, InputError, log_notes, run_main

_STEPS = {"r_net": (build_r_net_step, initialise_r_net),
          "gcn": (build_mesh_generator_step, initialise_mesh_generator)}
MAX_SEED = 2 ** 32 - 1


def parse_arguments(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", choices=MODELS,
                        help="r_net: the coefficient network; gcn: the mesh generator that refines its faces")
    _add_data_arguments(parser)
    _add_optimisation_arguments(parser)
    _add_mesh_generator_arguments(parser)
    _add_run_arguments(parser)
    parser.set_defaults(**{name: value for name, value in TrainingOptions()._asdict().items()
                           if name not in ("loss_weights", "init_weights")})
    return parser.parse_args(argv)


def _add_data_arguments(parser):
    group = parser.add_argument_group("data")
    group.add_argument("--data_path", metavar="DIR", help="training faces, from preprocess_img.py or python -m synthesis")
    group.add_argument("--val_data_path", metavar="DIR", help="validation faces; None: the training faces")
    group.add_argument("--augment", action="store_true",
                       help="mirror, shift, scale and recolour the faces at random, landmarks and masks with them; "
                            "under --supervision truth: recolour, blur, add noise and cover patches")
    group.add_argument("--threads", type=_whole, help="threads that read faces; 0: one per core")
    group.add_argument("--face_model", help=FACE_MODEL_HELP)
    group.add_argument("--init_weights", metavar="PATH",
                       help="start from resnet_v1_50.ckpt, an R-Net checkpoint or an unfolded .pb (gcn: a checkpoint "
                            "of a mesh generator); 'none': from random weights; by default, for R-Net, "
                            "weights/resnet/resnet_v1_50.ckpt if it is there")


def _add_optimisation_arguments(parser):
    group = parser.add_argument_group("optimisation")
    group.add_argument("--batch_size", type=_positive, help="faces per step")
    group.add_argument("--steps", type=_positive, help="steps in all, those before --resume included")
    group.add_argument("--learning_rate", type=_positive_real, help="of Adam")
    group.add_argument("--schedule", choices=SCHEDULES,
                       help="published: two levels; cool_down: rise over --warm_up steps, stay, and fall to zero over "
                            "the last --cool_down steps")
    group.add_argument("--warm_up", type=_whole, metavar="STEPS", help="of --schedule cool_down")
    group.add_argument("--cool_down", type=_whole, metavar="STEPS", help="of --schedule cool_down")
    group.add_argument("--late_learning_rate", type=_positive_real, help="of Adam, from step --late_from")
    group.add_argument("--late_from", type=_whole, metavar="STEP", help="where the late learning rate begins")
    group.add_argument("--supervision", choices=SUPERVISIONS,
                       help="photo: render and compare with the photo, as published; truth (R-Net only): compare with "
                            "the coefficients in coeff/NAME.bin that python -m synthesis writes, without rendering")
    group.add_argument("--image_size", type=int, choices=R_NET_INPUT_SIZES,
                       help="pixels to which R-Net averages its input under --supervision truth, and ever after")
    group.add_argument("--head_rate", type=_positive_real, metavar="FACTOR",
                       help="learning rate of R-Net's last layer relative to the others', under --supervision truth")
    group.add_argument("--precision", choices=PRECISIONS,
                       help="of convolutions and matrix products; bfloat16 needs TensorFlow 2 and a recent processor")
    group.add_argument("--identity", choices=IDENTITY_CHOICES + (NO_IDENTITY,),
                       help="network of the perceptual loss, or of the mesh generator's embedding; auto: FaceNet if "
                            "its weights are there, else dlib's; none: do without")
    group.add_argument("--loss_weights", nargs="+", default=[], metavar="NAME=VALUE",
                       help="weights other than the published ones, of {}; truth: of {}; gcn: of {}".format(
                           *(", ".join(kind._fields) for kind in (LossWeights, TruthWeights, MeshLossWeights))))
    group.add_argument("--seed", type=_seed, help="of weights, order and augmentation")
    group.add_argument("--deterministic", action="store_true",
                       help="one thread, so that sums have one order: the same bits every time on one machine, but "
                            "slower; on a GPU set TF_DETERMINISTIC_OPS=1 besides")


def _add_mesh_generator_arguments(parser):
    group = parser.add_argument_group("mesh generator (--model gcn)")
    group.add_argument("--coefficient_weights", metavar="PATH",
                       help="trained coefficient network, checkpoint or .pb, which stays as it is; None: "
                            "network/FaceReconModel.pb if it is there and the face model's (without a record it "
                            "counts as BFM09's), else the one that comes along if it is the face model's")
    group.add_argument("--head", choices=HEADS,
                       help="residual: offsets to the coefficient mesh; absolute: positions, as published")
    group.add_argument("--mesh_targets", choices=MESH_TARGETS,
                       help="truth: mesh/NAME.npy beside the photos ([N, 3], dm, model space); coefficients: the "
                            "coefficient mesh, as published; auto: truth if there is a folder mesh")


def _add_run_arguments(parser):
    group = parser.add_argument_group("run")
    group.add_argument("--model_name", metavar="NAME", help="what to call the run: its folder in --result_path")
    group.add_argument("--result_path", metavar="DIR", help="folder of the runs")
    group.add_argument("--resume", action="store_true", help="go on from the newest whole checkpoint of the run")
    for name, what in (("scalar", "scalars"), ("image", "pictures and histograms"), ("val", "validations"),
                       ("checkpoint", "checkpoints")):
        group.add_argument("--{}_interval".format(name), type=_positive, metavar="STEPS", help="steps between " + what)
    group.add_argument("--keep", type=_positive, help="how many checkpoints are kept")
    group.add_argument("--val_faces", type=_positive, help="faces of a validation; rounded up to whole batches")
    group.add_argument("--trust_graph", action="store_true", help=TRUST_GRAPH_HELP)
    group.add_argument("--quiet", action="store_true", help="no progress line")


def main(argv=None):
    """Train as the arguments say."""
    arguments = parse_arguments(argv)
    if arguments.trust_graph:
        trust_graphs()
    options = _options(arguments)
    build_step, initialise = _STEPS[options.model]
    if options.supervision == "truth":
        build_step = build_truth_step
    model = load_face_model(options.face_model)
    if options.model == "gcn":
        options = options._replace(coefficient_weights=_coefficient_weights(options.coefficient_weights, model))
    print("face model: {} ({} vertices); {} steps of {} faces from {}".format(
        model.name, model.vertex_count, options.steps, options.batch_size, options.data_path), flush=True)
    outcome = train(options, model, build_step, initialise)
    print(_summary(outcome, options))
    return SIGNALED_STATUS + outcome.signal if outcome.signal else 0


def _options(arguments):
    """Return the ``TrainingOptions`` that the arguments ask for."""
    values = {name: value for name, value in vars(arguments).items() if name != "trust_graph"}
    is_gcn = arguments.model == "gcn"
    if is_gcn and arguments.supervision == "truth":
        raise InputError("--supervision truth is for R-Net; --mesh_targets truth is the mesh generator's")
    if arguments.image_size != IMAGE_SIZE and arguments.supervision != "truth":
        raise InputError("--image_size {}: only --supervision truth trains at other sizes than {}".format(
            arguments.image_size, IMAGE_SIZE))
    kind = MeshLossWeights if is_gcn else TruthWeights if arguments.supervision == "truth" else LossWeights
    values["loss_weights"] = _loss_weights(arguments.loss_weights, kind())
    if is_gcn and arguments.coefficient_weights:
        values["coefficient_weights"] = os.path.abspath(arguments.coefficient_weights)  # demo.py looks it up
    if arguments.init_weights is None and not is_gcn and checkpoint_exists(IMAGENET_WEIGHTS):
        values["init_weights"] = IMAGENET_WEIGHTS
    elif arguments.init_weights == "none":
        values["init_weights"] = None
    return TrainingOptions(**values)


def _coefficient_weights(named, model):
    """Return the path of the coefficient network below a mesh generator, or None; log notices about it."""
    weights, notices = choose_coefficient_network(named, model)
    log_notes(notices)
    return weights


def _loss_weights(settings, weights):
    """Return ``weights`` with ``NAME=VALUE`` settings applied."""
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in weights._fields:
            raise InputError("--loss_weights {}: there is no such loss; choose from {}".format(
                setting, ", ".join(weights._fields)))
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf:
            raise InputError("--loss_weights {}: must be NAME=VALUE with a number of at least 0".format(setting))
        weights = weights._replace(**{name: value})
    return weights


def _summary(outcome, options):
    """Return the last line: what was done, how fast, how well, and where it is."""
    steps = outcome.last_step - outcome.first_step
    if not steps:
        return "nothing to do: {} has {} steps already".format(
            outcome.checkpoint, outcome.last_step) if outcome.checkpoint else "stopped before the first step"
    line = "step {} of {} reached".format(outcome.last_step, options.steps)
    if outcome.signal:
        line = "stopped by {} after step {} of {}".format(
            "Ctrl-C" if outcome.signal == signal.SIGINT else "SIGTERM", outcome.last_step, options.steps)
    line += ", {} in {:.0f} s ({:.2f} images/s); loss {:.4g}".format(
        "1 step" if steps == 1 else "{} steps".format(steps), outcome.seconds, outcome.images / outcome.seconds,
        outcome.losses["total"])
    if outcome.validation:
        line += "; validation loss {:.4g}, landmarks {:.2f} px".format(
            outcome.validation["loss/total"], outcome.validation["metrics/landmark_error_pixels"])
    if outcome.broken:
        line += "; {} broken face{} skipped".format(outcome.broken, "" if outcome.broken == 1 else "s")
    return "{}; checkpoint {}".format(line, outcome.checkpoint)


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _whole(text):
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be at least 0")
    return value


def _seed(text):
    value = _whole(text)
    if value > MAX_SEED:
        raise argparse.ArgumentTypeError("must be at most {}".format(MAX_SEED))
    return value


def _positive_real(text):
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be a number above 0")
    return value


if __name__ == "__main__":
    run_main(main)
