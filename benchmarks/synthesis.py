"""Time the synthesis of faces: ``python -m benchmarks.synthesis [--json]``.

One run with its workers. The rate is the median over equal parts of it, after the first faces,
during which workers are still starting. ``processor_milliseconds`` is the processor time of this
process and the workers per face: on a busy machine it is more reliable than the rate.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from typing import NamedTuple

import numpy as np

from benchmarks.commands import goal_row
from benchmarks.measuring import Row, row_command
from face_model import load_face_model
from synthesis.dataset import DatasetOptions, SyntheticDataset
from utils.errors import run_main

GOAL = 150  # faces a second
FACES = 1600  # ten seconds at the goal
STARTING = 0.2  # share of the faces before the first part
_TICKS = os.sysconf("SC_CLK_TCK")  # a second, of the processor times in /proc


class _Moment(NamedTuple):
    seconds: float
    processor_seconds: float
    faces: int


class _Clock:
    """Records the times of finished faces; replaces a ``utils.report.Report``."""

    def __init__(self):
        self.moments = []
        self._faces = 0

    def expect(self, count):
        """Do nothing: no bar is shown."""

    def note(self, text):
        """Do nothing."""

    def step(self, count):
        """Count finished faces."""
        self._faces += count
        self.moments.append(_Moment(time.perf_counter(), _processor_seconds(), self._faces))


def _processor_seconds():
    """Return user and system time of this process and of its living workers."""
    total = 0
    for pid in [os.getpid()] + [process.pid for process in multiprocessing.active_children()]:
        with open("/proc/{}/stat".format(pid)) as file:
            total += sum(int(ticks) for ticks in file.read().rsplit(")", 1)[1].split()[11:13])
    return total / _TICKS


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        dataset = SyntheticDataset(
            os.path.join(folder, "faces"), load_face_model(), DatasetOptions()
        )
        dataset.generate(arguments.faces, arguments.workers, clock)
    first = next(
        i for i, moment in enumerate(clock.moments) if moment.faces >= STARTING * arguments.faces
    )
    bounds = np.linspace(first, len(clock.moments) - 1, arguments.repetitions + 1).astype(int)
    parts = [clock.moments[i] for i in np.unique(bounds)]
    rates = [
        (after.faces - before.faces) / (after.seconds - before.seconds)
        for before, after in zip(parts[:-1], parts[1:])
    ]
    row = goal_row(
        "python -m synthesis, 224x224 with labels", float(np.median(rates)), "faces/s", GOAL, True
    )
    processor = (parts[-1].processor_seconds - parts[0].processor_seconds) / (
        parts[-1].faces - parts[0].faces
    )
    return dict(
        row,
        faces=arguments.faces,
        workers=arguments.workers,
        processor_milliseconds=1e3 * processor,
        repetitions=arguments.repetitions,
    )


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", type=int, default=FACES, help="number of faces")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="worker processes")
    parser.set_defaults(repetitions=7)


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
