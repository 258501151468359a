"""What is installed here, and what cannot be done without the rest: ``python -m workspace.installed``.

Python 3.6, which TensorFlow 1.12 needs, does not get every library. Whatever does without one of them says
so with the sentence that stands here.
"""

import importlib
import importlib.util
import os
import platform
import re
import sys

from utils.errors import run_main
from utils.paths import REPO_ROOT

# module -> what is missing without it
_WITHOUT = {
    "tensorboard.plugins.mesh": "this TensorBoard has no mesh plugin (1.14 and later have): no 3-D view is written",
    "mtcnn": "MTCNN is not installed (it needs TensorFlow 2): faces are found by dlib alone, which misses profiles",
    "dlib": "dlib is not installed: give five points in NAME.txt beside each photo; there are no 68 landmarks to "
            "fit to",
    "igl": "libigl is not installed: no mesh pyramid can be built for the mesh generator",
}
_REQUIREMENT = re.compile(r"([A-Za-z0-9_-]+)==")


def is_installed(module):
    """Say whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # of the package it is in
        return False


def shortfalls(modules=tuple(_WITHOUT)):
    """Return a sentence for each module that is not installed, on what cannot be done without it.

    Args:
        modules: names, out of ``tensorboard.plugins.mesh``, ``mtcnn``, ``dlib`` and ``igl``.
    """
    return [_WITHOUT[module] for module in modules if not is_installed(module)]


def versions():
    """Return (name, version) of Python and of the required packages that are installed, sorted by name."""
    found = [("python", platform.python_version())]
    for name in sorted(_required_packages()):
        version = _version(name)
        if version:
            found.append((name, version))
    return found


def _required_packages():
    """Return the names in the requirements files."""
    names = {"tensorflow"}  # where TensorFlow 1.12 runs without a GPU, the requirements' tensorflow-gpu is replaced
    for file_name in ("requirements.txt", "requirements/published-rasterizer.txt"):
        with open(os.path.join(REPO_ROOT, file_name)) as file:
            names |= {match.group(1) for match in map(_REQUIREMENT.match, file) if match}
    return names


def _version(package):
    """Return the version of a package, or None if it is not installed."""
    try:
        metadata = importlib.import_module("importlib.metadata")  # of Python 3.8
    except ImportError:
        metadata = importlib.import_module("importlib_metadata")  # comes along with pytest
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def main(argv=None):
    """Print the versions, and what cannot be done here."""
    sys.stdout.write(", ".join("{} {}".format(*pair) for pair in versions()) + "\n")
    for sentence in shortfalls():
        sys.stdout.write(sentence + "\n")


if __name__ == "__main__":
    run_main(main)
