"""A short run of the fuzzer; `make fuzz` is the long one."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.fuzz.cases import NOTHING, WHOLE, damages_of, make_case
from tests.fuzz.damage import ACCIDENTS
from tests.fuzz.kinds import KINDS
from utils.paths import REPO_ROOT

CASES = os.environ.get("CASES", "84")  # every kind once


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz"] + list(arguments),
        cwd=REPO_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=900,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 8), reason="audit hooks came with Python 3.8")
def test_damaged_files_end_in_a_result_or_in_one_sentence():
    process = run("--cases", CASES, "--seed", "1")
    assert process.returncode == 0, process.stdout
    assert (
        process.stdout.startswith("{} cases in ".format(int(CASES) + len(WHOLE)))
        and "seed 1" in process.stdout
    )


def test_a_case_is_a_function_of_seed_and_number():
    for number in (0, 17, 1249):
        first, second = make_case(3, number), make_case(3, number)
        assert first[:3] == second[:3]
        np.testing.assert_array_equal(
            first.random.randint(1 << 30, size=9), second.random.randint(1 << 30, size=9)
        )


def test_every_command_reads_its_whole_files_first():
    """A case that is refused for another reason than its damage would test nothing."""
    cases = [make_case(1, -1 - number) for number in range(len(WHOLE))]
    assert {case.damage for case in cases} == {NOTHING} and {case.kind for case in cases} == set(
        KINDS
    )


def test_every_kind_meets_every_damage():
    met, rounds = {}, max(-(-len(damages_of(name)) // kind.turns) for name, kind in KINDS.items())
    for number in range(rounds * sum(kind.turns for kind in KINDS.values())):
        case = make_case(1, number)
        met.setdefault(case.kind, set()).add(case.damage)
    for kind in KINDS:  # large photos and processes of their own take the places of some
        assert len(met[kind] & set(damages_of(kind))) >= 0.95 * len(set(damages_of(kind))), kind


def test_some_cases_are_whole_processes():
    whole = [make_case(1, number) for number in range(1010) if make_case(1, number).whole]
    assert len(whole) == 10 and len({case.kind for case in whole}) > 5


@pytest.mark.parametrize("name", sorted(ACCIDENTS))
def test_accidents_change_the_file(name):
    data = bytes(bytearray(range(1, 251))) * 8 + b"\n"
    damaged = [ACCIDENTS[name](np.random.RandomState(seed), data) for seed in range(3)]
    assert all(isinstance(one, bytes) and one != data for one in damaged)
