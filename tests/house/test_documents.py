"""The documents: links, the example in Python, and one version everywhere."""

import glob
import os
import re
import subprocess
import sys

import pytest

from utils.paths import REPO_ROOT
from utils.version import VERSION

PAGES = sorted(
    os.path.relpath(path, REPO_ROOT)
    for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "network/*.md")
    for path in glob.glob(os.path.join(REPO_ROOT, pattern))
)
LONGEST_README = 150  # lines


def read(path):
    with open(os.path.join(REPO_ROOT, path), encoding="utf-8") as file:
        return file.read()


def anchors(text):
    """Return the names by which a page's headings are linked."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        assert os.path.exists(os.path.join(REPO_ROOT, target)), link
        assert not anchor or anchor in anchors(read(target)), link


def test_the_readme_is_short():
    assert len(read("README.md").splitlines()) <= LONGEST_README


@pytest.mark.skipif(
    not os.path.isfile(os.path.join(REPO_ROOT, "BFM", "open_face_model.mat")),
    reason="the open face model is not built",
)
def test_the_example_in_python_runs():
    example = re.search(r"```python\n(.*?)```", read("README.md"), re.DOTALL).group(1)
    shapes = "\nprint(vertices.shape, triangles.shape[1], landmarks.shape, coefficients.shape)\n"
    process = subprocess.run(
        [sys.executable, "-c", example + shapes],
        cwd=REPO_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout == "(34653, 3) 3 (68, 2) (257,)\n"


def test_the_version_is_the_same_everywhere():
    assert "\nversion: {}\n".format(VERSION) in read("CITATION.cff")
    assert re.search(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE).group(1) == VERSION
    assert 'attr = "utils.version.VERSION"' in read("pyproject.toml")
