"""The published rasteriser, to be timed beside ours: TensorFlow 1.12 with mesh_renderer 1.4 from PyPI.

Both need Python 3.6. A virtual environment is made once under ``.cache/peer``, and a process in
it draws on request: the two sides can then be timed alternately, and compared pixel by pixel.
"""

import glob
import os
import shutil
import subprocess
import tempfile

import numpy as np

from workspace.errors import InputError
from workspace.paths import CACHE_DIR

_PYTHON = os.path.join(CACHE_DIR, "peer", "bin", "python")
_TENSORFLOW = ("tensorflow==1.12.0", "protobuf==3.19.6", "numpy==1.16.6")
_MESH_RENDERER = "mesh_renderer==1.4"  # compiles against the TensorFlow that is installed before it
_WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer_worker.py")


def peer_python():
    """Return the interpreter of the peer's environment, making it first if need be.

    Raises:
        InputError: no Python 3.6, or an installation failed.
    """
    if not os.path.exists(_PYTHON + ".ready"):
        for command in ([_python36(), "-m", "venv", os.path.dirname(os.path.dirname(_PYTHON))],
                        # The pip that comes with Python 3.6 picks packages that need a newer Python.
                        [_PYTHON, "-m", "pip", "install", "--quiet", "pip==21.3.1"],
                        [_PYTHON, "-m", "pip", "install", "--quiet"] + list(_TENSORFLOW),
                        [_PYTHON, "-m", "pip", "install", "--quiet", _MESH_RENDERER]):
            if subprocess.call(command):
                raise InputError("The peer's environment could not be made: {!r} failed; leave the peer "
                                 "out with --no_peer.".format(" ".join(command)))
        with open(_PYTHON + ".ready", "w"):
            pass
    return _PYTHON


def _python36():
    """Return a Python 3.6 that runs; a pyenv shim may exist and not run."""
    candidates = [os.environ.get("PEER_PYTHON"), shutil.which("python3.6")]
    candidates += glob.glob(os.path.expanduser("~/.pyenv/versions/3.6*/bin/python"))
    for candidate in filter(None, candidates):
        version = subprocess.Popen([candidate, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   universal_newlines=True).communicate()[0]
        if version.startswith("Python 3.6"):
            return candidate
    raise InputError("The published rasteriser needs Python 3.6: put python3.6 on PATH, name it in the "
                     "variable PEER_PYTHON, or leave the peer out with --no_peer.")


class PeerRasterizer:
    """The published kernel in its own process; a context manager.

    Args:
        clip_vertices: [B, N, 4] float32, y up as in ours.
        triangles: [F, 3] int32.
        width: columns.
        height: rows.
    """

    def __init__(self, clip_vertices, triangles, width, height):
        self._folder = tempfile.TemporaryDirectory()
        self._result = os.path.join(self._folder.name, "result.npz")
        scene = os.path.join(self._folder.name, "scene.npz")
        # Its rows count from the bottom.
        flipped = clip_vertices * np.float32([1, -1, 1, 1])
        np.savez(scene, vertices=flipped, triangles=triangles, size=[width, height])
        self._process = subprocess.Popen([peer_python(), _WORKER, scene, self._result], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, universal_newlines=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.communicate("")
        self._folder.cleanup()

    def seconds(self):
        """Draw the whole batch on one thread, the kernel has no more; return the seconds it took."""
        return float(self._ask("draw"))

    def images(self):
        """Return the last drawing: barycentrics [B, H, W, 3], triangle ids and z buffer [B, H, W]."""
        self._ask("save")
        with np.load(self._result) as result:
            return result["barycentrics"], result["ids"], result["z_buffer"]

    def _ask(self, request):
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise InputError("The published rasteriser ended early; remove {} and try again.".format(
                os.path.dirname(os.path.dirname(_PYTHON))))
        return answer
