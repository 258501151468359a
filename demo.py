"""Reconstruct faces from photos: 3-D shape, texture, pose and light.

    python demo.py                                    # photos in input/, results in output/
    python demo.py --input photos/ me.jpg --output results/
    python demo.py --use_pb 0 --pretrain_weights result/my_model/iter_200000.ckpt

For each face NAME.mat (images, coefficients, shape, texture, landmarks), NAME_mesh.obj (mesh
with vertex colours) and NAME.png (photo and reconstruction) are written. Faces are fitted by
analysis by synthesis unless weights of the coefficient network are there.
"""

import argparse
import os
import sys

from face_model import FACE_MODEL_HELP, load_face_model
from face_pipeline import FacePipeline
from fitting import DEFAULT_STEPS
from workspace.errors import InputError, run_main
from workspace.example import example_photo
from workspace.paths import INPUT_DIR, NETWORK_DIR, OUTPUT_DIR
from workspace.photos import find_photos
from workspace.report import Report

FROZEN_NETWORK = os.path.join(NETWORK_DIR, "FaceReconModel.pb")


def parse_arguments(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--input", nargs="+", default=[INPUT_DIR], metavar="PATH", help="photos, or folders of photos")
    parser.add_argument("--output", default=OUTPUT_DIR, metavar="DIR", help="folder for the results")
    parser.add_argument("--use_pb", type=int, choices=(0, 1), default=1,
                        help="1: the frozen network/FaceReconModel.pb, if it is there; 0: --pretrain_weights")
    parser.add_argument("--pretrain_weights", metavar="CKPT",
                        help="checkpoint of the coefficient network, e.g. result/NAME/iter_N.ckpt; for --use_pb 0")
    parser.add_argument("--method", choices=("auto", "fit", "network", "both"), default="auto",
                        help="fit: analysis by synthesis; network: one forward pass; both: the network's answer, "
                             "then refined by fitting; auto: network where its weights are, else fit")
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument("--detector", choices=("auto", "mtcnn", "dlib"), default="auto", help="face detector")
    parser.add_argument("--all_faces", action="store_true", help="every face of a photo instead of the largest")
    parser.add_argument("--batch_size", type=_positive, default=8, help="faces worked on together")
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS, help="photometric steps of fitting")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(argv)


def main(argv=None):
    """Reconstruct every photo that the arguments name."""
    arguments = parse_arguments(argv)
    photos = _photos(arguments.input)
    weights = _network_weights(arguments)
    model = load_face_model(arguments.face_model)
    os.makedirs(arguments.output, exist_ok=True)
    pipeline = FacePipeline(model, method=arguments.method, weights=weights, steps=arguments.steps,
                            detector=arguments.detector, all_faces=arguments.all_faces)
    print("face model: {} ({} vertices); coefficients: {}".format(
        model.name, model.vertex_count, pipeline.description))
    report = Report(len(photos), "face", "reconstructed", arguments.quiet)
    pipeline.run(photos, arguments.output, arguments.batch_size, report)
    report.close()
    print("{}, results in {}".format(report.summary(), arguments.output))
    return 0 if report.done_count else 1


def _photos(paths):
    """Return the photos to work on; an empty input folder stands for the example portrait."""
    photos = find_photos(paths)
    if photos:
        return photos
    if paths != [INPUT_DIR]:
        raise InputError("{}: no photos here (looked for .jpg, .png, .webp, .tif, .bmp)".format(", ".join(paths)))
    example = example_photo()
    sys.stderr.write("{}: no photos here yet; using the public-domain portrait of Eileen Collins (NASA) that "
                     "scikit-image ships\n".format(INPUT_DIR))
    return [example]


def _network_weights(arguments):
    """Return the path of the coefficient network's weights, or None to fit."""
    if arguments.method == "fit":
        return None
    if arguments.pretrain_weights:
        return arguments.pretrain_weights
    if not arguments.use_pb:
        raise InputError("--use_pb 0 needs --pretrain_weights, e.g. result/my_model/iter_200000.ckpt")
    if os.path.isfile(FROZEN_NETWORK):
        return FROZEN_NETWORK
    if arguments.method in ("network", "both"):
        raise InputError("{}: missing, and --method {} needs it; network/README.md says where it comes from".format(
            FROZEN_NETWORK, arguments.method))
    return None


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


if __name__ == "__main__":
    run_main(main)
