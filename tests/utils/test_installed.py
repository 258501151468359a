"""Messages about libraries that are not installed, and versions of those that are."""

import subprocess
import sys

from utils import installed
from utils.paths import REPO_ROOT


def test_modules_of_packages_that_are_absent_are_absent():
    assert installed.is_installed("numpy") and installed.is_installed("os.path")
    assert not installed.is_installed("no_such_package") and not installed.is_installed(
        "no_such_package.module"
    )


def test_a_shortfall_is_one_sentence_and_nothing_is_said_of_what_is_there(monkeypatch):
    monkeypatch.setattr(installed, "is_installed", lambda module: module != "dlib")
    (sentence,) = installed.missing_dependencies()
    assert (
        sentence.startswith("dlib is not installed")
        and installed.missing_dependencies(["igl"]) == []
    )


def test_versions_are_those_of_the_modules_themselves():
    import numpy
    import scipy

    versions = dict(installed.package_versions())
    assert (versions["numpy"], versions["scipy"]) == (numpy.__version__, scipy.__version__)
    assert versions["python"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    assert "tensorflow" in versions or "tensorflow-gpu" in versions


def test_the_command_prints_them():
    output = subprocess.check_output(
        [sys.executable, "-m", "utils.installed"], cwd=REPO_ROOT, universal_newlines=True
    )
    assert output.startswith("python 3.") and ", numpy " in output.splitlines()[0]
    assert output.splitlines()[1:] == installed.missing_dependencies()
