"""Small linear algebra on one thread."""

import functools

import threadpoolctl


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
