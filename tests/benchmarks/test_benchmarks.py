"""Reports of the benchmarks: tables, failing rows, growth. Nothing is timed."""

import json
import os
import shutil

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import growth, growth_photos, peer
from utils.errors import InputError

FAST = {
    "name": "quick",
    "per": "image",
    "milliseconds": 1.0,
    "goal_ratio": 12,
    "memory_mib": 5,
    "peer_milliseconds": 20.0,
    "ratio": 20.0,
    "reached": True,
    "peer_memory_mib": 6,
}
SLOW = dict(FAST, name="slow", ratio=3.0, reached=False)
RATE = {
    "name": "rate",
    "value": 20.0,
    "unit": "photos/s",
    "goal": 15,
    "reached": True,
    "memory_mib": 7,
}
DURATION = dict(RATE, name="duration", value=30.0, unit="ms", goal=25, reached=False)


def measured(tmp_path, monkeypatch, rows, **flags):
    """Run the command with rows that are already known; an exception is raised."""

    def run_row(name, _flags, _limit):
        row = rows.get(name, {"name": name})
        if isinstance(row, Exception):
            raise row
        return row

    monkeypatch.setattr(bench, "run_row", run_row)
    monkeypatch.setattr(bench, "peer_python", lambda: "python3.6")
    monkeypatch.setattr(bench, "describe_machine", lambda: {"cores": 2})
    output = str(tmp_path / "bench")
    status = bench.main(
        ["--output", output, "--rows"] + [name for name in bench.ROWS if name in rows]
    )
    with open(os.path.join(output, "bench.json")) as file, open(
        os.path.join(output, "bench.md")
    ) as text:
        return status, json.load(file), text.read()


def test_the_table_says_what_was_reached_and_what_not(tmp_path, monkeypatch, capsys):
    status, report, table = measured(
        tmp_path, monkeypatch, {"rasterizer": FAST, "render": SLOW, "preprocess": RATE}
    )
    assert (
        status == 0 and report["rows"] == [FAST, SLOW, RATE] and report["machine"] == {"cores": 2}
    )
    assert set(bench.OTHERS) <= set(report)
    lines = table.splitlines()
    assert lines[2] == "| quick | 1 ms/image | 20 ms | 20.0 | 12 | 5, 6 |"
    assert "**not reached**" in lines[3] and "**not reached**" not in lines[2] + lines[4]
    assert "at least 15 photos/s" in lines[4]
    assert table.strip() in capsys.readouterr().out


def test_the_goal_of_a_duration_is_a_largest_value():
    expected = "| duration | 30 ms |  |  | at most 25 ms, **not reached** | 7 |"
    assert bench.table([DURATION]).splitlines()[-1] == expected


def test_a_row_that_fails_is_told_and_the_others_go_on(tmp_path, monkeypatch):
    status, report, table = measured(
        tmp_path,
        monkeypatch,
        {"rasterizer": bench.RowFailed("took longer than 60 s"), "render": FAST},
    )
    assert status == 1 and report["rows"][1] == FAST
    assert "| rasterizer | **not measured**: took longer than 60 s |" in table


def test_without_the_published_system_our_side_is_measured(tmp_path, monkeypatch, capsys):
    seen = {}
    monkeypatch.setattr(
        bench, "run_row", lambda name, flags, _: seen.update({name: flags}) or dict(FAST, name=name)
    )
    monkeypatch.setattr(bench, "describe_machine", dict)

    def missing():
        raise InputError("needs Python 3.6")

    monkeypatch.setattr(bench, "peer_python", missing)
    assert (
        bench.main(["--output", str(tmp_path), "--rows", "render", "fitting", "--no_curves"]) == 0
    )
    assert seen["render"] == ["--no_peer"] and seen["fitting"] == [] and "growth" not in seen
    assert "without the published system: needs Python 3.6" in capsys.readouterr().out


def test_when_time_is_up_nothing_more_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "run_row", lambda *_: pytest.fail("begun"))
    monkeypatch.setattr(bench, "describe_machine", dict)
    arguments = [
        "--output",
        str(tmp_path),
        "--rows",
        "render",
        "--no_peer",
        "--no_curves",
        "--minutes",
        "0",
    ]
    assert bench.main(arguments) == 1
    assert "**not measured**: no time was left" in (tmp_path / "bench.md").read_text()


def test_a_row_that_takes_too_long_ends_with_all_its_processes(monkeypatch):
    monkeypatch.setattr(bench.sys, "executable", "/bin/sleep")
    with pytest.raises(bench.RowFailed):
        bench.run_row("no_such_row", [], 5)  # sleep does not know these flags
    monkeypatch.setattr(
        bench.subprocess, "Popen", lambda _, **options: popen(["/bin/sleep", "60"], **options)
    )
    monkeypatch.setattr(bench, "_PATIENCE", 1)  # shells let background jobs ignore the first signal
    with pytest.raises(bench.RowFailed, match="took longer than 1 s"):
        bench.run_row("row", [], 1)


popen = bench.subprocess.Popen


def test_exponents_are_those_of_power_laws():
    sizes = np.array([1, 10, 100])
    assert growth.fit_exponent(sizes, 3.0 * sizes**1.5) == pytest.approx(1.5)


def test_growth_over_photos_tells_time_and_memory():
    few = np.array([[0, 100, 0], [5, 500, 10]], float)
    done = np.arange(0, 101.0)
    many = np.column_stack([4 + done, 500 + 0.02 * done, done])
    found = growth_photos._growth([few, many], [8.0, 98.0])
    assert found["photos"] == [10, 100] and found["seconds"] == [5, 104]
    assert found["mib_per_thousand_photos"] == pytest.approx(20)
    assert found["processor_milliseconds_per_photo"] == pytest.approx(1000)
    assert found["photos_per_second"] == pytest.approx(90 / 99.0)
    assert found["exponent_at_the_end"] == pytest.approx(np.log10(104 / 5.0))


def test_results_are_counted_while_they_are_removed(tmp_path, monkeypatch):
    results = growth_photos._Results(str(tmp_path), ".mat", True)
    for i in range(3):
        for extension in (".mat", ".obj"):
            (tmp_path / "photo{}{}".format(i, extension)).write_text("")
    results.look()
    for i in range(2):
        for extension in (".mat", ".obj"):
            os.utime(str(tmp_path / "photo{}{}".format(i, extension)), (0, 0))
    results.look()
    results.look()
    assert results.counts == [3, 3, 3]
    assert sorted(os.listdir(str(tmp_path))) == ["photo2.mat", "photo2.obj"]


def test_another_system_that_ends_early_is_told_with_its_exit_status(tmp_path):
    python = tmp_path / "peer" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(shutil.which("false"))
    with peer.PeerProcess("demo", {}, str(python)) as process:
        process._process.wait()
        with pytest.raises(InputError, match=r"ended early \(exit status 1\); remove .*/peer and"):
            process.seconds()
