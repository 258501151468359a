"""A fresh clone of the repository in a folder of a test, and the commands run in it."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import scipy.io

from alignment.mediapipe_networks import DENSE_LANDMARK_NETWORK, DETECTOR_NETWORK, tflite_path
from utils.paths import REPO_ROOT

OPEN_MODEL = os.path.join(REPO_ROOT, "BFM", "open_face_model.mat")
_UNUSED = ("benchmarks", "docs", "tests")  # folders of the checkout that no command reads
_LARGE = 1 << 20  # bytes; files from this size on are linked instead of copied


class Clone:
    """A copy of the checkout's tracked files, and the commands run in it."""

    def __init__(self, folder):
        self.folder = str(folder)
        for name in _tracked_files():
            self.add(os.path.join(REPO_ROOT, name), name)
        library = os.path.join(REPO_ROOT, "mesh_renderer", "lib")
        os.makedirs(library, exist_ok=True)
        os.symlink(library, self.path("mesh_renderer", "lib"))
        for graph in (DETECTOR_NETWORK, DENSE_LANDMARK_NETWORK):  # made by `make setup`, as that
            for path in (graph, tflite_path(graph)):
                os.symlink(path, self.path("network", os.path.basename(path)))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def add(self, source, name):
        """Put a file where ``name``, relative to the clone, says."""
        target = self.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.getsize(source) < _LARGE:
            shutil.copyfile(source, target)
        else:
            os.symlink(source, target)

    def call(self, command):
        """Run a command line that begins with ``python``; return the finished process."""
        words = command.split()
        assert words[0] == "python"
        return subprocess.run(
            [sys.executable] + words[1:],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=600,
        )

    def run(self, command):
        """Run a command that succeeds; return its output, stdout first."""
        process = self.call(command)
        assert process.returncode == 0, process.stderr
        return process.stdout + process.stderr

    def refuse(self, command):
        """Run a command that ends with one sentence and the status 1; return the sentence."""
        process = self.call(command)
        lines = process.stderr.splitlines()
        assert process.returncode == 1, process.stderr
        assert "Traceback" not in process.stderr
        assert [line.startswith("error: ") for line in lines].count(True) == 1, process.stderr
        assert lines[-1].startswith("error: ")
        return lines[-1][len("error: ") :]

    def read_json(self, *names):
        with open(self.path(*names)) as file:
            return json.load(file)

    def fields(self, *names):
        return scipy.io.loadmat(self.path(*names))

    def files(self, *names):
        return set(os.listdir(self.path(*names)))


def _tracked_files():
    """Return the files that a fresh clone has, as far as commands need them."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=REPO_ROOT, stdout=subprocess.PIPE, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git, or no repository")
    names = [name for name in listed.decode().split("\0") if name]
    return [
        name
        for name in names
        if name.split("/")[0] not in _UNUSED and os.path.isfile(os.path.join(REPO_ROOT, name))
    ]
