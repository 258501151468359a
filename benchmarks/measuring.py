"""How things are timed here: alternately, in one run, by medians; and what a row of the table looks like."""

import argparse
import json
import os
import platform
import time

import numpy as np

from utils.tf_compat import tf

REPETITIONS = 9
_MEBIBYTE = 2.0 ** 20


def seconds_of(work):
    """Return how long ``work()`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(sides, repetitions=REPETITIONS):
    """Time several sides in turn, so that whatever else the machine does meets all of them alike.

    Args:
        sides: name -> callable that works once and returns the seconds it took.
        repetitions: timings of each; one more comes first and does not count.

    Returns:
        name -> median seconds.
    """
    times = {name: [] for name in sides}
    for repetition in range(repetitions + 1):
        for name, run in sides.items():
            seconds = run()
            if repetition:
                times[name].append(seconds)
    return {name: float(np.median(values)) for name, values in times.items()}


def peak_memory(pid="self"):
    """Return the largest resident memory that a process has had, MiB."""
    with open("/proc/{}/status".format(pid)) as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return round(int(line.split()[1]) * 1024 / _MEBIBYTE)


def compared(name, seconds, units, goal, peer=None, unit="image"):
    """Return the row of a piece of work that the published system does as well.

    Args:
        name: of the row.
        seconds: what :func:`alternate` returned for ``ours`` and, perhaps, ``peer``.
        units: images (or photos) in one run.
        goal: how many times as fast as the peer this ought to be.
        peer: the peer's ``PeerProcess``, or None if it was left out.
        unit: what one of ``units`` is.

    Returns:
        dict for JSON; times are milliseconds per unit.
    """
    row = {"name": name, "per": unit, "milliseconds": 1e3 * seconds["ours"] / units, "goal_ratio": goal,
           "memory_mib": peak_memory()}
    if peer is not None:
        row["peer_milliseconds"] = 1e3 * seconds["peer"] / units
        row["ratio"] = row["peer_milliseconds"] / row["milliseconds"]
        row["reached"] = row["ratio"] >= goal
        row["peer_memory_mib"] = peak_memory(peer.pid)
    return row


def machine():
    """Return what the figures depend on: processor, cores, versions."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "")
    return {"processor": model or platform.processor(), "cores": os.cpu_count(), "system": platform.platform(),
            "python": platform.python_version(), "numpy": np.__version__, "tensorflow": tf.VERSION}


def row_main(description, measure, argv=None, configure=None):
    """Run one row of the table: parse flags, measure, print.

    Args:
        description: of the command.
        measure: callable taking the parsed arguments and returning a dict.
        argv: the command line.
        configure: callable adding flags to the parser, or None.

    Returns:
        The exit status, 0.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--no_peer", action="store_true", help="leave the published system out")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="timings of each side; medians are told")
    if configure:
        configure(parser)
    arguments = parser.parse_args(argv)
    row = measure(arguments)
    print(json.dumps(row, indent=2) if arguments.json else describe(row))
    return 0


def describe(row):
    """Return a row as text for a person."""
    lines = [row["name"]]
    for key, value in row.items():
        if key != "name":
            lines.append("  {:24s} {}".format(key, "{:.3g}".format(value) if isinstance(value, float) else value))
    return "\n".join(lines)
