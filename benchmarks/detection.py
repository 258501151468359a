"""Time detection and landmarks: ``python -m benchmarks.detection [--json]``.

Photos of 500 pixels in memory, one face each: the detector and two looks of the 478-point network.
The networks are loaded, and have run once, before.
"""

import argparse
import os
import tempfile
import time

import numpy as np

from alignment.detect import FaceDetector
from benchmarks.commands import goal_row
from benchmarks.measuring import Row, peak_memory, row_command
from benchmarks.photo_set import LONGEST_SIDE, write_photos
from utils.errors import run_main
from utils.photos import read_photo

GOAL = 25  # milliseconds a photo, on two cores
PHOTOS = 8


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    # 1. photos, and a detector that has run
    with tempfile.TemporaryDirectory() as folder:
        write_photos(folder, PHOTOS, with_points=False)
        paths = (os.path.join(folder, name) for name in sorted(os.listdir(folder)))
        photos = [read_photo(path) for path in paths]
    detector = FaceDetector()
    for photo in photos:
        if len(detector.detect(photo)) != 1:
            raise RuntimeError("a photo of one face has another number of detections")

    # 2. the median over repetitions of the mean over photos
    milliseconds = []
    for _ in range(arguments.repetitions):
        start = time.perf_counter()
        for photo in photos:
            detector.detect(photo)
        milliseconds.append(1000 * (time.perf_counter() - start) / len(photos))
    row = goal_row(
        "detection and 478 landmarks, {} px".format(LONGEST_SIDE),
        float(np.median(milliseconds)),
        "ms",
        GOAL,
        False,
    )
    return dict(row, memory_mib=peak_memory(), photos=PHOTOS, repetitions=arguments.repetitions)


main = row_command(__doc__, measure)


if __name__ == "__main__":
    run_main(main)
