"""Time demo.py --steps 0 with the network that comes along: ``python -m benchmarks.network_only [--json]``.

Photos of 500 pixels without five points: detection, landmarks, network, decoder, .mat, .obj and picture, and
the page of results as well. Processor time, of all cores together, is told besides: it does not count
waiting for other processes.
"""

import tempfile
import time

import numpy as np

from benchmarks.commands import absolute
from benchmarks.measuring import peak_memory, row_main
from benchmarks.photo_set import write_photos
from face_model import load_face_model
from reconstruction.html_page import ResultPage
from reconstruction.pipeline import FacePipeline
from reconstruction.regressor import shipped_network
from utils.errors import InputError, run_main
from utils.photos import find_photos
from utils.report import Report

GOAL = 0.15  # seconds a photo
BATCH_SIZE = 8  # of demo.py


def measure(arguments):
    """Return the row."""
    model = load_face_model()
    network = shipped_network(model)
    if network is None:
        raise InputError("no network comes along for the face model {}".format(model.name))
    pipeline = FacePipeline(model, "network", network)
    times = {"page": [], "files": []}
    with tempfile.TemporaryDirectory() as photos, tempfile.TemporaryDirectory() as output:
        write_photos(photos, arguments.photos, with_points=False)
        for _ in range(arguments.repetitions + 1):
            times["files"].append(_once(pipeline, find_photos(photos), output, None))
            times["page"].append(_once(pipeline, find_photos(photos), output, ResultPage(model)))
    medians = {kind: np.median(values[1:], axis=0) / arguments.photos for kind, values in times.items()}
    row = absolute("demo.py --steps 0 with the network that comes along, {} photos, detection included".format(
        arguments.photos), float(medians["page"][0]), "s/photo", GOAL, False)
    return dict(row, processor_seconds=float(medians["page"][1]), seconds_without_page=float(medians["files"][0]),
                processor_seconds_without_page=float(medians["files"][1]), memory_mib=peak_memory())


def _once(pipeline, photos, output, page):
    """Return wall and processor seconds of one run."""
    start, processor = time.perf_counter(), time.process_time()
    report = Report(len(photos), "face", "reconstructed", quiet=True)
    pipeline.run(photos, output, BATCH_SIZE, report, page and page.add)
    report.close()
    if report.done_count != len(photos):
        raise InputError("{} of {} photos done".format(report.done_count, len(photos)))
    return time.perf_counter() - start, time.process_time() - processor


def _flags(parser):
    parser.set_defaults(repetitions=5)
    parser.add_argument("--photos", type=int, default=26, help="how many")


def main(argv=None):
    """Measure and print."""
    return row_main(__doc__.splitlines()[0], measure, argv, _flags)


if __name__ == "__main__":
    run_main(main)
