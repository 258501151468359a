"""What worker processes have in common: they end with the process that started them."""

import contextlib
import ctypes
import os
import signal

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


@contextlib.contextmanager
def starting_workers():
    """Start worker processes within: Ctrl-C waits, here until the end of the block, there for :func:`begin_worker`.

    Ctrl-C in a terminal reaches workers too; in one that still imports its modules it would end in a traceback.
    """
    try:
        from multiprocessing.resource_tracker import ensure_running
    except ImportError:  # its name in Python 3.6
        from multiprocessing.semaphore_tracker import ensure_running
    ensure_running()  # which would let Ctrl-C through again, if it were left to the first worker's start
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_worker(parent):
    """Set up this worker process, started within :func:`starting_workers`.

    Ctrl-C is the parent's business, and the parent's death is its own.

    Be killed when the process that started this one is gone, so that no orphan goes on writing.

    Args:
        parent: process id of the one that started it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    library = ctypes.CDLL(None)
    if hasattr(library, "prctl"):  # Linux has it
        library.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it was too late
            os.kill(os.getpid(), signal.SIGKILL)
