"""Rows that time whole commands, or have a goal of their own instead of a peer."""

import os
import resource
import subprocess
import sys
import time
from typing import NamedTuple

from benchmarks.measuring import Row
from utils.errors import InputError
from utils.paths import REPO_ROOT


class CommandRun(NamedTuple):
    """A finished command."""

    seconds: float
    output: str


def run_command(script: str, *flags: object) -> CommandRun:
    """Run one of the project's scripts to its end.

    Raises:
        InputError: the script failed.
    """
    command = [sys.executable, os.path.join(REPO_ROOT, script)] + [str(flag) for flag in flags]
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
    )
    output, errors = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise InputError(
            "{} failed: {}".format(" ".join(command), (errors.strip().splitlines() or [""])[-1])
        )
    return CommandRun(seconds, output)


def peak_memory_of_children() -> int:
    """Return the largest resident memory of any finished child process, MiB."""
    return round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024.0)


def goal_row(name: str, value: float, unit: str, goal: float, at_least: bool) -> Row:
    """Return the row of a piece of work that has a goal of its own instead of a peer.

    Args:
        name: title of the row.
        value: measured figure.
        unit: unit of the figure.
        goal: wanted figure.
        at_least: whether larger figures are better.
    """
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "goal": goal,
        "reached": value >= goal if at_least else value <= goal,
        "memory_mib": peak_memory_of_children(),
    }
