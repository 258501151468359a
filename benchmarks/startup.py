"""Time demo.py from its start to its first result: ``python -m benchmarks.startup [--json]``.

One photo of 500 pixels without five points, a frozen R-Net with random weights: start of Python,
imports, face model, network, detection, reconstruction, files and page. ``--shipped`` also times
the bundled network, alone (``--steps 0``) and refined by fitting, the default of users.
"""

import argparse
import os
import tempfile

import numpy as np

from benchmarks.commands import goal_row, run_command
from benchmarks.measuring import Row, row_command
from benchmarks.photo_set import write_photos
from benchmarks.random_network import random_checkpoint
from checkpoints.r_net import export_r_net
from face_model import load_face_model
from utils.errors import run_main

GOAL = 6  # seconds


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    seconds, alone, refined = [], [], []
    model = load_face_model()
    with tempfile.TemporaryDirectory() as folder, random_checkpoint(model) as checkpoint:
        weights = os.path.join(folder, "network.pb")
        export_r_net(checkpoint, weights)
        photos = os.path.join(folder, "photos")
        os.mkdir(photos)
        write_photos(photos, 1, with_points=False)
        flags = ("--input", photos, "--output", os.path.join(folder, "output"), "--quiet")
        for _ in range(arguments.repetitions):
            seconds.append(
                run_command("demo.py", "--use_pb", 0, "--pretrain_weights", weights, *flags).seconds
            )
            if arguments.shipped:
                alone.append(run_command("demo.py", "--steps", 0, *flags).seconds)
                refined.append(run_command("demo.py", *flags).seconds)
    row = goal_row("demo.py, import to first result", float(np.median(seconds)), "s", GOAL, False)
    if alone:
        row.update(
            shipped_network_seconds=float(np.median(alone)),
            shipped_refined_seconds=float(np.median(refined)),
        )
    return dict(row, face_model=model.name, repetitions=arguments.repetitions)


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(repetitions=7)
    parser.add_argument("--shipped", action="store_true", help="also time the bundled network")


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
