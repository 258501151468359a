"""Time preprocess_img.py, detection included: ``python -m benchmarks.preprocess [--json]``.

Photos of 500 pixels. Start-up is excluded: the rate is the difference of two runs in photos over
their difference in time.
"""

import argparse
import tempfile

import numpy as np

from benchmarks.commands import goal_row, run_command
from benchmarks.measuring import Row, row_command
from benchmarks.photo_set import write_photos
from utils.errors import run_main

GOAL = 15  # photos a second


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    few, many = arguments.photos // 8, arguments.photos
    seconds = {few: [], many: []}
    for _ in range(arguments.repetitions):
        for count in seconds:
            seconds[count].append(preprocess_seconds(count))
    rates = (many - few) / np.subtract(seconds[many], seconds[few])
    row = goal_row(
        "preprocess_img.py, detection included, 500 px",
        float(np.median(rates)),
        "photos/s",
        GOAL,
        True,
    )
    start_up = np.median(seconds[few]) - few / np.median(rates)
    return dict(
        row, photos=many, start_up_seconds=float(start_up), repetitions=arguments.repetitions
    )


def preprocess_seconds(count):
    """Return the seconds of preprocess_img.py on ``count`` photos, start-up included."""
    with tempfile.TemporaryDirectory() as photos, tempfile.TemporaryDirectory() as output:
        write_photos(photos, count, with_points=False)
        run = run_command(
            "preprocess_img.py", "--img_path", photos, "--save_path", output, "--quiet"
        )
        if not run.output.startswith("{} photo".format(count)):
            raise RuntimeError(run.output)
        return run.seconds


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photos", type=int, default=160, help="photos in the larger run")
    parser.set_defaults(repetitions=7)


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
