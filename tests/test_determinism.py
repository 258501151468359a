"""The same command gives the same bytes; synthesize.py in test_faults.py and preprocess_img.py in its own test."""

import pytest

from tests.faults.commands import write_data
from tests.faults.disturbances import undisturbed


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(str(tmp_path_factory.mktemp("data")), photo_count=2)


@pytest.mark.parametrize("name", ["demo", "train"])  # demo.py fits; train.py has --deterministic
def test_a_second_run_gives_the_same_bytes(data, tmp_path, name):
    first, _ = undisturbed(name, data, str(tmp_path / "first"))
    second, _ = undisturbed(name, data, str(tmp_path / "second"))
    assert first == second and len(first) > 6
