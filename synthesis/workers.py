"""Worker processes that paint, fed from this process without ever waiting long for each other."""

import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading

from synthesis.compositing import Painter
from utils.errors import InputError
from utils.workers import begin_worker, starting_workers

_PATIENCE = 0.2  # seconds between looks at whether something has happened
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def paint_all(settings, batches, workers, finished):
    """Paint all faces.

    TensorFlow must not be forked once used, so workers are spawned, and ``batches`` is consumed by
    a thread of this process. Interrupted, workers finish the batch in hand and no file is left half.

    Args:
        settings: ``synthesis.compositing.PaintingSettings``.
        batches: iterable of lists of ``RenderedFace``.
        workers: how many processes.
        finished: called with the number of faces after each batch.

    Raises:
        InputError: a worker failed or was killed.
    """
    ready, stop = queue.Queue(maxsize=2 * workers), threading.Event()
    producer = threading.Thread(target=_produce, args=(batches, ready, stop), daemon=True)
    with starting_workers():
        pool = [_Worker(settings) for _ in range(workers)]
    try:
        producer.start()
        _dispatch(pool, ready, finished)
    finally:
        stop.set()
        for worker in pool:
            worker.close()
        producer.join()


def _produce(batches, ready, stop):
    """Put batches, then None or what went wrong, into a queue, until told to stop."""
    try:
        for batch in batches:
            if not _put(ready, batch, stop):
                return
        _put(ready, None, stop)
    except BaseException as error:  # raised again where the faces are awaited
        _put(ready, error, stop)


def _put(ready, item, stop):
    while not stop.is_set():
        try:
            ready.put(item, timeout=_PATIENCE)
            return True
        except queue.Full:
            pass
    return False


def _dispatch(pool, ready, finished):
    """Give each idle worker the next batch, until there are no more and all are idle."""
    busy, exhausted = {}, False
    while busy or not exhausted:
        while not exhausted and len(busy) < len(pool):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            exhausted = item is None
            if not exhausted:
                worker = next(w for w in pool if w.connection not in busy)
                worker.send(item)
                busy[worker.connection] = (worker, len(item))
        for connection in multiprocessing.connection.wait(list(busy), _PATIENCE) if busy else ():
            worker, count = busy.pop(connection)
            worker.receive()
            finished(count)


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, settings):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(settings, theirs, os.getpid()), daemon=True)
        before = {name: os.environ.get(name) for name in _THREAD_LIMITS}
        os.environ.update((name, "1") for name in _THREAD_LIMITS)  # one thread each; they are many
        try:
            self._process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
        theirs.close()

    def send(self, faces):
        try:
            self.connection.send(faces)
        except (BrokenPipeError, ConnectionResetError):
            raise self._ended() from None

    def receive(self):
        try:
            problem = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._ended() from None
        if problem:
            raise InputError(problem)

    def close(self):
        self.connection.close()
        self._process.join()

    def _ended(self):
        return InputError("a worker process was ended from outside (out of memory?); run again with fewer --workers")


def _work(settings, connection, parent):
    """Paint what comes until the other end closes; interrupts are the other end's business."""
    begin_worker(parent)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        painter, problem = Painter(settings), None
    except InputError as error:
        painter, problem = None, str(error)
    while True:
        try:
            faces = connection.recv()
        except (EOFError, OSError):
            return
        problem = problem or _paint(painter, faces)
        try:
            connection.send(problem)
        except OSError:
            return


def _paint(painter, faces):
    """Paint faces; return None, or what went wrong in one sentence."""
    try:
        for face in faces:
            painter.paint(face)
    except OSError as error:
        return "{}: cannot be written ({})".format(error.filename or "output", error.strerror or error)
    except MemoryError:
        return "not enough memory; run again with fewer --workers"
    return None
