"""A short run of the fuzzer; `make fuzz` is the long one."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.fuzz.cases import damages_of, make_case
from tests.fuzz.damage import ACCIDENTS
from tests.fuzz.kinds import KINDS

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CASES = os.environ.get("CASES", "40")


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "tests.fuzz"] + list(arguments), cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, timeout=900)


@pytest.mark.skipif(sys.version_info < (3, 8), reason="audit hooks came with Python 3.8")
def test_damaged_files_end_in_a_result_or_in_one_sentence():
    process = run("--cases", CASES, "--seed", "1")
    assert process.returncode == 0, process.stdout
    assert process.stdout.startswith(CASES + " cases in ") and "seed 1" in process.stdout


def test_a_case_is_a_function_of_seed_and_number():
    for number in (0, 17, 1249):
        first, second = make_case(3, number), make_case(3, number)
        assert first[:3] == second[:3]
        np.testing.assert_array_equal(first.random.randint(1 << 30, size=9), second.random.randint(1 << 30, size=9))


def test_every_kind_meets_every_damage():
    kinds = len(KINDS)
    for kind in sorted(KINDS):
        damages = damages_of(kind)
        position = sorted(KINDS).index(kind)
        met = {make_case(1, position + kinds * turn).damage for turn in range(len(damages))}
        assert len(met) >= len(set(damages)) - 1  # a large photo takes the place of one now and then


@pytest.mark.parametrize("name", sorted(ACCIDENTS))
def test_accidents_change_the_file(name):
    data = bytes(bytearray(range(1, 251))) * 8 + b"\n"
    damaged = [ACCIDENTS[name](np.random.RandomState(seed), data) for seed in range(3)]
    assert all(isinstance(one, bytes) and one != data for one in damaged)
