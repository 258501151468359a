"""Make pictures of random faces with everything known about them, from a face model.

    python -m synthesis --output data/synthetic --count 2000
    python -m synthesis --output data/evaluation --count 200 --format aflw2000

``processed`` is what train.py reads: NAME.png (224x224 crop), lm/NAME.txt and lm_bin/NAME.bin (68
landmarks, y up), mask/NAME.png (skin attention), and coeff/NAME.bin (the true coefficients,
float32). ``aflw2000`` is what nme.py reads: NAME.jpg and NAME.mat with pt3d_68 and Pose_Para. The
same options give the same bytes; a second call continues where the first was stopped.
"""

import argparse
import math
import os
import signal

from face_model import FACE_MODEL_HELP, load_face_model
from geometry.camera import IMAGE_SIZE
from synthesis.contact_sheet import contact_sheet
from synthesis.dataset import PHOTO_SIZE, DatasetOptions, SyntheticDataset
from synthesis.formats import FORMATS
from utils.errors import InputError, run_main
from utils.photos import find_photos
from utils.report import Report

_MAX_SEED = 2 ** 32 - 1
_SIZES = (64, 2048)  # pixels of a photo


def parse_arguments(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for the faces")
    parser.add_argument("--count", type=_whole(1, 10 ** 7), default=1000, help="how many faces")
    parser.add_argument("--seed", type=_whole(0, _MAX_SEED), default=0, help="of the random numbers")
    parser.add_argument("--format", choices=FORMATS, default="processed", help="kind of folder")
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument("--max_yaw", type=_real(0, 90), default=90.0, help="degrees, to either side")
    parser.add_argument("--max_pitch", type=_real(0, 80), default=40.0, help="degrees, up or down")
    parser.add_argument("--max_roll", type=_real(0, 80), default=40.0, help="degrees, to either side")
    parser.add_argument("--size", type=_whole(*_SIZES),
                        help="width and height of the photos of aflw2000, {} by default; crops have {}".format(
                            PHOTO_SIZE, IMAGE_SIZE))
    parser.add_argument("--augment", type=_real(0, 2), default=1.0,
                        help="strength of blur, noise, colour casts and JPEG; 0: none")
    parser.add_argument("--occluders", type=_real(0, 10), default=1.0,
                        help="how often there are glasses, hands and bars; 0: never")
    parser.add_argument("--hair", type=_real(0, 1), default=1.0, help="how often there are hair and caps; 0: never")
    parser.add_argument("--misplacement", type=_real(0, 3), default=1.0,
                        help="how far off the crops are; 1: as of a usual detector; 0: exact")
    parser.add_argument("--backgrounds", metavar="DIR", help="photos to cut some of the backgrounds from")
    parser.add_argument("--workers", type=_whole(1, 256), default=os.cpu_count(), help="processes that paint")
    parser.add_argument("--check", metavar="FILE.png", help="draw some faces with landmarks and masks into one picture")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(argv)


def main(argv=None):
    """Make the faces that are not there yet."""
    arguments = parse_arguments(argv)
    signal.signal(signal.SIGTERM, _stop)
    options = _options(arguments)
    model = load_face_model(arguments.face_model)
    dataset = SyntheticDataset(arguments.output, model, options)
    report = Report(0, "face", "made", arguments.quiet)
    try:
        earlier = dataset.generate(arguments.count, arguments.workers, report)
    finally:
        report.close()
    if arguments.check:
        contact_sheet(arguments.output, options.kind, arguments.count, arguments.check)
    print("{} of {}{}, {:.0f} faces/s, data in {}".format(
        report.summary(), model.name, ", {} were there before".format(earlier) if earlier else "",
        report.done_count / max(report.elapsed(), 1e-3), arguments.output))
    return 0


def _options(arguments):
    size = arguments.size or (IMAGE_SIZE if arguments.format == "processed" else PHOTO_SIZE)
    if arguments.format == "processed" and size != IMAGE_SIZE:
        raise InputError("--size {}: processed faces are crops of {} pixels; --size is for --format aflw2000".format(
            size, IMAGE_SIZE))
    photos = find_photos(arguments.backgrounds) if arguments.backgrounds else []
    if arguments.backgrounds and not photos:
        raise InputError("{}: no photos here to take backgrounds from".format(arguments.backgrounds))
    return DatasetOptions(
        kind=arguments.format, seed=arguments.seed, size=size, max_yaw=arguments.max_yaw,
        max_pitch=arguments.max_pitch, max_roll=arguments.max_roll, augment=arguments.augment,
        occluders=arguments.occluders, hair=arguments.hair, misplacement=arguments.misplacement,
        backgrounds=tuple(photo.path for photo in photos))


def _stop(signal_number, frame):
    """Stop on SIGTERM as on Ctrl-C: workers finish what they write."""
    raise KeyboardInterrupt


def _whole(least, most):
    return _number(int, "a whole number", least, most)


def _real(least, most):
    return _number(float, "a number", least, most)


def _number(kind, description, least, most):
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError("must be {} from {} to {}".format(description, least, most))
        return value
    return parse


if __name__ == "__main__":
    run_main(main)
