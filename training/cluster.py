"""Training by several processes, on one machine or many, through TensorFlow's distributed runtime.

Each worker is a process with a TensorFlow server. It holds all variables and computes the gradient
of its share of each batch; TensorFlow's collective all-reduce averages the gradients, and all
workers make the same update (synchronous data parallelism with between-graph replication). Worker
0 is the chief: it alone reads and writes the files of the run.

Clusters are described by the environment variable ``TF_CONFIG``, as TensorFlow's own distribution
strategies read it, or started on this machine by :func:`start_workers`.
"""

import contextlib
import functools
import glob
import json
import os
import socket
import subprocess
import threading
import time
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
)

import numpy as np

from training.board import JOB, Board
from utils.errors import InputError, first_line, log_notes
from utils.tf_compat import Tensor, all_reduce_sum, tf
from utils.workers import begin_worker, starting_workers

ENVIRONMENT = "TF_CONFIG"
SILENCE = 30.0  # seconds without a sign of life after which a worker counts as lost
START_PATIENCE = 900.0  # seconds in which all workers must have started
_LOOK = 0.2  # seconds between looks at the other workers
_NOTED_WAIT = 5.0  # seconds of waiting for the start of another worker before a note
_VERDICT = 25.0  # seconds beyond SILENCE in which the cause of a failed step must be known
_LAST_NOTE = 3.0  # seconds in which the last note of a process that has ended must be read
_GOODBYE = 10.0  # seconds in which the others must have read the last note of the chief
_CHIEF_JOBS, _WORKER_JOBS = ("chief", "master"), ("worker",)
_GPUS = "CUDA_VISIBLE_DEVICES"
_LOOPBACK = "127.0.0.1"
_NO_CHECKPOINT = "there is no checkpoint yet"
_SILENT = "has given no sign of life for {:.0f} s: it was killed, hangs, or is cut off"


class ClusterError(InputError):
    """The end of another worker; the message names it."""

    leaves_threads = True  # an exchange with a lost worker


class Membership(NamedTuple):
    """A cluster, and the place of this process in it."""

    hosts: Sequence[str]  # "host:port" of each worker, the chief's first
    rank: int  # place of this process in ``hosts``


class Share(NamedTuple):
    """The faces of each batch that one worker computes."""

    size: int  # number of faces
    offset: int  # place of the first one in the batch
    stride: int  # faces of the whole batch


def read_membership(environment: Mapping[str, str]) -> Optional[Membership]:
    """Return the cluster that ``TF_CONFIG`` describes, or None for a single process.

    Args:
        environment: the environment variables.

    Raises:
        InputError: ``TF_CONFIG`` is damaged, or describes a cluster with parameter servers.
    """
    # 1. JSON.
    text = environment.get(ENVIRONMENT)
    if not text:
        return None
    try:
        config = json.loads(text)
        jobs = dict(config.get("cluster") or {})
        task = config.get("task") or {}
        kind, number = str(task.get("type", "")), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError):
        raise InputError(
            "{}: must be JSON with cluster and task, as docs/cluster.md shows".format(ENVIRONMENT)
        ) from None

    # 2. Workers, the chief first.
    unknown = sorted(set(jobs) - set(_CHIEF_JOBS + _WORKER_JOBS))
    if unknown:
        raise InputError(
            "{}: jobs of the kind {} have no use here; describe workers only, and at most one "
            "chief".format(ENVIRONMENT, unknown[0])
        )
    places = [(job, i) for job in _CHIEF_JOBS + _WORKER_JOBS for i in range(len(jobs.get(job, ())))]
    if len(places) < 2 and not kind:
        return None
    if (kind, number) not in places:
        raise InputError(
            "{}: the cluster has no {} {}; correct task or cluster".format(
                ENVIRONMENT, kind or "task", number
            )
        )
    hosts = [str(jobs[job][i]) for job, i in places]
    return Membership(hosts, places.index((kind, number))) if len(hosts) > 1 else None


def format_membership(membership: Membership) -> str:
    """Return the value of ``TF_CONFIG`` that describes a cluster."""
    return json.dumps(
        {
            "cluster": {"worker": list(membership.hosts)},
            "task": {"type": "worker", "index": membership.rank},
        }
    )


class LoneWorker:
    """The one process of a training without a cluster."""

    size, index, is_chief, target = 1, 0, True, ""
    average: Optional[Callable[[Sequence[Tensor]], List[Tensor]]] = None

    def __enter__(self) -> "LoneWorker":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def start(self, config: Any) -> None:
        """Prepare the configuration of the session."""

    def share(self, batch_size: int) -> Share:
        """Return the share of this worker, the whole batch."""
        return Share(batch_size, 0, batch_size)

    def join(self, record: Mapping[str, Any], first: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the chief's ``first``."""
        return first

    def broadcast(self, session: Any, variables: Sequence[Any]) -> None:
        """Give the chief's variables to all workers."""

    def run(self, function: Callable[[], Any]) -> Any:
        """Call a function that waits for the other workers."""
        return function()

    def explain(self, error: Exception) -> None:
        """Raise an InputError if another worker is the cause of an error of TensorFlow."""

    def report(self, step: int, checkpoint: Optional[str]) -> None:
        """Let the others know the step that is done and the newest checkpoint."""

    def close(self, session: Any) -> None:
        """Close the session."""
        session.close()


class Cluster(LoneWorker):
    """One of several workers.

    Args:
        membership: the cluster.
        processes: index -> process of the workers that this one has started.

    Use it as a context: an exception inside of it ends all workers.
    """

    def __init__(
        self,
        membership: Membership,
        processes: Optional[Mapping[int, "subprocess.Popen[bytes]"]] = None,
    ) -> None:
        self._hosts, self.index = membership.hosts, membership.rank
        self.size, self.is_chief = len(self._hosts), membership.rank == 0
        self._processes = dict(processes or {})
        self._members: List[str] = []  # tokens of all workers, once they have joined
        self._ended: Dict[int, float] = {}  # index -> time at which its process was found ended
        self._instances = 0  # collective operations of the graph
        self._board: Optional[Board] = None
        self._call: Optional[threading.Thread] = None  # the last one that waited for the others
        self._has_failed = False  # an exchange with the others
        self.average = self._average

    def name(self, index: Optional[int] = None) -> str:
        """Return the name of a worker in messages, by default of this one."""
        index = self.index if index is None else index
        return "worker {} ({})".format(index, self._hosts[index])

    def start(self, config: Any) -> None:
        """Start the server, and prepare the configuration of the session.

        Args:
            config: ``tf.ConfigProto`` of the session, to be changed.

        Raises:
            InputError: the server cannot be started at its address.
        """
        config.experimental.collective_group_leader = "/job:{}/replica:0/task:0".format(JOB)
        config.device_filters.append("/job:{}/task:{}".format(JOB, self.index))
        count = workers_per_machine(self._hosts, self.index)
        if count > 1 and not config.intra_op_parallelism_threads:
            config.intra_op_parallelism_threads = max(1, (os.cpu_count() or 1) // count)
        try:
            self._server = tf.train.Server(
                tf.train.ClusterSpec({JOB: list(self._hosts)}), JOB, self.index, config=config
            )
        except tf.errors.OpError as error:
            raise InputError(
                "{}: no server can listen at this address ({}); correct {}, or end the process "
                "that uses the port".format(self.name(), first_line(error), ENVIRONMENT)
            ) from None
        self.target = self._server.target
        self._board = Board(self._hosts, self.index)
        self._board.update(state="starting")
        self._board.start()

    def share(self, batch_size: int) -> Share:
        """Return the share of this worker.

        Args:
            batch_size: faces of the whole batch.

        Raises:
            InputError: the batch cannot be divided into equal shares.
        """
        size = batch_size // self.size
        if size * self.size != batch_size:
            raise InputError(
                "--batch_size {}: cannot be shared equally by {} workers; choose a multiple of "
                "{}".format(batch_size, self.size, self.size)
            )
        return Share(size, self.index * size, batch_size)

    def join(self, record: Mapping[str, Any], first: Mapping[str, Any]) -> Mapping[str, Any]:
        """Wait for all workers, and refuse those that would train something else.

        Args:
            record: settings that must be the same in all workers, for JSON.
            first: values that the chief chooses for all workers, for JSON.

        Returns:
            The chief's ``first``.

        Raises:
            InputError: a worker differs, or does not start.
        """
        board = self._require_board()
        if self.is_chief:
            self._gather(board, json.loads(json.dumps(record)))
            board.update(state="training", first=first, members=self._members)
            board.flush(SILENCE)
            return first
        board.update(state="joining", record=record)
        chief = self._wait_until(lambda: self._invitation(board), "the chief")
        self._members = chief["members"]
        board.update(state="training", record=None)
        return chief["first"]

    def _gather(self, board: Board, record: Mapping[str, Any]) -> None:
        """Wait until each other worker has joined with the chief's record."""
        tokens = [board.token] + [""] * (self.size - 1)
        for index in range(1, self.size):

            def joined(index: int = index) -> Optional[Mapping[str, Any]]:
                note = board.notes()[index]
                is_new = note.get("state") == "joining" and board.silence(index) < SILENCE
                return note if is_new else None

            note = self._wait_until(joined, self.name(index))
            tokens[index] = note["token"]
            board.update(candidates=tokens)
            differences = _describe_differences(record, note["record"])
            if differences:
                raise ClusterError(
                    "{} differs from {}: {}; start all workers with the same code, command and "
                    "data".format(self.name(index), self.name(0), ", ".join(differences))
                )
        self._members = tokens

    def _invitation(self, board: Board) -> Optional[Mapping[str, Any]]:
        """Return the note of a chief that trains with this process, or None."""
        chief = board.notes()[0]
        if chief.get("state") == "failed" and board.token in chief.get("candidates", ()):
            raise ClusterError(chief["reason"])
        is_member = board.token in chief.get("members", ()) and chief.get("state") == "training"
        return chief if is_member else None

    def _wait_until(
        self, condition: Callable[[], Optional[Mapping[str, Any]]], awaited: str
    ) -> Mapping[str, Any]:
        """Wait until ``condition`` returns something, during the start."""
        start, noted = time.monotonic(), False
        while True:
            found = condition()
            if found is not None:
                return found
            waited = time.monotonic() - start
            if waited > _NOTED_WAIT and not noted:
                log_notes(["{} waits for {}".format(self.name(), awaited)])
                noted = True
            if waited > START_PATIENCE:
                raise InputError(
                    "{} has not started within {:.0f} minutes; start all workers again".format(
                        awaited, START_PATIENCE / 60
                    )
                )
            self._require_processes()
            time.sleep(_LOOK)

    def broadcast(self, session: Any, variables: Sequence[Any]) -> None:
        """Give the chief's variables to all workers; those of whole numbers remain.

        Args:
            session: session with the variables, initialized.
            variables: the same ones in all workers.
        """
        variables = [v for v in variables if v.dtype.base_dtype == tf.float32]
        values = [v.read_value() if self.is_chief else tf.zeros(v.shape) for v in variables]
        updates = [tf.assign(v, value).op for v, value in zip(variables, self._sum(values))]
        self.run(lambda: session.run(updates))

    def _average(self, tensors: Sequence[Tensor]) -> List[Tensor]:
        """Return the means of float tensors over all workers, in one exchange."""
        return [total / float(self.size) for total in self._sum(tensors)]

    def _sum(self, tensors: Sequence[Tensor]) -> List[Tensor]:
        """Return the sums of float tensors over all workers, in one exchange."""
        shapes = [tensor.shape.as_list() for tensor in tensors]
        with tf.device("/job:{}/task:{}/cpu:0".format(JOB, self.index)):
            flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
            self._instances += 1
            total = all_reduce_sum(flat, self.size, self._instances)
            parts = tf.split(total, [int(np.prod(shape)) for shape in shapes])
        return [tf.reshape(part, shape) for part, shape in zip(parts, shapes)]

    def run(self, function: Callable[[], Any]) -> Any:
        """Call a function that waits for the other workers; return its result.

        The call is made in another thread, so that the loss of a worker, or a signal, ends this
        one even while it waits.

        Raises:
            InputError: another worker has stopped or is lost.
        """
        # 1. The call.
        results: List[Any] = []
        errors: List[BaseException] = []

        def call() -> None:
            try:
                results.append(function())
            except BaseException as error:
                errors.append(error)

        self._call = threading.Thread(target=call, daemon=True)
        self._call.start()

        # 2. The other workers, until it ends.
        while self._call.is_alive():
            self._call.join(_LOOK)
            self._require_members()
        if errors:
            raise errors[0]
        return results[0]

    def explain(self, error: Exception) -> None:
        """Raise an InputError with the cause of a failed exchange, another worker's end."""
        self._has_failed = True
        start = time.monotonic()
        while time.monotonic() - start < SILENCE + _VERDICT:
            self._require_members()
            time.sleep(_LOOK)
        raise ClusterError(
            "{}: the exchange with the other workers failed ({}){}".format(
                self.name(), first_line(error), self._remedy()
            )
        )

    def report(self, step: int, checkpoint: Optional[str]) -> None:
        """Let the others know the step that is done and the newest checkpoint."""
        self._require_board().update(step=step, checkpoint=checkpoint)

    def close(self, session: Any) -> None:
        """Close the session; one that waits for a lost worker, or failed, ends with the process.

        TensorFlow still holds parts of a failed exchange, and closing it then may crash.
        """
        if self._has_failed or (self._call is not None and self._call.is_alive()):
            return
        thread = threading.Thread(target=session.close, daemon=True)
        thread.start()
        thread.join(_LAST_NOTE)

    def _require_members(self) -> None:
        """Raise an InputError that names a worker which has stopped or is lost."""
        self._require_processes()
        board = self._require_board()
        for index, note in enumerate(board.notes()):
            if index == self.index or not self._members:
                continue
            if note and note.get("token") != self._members[index]:
                problem = "was started again while the others were training"
            elif note.get("state") == "failed":
                if note["relayed"]:
                    raise ClusterError(note["reason"])
                problem = "stopped: {}".format(note["reason"])
            elif note.get("state") != "done" and board.silence(index) > SILENCE:
                problem = _SILENT.format(SILENCE)
            else:
                continue
            raise ClusterError("{} {}{}".format(self.name(index), problem, self._remedy()))

    def _require_processes(self) -> None:
        """Raise an InputError if a process that this one has started has failed."""
        for index, process in self._processes.items():
            status = process.poll()
            if not status:
                continue
            if self._board is not None:  # its last note may hold a better reason
                self._ended.setdefault(index, time.monotonic())
                note = self._board.notes()[index]
                has_reason = note.get("state") == "failed"
                if has_reason or time.monotonic() - self._ended[index] < _LAST_NOTE:
                    continue
            raise ClusterError(
                "{} {}{}".format(
                    self.name(index),
                    "was killed by signal {}".format(-status)
                    if status < 0
                    else "ended with status {}".format(status),
                    self._remedy(),
                )
            )

    def _remedy(self) -> str:
        """Return the end of an error: the newest checkpoint, and how to continue."""
        checkpoint = self._require_board().notes()[0].get("checkpoint")
        last = "the last checkpoint is {}".format(checkpoint) if checkpoint else _NO_CHECKPOINT
        return "; {}; start all workers again with --resume".format(last)

    def _require_board(self) -> Board:
        assert self._board is not None, "the cluster has not been started"
        return self._board

    def __exit__(self, kind: Any, error: Optional[BaseException], *_: Any) -> None:
        """Leave the cluster; let the others know the reason if it is an error."""
        # 1. The last note, which all others must have read before the chief's server is gone.
        if self._board is not None:
            if error is None:
                self._board.update(state="done")
            else:
                is_relayed = isinstance(error, ClusterError)
                reason = str(error) if isinstance(error, InputError) else _describe_end(error)
                self._board.update(state="failed", reason=reason, relayed=is_relayed)
            self._board.flush(_GOODBYE)
            if self.is_chief:
                self._wait_for_goodbyes(self._board)
            self._board.end()

        self.end_processes()

    def end_processes(self) -> None:
        """Wait for the processes that this one has started, and end those that remain."""
        deadline = time.monotonic() + (_GOODBYE if self._board is not None else 0.0)
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _wait_for_goodbyes(self, board: Board) -> None:
        """Wait until the others have left, those that are still there."""
        deadline = time.monotonic() + _GOODBYE
        while time.monotonic() < deadline:
            states = [
                note.get("state")
                for index, note in enumerate(board.notes())
                if index and board.silence(index) < _GOODBYE and index not in self._ended
            ]
            if all(state in (None, "done", "failed") for state in states):
                return
            time.sleep(_LOOK)


@contextlib.contextmanager
def start_workers(count: int, command: Sequence[str]) -> Iterator[LoneWorker]:
    """Start the other workers of a cluster on this machine; yields this process's cluster.

    Args:
        count: number of workers, this process included.
        command: program and arguments of the others.
    """
    if count == 1:
        yield LoneWorker()
        return

    # 1. One port for each worker.
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((_LOOPBACK, 0))
        hosts = ["{}:{}".format(_LOOPBACK, each.getsockname()[1]) for each in sockets]

    # 2. Their processes, which end with this one, and leave Ctrl-C to it.
    processes = {}
    with starting_workers():
        for index in range(1, count):
            environment = dict(os.environ, **_gpu_environment(index))
            environment[ENVIRONMENT] = format_membership(Membership(hosts, index))
            processes[index] = subprocess.Popen(
                command,
                env=environment,
                preexec_fn=functools.partial(begin_worker, os.getpid()),
            )
    os.environ.update(_gpu_environment(0))
    cluster = Cluster(Membership(hosts, 0), processes)
    try:
        yield cluster
    finally:
        cluster.end_processes()


def workers_per_machine(hosts: Sequence[str], index: int) -> int:
    """Return the number of workers on the machine of a worker.

    Args:
        hosts: "host:port" of each worker.
        index: of the worker.
    """
    machines = [host.rpartition(":")[0] for host in hosts]
    return machines.count(machines[index])


def _gpu_environment(index: int) -> Dict[str, str]:
    """Return the environment variable that gives a worker one GPU, if the machine has several."""
    visible = os.environ.get(_GPUS)
    if visible is None:
        names = [str(i) for i in range(len(glob.glob("/proc/driver/nvidia/gpus/*")))]
    else:
        names = [name for name in visible.split(",") if name]
    return {_GPUS: names[index % len(names)]} if len(names) > 1 else {}


def _describe_differences(record: Mapping[str, Any], other: Mapping[str, Any]) -> List[str]:
    """Return "NAME OTHER instead of VALUE" of each setting that differs between two records."""
    own, others = _flatten(record), _flatten(other)
    return [
        "{} {!r} instead of {!r}".format(name, others.get(name), own.get(name))
        for name in sorted(set(own) | set(others))
        if own.get(name) != others.get(name)
    ]


def _flatten(record: Mapping[str, Any]) -> Dict[str, Any]:
    """Return "outer.inner" -> value of nested dicts."""
    found: Dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found.update(
                ("{}.{}".format(name, inner), each) for inner, each in _flatten(value).items()
            )
        else:
            found[name] = value
    return found


def _describe_end(error: BaseException) -> str:
    """Return in a few words why a process ends."""
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return "a signal stopped it"
    return "{}: {}".format(type(error).__name__, first_line(error))
