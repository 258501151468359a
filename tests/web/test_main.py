"""The command of the page: its port, and its libraries."""

import socket

import pytest

from utils.errors import InputError
from web import __main__ as command


def test_a_port_that_another_program_has_is_named():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        with pytest.raises(InputError, match="--port {}: cannot be used".format(port)):
            command._listen(port)
    with pytest.raises(InputError, match="--port 70000: cannot be used"):
        command._listen(70000)


def test_only_this_machine_is_served():
    with command._listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_missing_libraries_are_named_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr(command, "missing_dependencies", lambda modules: ["starlette is not there"])
    with pytest.raises(InputError, match="starlette is not there"):
        command.main([])
