"""The published system, for timing: TensorFlow 1.12 with mesh_renderer 1.4 from PyPI.

Both need Python 3.6. A virtual environment is made once under ``.cache/peer``, and a process in
it works on request, so that both sides can be timed alternately without start-up.
"""

import contextlib
import glob
import os
import shutil
import subprocess
import tempfile

import numpy as np

from utils.errors import InputError
from utils.paths import CACHE_DIR, REPO_ROOT

_PACKAGES = (
    "tensorflow==1.12.0",
    "protobuf==3.19.6",
    "numpy==1.16.6",
    "scipy==1.5.4",
    "pillow==8.4.0",
)
_MESH_RENDERER = "mesh_renderer==1.4"  # its installation compiles against TensorFlow
_WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer_worker.py")


def peer_python():
    """Return the interpreter of the peer's environment, making it first if need be.

    Raises:
        InputError: no Python 3.6, or an installation failed.
    """
    # The pip of Python 3.6 selects packages that need a newer Python.
    steps = (("pip==21.3.1",), _PACKAGES, (_MESH_RENDERER,))
    return make_environment("peer", _python36, steps)


def make_environment(name, find_python, steps):
    """Return the interpreter of an environment under ``.cache``, making it first if need be.

    Args:
        name: of its folder.
        find_python: callable that returns the interpreter of which it is made.
        steps: packages, in the order of their installation.

    Raises:
        InputError: an installation failed.
    """
    folder = os.path.join(CACHE_DIR, name)
    python = os.path.join(folder, "bin", "python")
    ready = python + ".ready"
    wanted = "\n".join(package for step in steps for package in step)
    if os.path.exists(ready) and open(ready).read() == wanted:
        return python
    commands = [[find_python(), "-m", "venv", folder]]
    commands += [[python, "-m", "pip", "install", "--quiet"] + list(step) for step in steps]
    for command in commands:
        if subprocess.call(command):
            raise InputError(
                "The environment .cache/{} could not be made: {!r} failed; mend the cause that it "
                "printed, or leave the comparison out (--no_peer).".format(name, " ".join(command))
            )
    with open(ready, "w") as file:
        file.write(wanted)
    return python


def _python36():
    """Return a working Python 3.6; a pyenv shim may exist without one."""
    candidates = [os.environ.get("PEER_PYTHON"), shutil.which("python3.6")]
    candidates += glob.glob(os.path.expanduser("~/.pyenv/versions/3.6*/bin/python"))
    for candidate in filter(None, candidates):
        version = subprocess.Popen(
            [candidate, "--version"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
        ).communicate()[0]
        if version.startswith("Python 3.6"):
            return candidate
    raise InputError(
        "The published rasterizer needs Python 3.6: put python3.6 on PATH, name it in the "
        "variable PEER_PYTHON, or leave the peer out with --no_peer."
    )


class PeerProcess:
    """A task of another system in its own process; a context manager.

    Args:
        task: a key of the worker's ``TASKS``.
        scene: name -> array, input of the task.
        python: interpreter; None: that of the published system.
        worker: script; by default that of the published system.

    Attributes:
        pid: process id.
    """

    def __init__(self, task, scene, python=None, worker=_WORKER):
        python = python or peer_python()
        self._environment = os.path.dirname(os.path.dirname(python))
        self._folder = tempfile.TemporaryDirectory()
        self._result = os.path.join(self._folder.name, "result.npz")
        path = os.path.join(self._folder.name, "scene.npz")
        np.savez(path, **scene)
        self._log = os.path.join(self._folder.name, "log")  # TensorFlow 1.12 prints many warnings
        with open(self._log, "w") as log:
            self._process = subprocess.Popen(
                [python, worker, REPO_ROOT, task, path, self._result],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                universal_newlines=True,
            )
        self.pid = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            self._process.communicate("")
        self._folder.cleanup()

    def seconds(self):
        """Do the task once and return the seconds it took."""
        return float(self._ask("work"))

    def result(self):
        """Return name -> array, the last result of the task."""
        self._ask("save")
        with np.load(self._result) as result:
            return dict(result)

    def _ask(self, request):
        with contextlib.suppress(BrokenPipeError):  # it has ended: there is no answer
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise InputError(
                "The other system ended early ({}); remove {} and try again.".format(
                    self._last_words(), self._environment
                )
            )
        return answer

    def _last_words(self):
        """Return the error that the process printed last, and its exit status."""
        with open(self._log) as log:
            errors = [line.strip() for line in log if "Error" in line]
        return ", ".join(errors[-1:] + ["exit status {}".format(self._process.wait())])
