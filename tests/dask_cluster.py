"""A Dask cluster on this machine: processes of scheduler and workers, and work for them."""

import contextlib
import glob
import importlib
import os
import signal
import subprocess
import sys
import time

from utils.paths import REPO_ROOT
from utils.scheduler import Preparation

_PATIENCE = 120  # seconds in which a scheduler or a worker must have started
_ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": REPO_ROOT, "TF_CPP_MIN_LOG_LEVEL": "3"}
_LOOPBACK = ["--host", "127.0.0.1"]


class LocalDask:
    """A scheduler on the loopback and its workers, each with a nanny that starts it again.

    Args:
        folder: for the scheduler file and logs.
        count: number of workers.

    Attributes:
        file: the scheduler file, for ``--scheduler``.
    """

    def __init__(self, folder, count):
        self.file = os.path.join(folder, "scheduler.json")
        self._folder, self._count, self._processes = folder, count, []

    def __enter__(self):
        try:
            self._start("scheduler", ["--port", "0", "--scheduler-file", self.file])
            self._wait_for(lambda: os.path.isfile(self.file))
            flags = ["--nthreads", "1", "--memory-limit", "0", "--local-directory", self._folder]
            for _ in range(self._count):
                self._start("worker", ["--scheduler-file", self.file] + flags)
            self._wait_for(lambda: len(self.worker_ids()) == self._count)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def worker_ids(self):
        """Return the process ids of the workers, those below the nannies."""
        found = []
        for process in self._processes[1:]:
            for path in glob.glob("/proc/{}/task/*/children".format(process.pid)):
                with contextlib.suppress(OSError), open(path) as file:  # its thread may have ended
                    found += [int(child) for child in file.read().split() if _is_worker(child)]
        return found

    def kill_worker(self, index=0):
        """Kill a worker, which its nanny starts again."""
        os.kill(self.worker_ids()[index], signal.SIGKILL)

    def processor_seconds(self):
        """Return the processor time of scheduler and workers, those that died included."""
        psutil = importlib.import_module("psutil")  # comes with Dask
        total = 0.0
        for process in self._processes:
            root = psutil.Process(process.pid)
            for one in [root] + root.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += sum(one.cpu_times()[:4])  # its own, and that of ended children
        return total

    def _start(self, kind, arguments):
        name = "{}{}.log".format(kind, len(self._processes))
        command = [sys.executable, "-m", "distributed.cli.dask_" + kind, "--no-dashboard"]
        with open(os.path.join(self._folder, name), "wb") as log:
            self._processes.append(
                subprocess.Popen(
                    command + _LOOPBACK + arguments,
                    cwd=REPO_ROOT,
                    env=dict(os.environ, **_ENVIRONMENT),
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def _wait_for(self, condition):
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            ended = [process for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise RuntimeError("the Dask cluster does not start, see " + self._folder)
            time.sleep(0.1)


def _is_worker(pid):
    """Tell the worker from multiprocessing's own helper processes."""
    with contextlib.suppress(OSError):
        with open("/proc/{}/cmdline".format(pid)) as file:
            return "spawn_main" in file.read()
    return False


def prepare_squares():
    """Make a worker ready to square numbers; 13 is skipped."""

    def square(numbers, report):
        for number in numbers:
            if number == 13:
                report.skip(str(number), "bad luck")
            else:
                report.step()
        return [number * number for number in numbers]

    return Preparation("the toy", square)
