"""Work units on a Dask cluster: division, checks at the start, and errors in one sentence."""

import os
import pickle
import subprocess
import sys

import pytest

from tests.dask_cluster import LocalDask, prepare_squares
from utils import scheduler
from utils.errors import InputError, log_notes
from utils.paths import REPO_ROOT
from utils.report import RecordedReport, Report


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("distributed", reason="requirements/cluster.txt is not installed")
    with LocalDask(str(tmp_path_factory.mktemp("dask")), 1) as found:
        yield found


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(scheduler, "_CONNECT_PATIENCE", 120.0)  # the worker may still load
    monkeypatch.setattr(scheduler, "_LOOK", 0.1)


def open_workers(address, folder, fingerprint="the toy"):
    return scheduler.Workers(address, str(folder), (), fingerprint, prepare_squares)


@pytest.mark.parametrize("together, sizes", [(1, [32, 32, 6]), (5, [30, 30, 10]), (50, [50, 20])])
def test_units_are_some_dozens_of_photos_in_whole_batches(together, sizes):
    units = scheduler.divide(range(70), together)
    assert [len(unit) for unit in units] == sizes
    assert [number for unit in units for number in unit] == list(range(70))


def test_results_and_reports_of_all_units_arrive(cluster, tmp_path, capsys):
    report = Report(20, "number", "squared", quiet=True)
    units = [range(first, first + 4) for first in range(0, 20, 4)]
    with open_workers(cluster.file, tmp_path) as workers:
        found = dict(workers.run(units, report))
    assert found == {i: [number**2 for number in unit] for i, unit in enumerate(units)}
    assert report.summary().startswith("19 numbers squared, 1 skipped in ")
    assert "skipped: bad luck" in capsys.readouterr().err
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize("what", ["face model", "version", "working folder", "output folder"])
def test_a_worker_that_differs_is_refused_by_name(cluster, tmp_path, monkeypatch, what):
    fingerprint = "the toy"
    if what == "face model":
        fingerprint, words = "another", "has another face model than this command"
    elif what == "version":
        facts = dict(scheduler._describe_code(), version="0.9")
        monkeypatch.setattr(scheduler, "_describe_code", lambda: facts)
        words = "has another version than this command .* instead of 0.9"
    elif what == "working folder":
        monkeypatch.setattr(scheduler.os, "getcwd", lambda: "/no/such/folder")
        words = "does not see /no/such/folder as this machine does"
    else:  # another file than the command wrote
        monkeypatch.setattr(scheduler, "_digest", lambda content: "of another file")
        words = "does not see {} as this machine does".format(tmp_path)
    with pytest.raises(InputError, match="worker tcp://127.0.0.1:[0-9]+ " + words):
        open_workers(cluster.file, tmp_path, fingerprint).__enter__()
    assert os.listdir(str(tmp_path)) == []


def test_without_scheduler_workers_or_dask_one_sentence_says_so(tmp_path, monkeypatch):
    dask = pytest.importorskip("distributed")
    monkeypatch.setattr(scheduler, "_CONNECT_PATIENCE", 1.0)
    with pytest.raises(InputError, match="tcp://127.0.0.1:9: no Dask scheduler answers there"):
        open_workers("tcp://127.0.0.1:9", tmp_path).__enter__()
    with dask.LocalCluster(n_workers=0, dashboard_address=":0") as empty:
        with pytest.raises(InputError, match="has no workers; start some"):
            open_workers(empty.scheduler_address, tmp_path).__enter__()
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match="pip install -r requirements/cluster.txt"):
        open_workers("tcp://127.0.0.1:9", tmp_path).__enter__()


def test_a_client_that_a_signal_left_half_open_does_not_complain():
    pytest.importorskip("distributed", reason="requirements/cluster.txt is not installed")
    code = (
        "from utils.scheduler import _import_dask\ndask = _import_dask()\n"
        "class Client:\n    status, asynchronous = 'closing', False\n"
        "    def close(self, timeout):\n        assert False, 'half open'\n"
        "client = Client()\ndask.client._set_global_client(client)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO_ROOT, stderr=subprocess.PIPE)
    assert process.communicate()[1] == b"" and process.returncode == 0


def test_a_recorded_report_repeats_all_that_was_told(capsys):
    record = RecordedReport(lambda: None)
    with scheduler._notes_into(record):
        record.step(2)
        record.skip("b.jpg", InputError("b.jpg: no face"))
        record.doubt("c")
        record.expect(1)
        log_notes(["d.txt: no five points"])
    assert capsys.readouterr().err == ""
    report = Report(4, "face", "found", quiet=True)
    report.replay(pickle.loads(pickle.dumps(record.calls)))
    assert report.summary().startswith("2 faces found, 1 of them doubtful, 1 skipped in ")
    told = capsys.readouterr().err
    assert "skipped: b.jpg: no face\n" in told and "note: d.txt: no five points\n" in told


def test_work_stops_when_the_command_has_ended(tmp_path):
    token = tmp_path / "token"
    token.write_text("")
    found = scheduler._Token(str(token), "")
    record = RecordedReport(lambda: scheduler._require_wanted(found))
    record.step()
    token.unlink()
    with pytest.raises(scheduler.CommandEnded):
        record.step()
