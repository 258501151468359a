"""Runs cases in forked children of a process that has imported everything and started nothing."""

import importlib
import os
import pickle
import shutil
import signal
import sys
import time
from typing import NamedTuple

from tests.fuzz import sandbox, stand_ins
from tests.fuzz.cases import NOTHING, make_case, stage_case
from tests.fuzz.originals import write_originals
from tests.fuzz.verdict import BEFORE, REFUSED, judge
from utils import tf_compat as tf_runtime
from utils.paths import REPO_ROOT
from utils.tf_compat import tf

PATIENCE = 60  # seconds for a case, on a busy machine
_COMMANDS = (
    "demo",
    "nme",
    "obj",
    "preprocess_img",
    "renderer",
    "synthesis.__main__",
    "train",
    "checkpoints.__main__",
)
_LATE_IMPORTS = (
    "dlib",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "scipy.sparse",
    "tensorboard.plugins.mesh.summary",
    "skimage",
    "PIL.ImageFilter",
)
# Of all cases, from the start of the process: BLAS starts threads when it is loaded.
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "MPLBACKEND": "agg",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_FOLDERS = ("in", "out", "outside", "cwd", "tmp")


class End(NamedTuple):
    """How a case ended."""

    number: int
    case: object
    verdict: str
    detail: str
    seconds: float
    work: float  # seconds of processor time
    memory: float  # GiB


class Runner:
    """Makes whole files once, then runs cases.

    Args:
        folder: for everything; the caller removes it.
        seed: of all damages.
    """

    def __init__(self, folder: str, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._originals = os.path.join(folder, "originals")
        os.chmod(folder, 0o755)
        self._warm_up()
        os.makedirs(self._originals)
        self._in_child(lambda: write_originals(self._originals))

    def _warm_up(self):
        """Import everything, and start no threads: they would not survive in the children."""
        os.environ.update(ENVIRONMENT, MPLCONFIGDIR=os.path.join(self._folder, "matplotlib"))
        sys.dont_write_bytecode = True
        self._modules = {name: importlib.import_module(name) for name in _COMMANDS}
        for name in _LATE_IMPORTS:
            try:
                importlib.import_module(name)
            except ImportError:
                pass  # and the commands do without it
        with tf_runtime._stderr_held_back():  # TensorFlow's greeting
            assert tf.VERSION
        importlib.import_module("mesh_renderer.operations").load_operations()
        importlib.import_module("mesh_renderer.build").build_core_library()
        stand_ins.install()
        if len(os.listdir("/proc/self/task")) > 1:
            raise RuntimeError("a thread was started, which forked cases would miss")

    def _in_child(self, work):
        child = os.fork()
        if not child:
            status = 1
            try:
                sandbox.silence()
                work()
                status = 0
            finally:
                if status:
                    sandbox.complain()
                os._exit(status)
        if os.waitpid(child, 0)[1]:
            raise RuntimeError("the whole files cannot be made")

    def run(self, numbers, at_once, keep=lambda end: False):
        """Run cases and yield their :class:`End`, in any order.

        Args:
            numbers: of the cases.
            at_once: how many run beside each other.
            keep: says of an ``End`` whether its folder stays.
        """
        waiting, running = iter(numbers), {}
        number = next(waiting, None)
        while running or number is not None:
            while number is not None and len(running) < at_once:
                running.update([self._start(number)])
                number = next(waiting, None)
            ended = self._ended(running)
            if ended is None:
                time.sleep(0.003)
                continue
            if not keep(ended):
                shutil.rmtree(self.root(ended.number), ignore_errors=True)
            yield ended

    def root(self, number: int) -> str:
        """Return the folder of a case."""
        return os.path.join(self._folder, "case_{}".format(number))

    def _start(self, number):
        case, root = make_case(self._seed, number), self.root(number)
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(root)
        for name in _FOLDERS:
            os.makedirs(os.path.join(root, name))
        sys.stdout.flush()
        child = os.fork()
        if not child:
            os.setsid()  # so that the whole family can be ended
            sandbox.run(
                lambda: self._staged(case, root),
                root,
                [os.path.join(root, name) for name in ("out", "tmp")],
                REPO_ROOT if case.whole else None,
            )
        return child, (number, case, time.monotonic())

    def _staged(self, case, root):
        """Do the damage and record the files; return the command's module and arguments."""
        module, arguments = stage_case(case, root, self._originals)
        before = {name: sandbox.snapshot(os.path.join(root, name)) for name in _FOLDERS}
        with open(os.path.join(root, BEFORE), "wb") as file:
            pickle.dump(before, file)
        return self._modules[module], arguments

    def _ended(self, running):
        """Return the ``End`` of a case that is over, or None."""
        child, state, usage = os.wait4(-1, os.WNOHANG)
        timed_out = False
        if not child:
            late = [
                pid for pid, (_, _, start) in running.items() if time.monotonic() - start > PATIENCE
            ]
            if not late:
                return None
            child, timed_out = late[0], True
            os.killpg(child, signal.SIGKILL)
            _, state, usage = os.wait4(child, 0)
        number, case, start = running.pop(child)
        verdict, detail = judge(
            self.root(number),
            os.WEXITSTATUS(state) if os.WIFEXITED(state) else None,
            os.WTERMSIG(state) if os.WIFSIGNALED(state) else None,
            usage,
            timed_out,
        )
        if case.damage == NOTHING and verdict == REFUSED:
            verdict = "whole file refused"
        return End(
            number,
            case,
            verdict,
            detail,
            time.monotonic() - start,
            usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss / 2.0**20,
        )
