"""Limits of this machine: ``python -m benchmarks.floors [--json]``.

Bytes read from memory and arithmetic, a second, on one core and on all of them. The floors in
benchmarks/README.md follow from them.
"""

import argparse
import os
from concurrent import futures

import numpy as np

from benchmarks.measuring import Row, alternate, measure_seconds, row_command
from utils.errors import run_main

_BYTES = 1 << 28  # far larger than any cache
_SIDE = 1536  # of the matrices that are multiplied


def measure(arguments: argparse.Namespace) -> Row:
    """Return the figures as a dict."""
    cores = os.cpu_count() or 1
    source = np.ones(_BYTES // 4, np.float32)
    parts = np.array_split(source, cores)
    matrix = np.ones((_SIDE, _SIDE), np.float32)
    with futures.ThreadPoolExecutor(cores) as executor:
        seconds = alternate(
            {
                "read_one": lambda: measure_seconds(lambda: source.max()),
                "read_all": lambda: measure_seconds(lambda: list(executor.map(np.max, parts))),
                "multiply": lambda: measure_seconds(lambda: matrix.dot(matrix)),
            },
            arguments.repetitions,
        )
    return {
        "name": "limits of the machine",
        "cores": cores,
        "gigabytes_per_second_one_core": _BYTES / seconds["read_one"] / 1e9,
        "gigabytes_per_second": _BYTES / seconds["read_all"] / 1e9,
        "gigaflops": 2e-9 * _SIDE**3 / seconds["multiply"],
    }


main = row_command(__doc__, measure)


if __name__ == "__main__":
    run_main(main)
