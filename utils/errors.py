"""Errors that a user can mend, told in one sentence and without a traceback."""

import contextlib
import signal
import sys
import threading

_SIGNALLED = 128  # exit status of a process that a signal ended, by convention, less the signal's number
_RAISED_AGAIN_AFTER = 0.02  # seconds


class InputError(Exception):
    """Bad or missing input. The message is one sentence naming the file and the remedy."""


class _Terminated(SystemExit):
    """SIGTERM came."""


def printable(text):
    """Return a text in one line, with escapes for what could break it or command a terminal.

    File names may hold line ends, terminal codes, and bytes that are no characters at all.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def say_notes(sentences):
    """Write what a user should know, and need not act on, to stderr."""
    for sentence in sentences:
        sys.stderr.write("note: {}\n".format(printable(sentence)))


def run_main(main, argv=None):
    """Run a script's ``main(argv)`` and exit with its status.

    An :class:`InputError`, an error of the file system or a lack of memory becomes one line on stderr and exit
    status 1; Ctrl-C exits with 130 and SIGTERM with 143, both after cleaning up as after an error.

    Args:
        main: callable taking the argument list (None means ``sys.argv[1:]``), returning an exit
            status or None for success.
        argv: passed on to ``main``.
    """
    if threading.current_thread() is threading.main_thread():  # the only one that may set handlers
        signal.signal(signal.SIGTERM, _terminate)
    try:
        with _no_signal_lost():
            status = main(argv)
    except InputError as error:
        status = _complain(error)
    except OSError as error:
        name = "" if error.filename is None else "{}: ".format(error.filename)
        status = _complain("{}{}; make room, check permissions, or choose another folder, then run it again".format(
            name, error.strerror or error))
    except MemoryError:
        status = _complain("not enough memory; give fewer or smaller files at once")
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        status = _SIGNALLED + signal.SIGINT
    if argv is None:  # a script, which ends here: nothing is left to clean up when a signal comes from now on
        _let_signals_end_it()
    sys.exit(status or 0)


def _complain(sentence):
    sys.stderr.write("error: {}\n".format(printable(sentence)))
    return 1


def _terminate(number, frame):
    """End as after an error, so that no half-written file stays."""
    raise _Terminated(_SIGNALLED + number)


def _let_signals_end_it():
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def _no_signal_lost():
    """Raise again, a moment later, what signals raise where Python drops it: in ``__del__`` and callbacks of C."""
    dropped = getattr(sys, "unraisablehook", None)  # Python 3.8 and later

    def raise_later(unraisable):
        number = {KeyboardInterrupt: signal.SIGINT, _Terminated: signal.SIGTERM}.get(unraisable.exc_type)
        handler = signal.getsignal(number) if number else None
        if not callable(handler):
            dropped(unraisable)
            return
        signal.signal(signal.SIGALRM, lambda _, frame: handler(number, frame))
        signal.setitimer(signal.ITIMER_REAL, _RAISED_AGAIN_AFTER)

    if dropped is not None:
        sys.unraisablehook = raise_later
    try:
        yield
    finally:
        if dropped is not None:
            sys.unraisablehook = dropped
        signal.setitimer(signal.ITIMER_REAL, 0)
