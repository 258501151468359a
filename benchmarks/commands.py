"""What the rows that time whole commands have in common."""

import os
import resource
import subprocess
import sys
import time
from typing import NamedTuple

from utils.errors import InputError
from utils.paths import REPO_ROOT


class CommandRun(NamedTuple):
    """A command that has ended."""

    seconds: float
    output: str


def run_command(script, *flags):
    """Run one of the project's commands to its end.

    Raises:
        InputError: it failed; says how.
    """
    command = [sys.executable, os.path.join(REPO_ROOT, script)] + [str(flag) for flag in flags]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    output, errors = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        raise InputError("{} failed: {}".format(" ".join(command), (errors.strip().splitlines() or [""])[-1]))
    return CommandRun(seconds, output)


def children_memory():
    """Return the largest resident memory of a child process that has ended, MiB."""
    return round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024.0)


def absolute(name, value, unit, goal, at_least):
    """Return the row of a piece of work that has a goal of its own instead of a peer.

    Args:
        name: of the row.
        value: measured.
        unit: of the value.
        goal: to be reached.
        at_least: whether more is better.
    """
    return {"name": name, "value": value, "unit": unit, "goal": goal,
            "reached": value >= goal if at_least else value <= goal, "memory_mib": children_memory()}
