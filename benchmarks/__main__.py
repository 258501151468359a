"""Run all rows of the table, each in its own process: ``python -m benchmarks [--output DIR]``.

Prints the table and writes it, the machine and the curves into the folder.
"""

import argparse
import json
import os
import subprocess
import sys

from benchmarks.measuring import machine
from workspace.atomic import atomic_path
from workspace.errors import InputError, run_main
from workspace.paths import REPO_ROOT, RESULT_DIR

ROWS = ("rasterizer", "render", "gradient", "training_step", "regression", "demo", "preprocess", "fitting",
        "synthesize", "startup")
WITHOUT_PEER = ("preprocess", "fitting", "synthesize", "startup")


def run_row(name, flags):
    """Return the row of a benchmark, run in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks." + name, "--json"] + flags, cwd=REPO_ROOT,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    output, errors = process.communicate()
    if process.returncode:
        raise InputError("python -m benchmarks.{} failed: {}".format(
            name, (errors.strip().splitlines() or ["status {}".format(process.returncode)])[-1]))
    return json.loads(output)


def table(rows):
    """Return the rows as a Markdown table."""
    lines = ["| work | ours | published | ratio | wanted | memory, MiB: ours, published |", "|---|---|---|---|---|---|"]
    lines += ["| {} |".format(" | ".join(_cells(row))) for row in rows]
    return "\n".join(lines)


def _cells(row):
    verdict = "" if row.get("reached", True) else " **not reached**"
    if "value" in row:
        sign = "at most" if row["unit"].startswith("s") else "at least"
        return (row["name"], "{:.3g} {}".format(row["value"], row["unit"]), "", "",
                "{} {:g} {}{}".format(sign, row["goal"], row["unit"], verdict), "{}".format(row["memory_mib"]))
    peer = ("", "") if "ratio" not in row else (
        "{:.3g} ms".format(row["peer_milliseconds"]), "{:.1f}".format(row["ratio"]))
    return (row["name"], "{:.3g} ms/{}".format(row["milliseconds"], row["per"])) + peer + (
        "{:g}{}".format(row["goal_ratio"], verdict), "{}, {}".format(row["memory_mib"], row.get("peer_memory_mib", "")))


def parse_arguments(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default=os.path.join(RESULT_DIR, "benchmarks"), metavar="DIR",
                        help="folder for bench.json, bench.md and the curves")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, metavar="ROW", help="which, of " + ", ".join(
        ROWS))
    parser.add_argument("--no_peer", action="store_true", help="leave the published system out")
    parser.add_argument("--no_curves", action="store_true", help="leave the curves of growth out")
    return parser.parse_args(argv)


def main(argv=None):
    """Measure everything; the status is 0 even where a goal is missed: the table says so."""
    arguments = parse_arguments(argv)
    os.makedirs(arguments.output, exist_ok=True)
    rows = []
    for name in arguments.rows:
        flags = ["--no_peer"] if arguments.no_peer and name not in WITHOUT_PEER else []
        rows.append(run_row(name, flags))
        print(" | ".join(_cells(rows[-1])), flush=True)
    report = {"machine": machine(), "floors": run_row("floors", []), "rows": rows}
    if not arguments.no_curves:
        report["growth"] = run_row("growth", ["--output", arguments.output])
    for name, text in (("bench.json", json.dumps(report, indent=1) + "\n"), ("bench.md", table(rows) + "\n")):
        with atomic_path(os.path.join(arguments.output, name)) as temporary, open(temporary, "w") as file:
            file.write(text)
    print("\n{}\n\nwritten to {}".format(table(rows), arguments.output))
    return 0


if __name__ == "__main__":
    run_main(main)
