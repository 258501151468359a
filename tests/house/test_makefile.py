"""The Makefile: its targets, and its choice of a Python among those that claim a version."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from utils.paths import REPO_ROOT

NAMES = ("python3", "python3.13", "python3.12", "python3.11", "python3.10")
PIP = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/pip.log"
"""
# A virtual environment is a copy of the script, and a pip that installs nothing.
FAKE = """#!/bin/sh
if [ "$1" = -c ]; then
    exec {real} -c "import sys; sys.modules['pip'] = sys; sys.version_info = {version}; $2"
fi
[ "$2" = venv ] || exit 0
mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp {folder}/pip "$3/bin/pip" || exit 1
echo {name} > "$3/made_by"
"""

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="no make here")


def read(*path):
    with open(os.path.join(REPO_ROOT, *path), encoding="utf-8") as file:
        return file.read()


def test_help_names_targets_that_exist():
    told = set(re.findall(r'^\t@echo "make ([\w-]+)', read("Makefile"), re.MULTILINE))
    assert {"test", "test-all", "test-tf1"} < told
    (declared,) = re.findall(r"^\.PHONY: (help .*)$", read("Makefile"), re.MULTILINE)
    assert told < set(declared.split())


def test_slow_tests_are_left_out_by_make_test_only():
    recipes = dict(re.findall(r"^(test[\w-]*):.*\n((?:\t.*\n)+)", read("Makefile"), re.MULTILINE))
    assert {name: "not slow" in recipe for name, recipe in recipes.items()} == {
        "test": True,
        "test-all": False,
        "test-tf1": False,
    }
    assert re.findall(r"^ *make (test[\w-]*)$", read(".ci", "run"), re.MULTILINE) == [
        "test-all",
        "test-tf1",
    ]


def test_the_open_model_is_built_with_its_packages_alone():
    (names,) = re.findall(r"^MODEL_PACKAGES := (.*)$", read("Makefile"), re.MULTILINE)
    source = (
        "import sys; from utils.tf_compat import hidden_modules\n"
        "packages = {line.split('==')[0] for line in open('requirements.txt') if '==' in line}\n"
        "modules = {'pillow': 'PIL'}\n"
        "others = [modules.get(name, name) for name in packages - set(sys.argv[1:])]\n"
        "with hidden_modules(*others):\n"
        "    import face_model.open_model.__main__\n"
    )
    command = (sys.executable, "-c", source) + tuple(names.split())
    assert subprocess.call(command, cwd=REPO_ROOT, timeout=60) == 0


def put(path, text):
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture()
def make(tmp_path):
    """Return a function of versions by name and variables that runs ``make .venv/.installed``."""
    programs, project = tmp_path / "programs", tmp_path / "project"
    programs.mkdir()
    project.mkdir()
    put(programs / "pip", PIP)
    shutil.copy(os.path.join(REPO_ROOT, "Makefile"), str(project))
    shutil.copy(os.path.join(REPO_ROOT, "requirements.txt"), str(project))
    ours = ("PYTHON", "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment["PATH"] = str(programs) + os.pathsep + environment["PATH"]

    def run(versions, *variables):
        for name in set(NAMES) | set(versions):
            put(
                programs / name,
                "#!/bin/sh\nexit 127\n"
                if name not in versions
                else FAKE.format(
                    real=sys.executable, version=versions[name], folder=programs, name=name
                ),
            )
        return subprocess.run(
            ("make", ".venv/.installed") + variables,
            cwd=str(project),
            env=environment,
            timeout=60,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )

    run.environment = project / ".venv"
    return run


@pytest.mark.parametrize(
    "versions, chosen",
    [
        ({"python3": (3, 13, 1), "python3.11": (3, 11, 2)}, "python3"),
        ({"python3": (3, 10, 0)}, "python3"),
        ({"python3": (3, 14, 0), "python3.12": (3, 12, 3), "python3.11": (3, 11, 2)}, "python3.12"),
        ({"python3": (3, 9, 18), "python3.10": (3, 10, 14)}, "python3.10"),
        ({"python3.13": (3, 13, 0)}, "python3.13"),
    ],
)
def test_the_first_python_that_fits_is_taken(make, versions, chosen):
    process = make(versions)
    assert (process.returncode, process.stderr) == (0, "")
    assert (make.environment / "made_by").read_text() == chosen + "\n"
    assert "-r requirements.txt" in (make.environment / "bin" / "pip.log").read_text()


@pytest.mark.parametrize(
    "versions, variables, words",
    [
        ({"python3": (3, 14, 0)}, (), "there is none here"),
        ({"python3": (3, 9, 0)}, (), "there is none here"),
        ({}, (), "there is none here"),
        (
            {"python3": (3, 12, 0), "python3.14": (3, 14, 0)},
            ("PYTHON=python3.14",),
            "python3.14 is none",
        ),
    ],
)
def test_without_a_python_that_fits_one_sentence_says_so(make, versions, variables, words):
    process = make(versions, *variables)
    complaint = process.stderr.splitlines()
    assert process.returncode != 0 and not make.environment.exists()
    assert complaint[0].startswith("error: Python 3.10 to 3.13 is needed") and words in complaint[0]
    assert len(complaint) == 2 and complaint[1].startswith("make: ")


def test_python_can_be_named(make):
    assert make({"python3": (3, 12, 0), "other": (3, 11, 0)}, "PYTHON=other").returncode == 0
    assert (make.environment / "made_by").read_text() == "other\n"


def make_again(make, versions, spoil):
    """Make an environment, spoil it, make it again; return the process and whether it stayed."""
    assert make({"python3": (3, 12, 0)}).returncode == 0
    spoil(make.environment)
    (make.environment / "mark").write_text("")
    return make(versions), (make.environment / "mark").exists()


def test_an_environment_that_fits_is_kept_whatever_python3_has_become(make):
    process, stayed = make_again(make, {"python3": (3, 14, 0)}, lambda environment: None)
    assert process.returncode == 0 and stayed
    # nothing was installed again
    assert (make.environment / "bin" / "pip.log").read_text().count("\n") == 2


def of_python_3_14(environment):
    path = environment / "bin" / "python"
    put(path, path.read_text().replace("(3, 12, 0)", "(3, 14, 0)"))


def without_packages(environment):
    path = environment / "bin" / "python"
    put(path, path.read_text().replace("sys.modules['pip'] = sys", "sys.modules['pip'] = None"))


def without_interpreter(environment):
    (environment / "bin" / "python").unlink()


def without_interpreter_behind_the_link(environment):
    without_interpreter(environment)
    (environment / "bin" / "python").symlink_to("/no/such/python")


@pytest.mark.parametrize(
    "spoil",
    [of_python_3_14, without_packages, without_interpreter, without_interpreter_behind_the_link],
)
def test_an_environment_that_does_not_fit_is_made_again(make, spoil):
    process, stayed = make_again(make, {"python3": (3, 14, 0), "python3.13": (3, 13, 0)}, spoil)
    assert process.returncode == 0 and not stayed
    assert (make.environment / "made_by").read_text() == "python3.13\n"
    assert (make.environment / ".installed").exists()


def test_an_environment_that_does_not_fit_is_kept_where_no_other_can_be_made(make):
    process, stayed = make_again(make, {"python3": (3, 14, 0)}, of_python_3_14)
    assert process.returncode != 0 and stayed and "Python 3.10 to 3.13 is needed" in process.stderr
