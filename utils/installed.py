"""Installed packages, and the features that missing ones disable: ``python -m utils.installed``.

Python 3.6, which TensorFlow 1.12 needs, does not have every library. Modules that do without an
optional one report it with the sentence listed here.
"""

import importlib
import importlib.util
import os
import platform
import re
import sys
from typing import Any, Iterable, List, Optional, Set, Tuple

from utils.errors import InputError, run_main
from utils.paths import REPO_ROOT

# Optional module -> sentence on the features that are missing without it.
_WITHOUT = {
    "tensorboard.plugins.mesh": (
        "this TensorBoard has no mesh plugin (1.14 and later have): no 3-D view is written"
    ),
    "dlib": "dlib is not installed: --detector dlib cannot be used",
    "pillow_heif": "pillow-heif (requirements/heif.txt) is not installed: no HEIC can be read",
    "av": "PyAV is not installed (package av, Python 3.10 or later): clips cannot be read",
    "starlette": "starlette is not installed: no python -m web; run it as 'make web'",
    "uvicorn": "uvicorn is not installed: no python -m web; run it as 'make web'",
    "distributed": (
        "Dask is not installed: --scheduler cannot be used; pip install -r requirements/cluster.txt"
    ),
    "igl": (
        "libigl is not installed: no mesh pyramid can be built for the mesh generator, and no "
        "distance to a scan be measured"
    ),
}
_REQUIREMENTS = ("requirements.txt", os.path.join("requirements", "published-rasterizer.txt"))
_REQUIREMENT = re.compile(r"([A-Za-z0-9_-]+)==")


def is_installed(module: str) -> bool:
    """Return True if a module can be imported; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # of the package that contains it
        return False


def find_package_file(package: str, *parts: str) -> Optional[str]:
    """Return the path of a file inside of an installed package, or None; it is not imported.

    Args:
        package: name of the package.
        parts: folders and name of the file, from the package's folder.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = os.path.join(folder, *parts)
        if os.path.isfile(path):
            return path
    return None


def require_libigl(purpose: str) -> Any:
    """Return the ``igl`` module.

    Args:
        purpose: the work that needs it, the subject of an error.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module("igl")
    except ImportError:
        raise InputError(
            "{} needs libigl, which is not installed; run `pip install libigl`".format(purpose)
        ) from None


def missing_dependencies(modules: Iterable[str] = tuple(_WITHOUT)) -> List[str]:
    """Return one sentence for each module that is not installed, on the features it disables.

    Args:
        modules: keys of ``_WITHOUT``.
    """
    return [_WITHOUT[module] for module in modules if not is_installed(module)]


def package_versions() -> List[Tuple[str, str]]:
    """Return (name, version) of Python, then of the installed required packages by name."""
    found = [("python", platform.python_version())]
    for name in sorted(_required_packages()):
        version = _version(name)
        if version:
            found.append((name, version))
    return found


def _required_packages() -> Set[str]:
    """Return the names in the requirements files."""
    # Where TensorFlow 1.12 runs without a GPU, it replaces tensorflow-gpu of the requirements.
    names = {"tensorflow"}
    for file_name in _REQUIREMENTS:
        with open(os.path.join(REPO_ROOT, file_name)) as file:
            names |= {match.group(1) for match in map(_REQUIREMENT.match, file) if match}
    return names


def _version(package: str) -> Optional[str]:
    """Return the version of a package, or None if it is not installed."""
    try:
        metadata = importlib.import_module("importlib.metadata")  # since Python 3.8
    except ImportError:
        metadata = importlib.import_module("importlib_metadata")  # installed with pytest
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def main(argv: Optional[List[str]] = None) -> None:
    """Print the versions of packages and the missing features."""
    versions = ["{} {}".format(*pair) for pair in package_versions()]
    sys.stdout.write(", ".join(versions) + "\n")
    for sentence in missing_dependencies():
        sys.stdout.write(sentence + "\n")


if __name__ == "__main__":
    run_main(main)
