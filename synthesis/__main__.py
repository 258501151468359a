"""Make pictures of random faces with known coefficients and landmarks, from a face model.

    python -m synthesis --output data/synthetic --count 2000
    python -m synthesis --output data/evaluation --count 200 --format aflw2000

The format ``processed`` is the input of train.py: NAME.png (224x224 crop), lm/NAME.txt and
lm_bin/NAME.bin (68 landmarks, y up), mask/NAME.png (skin attention), and coeff/NAME.bin (the true
coefficients, float32). ``aflw2000`` is the input of nme.py: NAME.jpg, and NAME.mat with pt3d_68 and
Pose_Para. The same options give the same bytes; a second call continues an interrupted one.
"""

if __name__ == "__main__":  # before the imports below, which take a second
    from utils.errors import end_on_interrupt

    end_on_interrupt()

import argparse
import math
import os
import signal
from typing import Any, Callable, Optional, Sequence

from face_model import FACE_MODEL_HELP, load_face_model
from geometry.camera import IMAGE_SIZE
from synthesis.check_picture import write_check_picture
from synthesis.dataset import FORMATS, PHOTO_SIZE, Cluster, DatasetOptions, SyntheticDataset
from utils.arguments import seed
from utils.errors import InputError, run_main
from utils.photos import find_photos
from utils.report import Report
from utils.scheduler import add_scheduler_flag

_SIZES = (64, 2048)  # pixels of a photo


def parse_arguments(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m synthesis",
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for the faces")
    parser.add_argument(
        "--count", type=_int_between(1, 10**7), default=1000, help="number of faces"
    )
    parser.add_argument("--seed", type=seed, default=0, help="seed of the random numbers")
    parser.add_argument(
        "--photos_per_person",
        type=_int_between(1, 1000),
        default=1,
        help="number of consecutive faces that are photos of one person: same identity and albedo, "
        "each with its own pose, expression and light",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="processed",
        help="processed: training data for train.py; aflw2000: photos with ground truth for nme.py",
    )
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    _add_picture_flags(parser)
    parser.add_argument(
        "--workers",
        type=_int_between(1, 256),
        default=os.cpu_count(),
        help="number of processes that paint",
    )
    parser.add_argument(
        "--check",
        metavar="FILE.png",
        help="draw some faces with their landmarks and masks into one picture",
    )
    add_scheduler_flag(parser)
    parser.add_argument("--quiet", action="store_true", help="hide the progress bar")
    return parser.parse_args(argv)


def _add_picture_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that decide the pictures."""
    parser.add_argument(
        "--max_yaw",
        type=_float_between(0, 90),
        default=90.0,
        help="largest yaw to either side, degrees",
    )
    parser.add_argument(
        "--max_pitch",
        type=_float_between(0, 80),
        default=40.0,
        help="largest pitch up or down, degrees",
    )
    parser.add_argument(
        "--max_roll",
        type=_float_between(0, 80),
        default=40.0,
        help="largest roll to either side, degrees",
    )
    parser.add_argument(
        "--size",
        type=_int_between(*_SIZES),
        help="width and height of the photos of aflw2000 in pixels, {} by default; crops always "
        "have {}".format(PHOTO_SIZE, IMAGE_SIZE),
    )
    parser.add_argument(
        "--augment",
        type=_float_between(0, 2),
        default=1.0,
        help="strength of blur, noise, color casts and JPEG; 0 for none",
    )
    parser.add_argument(
        "--occluders",
        type=_float_between(0, 10),
        default=1.0,
        help="frequency of glasses, hands and bars, relative to the usual one; 0 for none",
    )
    parser.add_argument(
        "--hair",
        type=_float_between(0, 1),
        default=1.0,
        help="frequency of hair and caps, relative to the usual one; 0 for none",
    )
    parser.add_argument(
        "--misplacement",
        type=_float_between(0, 3),
        default=1.0,
        help="strength of the crop jitter; 1: errors of a usual detector; 0: exact crops",
    )
    parser.add_argument(
        "--backgrounds", metavar="DIR", help="photos from which some backgrounds are cropped"
    )


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Make the faces that are missing in the output folder."""
    arguments = parse_arguments(argv)
    signal.signal(signal.SIGTERM, _interrupt)

    # 1. Faces.
    options = _dataset_options(arguments)
    model = load_face_model(arguments.face_model)
    dataset = SyntheticDataset(arguments.output, model, options)
    report = Report(0, "face", "made", arguments.quiet)
    try:
        cluster = None
        if arguments.scheduler:
            cluster = Cluster(arguments.scheduler, arguments.face_model)
        present = dataset.generate(arguments.count, arguments.workers, report, cluster)
    finally:
        report.close()

    # 2. Check picture and summary.
    if arguments.check:
        write_check_picture(arguments.output, options.kind, arguments.count, arguments.check)
    print(
        "{} of {}{}, {:.0f} faces/s, data in {}".format(
            report.summary(),
            model.name,
            ", {} were there before".format(present) if present else "",
            report.done_count / max(report.elapsed(), 1e-3),
            arguments.output,
        )
    )
    return 0


def _dataset_options(arguments: argparse.Namespace) -> DatasetOptions:
    """Return the options of the data set.

    Raises:
        InputError: ``--size`` does not fit the format, or ``--backgrounds`` holds no photos.
    """
    default_size = IMAGE_SIZE if arguments.format == "processed" else PHOTO_SIZE
    size = arguments.size or default_size
    if arguments.format == "processed" and size != IMAGE_SIZE:
        raise InputError(
            "--size {}: processed faces are crops of {} pixels; use --size with --format "
            "aflw2000 only".format(size, IMAGE_SIZE)
        )
    photos = find_photos(arguments.backgrounds) if arguments.backgrounds else []
    if arguments.backgrounds and not photos:
        raise InputError(
            "{}: no photos for backgrounds in this folder".format(arguments.backgrounds)
        )
    return DatasetOptions(
        kind=arguments.format,
        seed=arguments.seed,
        size=size,
        max_yaw=arguments.max_yaw,
        max_pitch=arguments.max_pitch,
        max_roll=arguments.max_roll,
        augment=arguments.augment,
        occluders=arguments.occluders,
        hair=arguments.hair,
        misplacement=arguments.misplacement,
        backgrounds=tuple(photo.path for photo in photos),
        photos_per_person=arguments.photos_per_person,
    )


def _interrupt(signal_number: int, frame: Any) -> None:
    """Handle SIGTERM like Ctrl-C: workers finish their current batch."""
    raise KeyboardInterrupt


def _int_between(least: int, most: int) -> Callable[[str], int]:
    return _number_between(int, "a whole number", least, most)


def _float_between(least: float, most: float) -> Callable[[str], float]:
    return _number_between(float, "a number", least, most)


def _number_between(
    kind: Callable[[str], Any], description: str, least: float, most: float
) -> Callable[[str], Any]:
    """Return an argparse type of numbers within a range."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                "must be {} from {} to {}".format(description, least, most)
            )
        return value

    return parse


if __name__ == "__main__":
    run_main(main)
