"""Time demo.py, from photo file to .mat, .obj and picture: ``python -m benchmarks.demo``.

26 photos of 500 pixels with five points, R-Net with random weights, start-up excluded. The peer
writes .mat and .obj, ours a picture as well. Our work with detection is also timed.
"""

import argparse
import contextlib
import os
import tempfile

from benchmarks.measuring import Row, alternate, comparison_row, measure_seconds, row_command
from benchmarks.peer import PeerProcess
from benchmarks.photo_set import write_photos
from benchmarks.random_network import random_checkpoint
from benchmarks.synthetic_model import published_fields, synthetic_face_model
from reconstruction.chosen_networks import NetworkChoice
from reconstruction.pipeline import FacePipeline
from utils.errors import run_main
from utils.photos import find_photos
from utils.report import Report

GOAL = 5
BATCH_SIZE = 8  # default of demo.py


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    model = synthetic_face_model()
    with contextlib.ExitStack() as stack:
        with_points, without, output = (
            stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(3)
        )
        write_photos(with_points, arguments.photos)
        write_photos(without, arguments.photos, with_points=False)
        with random_checkpoint(model) as path:
            pipeline = FacePipeline(model, NetworkChoice("network", steps=0, weights=path))

        def run(folder):
            photos = find_photos(folder)
            report = Report(len(photos), "face", "reconstructed", quiet=True)
            pipeline.run(photos, output, BATCH_SIZE, report)
            report.close()
            if report.done_count != len(photos):
                raise RuntimeError("{} of {} photos done".format(report.done_count, len(photos)))

        sides = {
            "ours": lambda: measure_seconds(lambda: run(with_points)),
            "with_detection": lambda: measure_seconds(lambda: run(without)),
        }
        peer = None
        if not arguments.no_peer:
            peer_output = os.path.join(output, "peer")
            os.mkdir(peer_output)
            peer = stack.enter_context(
                PeerProcess(
                    "demo", dict(published_fields(model), folder=with_points, output=peer_output)
                )
            )
            sides["peer"] = peer.seconds
        seconds = alternate(sides, arguments.repetitions)
        row = comparison_row(
            "demo with network weights, photo file to .mat + .obj + picture, {} photos".format(
                arguments.photos
            ),
            seconds,
            arguments.photos,
            GOAL,
            peer,
            unit="photo",
        )
    row["milliseconds_with_detection"] = 1e3 * seconds["with_detection"] / arguments.photos
    return row


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--photos", type=int, default=26, help="number of photos")


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
