"""Disturbances of the commands, and the requirements afterwards."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import Any, Optional

from tests.faults.commands import COMMANDS, contents, emptied, incomplete, unfinished
from tests.faults.processes import Fault, Process, workers_of

FINISHED_BEFORE = "finished before"  # the moment of the kill
WORKER_LOST = "loss of a worker"  # a kind of kill, for commands that have workers
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
_STATUSES = {
    "SIGKILL": {-signal.SIGKILL},
    "SIGTERM": {143, 130, -signal.SIGTERM},
    "Ctrl-C": {130, -signal.SIGINT},
    WORKER_LOST: {1},  # of training; on a cluster others do the work
}
# Full disks of these sizes, bytes: from nothing at all to nearly enough.
DISKS = (1 << 12, 1 << 15, 1 << 17, 1 << 19, 1 << 20, 3 << 20)
_HASTE = 0.02  # seconds within which a kill follows the file that it waits for
# A signal that comes before this share of the work is done must stop it.
_MUST_STOP = 0.6


class Bench:
    """One command, its undisturbed output, and a folder to disturb it in.

    Args:
        name: of :data:`tests.faults.commands.COMMANDS`.
        data: from ``write_data``.
        folder: for outputs.
        quick: never start it anew, always fork.
        cluster: the ``LocalDask`` of commands on a cluster.

    Raises:
        Fault: undisturbed runs fail or differ.
    """

    def __init__(
        self, name: str, data: str, folder: str, quick: bool = False, cluster: Any = None
    ) -> None:
        self._cluster = cluster
        self.name, self.data, self.quick = name, data, quick
        self.output = os.path.join(folder, name)
        self._folder = folder
        self._work = {}  # whether started anew -> seconds of processor time of an undisturbed run
        self.wanted = None
        self.ways = (False,) if quick else (True, False)  # of starting: anew, forked
        for cold in self.ways:
            process = self.start(cold, emptied(self.output)).finish()
            if process.returncode:
                raise Fault(
                    "undisturbed, it ended with {}: {}".format(process.returncode, process.said())
                )
            found, self._work[cold] = contents(self.output), process.processor_time
            if self.wanted not in (None, found):
                raise Fault("a second run differs")
            self.wanted = found

    def start(
        self, cold: bool = False, output: Optional[str] = None, label: str = "command"
    ) -> Process:
        """Start the command, on its own folder unless another is given."""
        arguments = COMMANDS[self.name].arguments(self.data, output or self.output)
        return Process([sys.executable] * cold + arguments, os.path.join(self._folder, label), cold)

    def kill_worker(self, process: Process, dice: random.Random) -> bool:
        """Kill one of the command's workers; return False if it has none yet."""
        if COMMANDS[self.name].workers == "dask":
            found = self._cluster.worker_ids()
        else:
            found = workers_of(process.pid)
        if not found:
            return False
        os.kill(dice.choice(found), signal.SIGKILL)
        return True

    def work(self, cold: bool) -> float:
        """Return how many seconds of processor time an undisturbed run takes."""
        return self._work[cold]

    def complete(self, output: Optional[str] = None) -> None:
        """Run it to its end in the existing folder; require an undisturbed run's files."""
        output = output or self.output
        process = self.start(output=output).finish()
        if process.returncode:
            raise Fault(
                "run again, it ended with {}: {}".format(process.returncode, process.said())
            )
        _require(unfinished(output, self.wanted), "after running it again")


def kill(bench: Bench, kind: str, seed: int, cold: bool = False) -> str:
    """Start a command in the existing folder, kill it at a random moment, and check its files.

    The moment is either a share of its work, from its start to beyond its end, or just after the
    Nth file is written; for a command that is started anew it is a share, to meet it while it
    loads.

    Returns:
        How it ended: :data:`FINISHED_BEFORE`, "finished all the same", or "stopped".
    """
    dice = random.Random("{} {} {}".format(bench.name, kind, seed))
    before = _files(bench.output)
    process = bench.start(cold)
    if cold or dice.random() < 0.4:
        share = dice.uniform(0, 1.05)
        running = process.wait_until(lambda: process.processor_time >= share * bench.work(cold))
    else:
        there = 0 if COMMANDS[bench.name].rewrites else len(before)
        count = dice.randrange(1, max(2, len(bench.wanted) - there + 1))
        running = process.wait_until(lambda: len(_files(bench.output) - before) >= count)
        time.sleep(dice.uniform(0, _HASTE))
    done = process.processor_time / bench.work(cold)
    if kind == WORKER_LOST:
        running = bench.kill_worker(process, dice) and running
    else:
        # As a terminal, a service manager and the kernel do it: the group, the process, it too.
        process.signal(SIGNALS[kind], group=kind == "Ctrl-C")
    process.finish()
    if process.returncode not in _STATUSES[kind] | {0}:
        raise Fault("{} ended it with {}: {}".format(kind, process.returncode, process.said()))
    _require(incomplete(bench.output, bench.wanted), "after {}".format(kind))
    if process.returncode and kind == WORKER_LOST and "error: worker 1 (" not in process.stderr:
        raise Fault("without a worker it said {!r}".format(process.said()))
    if process.returncode:
        return "stopped"
    _require(unfinished(bench.output, bench.wanted), "having ended with 0")
    if running and done < _MUST_STOP and not before and kind != WORKER_LOST:
        raise Fault("{} did not stop it".format(kind))
    return "finished all the same" if running else FINISHED_BEFORE


def _files(folder):
    """Return (path, inode) of all files in a changing folder; a rewritten file has a new inode."""
    found = set()
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it is gone already
                found.add((place, name, os.stat(os.path.join(place, name)).st_ino))
    return found


def _require(wrong, when):
    if wrong:
        raise Fault("{}: {}".format(when, ", ".join(wrong[:4])))


def full_disk(bench: Bench, size: int) -> str:
    """Run a command on a disk that becomes full, then with room, and compare."""
    disk, saved = emptied(bench.output), emptied(bench.output + ".saved")
    inner = (
        "mount -t tmpfs -o size={} none {!r} && {}; status=$?; cp -a {!r}/. {!r}; exit $status"
    ).format(
        size,
        disk,
        " ".join(
            "'{}'".format(part)
            for part in [sys.executable] + COMMANDS[bench.name].arguments(bench.data, disk)
        ),
        disk,
        saved,
    )
    process = Process(_UNSHARE + ["sh", "-c", inner], bench.output + ".disk", cold=True).finish()
    if process.returncode not in (0, 1):
        raise Fault(
            "on a full disk it ended with {}: {}".format(process.returncode, process.said())
        )
    if process.returncode and not process.said().startswith(("error: ", "skipped: ")):
        raise Fault("on a full disk it said {!r}".format(process.said()))
    _require(incomplete(saved, bench.wanted), "after a full disk")
    _require([path for path in contents(saved) if ".partial-" in path], "left on a full disk")
    bench.complete(saved)
    shutil.rmtree(saved)
    return "enough room" if process.returncode == 0 else "stopped"


_UNSHARE = ["unshare"] + ([] if os.getuid() == 0 else ["-r"]) + ["-m"]


def can_mount() -> bool:
    """Tell whether small disks can be made here."""
    try:
        return (
            subprocess.call(
                _UNSHARE + ["sh", "-c", "mount -t tmpfs none /mnt"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            == 0
        )
    except OSError:
        return False


def read_only(bench: Bench) -> str:
    """Run a command where it may not write."""
    output = emptied(bench.output)
    os.chmod(output, 0o555)
    # Root may write anywhere unless its capabilities are taken away.
    code = (
        "import sys; from tests.faults.processes import run_as_main; "
        "from tests.fuzz import sandbox; sandbox._drop_capabilities(); run_as_main(sys.argv[1:])"
    )
    process = Process(
        [sys.executable, "-c", code] + COMMANDS[bench.name].arguments(bench.data, output),
        bench.output + ".forbidden",
        cold=True,
    ).finish()
    os.chmod(output, 0o755)
    if process.returncode != 1 or not process.said().startswith("error: "):
        raise Fault(
            "where it may not write it ended with {}: {}".format(process.returncode, process.said())
        )
    _require(os.listdir(output), "where it may not write")
    return "refused"


def two_writers(bench: Bench, seed: int) -> str:
    """Start a command, and at a random moment of its work again into the same folder."""
    emptied(bench.output)
    share = random.Random("{} {}".format(bench.name, seed)).uniform(0, 0.9)
    first = bench.start()
    first.wait_until(lambda: first.processor_time >= share * bench.work(False))
    second = bench.start(label="second")
    ends = [process.finish() for process in (first, second)]
    refused = [process for process in ends if process.returncode]
    if len(refused) == 2:
        raise Fault(
            "of two at once, none got through: {}".format(
                "; ".join(process.said() for process in ends)
            )
        )
    if refused and "another" not in refused[0].said():
        raise Fault("of two at once, one said {!r}".format(refused[0].said()))
    _require(unfinished(bench.output, bench.wanted), "after two at once")
    return "one refused" if refused else "one after the other"
