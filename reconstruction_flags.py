"""The flags that every command which reconstructs faces has in common."""

import argparse
import os
import sys

from face_model import FACE_MODEL_HELP
from face_pipeline import FacePipeline
from fitting import DEFAULT_STEPS
from mesh_refinement import coefficient_weights
from workspace.errors import InputError
from workspace.example import example_photo
from workspace.paths import INPUT_DIR, NETWORK_DIR
from workspace.photos import find_photos

FROZEN_NETWORK = os.path.join(NETWORK_DIR, "FaceReconModel.pb")


def add_reconstruction_flags(parser):
    """Add the flags for weights, face model, detector and fitting to an ``ArgumentParser``."""
    parser.add_argument("--use_pb", type=int, choices=(0, 1), default=1,
                        help="1: the frozen network/FaceReconModel.pb, if it is there; 0: --pretrain_weights")
    parser.add_argument("--pretrain_weights", metavar="CKPT",
                        help="checkpoint of the coefficient network, e.g. result/NAME/iter_N.ckpt; for --use_pb 0; "
                             "that of a mesh generator stands for the network it was trained on")
    parser.add_argument("--method", choices=("auto", "fit", "network", "both"), default="auto",
                        help="fit: analysis by synthesis; network: one forward pass; both: the network's answer, "
                             "then refined by fitting; auto: network where its weights are, else fit")
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument("--detector", choices=("auto", "mtcnn", "dlib"), default="auto", help="face detector")
    parser.add_argument("--batch_size", type=positive, default=8, help="faces worked on together")
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS, help="photometric steps of fitting")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_input_flag(parser):
    """Add ``--input`` to an ``ArgumentParser``; see :func:`input_photos`."""
    parser.add_argument("--input", nargs="+", default=[INPUT_DIR], metavar="PATH", help="photos, or folders of photos")


def input_photos(paths):
    """Return the photos that ``--input`` means; an empty input folder stands for the example portrait.

    Args:
        paths: list of files and folders.

    Returns:
        A list of ``workspace.photos.Photo``, at least one.

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


def make_pipeline(arguments, model, all_faces=False, refine=None):
    """Return the ``FacePipeline`` that the parsed flags ask for.

    Raises:
        InputError: weights are asked for and missing.
    """
    return FacePipeline(model, method=arguments.method, weights=network_weights(arguments), steps=arguments.steps,
                        detector=arguments.detector, all_faces=all_faces, refine=refine)


def network_weights(arguments):
    """Return the path of the coefficient network's weights, or None to fit.

    Raises:
        InputError: weights are asked for and missing.
    """
    if arguments.method == "fit":
        return None
    if arguments.pretrain_weights:
        return coefficient_weights(arguments.pretrain_weights)
    if not arguments.use_pb:
        raise InputError("--use_pb 0 needs --pretrain_weights, e.g. result/my_model/iter_200000.ckpt")
    if os.path.isfile(FROZEN_NETWORK):
        return FROZEN_NETWORK
    if arguments.method in ("network", "both"):
        raise InputError("{}: missing, and --method {} needs it; network/README.md says where it comes from".format(
            FROZEN_NETWORK, arguments.method))
    return None


def positive(text):
    """Parse a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
