"""What this machine does at best: ``python -m benchmarks.floors [--json]``.

Bytes a second from memory, arithmetic a second, on one core and on all of them; from these follow
the least times in benchmarks/README.md.
"""

import os
from concurrent import futures

import numpy as np

from benchmarks.measuring import alternate, row_main, seconds_of
from utils.errors import run_main

_BYTES = 1 << 28  # far larger than any cache
_SIDE = 1536  # of the matrices multiplied


def measure(arguments):
    """Return the figures as a dict."""
    cores = os.cpu_count()
    source = np.ones(_BYTES // 4, np.float32)
    parts = np.array_split(source, cores)
    matrix = np.ones((_SIDE, _SIDE), np.float32)
    with futures.ThreadPoolExecutor(cores) as executor:
        seconds = alternate({
            "read_one": lambda: seconds_of(lambda: source.max()),
            "read_all": lambda: seconds_of(lambda: list(executor.map(np.max, parts))),
            "multiply": lambda: seconds_of(lambda: matrix.dot(matrix)),
        }, arguments.repetitions)
    return {"name": "what the machine does", "cores": cores,
            "gigabytes_per_second_one_core": _BYTES / seconds["read_one"] / 1e9,
            "gigabytes_per_second": _BYTES / seconds["read_all"] / 1e9,
            "gigaflops": 2e-9 * _SIDE ** 3 / seconds["multiply"]}


def main(argv=None):
    """Measure and print."""
    return row_main(__doc__.splitlines()[0], measure, argv)


if __name__ == "__main__":
    run_main(main)
