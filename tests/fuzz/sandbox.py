"""One command in a disposable process: its limits, its rights, and a record of its acts."""

import atexit
import contextlib
import ctypes
import os
import resource
import stat
import struct
import sys
import tempfile
import traceback
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from utils.errors import run_main

MEMORY_GROWTH = 4 << 30  # bytes that no case may reach
# bytes beyond the start's: requests larger than that fail, whatever is promised
_ADDRESS_SPACE = 8 << 30
_LARGEST_FILE = 1 << 30
_CAPABILITY_VERSION_3 = 0x20080522
_SET_SECURE_BITS, _NO_ROOT = 28, 1  # of Linux's prctl
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.mkdir": (0,),
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.utime": (0,),
}
# position of the folder that a path is relative to
_FOLDER_DESCRIPTORS = {
    "os.remove": 1,
    "os.rmdir": 1,
}
_FOREIGN = (
    "pickle.find_class",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "socket.connect",
    "webbrowser.open",
    "ftplib.connect",
    "urllib.Request",
)
_KNOWN_PROGRAMS = ("git",)  # asked for the revision that a training run records
_DEVICES = ("/dev/null", "/dev/tty")


def run(
    stage: Callable[[], Tuple[Any, List[str]]],
    root: str,
    writable: Sequence[str],
    whole: Optional[str] = None,
) -> None:
    """Run a command's ``main`` as a script would, or the script itself, and end this process.

    Standard output and error go to ``stdout`` and ``stderr`` in ``root``, what it did that it may
    not to ``acts``. Root loses its capabilities, so that permissions count.

    Args:
        stage: callable that does the damage and returns (module of the command, its command line).
        root: the case's folder, with ``cwd`` and ``tmp``.
        writable: folders it may write into.
        whole: folder of the scripts, to run one as a process of its own, where nothing notes what
            it does; or None.
    """
    acts = os.open(os.path.join(root, "acts"), os.O_WRONLY | os.O_CREAT, 0o600)
    status = 99
    try:
        _redirect(root)
        module, arguments = stage()
        os.chdir(os.path.join(root, "cwd"))
        os.environ["TMPDIR"] = tempfile.tempdir = os.path.join(root, "tmp")
        _limit()
        if os.getuid() == 0:
            _drop_capabilities()
        if whole:
            os.environ["PYTHONPATH"] = whole
            name = module.__name__
            program = (
                ["-m", name[: -len(".__main__")]]
                if name.endswith(".__main__")
                else [os.path.join(whole, name + ".py")]
            )
            os.execv(sys.executable, [sys.executable] + program + arguments)
        if hasattr(sys, "addaudithook"):  # Python 3.8 and later
            sys.addaudithook(_Recorder(acts, writable))
        status = _run_main(module, arguments)
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _run_main(module, arguments):
    """Return the exit status, as the interpreter would."""
    try:
        run_main(module.main, arguments)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write("{}\n".format(end.code))
    except BaseException:
        traceback.print_exc()
    return 1


def _redirect(root):
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(os.path.join(root, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, descriptor)
        os.close(file)
    # As of a process whose output is piped, whatever the parent had.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(
        2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1
    )
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)


def _limit():
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + _ADDRESS_SPACE,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE,) * 2)


def _drop_capabilities():
    """Make permissions apply to root, in this process and the programs that it executes."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_SET_SECURE_BITS, _NO_ROOT, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    header, data = struct.pack("II", _CAPABILITY_VERSION_3, 0), bytes(24)
    if library.capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")


class _Recorder:
    """An audit hook that notes writing elsewhere, running programs, connecting and unpickling."""

    def __init__(self, descriptor: int, writable: Sequence[str]) -> None:
        self._descriptor = descriptor
        self._writable = tuple(os.path.realpath(folder) + os.sep for folder in writable)
        self._busy = False

    def __call__(self, event: str, arguments: Any) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            if event == "open":
                path, _, flags = arguments
                if isinstance(flags, int) and flags & _WRITES and isinstance(path, (str, bytes)):
                    self._check(event, path, not flags & os.O_NOFOLLOW)
            elif event in _CHANGES:
                for position in _CHANGES[event]:
                    if isinstance(arguments[position], (str, bytes)):
                        self._check(
                            event,
                            os.path.join(
                                self._folder(event, arguments), os.fsdecode(arguments[position])
                            ),
                            False,
                        )
            elif event in _FOREIGN:
                self._note(event, repr(arguments))
            elif event == "subprocess.Popen" and arguments[0] not in _KNOWN_PROGRAMS:
                self._note(event, repr(arguments[:2]))
        finally:
            self._busy = False

    @staticmethod
    def _folder(event, arguments):
        """Return the folder that a path is relative to, "" for the working folder."""
        descriptor = arguments[_FOLDER_DESCRIPTORS[event]] if event in _FOLDER_DESCRIPTORS else -1
        return "" if descriptor == -1 else os.readlink("/proc/self/fd/{}".format(descriptor))

    def _check(self, event, path, follows):
        path = os.fsdecode(path)
        if path in _DEVICES:
            return
        folder, name = os.path.split(os.path.abspath(path))
        real = os.path.join(os.path.realpath(folder), name)
        if follows:
            real = os.path.realpath(real)
        if not (real + os.sep).startswith(self._writable):
            self._note(event, real)

    def _note(self, event, what):
        os.write(
            self._descriptor, "{} {!r}\n".format(event, what).encode("utf-8", "backslashreplace")
        )


def snapshot(folder: str) -> Dict[str, Tuple[Any, ...]]:
    """Return path -> (type and permissions, size, time of change, target of a link)."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(place, name)
            status = os.lstat(path)
            link = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
            is_folder = stat.S_ISDIR(status.st_mode)
            found[os.path.relpath(path, folder)] = (
                status.st_mode,
                None if is_folder else status.st_size,
                None if is_folder else status.st_mtime_ns,
                link,
            )
    return found


def silence() -> None:
    """Send this process's output nowhere, but keep a way to complain."""
    global _complaints
    _complaints = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)


def complain() -> None:
    """Write the exception at hand to where standard error was."""
    os.write(_complaints, traceback.format_exc().encode())


_complaints = 2
