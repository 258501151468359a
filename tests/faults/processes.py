"""Commands as processes to watch and kill: started anew, or forked with everything imported.

Loading TensorFlow takes most of a short command's life. So most commands are forked from this
process, which has imported everything and started no thread; the others show what happens to one
that is killed while it loads.
"""

import atexit
import contextlib
import faulthandler
import glob
import importlib
import os
import runpy
import signal
import sys
import threading
import time
import traceback
from typing import Callable, List

from training.cluster import ENVIRONMENT
from utils.paths import REPO_ROOT
from utils.tf_compat import tf

_ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": REPO_ROOT, "TF_CPP_MIN_LOG_LEVEL": "3"}
_IMPORTS = (
    "demo",
    "preprocess_img",
    "synthesis.__main__",
    "train",
    "dlib",
    "tests.faults.tiny_training",
    "tensorboard.plugins.mesh.summary",
    "PIL.ImageFilter",
    "scipy.sparse",
)
# Seconds between looks, which slow the process down.
_LOOK, _SELDOM_LOOK = 0.01, 0.1
# A process that gets no processor time for so long waits for something that does not come.
_IDLE_PATIENCE, _BUSY_PATIENCE = 120, 300  # seconds on the clock; seconds of processor time
_ORPHANS_PATIENCE = 20  # seconds in which a command's children must end after it
_TICKS = float(os.sysconf("SC_CLK_TCK"))


class Fault(Exception):
    """Something was lost, corrupt or left behind; the message names it."""


def warm_up() -> None:
    """Import the modules of the commands without starting threads, which forks would lose."""
    os.environ.update(_ENVIRONMENT)
    for name in _IMPORTS:
        with contextlib.suppress(ImportError):  # the commands do without it
            importlib.import_module(name)
    assert tf.VERSION
    importlib.import_module("mesh_renderer.operations").load_operations()
    importlib.import_module("mesh_renderer.build").build_core_library()


class Process:
    """A command that runs in a process group of its own.

    Args:
        arguments: script and its command line, or any program with ``cold``.
        folder: for its output, files of the process's own.
        cold: start it anew, instead of forking this process.

    Attributes:
        returncode: exit status, or minus the signal that ended it; None as long as it runs.
        processor_time: seconds that it and its workers have computed, as of the last look.
        stderr: what it said, once it has ended.
    """

    def __init__(self, arguments: List[str], folder: str, cold: bool) -> None:
        os.makedirs(folder, exist_ok=True)
        self.returncode, self.processor_time, self.stderr = None, 0.0, ""
        self._stderr_path = os.path.join(folder, "stderr")
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setpgid(0, 0)
                _redirect(folder)
                os.chdir(REPO_ROOT)
                os.environ.update(_ENVIRONMENT, PYTHONFAULTHANDLER="1")
                signal.signal(signal.SIGINT, signal.SIG_DFL)  # shells ignore it in background jobs
                if cold:
                    os.execvp(arguments[0], arguments)
                _run_here(arguments)
            finally:
                os._exit(99)
        # whoever is first: the group must be there before a signal goes to it
        with contextlib.suppress(OSError):
            os.setpgid(self.pid, self.pid)

    def look(self) -> bool:
        """See whether it still runs, and how much it has computed; returns whether it runs."""
        if self.returncode is None:
            self.processor_time = max(self.processor_time, _processor_time(self.pid))
            pid, state = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = (
                    -os.WTERMSIG(state) if os.WIFSIGNALED(state) else os.WEXITSTATUS(state)
                )
        return self.returncode is None

    def wait_until(self, condition: Callable[[], bool], interval: float = _LOOK) -> bool:
        """Wait until ``condition()`` holds or it has ended; returns whether it still runs.

        Raises:
            Fault: it hangs; stderr then shows where.
        """
        computed, since = 0.0, time.monotonic()
        while self.look():
            if condition():
                return True
            if self.processor_time > computed:
                computed, since = self.processor_time, time.monotonic()
            if time.monotonic() - since > _IDLE_PATIENCE or computed > _BUSY_PATIENCE:
                raise Fault("it hangs:\n{}".format(self._abort()))
            time.sleep(interval)
        return False

    def signal(self, number: int, group: bool = False) -> None:
        """Send a signal to the process, or as a terminal does to all of its group."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def finish(self) -> "Process":
        """Wait for its end, and that of everything it started; returns itself.

        Raises:
            Fault: it hangs, told something else than sentences, or left processes behind.
        """
        self.wait_until(lambda: False, _SELDOM_LOOK)
        deadline = time.monotonic() + _ORPHANS_PATIENCE
        while _group(self.pid):
            if time.monotonic() > deadline:
                names = [_name(pid) for pid in _group(self.pid)]
                self.signal(signal.SIGKILL, group=True)
                raise Fault("processes were left behind: {}".format(", ".join(names)))
            time.sleep(_SELDOM_LOOK)
        self._read_stderr()
        if "Traceback" in self.stderr and self.returncode not in (-signal.SIGKILL, -signal.SIGINT):
            raise Fault("a traceback:\n{}".format(self.stderr))
        return self

    def said(self) -> str:
        """Return the last line on stderr."""
        lines = self.stderr.strip().splitlines()
        return lines[-1] if lines else ""

    def _abort(self):
        """End it with a stack trace of all threads; return the trace."""
        self.signal(signal.SIGABRT)
        time.sleep(2)
        self.signal(signal.SIGKILL, group=True)
        self._read_stderr()
        return self.stderr

    def _read_stderr(self):
        with open(self._stderr_path, errors="backslashreplace") as file:
            self.stderr = file.read()


def _redirect(folder):
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, descriptor)
        os.close(file)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)


def run_as_main(arguments: List[str]) -> None:
    """Run a script, or a package after ``-m``, in this process as the interpreter would.

    Args:
        arguments: path of the script, or ``-m`` and the name of the package; then its command line.
    """
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__")
    else:
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")


def _run_here(arguments):
    """Run a script in this forked process as the interpreter would, and end it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.enable(2)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False, buffering=1)
    status = 1
    try:
        run_as_main(arguments)
        status = 0
    except SystemExit as end:
        status = end.code or 0
    except KeyboardInterrupt:
        status = -signal.SIGINT
    except BaseException:
        traceback.print_exc()
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _processor_time(pid):
    """Return the seconds that a process and its descendants have computed."""
    total, waiting = 0.0, [pid]
    while waiting:
        pid = waiting.pop()
        with contextlib.suppress(OSError, IndexError):  # it ended meanwhile
            total += sum(int(ticks) for ticks in _stat(pid)[11:15]) / _TICKS
            for thread in os.listdir("/proc/{}/task".format(pid)):
                with open("/proc/{}/task/{}/children".format(pid, thread)) as file:
                    waiting += file.read().split()
    return total


def _group(leader):
    """Return the living processes of a group."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                state, _, group = _stat(name)[:3]
                if int(group) == leader and state != "Z":
                    found.append(int(name))
    return found


def _stat(pid):
    """Return the fields of /proc/PID/stat from the third, the state, on."""
    with open("/proc/{}/stat".format(pid)) as file:
        return file.read().rpartition(")")[2].split()


def workers_of(pid: int) -> List[int]:
    """Return the workers of training that a process has started.

    Their environment tells them from its other helpers, which bear its own command line until
    their programs begin.
    """
    found = []
    for path in glob.glob("/proc/{}/task/*/children".format(pid)):
        with contextlib.suppress(OSError), open(path) as file:
            found += [child for child in map(int, file.read().split()) if _is_worker(child)]
    return found


def _is_worker(pid):
    with contextlib.suppress(OSError), open("/proc/{}/environ".format(pid), "rb") as file:
        variables = file.read().split(b"\0")
        return any(each.startswith(ENVIRONMENT.encode() + b"=") for each in variables)
    return False  # it has ended


def _name(pid):
    try:
        with open("/proc/{}/cmdline".format(pid)) as file:
            return file.read().replace("\0", " ")[:200]
    except OSError:
        return str(pid)
