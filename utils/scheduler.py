"""Units of work on many machines: the client of a Dask cluster, and its side in the workers.

A command divides its work into units, and a worker does a unit as the command itself would: it
writes the results of the unit into the command's folder, each file atomically. Dask gives the unit
of a worker that died to another one, which writes the same bytes. File system, working folder and
code are those of the command, on all machines.
"""

import argparse
import asyncio
import atexit
import concurrent.futures
import contextlib
import functools
import hashlib
import importlib
import io
import logging
import os
import pickle
import sys
import tempfile
import threading
import time
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Sequence,
    Tuple,
    TypeVar,
)

from utils.atomic import PARTIAL_PREFIX, remove_partial_files
from utils.errors import InputError, first_line
from utils.report import RecordedReport, Report
from utils.tf_compat import tf
from utils.version import VERSION, git_revision
from utils.workers import keep_freed_memory

_Item = TypeVar("_Item")

UNIT_SIZE = 32  # photos; their loss costs some seconds, and handing them out some milliseconds
_CONNECT_PATIENCE = 10.0  # seconds in which scheduler and first worker must answer
_CHECK_PATIENCE = 300.0  # seconds in which a worker must have loaded code and face model
_ABSENCE_PATIENCE = 60.0  # seconds without any worker after which the command gives up
_STOP_PATIENCE = 20.0  # seconds in which workers must notice that the command has stopped
_LOOK = 1.0  # seconds between looks at the cluster
_UNITS_AHEAD = 2  # units handed out for each worker: one that it does, and the next one
_NOTE = "note: "  # beginning of the lines of utils.errors.log_notes
# Errors of results that are lost with the scheduler; which one depends on the version of Dask.
_CANCELED = (asyncio.CancelledError, concurrent.futures.CancelledError)
_ONE_UNIT = threading.Lock()  # a worker process does one unit at a time, whatever its threads


def add_scheduler_flag(parser: argparse.ArgumentParser) -> None:
    """Add ``--scheduler`` to a parser."""
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="share the photos among the workers of a Dask cluster; address (tcp://HOST:8786) or "
        "scheduler file of its scheduler, see docs/cluster.md",
    )


def divide(items: Sequence[_Item], together: int = 1) -> List[Sequence[_Item]]:
    """Return the work units of items: lists of about :data:`UNIT_SIZE`.

    Args:
        items: photos, or other items of their cost.
        together: items of a batch; a unit holds whole batches.
    """
    size = together * max(1, round(UNIT_SIZE / together))
    return [items[first : first + size] for first in range(0, len(items), size)]


class Preparation(NamedTuple):
    """A worker that is ready for units."""

    fingerprint: str  # of the face model
    work: Callable[[Any, Report], Any]  # does a unit, and returns its result


class _Run(NamedTuple):
    """The run of a command, for its workers; its token holds it, pickled."""

    folder: str  # working folder of the command
    facts: Dict[str, str]  # properties of code and face model, which workers must share
    prepare: Callable[[], Preparation]


class _Token(NamedTuple):
    """The file that a command writes for its workers, and removes at its end."""

    path: str
    digest: str  # of its content


class CommandEnded(Exception):
    """The command that wanted a unit has ended; nobody reads the message."""


@functools.lru_cache(maxsize=None)  # of the code in memory, whatever becomes of its files
def _describe_code() -> Dict[str, str]:
    """Return the properties of this process's code that results depend on."""
    return {"version": VERSION, "revision": str(git_revision()), "TensorFlow": tf.VERSION}


class Workers:
    """The workers of a Dask cluster, for one run of a command.

    Args:
        address: address or scheduler file of the scheduler.
        folder: output folder, locked by the caller, which all workers must see.
        parts: names of the subfolders that are written into.
        fingerprint: that of the face model.
        prepare: function that makes a worker ready, called in each of them; it may be one of the
            script.

    Use it as a context, whose end stops all work.
    """

    def __init__(
        self,
        address: str,
        folder: str,
        parts: Sequence[str],
        fingerprint: str,
        prepare: Callable[[], Preparation],
    ) -> None:
        self._address = address
        self._folders = [os.path.join(folder, part) for part in ("",) + tuple(parts)]
        self._facts = dict(_describe_code(), **{"face model": fingerprint})
        self._prepare = prepare
        self._waiting: Dict[Any, Any] = {}  # future -> number of the unit, or address to check
        self._token = _Token("", "")

    def __enter__(self) -> "Workers":
        """Connect, and check all workers.

        Raises:
            InputError: Dask is not installed, no scheduler or no worker answers, or a worker does
                not see the output folder, or has other code or another face model.
        """
        self._dask = _import_dask()
        self._client = self._connect()
        try:
            self._require_workers()
            self._write_token()
            self._check_workers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        with contextlib.suppress(FileNotFoundError):  # there is none before a worker
            os.remove(self._token.path)
        with contextlib.suppress(Exception):  # of units that end early, or a scheduler that is lost
            if self._waiting:
                self._dask.wait(list(self._waiting), timeout=_STOP_PATIENCE)
        with contextlib.suppress(Exception):
            self._client.close()
        for folder in self._folders:
            remove_partial_files(folder)  # those of workers that died

    def _connect(self) -> Any:
        """Return a client of the scheduler."""
        is_file = os.path.isfile(self._address)
        try:
            return self._dask.Client(
                timeout=_CONNECT_PATIENCE,
                **{"scheduler_file" if is_file else "address": self._address},
            )
        except (OSError, ValueError, ImportError) as error:
            raise InputError(
                "--scheduler {}: no Dask scheduler answers there ({}); start one, as "
                "docs/cluster.md shows, or correct the address".format(
                    self._address, first_line(error)
                )
            ) from None

    def _require_workers(self) -> None:
        """Wait for the first worker."""
        start = time.monotonic()
        while not self._addresses():
            if time.monotonic() - start > _CONNECT_PATIENCE:
                raise InputError(
                    "--scheduler {}: has no workers; start some, as docs/cluster.md shows".format(
                        self._address
                    )
                )
            time.sleep(_LOOK)

    def _write_token(self) -> None:
        """Write the file by which workers recognize the folder, and see that they are wanted."""
        run = _Run(os.getcwd(), self._facts, self._prepare)
        content = importlib.import_module("cloudpickle").dumps(run)
        descriptor, path = tempfile.mkstemp(
            prefix=PARTIAL_PREFIX, dir=os.path.abspath(self._folders[0])
        )
        self._token = _Token(path, _digest(content))
        with open(descriptor, "wb") as file:
            file.write(content)
        os.chmod(path, 0o644)  # workers may be of another user

    def _check_workers(self) -> None:
        """Let all workers prepare themselves.

        Raises:
            InputError: a worker is unfit.
        """
        for address in self._addresses():
            future = self._client.submit(
                _check, self._token, workers=[address], allow_other_workers=False, pure=False
            )
            self._waiting[future] = address
        start = time.monotonic()
        while self._waiting:
            present = self._addresses()
            for future in self._finished():
                self._result(future)
                del self._waiting[future]
            for future, address in list(self._waiting.items()):
                if address not in present:  # it died, and others do its work
                    del self._waiting[future]
                elif time.monotonic() - start > _CHECK_PATIENCE:
                    raise InputError(
                        "worker {} has not loaded code and face model within {:.0f} minutes; look "
                        "at its log, or end it".format(address, _CHECK_PATIENCE / 60)
                    )

    def run(self, units: Iterable[Any], report: Report) -> Iterator[Tuple[int, Any]]:
        """Do units of work, and yield the number and the result of each, in any order.

        Args:
            units: anything that can be pickled; the next one is taken when a worker is free.
            report: a ``Report``, which learns of each unit when it is finished.

        Raises:
            InputError: of a unit; or all workers, or the scheduler, are lost.
        """
        numbered = enumerate(units)
        seen = time.monotonic()
        exhausted = False
        while True:
            # 1. Hand out.
            workers = len(self._addresses())
            report.note("{} worker{}".format(workers, "" if workers == 1 else "s"))
            while not exhausted and len(self._waiting) < _UNITS_AHEAD * max(workers, 1):
                number, unit = next(numbered, (-1, None))
                exhausted = number < 0
                if not exhausted:
                    future = self._client.submit(_work, self._token, pickle.dumps(unit), pure=False)
                    self._waiting[future] = number
            if not self._waiting:
                return

            # 2. Collect.
            for future in self._finished():
                calls, result = self._result(future)
                number = self._waiting.pop(future)
                report.replay(calls)
                yield number, result

            # 3. Watch.
            seen = time.monotonic() if workers else seen
            if time.monotonic() - seen > _ABSENCE_PATIENCE:
                raise InputError(
                    "--scheduler {}: all workers are gone; start some, and run it again".format(
                        self._address
                    )
                )

    def _finished(self) -> List[Any]:
        """Return the futures that have finished, after waiting for one for a while."""
        try:
            self._dask.wait(list(self._waiting), timeout=_LOOK, return_when="FIRST_COMPLETED")
        except self._dask.TimeoutError:
            pass
        except _CANCELED:
            raise self._lost_error() from None
        return [future for future in self._waiting if future.done()]

    def _result(self, future: Any) -> Any:
        """Return the result of a finished future.

        Raises:
            InputError: its own, or why it has none.
        """
        try:
            return future.result()
        except _CANCELED:
            raise self._lost_error() from None
        except (ImportError, AttributeError) as error:
            raise _other_code_error(error) from None
        except RuntimeError as error:
            if isinstance(error.__cause__, (ImportError, AttributeError)):
                raise _other_code_error(error.__cause__) from None
            raise
        except self._dask.scheduler.KilledWorker:
            raise InputError(
                "several workers died one after the other while they did unit {} (out of memory?); "
                "look at their logs, give them more memory, and run it again".format(
                    self._waiting[future]
                )
            ) from None

    def _addresses(self) -> List[str]:
        """Return the addresses of the workers that are there.

        Raises:
            InputError: the scheduler is lost.
        """
        try:
            return list(self._client.nthreads())
        except (OSError,) + _CANCELED:
            raise self._lost_error() from None

    def _lost_error(self) -> InputError:
        return InputError(
            "--scheduler {}: was lost; start it and its workers anew, and run this command "
            "again".format(self._address)
        )


def _other_code_error(error: BaseException) -> InputError:
    return InputError(
        "scheduler or workers of the cluster cannot load this code ({}); start both in its folder, "
        "as docs/cluster.md shows".format(first_line(error))
    )


def _import_dask() -> Any:
    """Return the ``distributed`` package, silenced: its losses become errors here.

    Raises:
        InputError: it is not installed.
    """
    try:
        dask = importlib.import_module("distributed")
    except ImportError:
        raise InputError(
            "--scheduler needs Dask, which is not installed; run `pip install -r "
            "requirements/cluster.txt`"
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    # The command closes its client itself; Dask would complain of one that a signal left half open.
    atexit.unregister(dask.client._close_global_client)
    return dask


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check(token: _Token) -> None:
    """Make this worker ready for the units of a run; see :func:`_join`."""
    with _ONE_UNIT:
        _join(token)


def _work(token: _Token, unit: bytes) -> Tuple[List[Any], Any]:
    """Do a unit in this worker.

    Args:
        token: that of the command.
        unit: pickled.

    Returns:
        The calls for the command's report, and the result.
    """
    with _ONE_UNIT:
        work = _join(token)
        report = RecordedReport(functools.partial(_require_wanted, token))
        with _notes_into(report):
            result = work(pickle.loads(unit), report)
        return report.calls, result


@functools.lru_cache(maxsize=1)
def _join(token: _Token) -> Callable[[Any, Report], Any]:
    """Make this worker ready for the units of a run; return the work.

    Raises:
        InputError: it does not see the command's folders, or has other code or another face model.
    """
    # 1. The file system.
    try:
        with open(token.path, "rb") as file:
            content = file.read()
    except OSError:
        content = b""
    if _digest(content) != token.digest:
        raise _not_seen_error(os.path.dirname(token.path))
    run: _Run = pickle.loads(content)
    try:
        os.chdir(run.folder)
    except OSError:
        raise _not_seen_error(run.folder) from None

    # 2. Code and face model.
    keep_freed_memory()
    _require_equal(run.facts, _describe_code())
    preparation = run.prepare()
    _require_equal(run.facts, {"face model": preparation.fingerprint})
    return preparation.work


def _not_seen_error(folder: str) -> InputError:
    return InputError(
        "{} does not see {} as this machine does; use folders of a file system that all machines "
        "share".format(_worker_name(), folder)
    )


def _require_equal(facts: Dict[str, str], own: Dict[str, str]) -> None:
    """Raise an InputError if this worker differs from the command in some property."""
    for name, value in own.items():
        if facts[name] != value:
            raise InputError(
                "{} has another {} than this command ({} instead of {}); start it anew with the "
                "same code and face model".format(_worker_name(), name, value, facts[name])
            )


def _worker_name() -> str:
    worker: Any = importlib.import_module("distributed").get_worker()
    return "worker {}".format(worker.address)


def _require_wanted(token: _Token) -> None:
    """Raise CommandEnded if the command has ended."""
    if not os.path.exists(token.path):
        raise CommandEnded()


@contextlib.contextmanager
def _notes_into(report: Report) -> Iterator[None]:
    """Send the notes that this process writes to stderr to a report, and all else to stderr."""
    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        yield
    finally:
        written, sys.stderr = sys.stderr, stderr
        for line in written.getvalue().splitlines():
            if line.startswith(_NOTE):
                report.remark(line[len(_NOTE) :])
            else:
                stderr.write(line + "\n")
