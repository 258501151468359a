"""What worker processes have in common: they end with the process that started them."""

import contextlib
import ctypes
import functools
import os
import signal

import threadpoolctl

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


@functools.lru_cache(maxsize=None)
def _libraries():
    """Return what controls the BLAS libraries of numpy and scipy; looking for them takes some milliseconds."""
    return threadpoolctl.ThreadpoolController()


def one_blas_thread():
    """Return a context in which this process's numpy and scipy compute on one thread.

    Threads of OpenBLAS wait for each other by spinning. With matrices of a few hundred rows that never pays; and
    where other processes want the same cores, each waits for one that is not running: a fit of 68 landmarks then
    takes twenty times the processor time. It also makes results independent of the number of cores.
    """
    return _libraries().limit(limits=1, user_api="blas")


def release_freed_memory():
    """Let the system have what this process has freed, as far as its C library can (glibc).

    glibc keeps freed blocks in one heap for every few threads, so that large arrays made by this thread now and by
    another then leave each heap as large as it ever was. Takes some milliseconds.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(ctypes.c_size_t(0))
