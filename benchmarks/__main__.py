"""Run all rows of the table, each in its own process: ``python -m benchmarks [--minutes 29]``.

Prints the table, and writes it with the machine's properties and the curves into a folder after
each row. A row that fails or exceeds its share of the time is marked in the table; the others
continue.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, Dict, List, Optional, Tuple

from benchmarks.measuring import Row, describe_machine
from benchmarks.peer import peer_python
from utils.atomic import atomic_path
from utils.errors import InputError, run_main
from utils.paths import REPO_ROOT, RESULT_DIR

# Row -> time limit in seconds, about twice its time on two idle cores.
ROWS = {
    "rasterizer": 60,
    "render": 90,
    "gradient": 150,
    "training_step": 240,
    "regression": 120,
    "demo": 360,
    "detection": 60,
    "preprocess": 300,
    "fitting": 300,
    "synthesis": 360,
    "startup": 150,
    "video": 300,
}
WITHOUT_PEER = ("detection", "preprocess", "fitting", "synthesis", "startup", "video")
OTHERS = {"floors": 60, "growth": 240, "growth_photos": 600, "rasterizer_cuda": 120}
_PATIENCE = 20  # seconds of clean-up that a stopped row gets


class RowFailed(Exception):
    """A row was not measured; the message is the reason."""


def run_row(name: str, flags: List[str], limit: float) -> Row:
    """Run a benchmark in a process of its own, and return its row.

    Args:
        name: module.
        flags: arguments of its command line.
        limit: seconds.

    Raises:
        RowFailed: it failed, or exceeded the limit.
    """
    # In a session of its own, so that its children can be stopped with it.
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks." + name, "--json"] + flags,
        cwd=REPO_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        _end(process)
        raise RowFailed("took longer than {:.0f} s".format(limit)) from None
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        raise RowFailed(
            (errors.strip().splitlines() or ["status {}".format(process.returncode)])[-1]
        )
    return json.loads(output)


def _end(process: Any) -> None:
    """Stop a row and its children, after time to remove their temporary files."""
    for signal_number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
        except OSError:
            return
        try:
            process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            continue


def table(rows: List[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| work | ours | published | ratio | wanted | memory, MiB: ours, published |",
        "|---|---|---|---|---|---|",
    ]
    lines += ["| {} |".format(" | ".join(_cells(row))) for row in rows]
    return "\n".join(lines)


def _cells(row: Row) -> Tuple[str, ...]:
    if "failed" in row:
        return row["name"], "**not measured**: " + row["failed"], "", "", "", ""
    verdict = "" if row.get("reached", True) else ", **not reached**"
    if "value" in row:
        sign = "at least" if row["unit"].endswith("/s") else "at most"
        return (
            row["name"],
            "{:.3g} {}".format(row["value"], row["unit"]),
            "",
            "",
            "{} {:g} {}{}".format(sign, row["goal"], row["unit"], verdict),
            "{}".format(row["memory_mib"]),
        )
    peer = (
        ("", "")
        if "ratio" not in row
        else ("{:.3g} ms".format(row["peer_milliseconds"]), "{:.1f}".format(row["ratio"]))
    )
    return (
        (row["name"], "{:.3g} ms/{}".format(row["milliseconds"], row["per"]))
        + peer
        + (
            "{:g}{}".format(row["goal_ratio"], verdict),
            "{}, {}".format(row["memory_mib"], row.get("peer_memory_mib", "")),
        )
    )


class Bench:
    """A run of all rows within a time limit.

    Args:
        arguments: the parsed command line.

    Attributes:
        complete: False if a row was not measured.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._begin = time.monotonic()
        self._report: Dict[str, Any] = {"machine": describe_machine(), "rows": []}
        self.complete = True

    def run(self) -> None:
        """Measure all rows; print and write each at once."""
        arguments = self._arguments
        no_peer = arguments.no_peer or not self._has_peer()
        for name in arguments.rows:
            flags = ["--no_peer"] if no_peer and name not in WITHOUT_PEER else []
            row = self._measured(name, flags, ROWS[name])
            self._report["rows"].append(row)
            self._say(" | ".join(_cells(row)))
            self._write()
        others = ["floors", "rasterizer_cuda"] + (
            [] if arguments.no_curves else ["growth", "growth_photos"]
        )
        for name in others:
            self._report[name] = self._measured(name, self._flags_of(name), OTHERS[name])
            self._say("{}: {}".format(name, self._report[name].get("failed") or "done"))
            self._write()

    def table(self) -> str:
        """Return the table as Markdown."""
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
            return [
                "--output",
                self._arguments.output,
                "--seconds",
                "{:.0f}".format(max(seconds, 1)),
            ]
        return []

    def _has_peer(self):
        self._say("preparing the published system, which is installed the first time")
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
        for name, text in (
            ("bench.json", json.dumps(self._report, indent=1)),
            ("bench.md", self.table()),
        ):
            with atomic_path(os.path.join(self._arguments.output, name)) as temporary, open(
                temporary, "w"
            ) as file:
                file.write(text + "\n")


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--output",
        default=os.path.join(RESULT_DIR, "benchmarks"),
        metavar="DIR",
        help="folder for bench.json, bench.md and the curves",
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=tuple(ROWS),
        default=tuple(ROWS),
        metavar="ROW",
        help="rows to measure, of " + ", ".join(ROWS),
    )
    parser.add_argument(
        "--minutes", type=float, default=29, help="time after which no row is started"
    )
    parser.add_argument("--no_peer", action="store_true", help="omit the published system")
    parser.add_argument("--no_curves", action="store_true", help="omit the curves of growth")
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> int:
    """Measure everything; the status is 1 if a row was not measured, 0 even if a goal is missed."""
    arguments = parse_arguments(argv)
    os.makedirs(arguments.output, exist_ok=True)
    bench = Bench(arguments)
    bench.run()
    print("\n{}\n\nwritten to {}".format(bench.table(), arguments.output))
    return 0 if bench.complete else 1


if __name__ == "__main__":
    run_main(main)
