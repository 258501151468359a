"""Time synthesize.py: ``python -m benchmarks.synthesize [--json]``.

Start-up is apart: the rate is that of the faces by which the larger of two runs is larger.
"""

import os
import tempfile

import numpy as np

from benchmarks.commands import absolute, run_command
from benchmarks.measuring import row_main
from workspace.errors import run_main

GOAL = 150  # faces a second
FEW = 416  # enough for the larger run's way of making masks


def measure(arguments):
    """Return the row."""
    counts = (FEW, FEW + arguments.faces)
    seconds = {count: [] for count in counts}
    for _ in range(arguments.repetitions + 1):
        for count in counts:
            with tempfile.TemporaryDirectory() as folder:
                run = run_command("synthesize.py", "--output", os.path.join(folder, "faces"), "--count", count,
                                  "--quiet")
                seconds[count].append(run.seconds)
    few, many = (np.array(seconds[count][1:]) for count in counts)  # the first builds the table of skin colours
    rate = arguments.faces / float(np.median(many - few))
    row = absolute("synthesize.py, 224x224 with labels", rate, "faces/s", GOAL, True)
    return dict(row, faces=counts[1], start_up_seconds=float(np.median(few)) - FEW / rate,
                repetitions=arguments.repetitions)


def _flags(parser):
    parser.add_argument("--faces", type=int, default=800, help="by which the larger run is larger")
    parser.set_defaults(repetitions=7)


def main(argv=None):
    """Measure and print."""
    return row_main(__doc__.splitlines()[0], measure, argv, _flags)


if __name__ == "__main__":
    run_main(main)
