"""What worker processes have in common: they end with the process that started them."""

import ctypes
import os
import signal

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


def begin_worker(parent):
    """Set up this worker process: Ctrl-C is the parent's business, and the parent's death is its own.

    Be killed when the process that started this one is gone, so that no orphan goes on writing.

    Args:
        parent: process id of the one that started it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    library = ctypes.CDLL(None)
    if hasattr(library, "prctl"):  # Linux has it
        library.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it was too late
            os.kill(os.getpid(), signal.SIGKILL)
