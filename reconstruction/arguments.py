"""The flags that every command which reconstructs faces has in common."""

import os
import sys
from concurrent import futures
from typing import Any, List, NamedTuple

from alignment.detect import detection_shortfalls
from checkpoints.graph_allowlist import TRUST_GRAPH_HELP, trust_graphs
from checkpoints.record import read_record
from face_model import FACE_MODEL_HELP, load_face_model
from fitting.photometric import DEFAULT_STEPS, REFINING_STEPS
from gcn.refiner import coefficient_weights, is_mesh_generator, network_missing, trained_on
from reconstruction.pipeline import FacePipeline
from reconstruction.regressor import (
    FROZEN_NETWORK,
    SHIPPED_NETWORK,
    frozen_network,
    named_network_notice,
    shipped_network,
)
from reconstruction.saved_results import StoredFaces
from utils.arguments import non_negative_int, positive_int
from utils.errors import InputError, log_notes
from utils.paths import INPUT_DIR
from utils.photos import example_photo, find_photos
from utils.tf_compat import tensorflow_version

_COMPLAINING = 0.02  # seconds in which a missing face model is noticed, before TensorFlow's import begins


def add_reconstruction_flags(parser):
    """Add the flags for weights, face model, detector and fitting to an ``ArgumentParser``."""
    parser.add_argument("--use_pb", type=int, choices=(0, 1), default=1,
                        help="1: the frozen network/FaceReconModel.pb, if it is there and the face model's (without "
                             "a record it counts as BFM09's); 0: --pretrain_weights")
    parser.add_argument("--pretrain_weights", metavar="CKPT",
                        help="checkpoint of the coefficient network, e.g. result/NAME/iter_N.ckpt; for --use_pb 0; "
                             "that of a mesh generator stands for the network it was trained on")
    parser.add_argument("--method", choices=("auto", "fit", "network", "both"), default="auto",
                        help="fit: analysis by synthesis; network: one forward pass; both: the network's answer, "
                             "then refined by fitting; auto: network where you put its weights (both with --steps "
                             "above 0), both with the network that comes along for the open face model, else fit")
    parser.add_argument("--refine", metavar="CKPT",
                        help="checkpoint of a mesh generator (train.py --model gcn): its mesh as well, in files called "
                             "NAME_refined; None: --pretrain_weights, if that is one")
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument("--detector", choices=("auto", "mtcnn", "dlib"), default="auto", help="face detector")
    parser.add_argument("--batch_size", type=positive_int, default=8, help="faces worked on together")
    parser.add_argument("--steps", type=non_negative_int, help="photometric steps of fitting; None: {}, or {} from a network's "
                        "answer; 0: the network's answer, or the fit to the landmarks, as it is".format(
                            DEFAULT_STEPS, REFINING_STEPS))
    parser.add_argument("--trust_graph", action="store_true", help=TRUST_GRAPH_HELP)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_photo_flags(parser, output):
    """Add the flags of commands that work on photos: ``--input``, ``--output``, ``--all_faces``, see :func:`start`.

    Args:
        parser: an ``ArgumentParser``.
        output: default of ``--output``.
    """
    parser.add_argument("--input", nargs="+", default=[INPUT_DIR], metavar="PATH", help="photos, or folders of photos")
    parser.add_argument("--output", default=output, metavar="DIR", help="folder for the results")
    parser.add_argument("--all_faces", action="store_true", help="every face of a photo instead of the largest")


def add_stored_flag(parser):
    """Add ``--coefficients`` to an ``ArgumentParser``; see :class:`reconstruction.saved_results.StoredFaces`."""
    parser.add_argument("--coefficients", metavar="DIR",
                        help="take faces as demo.py found them, from DIR/NAME.mat, instead of finding them again; "
                             "the same photos and face model are needed, and none of the flags for network and fit")


class Start(NamedTuple):
    """What a command that works on photos begins with."""

    photos: List  # of workspace.photos.Photo
    model: Any  # the FaceModel
    pipeline: Any  # a FacePipeline, or StoredFaces
    description: str  # one line for the user


def start(arguments):
    """Find the photos, load the face model, and make the pipeline.

    Args:
        arguments: parsed flags of :func:`add_photo_flags` and :func:`add_reconstruction_flags`.

    Returns:
        A :class:`Start`.

    Raises:
        InputError: there are no photos, or weights or the face model are missing or unfit.
    """
    photos = input_photos(arguments.input)
    network_weights(arguments)  # complain before the face model is read
    with futures.ThreadPoolExecutor(max_workers=1) as executor:
        model = executor.submit(load_face_model, arguments.face_model)
        if not futures.wait([model], _COMPLAINING).done:
            tensorflow_version()  # imports TensorFlow meanwhile
        model = model.result()
    pipeline = make_pipeline(arguments, model, arguments.all_faces)
    return Start(photos, model, pipeline, "face model: {} ({} vertices); coefficients: {}".format(
        model.name, model.vertex_count, pipeline.description))


def input_photos(paths):
    """Return the photos that ``--input`` means; an empty input folder stands for the example portrait.

    Args:
        paths: list of files and folders.

    Returns:
        A list of ``utils.photos.Photo``, at least one.

    Raises:
        InputError: there are none.
    """
    photos = find_photos(paths)
    if photos:
        return photos
    if paths != [INPUT_DIR]:
        raise InputError("{}: no photos here (looked for .jpg, .png, .webp, .tif, .bmp)".format(", ".join(paths)))
    example = example_photo()
    sys.stderr.write("{}: no photos here yet; using the public-domain portrait of Eileen Collins (NASA) that "
                     "scikit-image ships\n".format(INPUT_DIR))
    return [example]


def make_pipeline(arguments, model, all_faces=False):
    """Return the ``FacePipeline``, or ``StoredFaces``, that the parsed flags ask for.

    What detection must do without here, and what is doubtful about the network, is said on stderr.

    Raises:
        InputError: weights are asked for and missing.
    """
    log_notes(detection_shortfalls(arguments.detector))
    if arguments.trust_graph:
        trust_graphs()
    weights, generator = network_weights(arguments, model), mesh_generator(arguments)
    if generator:
        weights = _weights_under(generator, weights, arguments.pretrain_weights)
    if getattr(arguments, "coefficients", None):
        return StoredFaces(arguments.coefficients, model, all_faces, generator, weights)
    log_notes(_network_notices(arguments, model, weights))
    return FacePipeline(model, method=_method(arguments, weights), weights=weights, steps=arguments.steps,
                        detector=arguments.detector, all_faces=all_faces, refine=generator)


def mesh_generator(arguments):
    """Return the checkpoint of the mesh generator to refine faces with, or None."""
    if arguments.refine is None and arguments.pretrain_weights and is_mesh_generator(arguments.pretrain_weights):
        return arguments.pretrain_weights
    return arguments.refine


def _weights_under(generator, weights, named):
    """Return the coefficient network's weights to pass on beside a mesh generator.

    They stand in where the record's are not there. Only the user knows that a network is the one the generator was
    trained on, so none that was merely found may. A published generator, which has no record, was trained on the
    published network.

    Args:
        generator: prefix of its checkpoint.
        weights: that give the coefficients, or None to fit.
        named: ``--pretrain_weights``, or None.

    Raises:
        InputError: the record names weights that are not there, and the user none.
    """
    if named:
        return weights or coefficient_weights(named)
    of_published = read_record(generator) is None and weights == FROZEN_NETWORK
    if is_mesh_generator(generator) and not trained_on(generator) and not of_published:
        raise network_missing(generator)
    return weights


def _method(arguments, weights):
    """Return ``FacePipeline``'s method: who asks for steps of fitting with a network wants its answer refined."""
    refining = weights is not None and (weights == SHIPPED_NETWORK or arguments.steps)
    return "both" if arguments.method == "auto" and refining else arguments.method


def _network_notices(arguments, model, weights):
    """Return what there is to say of the coefficient network that is used, and of the one that is not: a list."""
    if arguments.method == "fit":
        return []
    sentences = [named_network_notice(weights, model) if arguments.pretrain_weights
                 else frozen_network(FROZEN_NETWORK, model)[1]]
    if arguments.method == "network" and arguments.steps:
        sentences.append("--steps {}: not used, --method network does not fit; choose both".format(arguments.steps))
    return [sentence for sentence in sentences if sentence]


def network_weights(arguments, model=None):
    """Return the path of the coefficient network's weights, or None to fit.

    A file that the user put there comes before the network that comes along, if it is for the face model.

    Args:
        arguments: parsed flags.
        model: the ``FaceModel`` in use; None if it is not read yet, and so not known whether the network
            that comes along is for it.

    Raises:
        InputError: weights are asked for and missing.
    """
    if arguments.method == "fit":
        return None
    if arguments.pretrain_weights:
        return coefficient_weights(arguments.pretrain_weights)
    if not arguments.use_pb:
        raise InputError("--use_pb 0 needs --pretrain_weights, e.g. result/my_model/iter_200000.ckpt")
    there = os.path.isfile(FROZEN_NETWORK)
    if there and (model is None or frozen_network(FROZEN_NETWORK, model)[0]):
        return FROZEN_NETWORK
    shipped = shipped_network(model) if model else None
    may_come = os.path.isfile(SHIPPED_NETWORK) and model is None
    if arguments.method in ("network", "both") and not shipped and not may_come:
        if there:
            raise InputError("{}: is for BFM09, and --method {} needs a network for {}; give one as "
                             "--pretrain_weights, or leave --method out".format(
                                 FROZEN_NETWORK, arguments.method, model.name))
        raise InputError("{}: missing, and --method {} needs it; network/README.md says where it comes from".format(
            FROZEN_NETWORK, arguments.method))
    return shipped
