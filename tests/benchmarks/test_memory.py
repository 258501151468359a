"""The benchmark of memory detects growth, and separates it from mapped files."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.memory import family_memory, follow, parse_arguments, report, trend
from utils.paths import REPO_ROOT


def test_a_slope_is_that_after_the_warm_up():
    seconds = np.arange(0, 4000, 10.0)
    held = 500 + np.where(seconds < 900, seconds, 900) + 0.5 * seconds / 60
    found = trend(seconds, held, 900)
    assert (found.begin, round(found.slope, 6)) == (900, 0.5) and found.most == held.max()
    # less than twice the warm-up: three quarters count
    short = trend(seconds[:100], held[:100], 900)
    assert 240 < short.begin < 260 and short.slope == pytest.approx(60.5, abs=10)


def test_memory_of_programs_and_of_files_is_told_apart(tmp_path):
    np.zeros(60 << 20, np.uint8).tofile(str(tmp_path / "mapped"))
    code = (
        "import mmap, subprocess, sys, time\n"
        "file = open({!r}, 'rb')\nmapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n"
        "total = sum(mapped[i] for i in range(0, len(mapped), 4096))\n"
        "child = subprocess.Popen([sys.executable, '-c', "
        "\"held = b'x' * (80 << 20); print(1, flush=True); "
        'input()"], stdin=subprocess.PIPE)\ntime.sleep(60)\n'
    ).format(str(tmp_path / "mapped"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"1\n"  # of the child, which holds 80 MiB
        anonymous, file_backed = family_memory(process.pid)
        assert 80 << 20 < anonymous < 140 << 20 and 60 << 20 < file_backed < 120 << 20
    finally:
        process.kill()
        process.wait()
    assert family_memory(process.pid) == (0, 0)


def test_what_grows_is_seen_drawn_and_written(tmp_path, capsys):
    code = (
        "import time\nheld = []\nfor _ in range(40):\n"
        "    held.append(b'x' * (2 << 20))\n    time.sleep(0.1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    samples = follow(process.pid, limit=3, interval=0.05)
    process.kill()
    process.wait()
    report("grows", samples, parse_arguments(["--output", str(tmp_path)]))
    with open(str(tmp_path / "memory_grows.csv")) as file:
        assert next(csv.reader(file)) == ["seconds", "anonymous_mib", "file_backed_mib"]
    line = capsys.readouterr().out
    slope = float(line.split("slope ")[1].split()[0])
    assert (
        slope > 100
        and line.startswith("grows: ")
        and os.path.getsize(str(tmp_path / "memory_grows.png")) > 5000
    )


def test_what_was_freed_is_given_back():
    code = (
        "import os\nfrom benchmarks.memory import family_memory\n"
        "from utils.workers import release_freed_memory\n"
        # The last block keeps the heap from shrinking.
        "held = [b'x' * 100000 for _ in range(1000)]\ndel held[:-1]\n"
        "before = family_memory(os.getpid())[0]\nrelease_freed_memory()\n"
        "print(before - family_memory(os.getpid())[0])\n"
    )
    freed = subprocess.check_output(
        [sys.executable, "-c", code], cwd=REPO_ROOT, universal_newlines=True
    )
    assert int(freed) > 60e6
