"""Timing: sides take turns in one run, medians count; and the rows of the table."""

import argparse
import json
import os
import platform
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

import numpy as np

from utils.tf_compat import tf

REPETITIONS = 9
_MEBIBYTE = 2.0**20

Row = Dict[str, Any]  # a line of the table, for JSON


def measure_seconds(work: Callable[[], Any]) -> float:
    """Return the duration of ``work()``."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(
    sides: Mapping[Any, Callable[[], float]], repetitions: int = REPETITIONS
) -> Dict[Any, float]:
    """Time several sides in turn, so that other load on the machine affects all of them alike.

    Args:
        sides: name -> callable that works once and returns the seconds it took.
        repetitions: timings of each side, after a first one that does not count.

    Returns:
        name -> median seconds.
    """
    times: Dict[Any, List[float]] = {name: [] for name in sides}
    for repetition in range(repetitions + 1):
        for name, run in sides.items():
            seconds = run()
            if repetition:
                times[name].append(seconds)
    return {name: float(np.median(values)) for name, values in times.items()}


def peak_memory(pid: Union[int, str] = "self") -> int:
    """Return the largest resident memory that a process has had, MiB."""
    with open("/proc/{}/status".format(pid)) as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return round(int(line.split()[1]) * 1024 / _MEBIBYTE)


def comparison_row(
    name: str,
    seconds: Mapping[str, float],
    units: int,
    goal: float,
    peer: Any = None,
    unit: str = "image",
) -> Row:
    """Return the row of a piece of work that the published system also does.

    Args:
        name: title of the row.
        seconds: result of :func:`alternate` for ``ours`` and, with a peer, ``peer``.
        units: images (or photos) in one run.
        goal: wanted ratio of the peer's time to ours.
        peer: the peer's ``PeerProcess``, or None if it was left out.
        unit: name of one of ``units``.

    Returns:
        The row; times are milliseconds per unit.
    """
    row: Row = {
        "name": name,
        "per": unit,
        "milliseconds": 1e3 * seconds["ours"] / units,
        "goal_ratio": goal,
        "memory_mib": peak_memory(),
    }
    if peer is not None:
        row["peer_milliseconds"] = 1e3 * seconds["peer"] / units
        row["ratio"] = row["peer_milliseconds"] / row["milliseconds"]
        row["reached"] = row["ratio"] >= goal
        row["peer_memory_mib"] = peak_memory(peer.pid)
    return row


def describe_machine() -> Dict[str, Any]:
    """Return the properties that figures depend on: processor, cores, versions."""
    with open("/proc/cpuinfo") as file:
        models = (line.split(":")[1].strip() for line in file if line.startswith("model name"))
        model = next(models, "")
    return {
        "processor": model or platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "tensorflow": tf.VERSION,
    }


def row_command(
    description: str,
    measure: Callable[[argparse.Namespace], Row],
    configure: Optional[Callable[[argparse.ArgumentParser], Any]] = None,
) -> Callable[[Optional[List[str]]], int]:
    """Return the ``main(argv)`` of a row's module, which parses flags, measures and prints.

    Args:
        description: docstring of the module; its first line is shown by ``--help``.
        measure: callable taking the parsed arguments and returning the row.
        configure: callable adding flags to the parser, or None.
    """

    def main(argv: Optional[List[str]] = None) -> int:
        parser = argparse.ArgumentParser(
            description=description.splitlines()[0],
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument("--no_peer", action="store_true", help="omit the published system")
        parser.add_argument(
            "--repetitions",
            type=int,
            default=REPETITIONS,
            help="timings of each side; medians are printed",
        )
        if configure:
            configure(parser)
        arguments = parser.parse_args(argv)
        row = measure(arguments)
        print(json.dumps(row, indent=2) if arguments.json else describe(row))
        return 0

    return main


def batch_flag(default: int) -> Callable[[argparse.ArgumentParser], Any]:
    """Return a ``configure`` for :func:`row_command` that adds the size of a batch."""
    return lambda parser: parser.add_argument(
        "--batch", type=int, default=default, help="faces in a batch"
    )


def describe(row: Row) -> str:
    """Return a row as text, one figure a line."""
    lines = [row["name"]]
    for key, value in row.items():
        if key != "name":
            shown = "{:.3g}".format(value) if isinstance(value, float) else value
            lines.append("  {:24s} {}".format(key, shown))
    return "\n".join(lines)
