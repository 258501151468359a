"""What is done to the commands, and what must be so afterwards."""

import os
import random
import signal
import subprocess
import sys
import time

from tests.faults.commands import COMMANDS, ROOT, contents, describe, emptied, incomplete

SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
_PATIENCE = 300  # seconds, on a busy machine
_STATUSES = {"SIGKILL": {-signal.SIGKILL}, "SIGTERM": {143, 130, -signal.SIGTERM}, "Ctrl-C": {130, -signal.SIGINT}}
# Full disks of these sizes, bytes: from nothing at all to nearly enough.
_DISKS = (1 << 12, 1 << 15, 1 << 17, 1 << 19, 1 << 20, 3 << 20)


class Fault(Exception):
    """Something was lost, corrupt or left behind; the message says what."""


def start(command, data, output, extra=(), **options):
    """Start a command in a session of its own."""
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="-1", PYTHONPATH=ROOT, TF_CPP_MIN_LOG_LEVEL="3")
    return subprocess.Popen(command.arguments(data, output) + list(extra), cwd=ROOT, env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                            start_new_session=True, **options)


def finish(process):
    """Wait for a process; returns it with its output read."""
    try:
        process.stdout_text, process.stderr = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Fault("it did not end in {} seconds".format(_PATIENCE)) from None
    if "Traceback" in process.stderr and process.returncode not in (-signal.SIGKILL, -signal.SIGINT):
        raise Fault("a traceback: {}".format(describe(process)))
    return process


def undisturbed(name, data, folder):
    """Run a command in peace; returns (what its folder holds, how long it took)."""
    begin = time.monotonic()
    process = finish(start(COMMANDS[name], data, emptied(folder)))
    if process.returncode:
        raise Fault("undisturbed, it ended with {}: {}".format(process.returncode, describe(process)))
    return contents(folder), time.monotonic() - begin


def kill_once(name, kind, data, output, wanted, seconds, seed):
    """Kill a command at a random moment, look at what is there, and run it again to the end."""
    command = COMMANDS[name]
    process = start(command, data, emptied(output))
    time.sleep(random.Random("{}{}{}".format(name, kind, seed)).uniform(0.1, 1.1) * seconds)
    # As a terminal, a service manager and the kernel do it: the group, the process, the process.
    try:
        (os.killpg if kind == "Ctrl-C" else os.kill)(process.pid, SIGNALS[kind])
    except ProcessLookupError:
        pass  # it was quicker
    process = finish(process)
    if process.returncode not in _STATUSES[kind] | {0}:
        raise Fault("{} ended it with {}: {}".format(kind, process.returncode, describe(process)))
    _require(incomplete(output, wanted), "after {}".format(kind))
    _complete(command, data, output, wanted)
    return "finished before" if process.returncode == 0 else "stopped"


def _complete(command, data, output, wanted):
    begun = os.path.isdir(os.path.join(output, "run")) and any(
        file.endswith(".json") and file.startswith("iter_") for file in os.listdir(os.path.join(output, "run")))
    process = finish(start(command, data, output, command.again if begun or command.name != "train" else ()))
    if process.returncode:
        raise Fault("run again, it ended with {}: {}".format(process.returncode, describe(process)))
    found = contents(output)
    lost = sorted(path for path in wanted if found.get(path) != wanted[path] and not _is_passing(path))
    left = sorted(path for path in found if ".partial-" in path)
    _require(lost + left, "after running it again")


def _is_passing(path):
    """Tell whether a file is of an earlier step of a training run, which may be there or not."""
    return path.startswith("run" + os.sep) and "iter_60" not in path or path.endswith("skipped.txt")


def _require(wrong, when):
    if wrong:
        raise Fault("{}: {}".format(when, ", ".join(wrong[:4])))


def full_disk(name, data, output, wanted, size):
    """Run a command on a disk that becomes full, then with room, and compare."""
    inner = ("mount -t tmpfs -o size={} none {!r} && {}; status=$?; cp -a {!r}/. {!r}; exit $status").format(
        size, output, " ".join("'{}'".format(part) for part in COMMANDS[name].arguments(data, output)), output,
        output + ".saved")
    emptied(output)
    emptied(output + ".saved")
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="-1", PYTHONPATH=ROOT, TF_CPP_MIN_LOG_LEVEL="3")
    process = finish(subprocess.Popen(["unshare"] + ([] if os.getuid() == 0 else ["-r"]) + ["-m", "sh", "-c", inner],
                                      cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      universal_newlines=True, start_new_session=True))
    if process.returncode not in (0, 1):
        raise Fault("on a full disk it ended with {}: {}".format(process.returncode, describe(process)))
    if process.returncode and not describe(process).startswith(("error: ", "skipped: ")):
        raise Fault("on a full disk it said {!r}".format(describe(process)))
    _require(incomplete(output + ".saved", wanted), "after a full disk")
    _require([path for path in contents(output + ".saved") if ".partial-" in path], "left on a full disk")
    _complete(COMMANDS[name], data, output + ".saved", wanted)
    return "enough room" if process.returncode == 0 else "stopped"


def can_mount():
    """Tell whether small disks can be made here."""
    try:
        return subprocess.call(["unshare"] + ([] if os.getuid() == 0 else ["-r"]) + [
            "-m", "sh", "-c", "mount -t tmpfs none /mnt"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def read_only(name, data, output, wanted):
    """Run a command where it may not write."""
    emptied(output)
    os.chmod(output, 0o555)
    # Root may write anywhere unless its capabilities are taken away.
    arguments = COMMANDS[name].arguments(data, output)
    code = ("import sys, runpy; from tests.fuzz import sandbox; sandbox._drop_capabilities(); "
            "sys.argv = sys.argv[1:]; {}").format(
                "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)" if arguments[1] == "-m"
                else "runpy.run_path(sys.argv[0], run_name='__main__')")
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES="-1", PYTHONPATH=ROOT, TF_CPP_MIN_LOG_LEVEL="3")
    process = finish(subprocess.Popen([sys.executable, "-c", code] + arguments[1:], cwd=ROOT, env=environment,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True))
    os.chmod(output, 0o755)
    if process.returncode != 1 or not describe(process).startswith("error: "):
        raise Fault("where it may not write it ended with {}: {}".format(process.returncode, describe(process)))
    _require(os.listdir(output), "where it may not write")
    return "refused"


def two_writers(name, data, output, wanted):
    """Start a command twice at once into one folder."""
    processes = [start(COMMANDS[name], data, emptied(output)), start(COMMANDS[name], data, output)]
    ends = [finish(process) for process in processes]
    if not any(process.returncode == 0 for process in ends):
        raise Fault("of two at once, none got through: {}".format("; ".join(map(describe, ends))))
    refused = [process for process in ends if process.returncode]
    if refused and "another" not in describe(refused[0]) and "holds a run" not in describe(refused[0]):
        raise Fault("of two at once, one said {!r}".format(describe(refused[0])))
    _require(incomplete(output, wanted), "after two at once")
    _complete(COMMANDS[name], data, output, wanted)
    return "one refused" if refused else "one after the other"


DISTURBANCES = {"a full disk": full_disk, "read-only": read_only, "two writers": two_writers}
DISKS = _DISKS
