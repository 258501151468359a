"""Errors that a user can mend: one sentence on stderr, an exit status, no traceback."""

import os
import signal
import sys
import threading
from typing import Any, Callable, Iterable, List, Optional, Sequence

SIGNALED_STATUS = 128  # by convention, a process that signal n ended exits with 128 + n
_signals: List[int] = []  # that have been turned into exceptions
_LATER = 0.05  # seconds after which a signal within a finalizer or an import is sent again


class InputError(Exception):
    """Bad or missing input. The message is one sentence naming the file and the remedy.

    Attributes:
        leaves_threads: whether threads of a library may never return, so that a script ends
            without waiting for them or destroying what they use.
    """

    leaves_threads = False


def printable(text: object) -> str:
    """Return ``str(text)`` as one line, unprintable characters escaped.

    File names may hold line ends, terminal control codes, and bytes that decode to no character.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text)
    )


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type if it has no message."""
    return (str(error) or type(error).__name__).splitlines()[0]


def join_first(names: Sequence[str], most: int = 3) -> str:
    """Join the first ``most`` names by commas, and count the rest."""
    joined = ", ".join(names[:most])
    if len(names) > most:
        joined += " and {} more".format(len(names) - most)
    return joined


def log_notes(sentences: Iterable[str]) -> None:
    """Write notes that need no action to stderr, one line each, without disturbing a bar."""
    from tqdm import tqdm  # scripts import this module before all slow ones, see end_on_interrupt

    for sentence in sentences:
        with tqdm.external_write_mode(file=sys.stderr):
            sys.stderr.write("note: {}\n".format(printable(sentence)))


def end_on_interrupt() -> None:
    """Let Ctrl-C end the process in one line, until :func:`run_main` takes over.

    Scripts call it before their imports, which take a second and have nothing to clean up. A
    process that ignores Ctrl-C goes on ignoring it.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_by_interrupt)


def _end_by_interrupt(number: int, frame: Any) -> None:
    sys.stderr.write("stopped\n")
    sys.stderr.flush()
    os._exit(SIGNALED_STATUS + number)


def run_main(
    main: Callable[[Optional[List[str]]], Optional[int]], argv: Optional[List[str]] = None
) -> None:
    """Run a script's ``main(argv)`` and exit with its status.

    An :class:`InputError`, an error of the file system or a lack of memory becomes one line on
    stderr and exit status 1; Ctrl-C exits with 130 and SIGTERM with 143, both after the clean-up
    that an error would cause.

    Args:
        main: callable taking the argument list (None means ``sys.argv[1:]``), returning an exit
            status or None for success.
        argv: argument of ``main``.
    """
    del _signals[:]
    if threading.current_thread() is threading.main_thread():  # other threads may set no handlers
        signal.signal(signal.SIGTERM, _exit_by_signal)
        if signal.getsignal(signal.SIGINT) in (_end_by_interrupt, signal.default_int_handler):
            signal.signal(signal.SIGINT, _exit_by_signal)
    try:
        status = main(argv)
    except InputError as error:
        status = _report(error)
        if error.leaves_threads and argv is None:
            sys.stdout.flush()
            os._exit(status)
    except OSError as error:
        name = "" if error.filename is None else "{}: ".format(error.filename)
        status = _report(
            "{}{}; make room, check permissions, or choose another folder, then run it "
            "again".format(name, error.strerror or error)
        )
    except MemoryError:
        status = _report("not enough memory; give fewer or smaller files at once")
    except KeyboardInterrupt:
        status = _report_signal(signal.SIGINT)
    except Exception:
        if not _signals:
            raise
        status = _report_signal(_signals[0])  # a library has replaced the signal's exception
    if argv is None:  # a script, which ends here: later signals have nothing to clean up
        _restore_default_signals()
    sys.exit(status or 0)


def _report(sentence: object) -> int:
    sys.stderr.write("error: {}\n".format(printable(sentence)))
    return 1


def _report_signal(number: int) -> int:
    if number == signal.SIGINT:
        sys.stderr.write("stopped\n")
    return SIGNALED_STATUS + number


def _exit_by_signal(number: int, frame: Any) -> None:
    """Exit through an exception, so that no half-written file remains.

    Within a finalizer, where Python prints and ignores exceptions, and within an import, where
    extension modules replace them by their own, the signal is sent again later.
    """
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code.co_filename.startswith("<frozen importlib"):
            threading.Timer(_LATER, os.kill, (os.getpid(), number)).start()
            return
        frame = frame.f_back
    _signals.append(number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(SIGNALED_STATUS + number)


def _restore_default_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
