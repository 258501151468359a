"""Time preprocess_img.py, detection included: ``python -m benchmarks.preprocess [--json]``.

Photos of 500 pixels. Start-up is apart: the rate is that of the photos by which the larger of two
runs is larger.
"""

import tempfile

import numpy as np

from benchmarks.commands import absolute, run_command
from benchmarks.measuring import row_main
from benchmarks.photo_set import write_photos
from utils.errors import run_main

GOAL = 15  # photos a second


def measure(arguments):
    """Return the row."""
    few, many = arguments.photos // 8, arguments.photos
    seconds = {few: [], many: []}
    for _ in range(arguments.repetitions):
        for count in seconds:
            seconds[count].append(preprocess_seconds(count))
    rates = (many - few) / np.subtract(seconds[many], seconds[few])
    row = absolute("preprocess_img.py, detection included, 500 px", float(np.median(rates)), "photos/s", GOAL, True)
    start_up = np.median(seconds[few]) - few / np.median(rates)
    return dict(row, photos=many, start_up_seconds=float(start_up), repetitions=arguments.repetitions)


def preprocess_seconds(count):
    """Return how long preprocess_img.py takes for so many photos, its start included."""
    with tempfile.TemporaryDirectory() as photos, tempfile.TemporaryDirectory() as output:
        write_photos(photos, count, with_points=False)
        run = run_command("preprocess_img.py", "--img_path", photos, "--save_path", output, "--quiet")
        if not run.output.startswith("{} photos preprocessed in".format(count)):
            raise RuntimeError(run.output)
        return run.seconds


def _flags(parser):
    parser.add_argument("--photos", type=int, default=160, help="in the larger run")
    parser.set_defaults(repetitions=7)


def main(argv=None):
    """Measure and print."""
    return row_main(__doc__.splitlines()[0], measure, argv, _flags)


if __name__ == "__main__":
    run_main(main)
