"""A command repeats its bytes: preprocessing, synthesis, fitting, and deterministic training."""

import re
import subprocess
import sys

import pytest

from tests.faults.twice import NAMES
from utils.paths import REPO_ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lines():
    process = subprocess.run(
        [sys.executable, "-m", "tests.faults.twice"],
        cwd=REPO_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=1500,
    )
    return dict(line.split(": ", 1) for line in process.stdout.splitlines())


# The checkpoints of both kinds of training are compared, after three steps of the real network.
@pytest.mark.parametrize("name", NAMES)
def test_a_second_run_gives_the_same_bytes(lines, name):
    assert NAMES == ["demo", "preprocess", "synthesize", "train_photo", "train_truth"]
    match = re.match(r"(\d+) files, the same$", lines[name])
    assert match and int(match.group(1)) >= 4, lines[name]
