"""How commands end: one line, a status, and nothing half-written."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from utils.errors import InputError, printable, run_main
from utils.paths import REPO_ROOT


@pytest.fixture(autouse=True)
def restored_signals():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    "script", ["demo", "nme", "obj", "preprocess_img", "renderer", "train", "synthesis/__main__"]
)
def test_an_interrupt_during_the_imports_ends_in_one_line(tmp_path, script):
    """A module that takes forever to import stands in for the slow ones."""
    for name in ("numpy", "tqdm"):
        (tmp_path / (name + ".py")).write_text(
            "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"
        )
    command = ["-m", "synthesis"] if "/" in script else [script + ".py"]
    process = subprocess.Popen(
        [sys.executable] + command,
        cwd=REPO_ROOT,
        env=dict(os.environ, PYTHONPATH=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said) == (130, "stopped\n")


def end_of(error, capsys):
    def main(argv):
        raise error

    with pytest.raises(SystemExit) as caught:
        run_main(main)
    return caught.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("two\nlines", "two\\nlines"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\udce9", "\\udce9"),
        ("\u202egpj", "\\u202egpj"),
        ("\u00fc \u6f22 'quoted'", "\u00fc \u6f22 'quoted'"),
    ],
)
def test_names_cannot_break_a_line_or_command_a_terminal(text, wanted):
    assert printable(text) == wanted


@pytest.mark.parametrize(
    "error, sentence",
    [
        (InputError("a\nb: missing"), "error: a\\nb: missing\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "out/x.png"),
            "error: out/x.png: No space left on device; make room, check permissions, or choose "
            "another folder, then run "
            "it again\n",
        ),
        (MemoryError(), "error: not enough memory; give fewer or smaller files at once\n"),
    ],
)
def test_errors_become_one_line(error, sentence, capsys):
    assert end_of(error, capsys) == (1, sentence)


def test_ctrl_c_says_that_it_stopped(capsys):
    assert end_of(KeyboardInterrupt(), capsys) == (130, "stopped\n")


def test_faults_of_the_program_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_main(lambda argv: 1 // 0)


def test_once_a_script_is_done_signals_end_it_without_a_word():
    code = (
        "import atexit, os, signal, sys\nfrom utils.errors import run_main\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\nrun_main(lambda argv: 0)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO_ROOT, stderr=subprocess.PIPE)
    assert process.communicate()[1] == b"" and process.returncode == -signal.SIGINT


def outcome_of(code, **variables):
    """Run code in a process; return its status, stdout and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPO_ROOT,
        env=dict(os.environ, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    printed, said = process.communicate(timeout=120)
    return process.returncode, printed, said


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_within_a_finalizer_takes_effect_after_it(name, status):
    """TensorFlow's sessions have finalizers; Python ignores what is raised in them."""
    code = (
        "import os, signal, time\nfrom utils.errors import run_main\n"
        "class Session:\n"
        "    def close(self):\n        os.kill(os.getpid(), signal.{})\n        time.sleep(0.01)\n"
        "    def __del__(self):\n        self.close()\n"
        "def main(argv):\n    session = Session()\n    del session\n    time.sleep(60)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\nrun_main(main)\n"
    ).format(name)
    assert outcome_of(code) == (status, b"", b"stopped\n" if name == "SIGINT" else b"")


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_within_an_import_takes_effect_after_it(tmp_path, name, status):
    """Extension modules of TensorFlow replace an exception by an ImportError of their own."""
    (tmp_path / "extension.py").write_text(
        "import os, signal, time\n"
        "try:\n    os.kill(os.getpid(), signal.{})\n    time.sleep(0.1)\n"
        "except BaseException:\n    raise ImportError('initialization failed') from None\n"
        "print('imported', flush=True)\n".format(name)
    )
    code = (
        "import importlib, signal, time\nfrom utils.errors import run_main\n"
        "def main(argv):\n    importlib.import_module('extension')\n    time.sleep(60)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\nrun_main(main)\n"
    )
    outcome = outcome_of(code, PYTHONPATH=str(tmp_path))
    assert outcome == (status, b"imported\n", b"stopped\n" if name == "SIGINT" else b"")


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_whose_exception_is_replaced_ends_as_any_signal(name, status):
    code = (
        "import os, signal, time\nfrom utils.errors import run_main\n"
        "def main(argv):\n    try:\n        os.kill(os.getpid(), signal.{})\n"
        "        time.sleep(60)\n"
        "    except BaseException:\n        raise SystemError('a result with an exception set')\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\nrun_main(main)\n"
    ).format(name)
    assert outcome_of(code) == (status, b"", b"stopped\n" if name == "SIGINT" else b"")


def test_sigterm_removes_what_is_half_written(tmp_path):
    code = (
        "import time\nfrom utils.atomic import atomic_path\nfrom utils.errors import run_main\n"
        "def main(argv):\n"
        "    with atomic_path({!r}) as path, open(path, 'w') as file:\n"
        "        file.write('half')\n        file.flush()\n        print('begun', flush=True)\n"
        "        time.sleep(60)\nrun_main(main)\n"
    ).format(str(tmp_path / "file.txt"))
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPO_ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"begun\n"
    assert len(os.listdir(str(tmp_path))) == 1
    start = time.monotonic()
    process.terminate()
    assert process.wait() == 143 and time.monotonic() - start < 30
    assert os.listdir(str(tmp_path)) == []
