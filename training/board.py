"""Notes that the workers of a cluster leave for each other, on TensorFlow's own servers.

Each worker has one note: a JSON text in a string variable on the server of worker 0. Once a
second it writes its own note and reads all of them. A worker whose note no longer changes was
killed, hangs, or is cut off from the network.
"""

import contextlib
import json
import threading
import time
import uuid
from typing import Any, Dict, Iterator, List, Sequence

from utils.tf_compat import session_config, tf

JOB = "worker"  # name of all workers in device names
INTERVAL = 1.0  # seconds between exchanges of the notes
_TIMEOUT = 3.0  # seconds for one exchange
_LEAST_EXCHANGES = 3  # that a worker must miss; one that was itself suspended misses none


class Board:
    """The notes of all workers, exchanged by a thread.

    A note holds a token, which is another one in each process, and the fields that
    :meth:`update` sets.

    Args:
        hosts: "host:port" of each worker; the variables are on the first one's server.
        index: place of this worker in ``hosts``.
    """

    def __init__(self, hosts: Sequence[str], index: int) -> None:
        self.token = uuid.uuid4().hex
        self._index = index
        self._own: Dict[str, Any] = {"token": self.token, "beat": 0}
        self._notes: List[Dict[str, Any]] = [{} for _ in hosts]
        self._changed = [time.monotonic()] * len(hosts)
        self._missed = [0] * len(hosts)  # exchanges since the change
        self._target = "grpc://" + hosts[0]
        self._config = session_config()
        self._config.operation_timeout_in_ms = int(1000 * _TIMEOUT)
        self._config.device_filters.append("/job:{}/task:0".format(JOB))
        self._lock = threading.Lock()
        self._read = threading.Condition(self._lock)
        self._ended = False
        self._build_graph(len(hosts))

    def _build_graph(self, count: int) -> None:
        self._graph = tf.Graph()
        with self._graph.as_default(), tf.device("/job:{}/task:0/cpu:0".format(JOB)):
            notes = [
                tf.Variable("{}", name="board/note_{}".format(i), dtype=tf.string, trainable=False)
                for i in range(count)
            ]
            self._initializer = tf.variables_initializer(notes)
            self._text = tf.placeholder(tf.string, [])
            self._write = tf.assign(notes[self._index], self._text).op
            self._texts = [note.read_value() for note in notes]

    def start(self) -> None:
        """Begin to exchange notes."""
        threading.Thread(target=self._exchange_forever, daemon=True).start()

    def update(self, **fields: Any) -> None:
        """Set fields of this worker's note, values for JSON."""
        with self._lock:
            self._own.update(fields)

    def notes(self) -> List[Dict[str, Any]]:
        """Return the note of each worker, empty before its first one is read."""
        with self._lock:
            return list(self._notes)

    def silence(self, index: int) -> float:
        """Return the seconds since a worker's note last changed, as far as this worker knows."""
        with self._lock:
            if self._missed[index] < _LEAST_EXCHANGES:
                return 0.0
            return time.monotonic() - self._changed[index]

    def flush(self, timeout: float) -> bool:
        """Wait until this worker's present note is written; returns whether it is."""
        with self._lock:
            beat = self._own["beat"] + 1  # of the next exchange to begin
            return self._read.wait_for(
                lambda: self._notes[self._index].get("beat", 0) >= beat, timeout
            )

    def end(self) -> None:
        """Stop exchanging notes."""
        self._ended = True

    def _exchange_forever(self) -> None:
        initialized = self._index != 0
        while not self._ended:
            with self._session() as session:
                if not initialized:
                    session.run(self._initializer)
                    initialized = True
                while not self._ended:
                    self._exchange(session)
                    time.sleep(INTERVAL)
            # The first server is gone, or has not been started yet.
            with self._lock:
                self._missed = [missed + 1 for missed in self._missed]
            time.sleep(INTERVAL)

    @contextlib.contextmanager
    def _session(self) -> Iterator[Any]:
        """Yield a session on the first server; errors of the network end the block."""
        session = tf.Session(self._target, graph=self._graph, config=self._config)
        with contextlib.suppress(tf.errors.OpError):
            yield session
        with contextlib.suppress(tf.errors.OpError):
            session.close()

    def _exchange(self, session: Any) -> None:
        """Write the own note and read all notes."""
        # 1. The note, different from all earlier ones.
        with self._lock:
            self._own["beat"] += 1
            text = json.dumps(self._own)

        # 2. The exchange.
        session.run(self._write, {self._text: text})
        notes = [json.loads(text.decode("utf-8")) for text in session.run(self._texts)]

        # 3. Changes.
        with self._lock:
            for index, (note, before) in enumerate(zip(notes, self._notes)):
                if note != before:
                    self._changed[index], self._missed[index] = time.monotonic(), 0
                else:
                    self._missed[index] += 1
            self._notes = notes
            self._read.notify_all()
