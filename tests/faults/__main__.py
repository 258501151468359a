"""The command: ``python -m tests.faults``."""

import argparse
import collections
import os
import shutil
import sys
import tempfile
import time

from tests.faults.commands import COMMANDS, write_data
from tests.faults.disturbances import (
    DISKS,
    SIGNALS,
    Fault,
    can_mount,
    full_disk,
    kill_once,
    read_only,
    two_writers,
    undisturbed,
)


def parse_arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--count", type=int, default=50, help="kills of each command, the three signals in turn")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--only", choices=sorted(COMMANDS), nargs="+", default=sorted(COMMANDS), help="commands")
    parser.add_argument("--disks", type=int, default=len(DISKS), help="how many sizes of full disks")
    return parser.parse_args(argv)


def main(argv=None):
    """Disturb the commands; the exit status is 1 if anything was lost."""
    arguments = parse_arguments(argv)
    folder = tempfile.mkdtemp(prefix="faults-")
    data = write_data(os.path.join(folder, "data"))
    begin, counts, faults = time.monotonic(), collections.Counter(), []
    for name in arguments.only:
        output = os.path.join(folder, name)
        wanted, seconds = undisturbed(name, data, output + "-undisturbed")
        for label, disturb in _plan(name, arguments, data, output, wanted, seconds):
            try:
                counts["{}, {}: {}".format(name, label.split(",")[0], disturb())] += 1
            except Fault as fault:
                faults.append("{}, {}: {}".format(name, label, fault))
                print("FAULT {}".format(faults[-1]), flush=True)
    for label in sorted(counts):
        print("{:4d}  {}".format(counts[label], label))
    print("{} disturbances in {:.0f} s, seed {}: {} in order, {} faults{}".format(
        sum(counts.values()) + len(faults), time.monotonic() - begin, arguments.seed, sum(counts.values()), len(faults),
        "" if can_mount() else "; no full disks, mounting is not permitted here"))
    shutil.rmtree(folder)
    return 1 if faults else 0


def _plan(name, arguments, data, output, wanted, seconds):
    """Yield (label, callable) of each disturbance of a command."""
    kinds = sorted(SIGNALS)
    for number in range(arguments.count):
        kind, seed = kinds[number % len(kinds)], arguments.seed * 1000 + number
        yield "{}, number {}".format(kind, number), lambda kind=kind, seed=seed: kill_once(
            name, kind, data, output, wanted, seconds, seed)
    for size in DISKS[::max(1, -(-len(DISKS) // arguments.disks))] if can_mount() and arguments.disks else ():
        yield "full disk, {} bytes".format(size), lambda size=size: full_disk(name, data, output, wanted, size)
    yield "read-only", lambda: read_only(name, data, output, wanted)
    yield "two writers", lambda: two_writers(name, data, output, wanted)


if __name__ == "__main__":
    sys.exit(main())
