"""Frames a second of a clip, from file to files: ``python -m benchmarks.video [--frames 3000]``.

``demo.py`` on a drawn clip of 1280x720 with camera noise: tracking, the networks and the fit of
each frame, the overlay video, the table and the animated mesh. Start-up is excluded; the fit of the
best frames, which takes the same time for clips of any length, is not. Memory does not grow with
the number of frames.
"""

import argparse
import os
import re
import tempfile

from benchmarks.commands import goal_row, run_command
from benchmarks.measuring import Row, row_command
from benchmarks.moving_face import RATE, write_clip
from face_model import load_face_model
from utils.errors import InputError, run_main

GOAL = 12  # frames a second
_DRAWN = 60  # frames that are drawn; they are played to and fro


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "clip.mp4")
        repeat = max(1, arguments.frames // _DRAWN)
        write_clip(path, load_face_model("open"), _DRAWN / RATE, repeat)
        output = os.path.join(folder, "out")
        run = run_command("demo.py", "--input", path, "--output", output, "--quiet")
    match = re.search(r"in (\d+) frames, .*\(([\d.]+) frames a second\)", run.output)
    if not match:
        raise InputError("demo.py printed no rate: {}".format(run.output.strip()))
    name = "demo.py on a clip, 1280x720, {} frames".format(match.group(1))
    return goal_row(name, float(match.group(2)), "frames/s", GOAL, at_least=True)


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frames", type=int, default=600, help="about this many frames")


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
