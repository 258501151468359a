"""The Dockerfiles: their steps are those of the Makefile, and no image holds private files."""

import os
import re

import pytest

from utils.paths import REPO_ROOT

FOLDER = os.path.join(REPO_ROOT, "docker")
DOCKERFILES = sorted(os.listdir(FOLDER))
# Base image -> the environment of the Makefile that is made in it.
ENVIRONMENTS = {"python:3.12-slim-bookworm": "VENV", "python:3.6-bullseye": "TF1_VENV"}


def read(*path):
    with open(os.path.join(REPO_ROOT, *path), encoding="utf-8") as file:
        return file.read()


def instructions(name):
    """Return the instructions of a Dockerfile as (word, rest)."""
    text = re.sub(r"^#.*\n", "", read("docker", name), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def makefile_variable(name):
    return re.search(r"^{} := (.*)$".format(name), read("Makefile"), re.MULTILINE).group(1)


def makefile_targets():
    text = read("Makefile")
    targets = set(re.findall(r"^([\w./$()-]+):(?!=)", text, re.MULTILINE))
    for name in ("INSTALLED", "WEB_INSTALLED"):
        path = makefile_variable(name).replace("$(VENV)", makefile_variable("VENV"))
        targets = {target.replace("$({})".format(name), path) for target in targets}
    return targets


@pytest.mark.parametrize("name", DOCKERFILES)
def test_steps_are_those_of_the_makefile(name):
    steps = [rest for word, rest in instructions(name) if word == "RUN"]
    made = set()
    for step in steps:
        if step.startswith("apt-get update && apt-get install "):
            continue
        program, *targets = step.split()
        assert program == "make" and targets and set(targets) <= makefile_targets(), step
        made |= set(targets)
    setup = "setup-tf1" if "tensorflow1" in name else "setup"
    assert setup in made and steps[-1] == "make " + setup


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_image_runs_the_environment_of_its_python(name):
    words = instructions(name)
    base = [rest.split()[0] for word, rest in words if word == "FROM"][-1]
    python = makefile_variable(ENVIRONMENTS[base]) + "/bin/python"
    assert ("ENTRYPOINT", '["{}"]'.format(python)) in words
    assert ("CMD", '["demo.py"]') in words and os.path.isfile(os.path.join(REPO_ROOT, "demo.py"))
    major, minor = map(int, re.search(r":(\d+)\.(\d+)", base).groups())
    if minor > 6:
        fits = re.search(r"\((\d+, \d+)\) <= .* <= \((\d+, \d+)\)", read("Makefile"))
        lowest, highest = fits.groups()
        assert lowest <= "{}, {}".format(major, minor) <= highest


@pytest.mark.parametrize("name", DOCKERFILES)
def test_copied_files_exist(name):
    for word, rest in instructions(name):
        if word == "COPY" and "--from" not in rest:
            for path in rest.split()[:-1]:
                assert os.path.exists(os.path.join(REPO_ROOT, path)), path


def test_what_git_ignores_stays_out_of_images():
    """Licensed face models, weights, photos and results are ignored by Git for a reason."""
    ignored = set(read(".dockerignore").split())
    for folder in ("BFM", "network", "weights", "input", "output", "processed_data"):
        assert "/{}/*".format(folder) in read(".gitignore") and folder + "/*" in ignored
    for path in (".venv", ".venv-tf1", ".cache", "mesh_renderer/lib", "result", "data"):
        assert path in ignored
    shipped = re.findall(r"^!/(network/.*\.pb(?:\.json)?)$", read(".gitignore"), re.MULTILINE)
    kept = {line[1:] for line in read(".dockerignore").split() if line.startswith("!")}
    assert all(os.path.isfile(os.path.join(REPO_ROOT, path)) for path in kept)
    assert shipped and set(shipped) <= kept
