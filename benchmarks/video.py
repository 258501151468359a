"""Frames a second of a clip, from file to files: ``python -m benchmarks.video [--frames 3000]``.

With ``--memory``, a tenth of the frames is run before, to tell what the others add to the memory.

``demo.py`` on a drawn clip of 1280x720 with camera noise: tracking, the networks and the fit of
each frame, the overlay video, the table and the animated mesh. Start-up is excluded; the fit of the
best frames, which takes the same time for clips of any length, is not.
"""

import argparse
import os
import re
import tempfile
from typing import Tuple

from benchmarks.commands import goal_row, peak_memory_of_children, run_command
from benchmarks.measuring import Row, row_command
from benchmarks.moving_face import RATE, write_clip
from face_model import load_face_model
from utils.errors import InputError, run_main

GOAL = 12  # frames a second
_DRAWN = 60  # frames that are drawn; they are played to and fro


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    before = 0
    if arguments.memory:
        _run(arguments.frames // 10)
        before = peak_memory_of_children()
    count, rate = _run(arguments.frames)
    name = "demo.py on a clip, 1280x720, {} frames".format(count)
    row = goal_row(name, rate, "frames/s", GOAL, at_least=True)
    if arguments.memory:
        row["memory_growth_mib"] = peak_memory_of_children() - before
    return row


def _run(frames: int) -> Tuple[int, float]:
    """Run demo.py on a clip of about so many frames; return their number, and frames a second."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "clip.mp4")
        repeat = max(1, frames // _DRAWN)
        write_clip(path, load_face_model("open"), _DRAWN / RATE, repeat)
        output = os.path.join(folder, "out")
        run = run_command("demo.py", "--input", path, "--output", output, "--quiet")
    match = re.search(r"in (\d+) frames, .*\(([\d.]+) frames a second\)", run.output)
    if not match:
        raise InputError("demo.py printed no rate: {}".format(run.output.strip()))
    return int(match.group(1)), float(match.group(2))


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frames", type=int, default=600, help="about this many frames")
    parser.add_argument(
        "--memory",
        action="store_true",
        help="tell what nine tenths of the frames add to the memory",
    )


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
