"""Run all rows of the table, each in its own process: ``python -m benchmarks [--output DIR] [--minutes 29]``.

Prints the table and writes it, the machine and the curves into the folder, anew after each row. A row that
fails, or outlasts its share of the time, is told in the table; the others go on.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time

from benchmarks.measuring import machine
from benchmarks.peer import peer_python
from utils.atomic import atomic_path
from utils.errors import InputError, run_main
from utils.paths import REPO_ROOT, RESULT_DIR

# Seconds after which a row is given up: about twice what it takes on two idle cores.
ROWS = {"rasterizer": 60, "render": 90, "gradient": 150, "training_step": 240, "regression": 120, "demo": 360,
        "preprocess": 300, "fitting": 300, "synthesize": 360, "startup": 150}
WITHOUT_PEER = ("preprocess", "fitting", "synthesize", "startup")
OTHERS = {"floors": 60, "growth": 240, "growth_photos": 600, "rasterizer_cuda": 120}
_PATIENCE = 20  # seconds that a row that is told to end may clean up


class RowFailed(Exception):
    """A row was not measured; says why."""


def run_row(name, flags, limit):
    """Return the row of a benchmark, run in a process of its own.

    Args:
        name: of the module.
        flags: of its command line.
        limit: seconds.

    Raises:
        RowFailed: it failed, or took longer.
    """
    # A session of its own, so that whatever it started ends with it.
    process = subprocess.Popen([sys.executable, "-m", "benchmarks." + name, "--json"] + flags, cwd=REPO_ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                               start_new_session=True)
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        _end(process)
        raise RowFailed("took longer than {:.0f} s".format(limit)) from None
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        raise RowFailed((errors.strip().splitlines() or ["status {}".format(process.returncode)])[-1])
    return json.loads(output)


def _end(process):
    """End a row and all its processes, which may remove their temporary files first."""
    for signal_number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
        except OSError:
            return
        try:
            process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            continue


def table(rows):
    """Return the rows as a Markdown table."""
    lines = ["| work | ours | published | ratio | wanted | memory, MiB: ours, published |", "|---|---|---|---|---|---|"]
    lines += ["| {} |".format(" | ".join(_cells(row))) for row in rows]
    return "\n".join(lines)


def _cells(row):
    if "failed" in row:
        return row["name"], "**not measured**: " + row["failed"], "", "", "", ""
    verdict = "" if row.get("reached", True) else ", **not reached**"
    if "value" in row:
        sign = "at most" if row["unit"].startswith("s") else "at least"
        return (row["name"], "{:.3g} {}".format(row["value"], row["unit"]), "", "",
                "{} {:g} {}{}".format(sign, row["goal"], row["unit"], verdict), "{}".format(row["memory_mib"]))
    peer = ("", "") if "ratio" not in row else (
        "{:.3g} ms".format(row["peer_milliseconds"]), "{:.1f}".format(row["ratio"]))
    return (row["name"], "{:.3g} ms/{}".format(row["milliseconds"], row["per"])) + peer + (
        "{:g}{}".format(row["goal_ratio"], verdict), "{}, {}".format(row["memory_mib"], row.get("peer_memory_mib", "")))


class Bench:
    """A run of all rows within a time.

    Args:
        arguments: the parsed command line.
    """

    def __init__(self, arguments):
        self._arguments = arguments
        self._begin = time.monotonic()
        self._report = {"machine": machine(), "rows": []}
        self.complete = True

    def run(self):
        """Measure everything, printing and writing as it goes."""
        arguments = self._arguments
        no_peer = arguments.no_peer or not self._has_peer()
        for name in arguments.rows:
            flags = ["--no_peer"] if no_peer and name not in WITHOUT_PEER else []
            row = self._measured(name, flags, ROWS[name])
            self._report["rows"].append(row)
            self._say(" | ".join(_cells(row)))
            self._write()
        others = ["floors", "rasterizer_cuda"] + ([] if arguments.no_curves else ["growth", "growth_photos"])
        for name in others:
            self._report[name] = self._measured(name, self._flags_of(name), OTHERS[name])
            self._say("{}: {}".format(name, self._report[name].get("failed") or "done"))
            self._write()

    def table(self):
        """Return the table."""
        return table(self._report["rows"])

    def _measured(self, name, flags, limit):
        try:
            if self._left() < 1:
                raise RowFailed("no time was left")
            return run_row(name, flags, min(limit, self._left()))
        except RowFailed as error:
            self.complete = False
            return {"name": name, "failed": str(error)}

    def _flags_of(self, name):
        if name == "growth":
            return ["--output", self._arguments.output]
        if name == "growth_photos":
            seconds = min(OTHERS[name], self._left()) - _PATIENCE  # it draws afterwards
            return ["--output", self._arguments.output, "--seconds", "{:.0f}".format(max(seconds, 1))]
        return []

    def _has_peer(self):
        self._say("looking for the published system, which is installed the first time")
        try:
            peer_python()
        except InputError as error:
            self._say("without the published system: {}".format(error))
            return False
        return True

    def _left(self):
        return self._begin + 60 * self._arguments.minutes - time.monotonic()

    def _say(self, text):
        seconds = int(time.monotonic() - self._begin)
        print("[{:2d}:{:02d}] {}".format(seconds // 60, seconds % 60, text), flush=True)

    def _write(self):
        for name, text in (("bench.json", json.dumps(self._report, indent=1)), ("bench.md", self.table())):
            with atomic_path(os.path.join(self._arguments.output, name)) as temporary, open(temporary, "w") as file:
                file.write(text + "\n")


def parse_arguments(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--output", default=os.path.join(RESULT_DIR, "benchmarks"), metavar="DIR",
                        help="folder for bench.json, bench.md and the curves")
    parser.add_argument("--rows", nargs="+", choices=tuple(ROWS), default=tuple(ROWS), metavar="ROW",
                        help="which, of " + ", ".join(ROWS))
    parser.add_argument("--minutes", type=float, default=29, help="after which nothing new is begun")
    parser.add_argument("--no_peer", action="store_true", help="leave the published system out")
    parser.add_argument("--no_curves", action="store_true", help="leave the curves of growth out")
    return parser.parse_args(argv)


def main(argv=None):
    """Measure everything; the status is 1 if something was not measured, not where a goal is missed."""
    arguments = parse_arguments(argv)
    os.makedirs(arguments.output, exist_ok=True)
    bench = Bench(arguments)
    bench.run()
    print("\n{}\n\nwritten to {}".format(bench.table(), arguments.output))
    return 0 if bench.complete else 1


if __name__ == "__main__":
    run_main(main)
