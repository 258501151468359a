"""Worker processes that paint rendered faces, and their supply with batches."""

import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from synthesis.compositing import Painter, PaintingSettings, RenderedFace
from utils.errors import InputError
from utils.workers import begin_worker, single_threaded_children, starting_workers

_POLL_INTERVAL = 0.2  # seconds


def paint_all(
    settings: PaintingSettings,
    batches: Iterable[List[RenderedFace]],
    workers: int,
    finished: Callable[[int], Any],
) -> None:
    """Paint all faces.

    TensorFlow must not be forked after its first use, so workers are spawned, and a thread of this
    process iterates over ``batches``. On an interrupt, workers finish their current batch, so that
    no file is left incomplete.

    Args:
        settings: settings of the data set.
        batches: lists of rendered faces.
        workers: number of processes.
        finished: called with the number of faces after each batch.

    Raises:
        InputError: a worker failed or was killed.
    """
    ready: "queue.Queue[Any]" = queue.Queue(maxsize=2 * workers)
    stop = threading.Event()
    producer = threading.Thread(target=_produce, args=(batches, ready, stop), daemon=True)
    with starting_workers(), single_threaded_children():
        pool = [_Worker(settings) for _ in range(workers)]
    try:
        producer.start()
        _dispatch(pool, ready, finished)
    finally:
        stop.set()
        for worker in pool:
            worker.close()
        producer.join()


def _produce(
    batches: Iterable[List[RenderedFace]], ready: "queue.Queue[Any]", stop: threading.Event
) -> None:
    """Put all batches, then None or the exception raised, into a queue; end early on ``stop``."""
    try:
        for batch in batches:
            if not _put(ready, batch, stop):
                return
        _put(ready, None, stop)
    except BaseException as error:  # raised again by _dispatch
        _put(ready, error, stop)


def _put(ready: "queue.Queue[Any]", item: Any, stop: threading.Event) -> bool:
    """Put an item into a queue as soon as it has room; return False if stopped before."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=_POLL_INTERVAL)
            return True
        except queue.Full:
            pass
    return False


def _dispatch(
    pool: List["_Worker"], ready: "queue.Queue[Any]", finished: Callable[[int], Any]
) -> None:
    """Give each idle worker the next batch, until all batches are painted."""
    busy: Dict[Any, Tuple[_Worker, int]] = {}  # connection -> worker, number of faces
    exhausted = False
    while busy or not exhausted:
        # 1. Send batches to idle workers.
        while not exhausted and len(busy) < len(pool):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            exhausted = item is None
            if not exhausted:
                worker = next(w for w in pool if w.connection not in busy)
                worker.send(item)
                busy[worker.connection] = (worker, len(item))

        # 2. Receive results.
        if busy:
            for connection in multiprocessing.connection.wait(list(busy), _POLL_INTERVAL):
                worker, count = busy.pop(connection)
                worker.receive()
                finished(count)


class _Worker:
    """One worker process and the pipe to it."""

    def __init__(self, settings: PaintingSettings) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other_end = context.Pipe()
        self._process = context.Process(
            target=_work, args=(settings, other_end, os.getpid()), daemon=True
        )
        self._process.start()
        other_end.close()

    def send(self, faces: List[RenderedFace]) -> None:
        """Send a batch to paint."""
        try:
            self.connection.send(faces)
        except (BrokenPipeError, ConnectionResetError):
            raise _ended_error() from None

    def receive(self) -> None:
        """Wait for the result of a batch."""
        try:
            problem = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise _ended_error() from None
        if problem:
            raise InputError(problem)

    def close(self) -> None:
        """Let the process finish its batch and end."""
        self.connection.close()
        self._process.join()


def _ended_error() -> InputError:
    return InputError(
        "a worker process was ended from outside (out of memory?); run again with fewer --workers"
    )


def _work(settings: PaintingSettings, connection: Any, parent: int) -> None:
    """Paint batches until the other end closes; interrupts are left to the parent."""
    begin_worker(parent)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    painter: Optional[Painter] = None
    problem: Optional[str] = None
    try:
        painter = Painter(settings)
    except InputError as error:
        problem = str(error)
    while True:
        try:
            faces = connection.recv()
        except (EOFError, OSError):
            return
        if painter is not None and not problem:
            problem = _paint(painter, faces)
        try:
            connection.send(problem)
        except OSError:
            return


def _paint(painter: Painter, faces: List[RenderedFace]) -> Optional[str]:
    """Paint faces; return None, or an error message."""
    try:
        for face in faces:
            painter.paint(face)
    except OSError as error:
        return "{}: cannot be written ({})".format(
            error.filename or "output", error.strerror or error
        )
    except MemoryError:
        return "not enough memory; run again with fewer --workers"
    return None
