"""The command: ``python -m tests.faults``."""

import argparse
import collections
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
from typing import Callable, List, Optional

from tests.dask_cluster import LocalDask
from tests.faults.commands import COMMANDS, emptied, scheduler_file, write_data
from tests.faults.disturbances import (
    DISKS,
    FINISHED_BEFORE,
    SIGNALS,
    WORKER_LOST,
    Bench,
    can_mount,
    full_disk,
    kill,
    read_only,
    two_writers,
)
from tests.faults.processes import Fault, warm_up
from utils.installed import is_installed

_COLD = 8  # of so many kills, one is of a command that was started anew
_MOST_TRIES = 3  # for each wanted kill, as some come after the end
_LONGEST_CHAIN = 6  # kills one after the other before a command may run to its end


def parse_arguments(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--count",
        type=int,
        default=50,
        help="kills of each command while it runs: the three signals in turn, and one of a worker",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument(
        "--only", choices=sorted(COMMANDS), nargs="+", default=sorted(COMMANDS), help="commands"
    )
    parser.add_argument(
        "--disks", type=int, default=len(DISKS), help="how many sizes of full disks"
    )
    parser.add_argument("--pairs", type=int, default=4, help="how often two are run at once")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fork all commands, start none anew; no read-only folders",
    )
    parser.add_argument("--verbose", action="store_true", help="a line for each disturbance")
    return parser.parse_args(argv)


class Tally:
    """How disturbances ended."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self.counts, self.faults = collections.Counter(), []

    def take(self, name: str, label: str, disturb: Callable[[], str]) -> str:
        """Disturb, and count and return how it ended."""
        begin = time.monotonic()
        try:
            end = disturb()
            self.counts["{}, {}: {}".format(name, label.split(",")[0], end)] += 1
        except Fault as fault:
            end = "FAULT {}".format(fault)
            self.faults.append(label)
            print("{}, {}: {}".format(name, label, end), flush=True)
        if self._verbose:
            print(
                "{}, {}: {} ({:.1f} s)".format(name, label, end, time.monotonic() - begin),
                flush=True,
            )
        return end


def main(argv: Optional[List[str]] = None) -> int:
    """Disturb the commands; the exit status is 1 if anything was lost."""
    arguments = parse_arguments(argv)
    folder = tempfile.mkdtemp(prefix="faults-")
    data = write_data(os.path.join(folder, "data"))
    warm_up()
    names, cluster = arguments.only, None
    with contextlib.ExitStack() as stack:
        if not is_installed("distributed"):
            names = [name for name in names if COMMANDS[name].workers != "dask"]
            print("Dask is not installed: nothing is done on a cluster")
        elif any(COMMANDS[name].workers == "dask" for name in names):
            cluster = stack.enter_context(LocalDask(os.path.dirname(scheduler_file(data)), 2))
        faults = _disturb_all(names, data, folder, cluster, arguments)
    shutil.rmtree(folder)
    return 1 if faults else 0


def _disturb_all(names, data, folder, cluster, arguments):
    """Disturb commands, and print how it ended; return the labels of faults."""
    begin, tally = time.monotonic(), Tally(arguments.verbose)
    for name in names:
        try:
            bench = Bench(name, data, folder, arguments.quick, cluster)
        except Fault as fault:
            print("{}: FAULT {}".format(name, fault))
            tally.faults.append(name)
            continue
        if arguments.verbose:
            print(
                "{}: {}".format(
                    name,
                    ", ".join(
                        "{:.1f} s of processor time {}".format(
                            bench.work(cold), "started anew" if cold else "forked"
                        )
                        for cold in bench.ways
                    ),
                ),
                flush=True,
            )
        _disturb(bench, arguments, tally)
    for label in sorted(tally.counts):
        print("{:4d}  {}".format(tally.counts[label], label))
    done = sum(tally.counts.values())
    print(
        "{} disturbances in {:.0f} s, seed {}: {} in order, {} faults{}".format(
            done + len(tally.faults),
            time.monotonic() - begin,
            arguments.seed,
            done,
            len(tally.faults),
            "" if can_mount() else "; no full disks, mounting is not permitted here",
        )
    )
    return tally.faults


def _disturb(bench, arguments, tally):
    """Do everything to one command."""
    _kills(bench, arguments, tally)
    for number in range(arguments.pairs):
        tally.take(
            bench.name,
            "two at once, number {}".format(number),
            lambda number=number: two_writers(bench, arguments.seed * 1000 + number),
        )
    for size in (
        DISKS[:: max(1, -(-len(DISKS) // arguments.disks))]
        if arguments.disks and can_mount()
        else ()
    ):
        tally.take(
            bench.name, "full disk, {} bytes".format(size), lambda size=size: full_disk(bench, size)
        )
    if not arguments.quick:
        tally.take(bench.name, "read-only", lambda: read_only(bench))


def _kills(bench, arguments, tally):
    """Kill it repeatedly, with complete runs in between; kills after its end do not count."""
    dice, kinds, number, in_time = random.Random(arguments.seed), sorted(SIGNALS), 0, 0
    kinds += [WORKER_LOST] if COMMANDS[bench.name].workers else []
    emptied(bench.output)
    chain = dice.randrange(1, _LONGEST_CHAIN + 1)
    while in_time < arguments.count and number < _MOST_TRIES * arguments.count:
        kind, cold = kinds[number % len(kinds)], not arguments.quick and number % _COLD == 0
        end = tally.take(
            bench.name,
            "{}, number {}{}".format(kind, number, ", started anew" if cold else ""),
            lambda kind=kind, number=number, cold=cold: kill(
                bench, kind, arguments.seed * 1000 + number, cold
            ),
        )
        chain, in_time = chain - 1, in_time + (end != FINISHED_BEFORE)
        if end == "stopped" and (not chain or in_time == arguments.count):
            tally.take(
                bench.name,
                "run again, after number {}".format(number),
                lambda: bench.complete() or "complete",
            )
        if end != "stopped" or not chain:
            emptied(bench.output)
            chain = dice.randrange(1, _LONGEST_CHAIN + 1)
        number += 1


if __name__ == "__main__":
    sys.exit(main())
