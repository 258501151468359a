"""Time demo.py --steps 0 with the bundled network: ``python -m benchmarks.network_only [--json]``.

Photos of 500 pixels without five points: detection, landmarks, network, decoder, .mat, .obj,
picture and the page of results. The processor time of all cores, which excludes waiting, is also
given.
"""

import argparse
import tempfile
import time

import numpy as np

from benchmarks.commands import goal_row
from benchmarks.measuring import Row, peak_memory, row_command
from benchmarks.photo_set import write_photos
from face_model import load_face_model
from reconstruction.html_page import ResultPage
from reconstruction.network_choice import NetworkChoice, find_shipped_network
from reconstruction.pipeline import FacePipeline
from utils.errors import InputError, run_main
from utils.photos import find_photos
from utils.report import Report

GOAL = 0.15  # seconds a photo
BATCH_SIZE = 8  # default of demo.py


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    model = load_face_model()
    network = find_shipped_network(model)
    if network is None:
        raise InputError("there is no bundled network for the face model {}".format(model.name))
    pipeline = FacePipeline(model, NetworkChoice("network", steps=0, weights=network))
    times = {"page": [], "files": []}
    with tempfile.TemporaryDirectory() as photos, tempfile.TemporaryDirectory() as output:
        write_photos(photos, arguments.photos, with_points=False)
        for _ in range(arguments.repetitions + 1):
            times["files"].append(_once(pipeline, find_photos(photos), output, None))
            times["page"].append(_once(pipeline, find_photos(photos), output, ResultPage(model)))
    medians = {
        kind: np.median(values[1:], axis=0) / arguments.photos for kind, values in times.items()
    }
    row = goal_row(
        "demo.py --steps 0 with the bundled network, {} photos, detection included".format(
            arguments.photos
        ),
        float(medians["page"][0]),
        "s/photo",
        GOAL,
        False,
    )
    return dict(
        row,
        processor_seconds=float(medians["page"][1]),
        seconds_without_page=float(medians["files"][0]),
        processor_seconds_without_page=float(medians["files"][1]),
        memory_mib=peak_memory(),
    )


def _once(pipeline, photos, output, page):
    """Return wall and processor seconds of one run."""
    start, processor = time.perf_counter(), time.process_time()
    report = Report(len(photos), "face", "reconstructed", quiet=True)
    pipeline.run(photos, output, BATCH_SIZE, report, page and page.add)
    report.close()
    if report.done_count != len(photos):
        raise InputError("{} of {} photos done".format(report.done_count, len(photos)))
    return time.perf_counter() - start, time.process_time() - processor


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(repetitions=5)
    parser.add_argument("--photos", type=int, default=26, help="number of photos")


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
