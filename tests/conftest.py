"""Order of the tests: whole commands first, so that no process ends with a long file."""

_FIRST = ("tests/scripts/", "tests/training/", "tests/house/")


def pytest_configure(config):
    config.option.loadscopereorder = False  # pytest-xdist would begin with the fullest files


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not item.nodeid.startswith(_FIRST))
