"""The published system's numbers in tests/golden."""

import os
import subprocess
import sys

import pytest

from tests import parity
from tests.paths import GOLDEN
from utils.paths import REPO_ROOT


@pytest.fixture(scope="module")
def decoder_checks():
    return list(parity.decoder_checks(GOLDEN))


def test_decoder_renderer_losses_and_gradients_agree(decoder_checks):
    assert len(decoder_checks) == 18
    above = [check for check in decoder_checks if not check.error <= check.tolerance]
    assert not above, parity.report(above)[0]


@pytest.mark.slow
def test_the_losses_of_a_step_agree_with_the_formulas():
    checks = list(parity.composed_checks(GOLDEN)) + list(parity.fractional_mask_checks(GOLDEN))
    assert len(checks) == 8
    above = [check for check in checks if not check.error <= check.tolerance]
    assert not above, parity.report(above)[0]


def test_a_difference_is_noticed():
    assert not parity.report([parity.relative("x", [1.0, 2.0], [1.0, 2.1])])[1]
    assert not parity.report([parity.relative("x", [1.0], [1.0, 2.0])])[1]
    assert not parity.report([parity.relative("x", [float("nan")], [1.0])])[1]
    assert not parity.report([parity.differing_pixels("m", [0, 1], [1, 1])])[1]


def test_command_fails_in_one_sentence_without_the_files(tmp_path):
    script = os.path.join(REPO_ROOT, "tests", "parity.py")
    process = subprocess.run(
        [sys.executable, script, "--golden", str(tmp_path)],
        cwd=str(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=120,
    )
    assert process.returncode == 1
    assert process.stderr.startswith("error: ") and process.stderr.count("\n") == 1
