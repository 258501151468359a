"""Worker processes: start-up, threads of linear algebra, and memory."""

import collections
import contextlib
import ctypes
import functools
import os
import queue
import signal
import threading
from concurrent import futures
from typing import Any, Callable, ContextManager, Deque, Iterable, Iterator, List, TypeVar

import threadpoolctl

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Variables by which TensorFlow and linear algebra limit their threads.
_THREAD_LIMITS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)
_STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
_POLL_SECONDS = 0.1  # after which a waiting thread looks whether it is to stop
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt
_REUSED_BYTES = 32 << 20  # largest block that glibc reuses by itself
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


@contextlib.contextmanager
def starting_workers() -> Iterator[None]:
    """Block Ctrl-C and SIGTERM while worker processes start.

    The block must contain the start of the workers. The signals take effect at its end in this
    process, and at :func:`begin_worker` in the workers. A worker would print a traceback if a
    terminal's Ctrl-C met it while it imports its modules, or if its parent left it half started.
    """
    try:
        from multiprocessing.resource_tracker import ensure_running
    except ImportError:  # its module in Python 3.6
        from multiprocessing.semaphore_tracker import ensure_running  # type: ignore[no-redef]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        # Multiprocessing's own helper is a Python that starts, too. Today's Pythons unblock the
        # signals once it runs; so it starts now, and not with the first worker.
        ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def limit_threads() -> None:
    """Let this process compute on one thread, unless the user's variables say otherwise.

    Call it before TensorFlow's first session. The last bits of a convolution depend on the number
    of threads, on some processors.
    """
    for name in _THREAD_LIMITS:
        os.environ.setdefault(name, "1")


@contextlib.contextmanager
def single_threaded_children() -> Iterator[None]:
    """Let processes that start in the block compute on one thread, see :func:`limit_threads`.

    Several workers already occupy all cores, and one alone gives the same bytes as several.
    """
    before = {name: os.environ.get(name) for name in _THREAD_LIMITS}
    limit_threads()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)


def begin_worker(parent: int) -> None:
    """Set up this worker process, started within :func:`starting_workers`.

    Ignore SIGINT, which the parent handles, and be killed when the parent ends, so that no orphan
    continues to write.

    Args:
        parent: process id of the starting process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    library = ctypes.CDLL(None)
    if hasattr(library, "prctl"):  # on Linux
        library.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before the call
            os.kill(os.getpid(), signal.SIGKILL)


class _OneBlasThread:
    """Limits the process to one BLAS thread while any of its threads is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limit = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                limiter = _blas_libraries().limit(limits=1, user_api="blas")
                self._limit.enter_context(limiter)
            self._inside += 1

    def __exit__(self, *exception: Any) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.close()


_ONE_BLAS_THREAD = _OneBlasThread()


def one_blas_thread() -> ContextManager[Any]:
    """Return a context in which this process's numpy and scipy compute on one thread.

    Several threads may be inside; the limit ends when the last one leaves.

    Threads of OpenBLAS wait for each other by spinning. That never pays for matrices of a few
    hundred rows, and where other processes use the same cores, each thread waits for one that is
    not running: a fit of 68 landmarks then takes twenty times the processor time. One thread also
    makes results independent of the number of cores.
    """
    return _ONE_BLAS_THREAD


class _LoadedLibraries(threadpoolctl.ThreadpoolController):
    """The linear algebra of this process, found while other threads import modules.

    threadpoolctl itself asks ``dl_iterate_phdr``, which holds the C library's lock of all loaded
    libraries while it calls back into Python. A thread that imports a compiled module at that
    moment holds Python's own lock (GIL) and waits for the other one: neither would ever go on.
    """

    def _find_libraries_with_dl_iterate_phdr(self) -> None:
        for path in _mapped_files():
            self._make_controller_from_path(path)


def _mapped_files() -> List[str]:
    """Return the files that this process has mapped into its memory, libraries among them."""
    with open("/proc/self/maps", errors="surrogateescape") as file:
        fields = [line.rstrip("\n").split(None, 5) for line in file]
    return sorted({line[5] for line in fields if len(line) == 6 and line[5].startswith("/")})


@functools.lru_cache(maxsize=None)
def _blas_libraries() -> threadpoolctl.ThreadpoolController:
    """Find the BLAS libraries of numpy and scipy once; the search takes some milliseconds."""
    return _LoadedLibraries()


def map_in_threads(
    function: Callable[[_Item], _Result], items: Iterable[_Item], most: int
) -> Iterator[_Result]:
    """Yield a function's results in the order of its arguments, by a thread for each processor.

    Args:
        function: may be called by several threads at once.
        items: its arguments, taken in the calling thread, as many ahead as there are threads.
        most: number of threads.
    """
    count = min(os.cpu_count() or 1, most)
    waiting: Deque[Any] = collections.deque()
    with futures.ThreadPoolExecutor(count) as executor:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) == count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def ahead_in_thread(items: Iterable[_Item], count: int) -> Iterator[_Item]:
    """Yield items that a thread makes ahead, up to so many at once.

    Args:
        items: an iterable, consumed in the thread; its errors are raised here.
        count: most items that wait.
    """
    waiting: Any = queue.Queue(count)
    stopped = threading.Event()

    def put(kind: str, value: Any) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put((kind, value), timeout=_POLL_SECONDS)
                return

    def make() -> None:
        try:
            for item in items:
                put("item", item)
                if stopped.is_set():
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        stopped.set()
        thread.join()


def release_freed_memory() -> None:
    """Return memory that this process has freed to the system, if its C library is glibc.

    glibc keeps freed blocks in one heap for every few threads. Large arrays that are made by this
    thread now and by another one later would leave each heap at its largest size. The call takes
    some milliseconds.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(ctypes.c_size_t(0))


def keep_freed_memory() -> None:
    """Let this process reuse blocks of memory up to 32 MiB, if its C library is glibc.

    It is glibc's own practice. Dask's workers are started to return all blocks to the system when
    they are freed; getting the memory of each picture anew takes as long as computing it.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, _REUSED_BYTES)
        library.mallopt(_TRIM_THRESHOLD, 2 * _REUSED_BYTES)
