"""The documents: links, the example in Python, and one version everywhere."""

import glob
import json
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
NOTEBOOK = os.path.join("docs", "quickstart.ipynb")
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


needs_open_model = pytest.mark.skipif(
    not os.path.isfile(os.path.join(REPO_ROOT, "BFM", "open_face_model.mat")),
    reason="the open face model is not built",
)


def run_python(code, folder):
    """Return the lines that Python code prints in a folder of the repository."""
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=os.path.join(REPO_ROOT, folder),
        env=dict(os.environ, MPLBACKEND="Agg"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


@needs_open_model
def test_the_example_in_python_runs():
    example = re.search(r"```python\n(.*?)```", read("README.md"), re.DOTALL).group(1)
    shapes = "\nprint(vertices.shape, triangles.shape[1], landmarks.shape, coefficients.shape)\n"
    assert run_python(example + shapes, "") == ["(34653, 3) 3 (68, 2) (257,)"]


@pytest.mark.slow
@needs_open_model
def test_the_notebook_runs():
    """Its cells, one after the other, as Jupyter would run them; and what they found is true."""
    cells = json.loads(read(NOTEBOOK))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
    code.append(
        """
assert np.abs(seen[reconstructor.model.landmarks] - face.landmarks).max() < 0.05
eyes = face.landmarks[36:48].mean(axis=0)
assert np.abs(eyes - [227, 108]).max() < 12, eyes  # of the portrait
jaw = batch.landmarks[:, 8, 1]
assert jaw[1] < jaw[0] - 5, jaw
assert np.abs(batch.world_shape[0] - face.vertices).max() < 1e-4
"""
    )
    printed = run_python("\n".join(code), "docs")
    assert printed[0] == "vertices (34653, 3) triangles (68838, 3)"
    assert printed[-1] == "shapes (2, 34653, 3) pictures (2, 448, 448, 4)"


def test_the_version_is_the_same_everywhere():
    assert "\nversion: {}\n".format(VERSION) in read("CITATION.cff")
    assert re.search(r"^## \[(\d.+?)\]", read("CHANGELOG.md"), re.MULTILINE).group(1) == VERSION
    assert 'attr = "utils.version.VERSION"' in read("pyproject.toml")
