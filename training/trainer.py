"""The training loop: steps, summaries, validation, checkpoints, and the end of a run."""

import contextlib
import os
import signal
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from checkpoints.record import image_size_notices, read_record, require_face_model
from checkpoints.variables import assign
from dataset.face_stream import BatchQueue
from dataset.processed_faces import FaceFolder
from face_model import FaceModel
from gcn.pyramid import recorded_pyramid
from identity import load_identity_network
from networks import R_NET_BATCH_NORM_DECAY
from training.cluster import LoneWorker, Share
from training.options import (
    NO_IDENTITY,
    TrainingOptions,
    batch_norm_decay_at,
    choose_batch_norm_decay,
    learning_rate_at,
)
from training.progress import Progress, StopRequest
from training.run_folder import OPTIONS_FILE, locked_run_folder
from training.run_record import (
    describe_changes,
    describe_data,
    describe_run,
    shared_settings,
)
from training.saver import CheckpointSaver
from training.step import TrainingStep
from training.summaries import MESH_PLUGIN, SummaryWriter
from utils.errors import InputError
from utils.installed import missing_dependencies
from utils.json_files import write_json
from utils.paths import from_root
from utils.tf_compat import session_config, tf, use_bfloat16
from utils.workers import release_freed_memory

_VALIDATION_SUFFIX = "_1"  # of published tags: the published code builds its summaries twice
# Notice of each of training.options.BATCH_NORM_DECAYS.
_DECAY_NOTICES = {
    "constant": "batch normalization: moving averages decay by the published constant {}".format(
        R_NET_BATCH_NORM_DECAY
    ),
    "ramp": "batch normalization: the decay of the moving averages rises to the published {}, "
    "because the run began with random weights".format(R_NET_BATCH_NORM_DECAY),
}
_SIGNALS = (signal.SIGTERM, signal.SIGINT)  # by which any worker stops all
_NAMED_FACES = 5  # left-out faces that are named; further ones are only counted


class Task(NamedTuple):
    """The parts of training that depend on the network and its supervision."""

    open_streams: Callable[[TrainingOptions, FaceModel], Tuple[Any, Any]]  # training, validation
    build_queue: Callable[[Any, Share, TrainingOptions], BatchQueue]  # of a stream
    # Of (batch, model, options, identity network, training.optimizer.Average or None).
    build_step: Callable[..., TrainingStep]
    initialize: Callable[[Any, str], None]  # of (session, path of the weights to start from)
    loss_weights: Any  # NamedTuple class whose defaults are the published weights
    image_sizes: Tuple[int, ...]  # of the network's input, pixels
    identity_role: Optional[str]  # use of the identity network in words; None: it is not used
    pooled_only: bool = False  # whether only the identity network's pooled features are used


class Outcome(NamedTuple):
    """The end of a run."""

    first_step: int  # steps done before this run
    last_step: int
    seconds: float  # duration of this run's steps, without the start
    images: int  # trained on in this run, with repetitions
    losses: Dict[str, float]  # name -> value in the last step; empty if there was none
    validation: Dict[str, float]  # tag -> value in the last validation; empty if there was none
    checkpoint: Optional[str]  # prefix of the newest
    broken: int  # faces that could not be read
    signal: Optional[int]  # that stopped the run


class _Exchange(NamedTuple):
    """Values of a step that the workers of a cluster share, or those of the one worker."""

    losses: Dict[str, Any]  # of the whole batch
    indices: Any  # of the whole batch's faces
    broken: Any  # number of faces that could not be read so far, over all workers
    stop: Any  # number of workers that got each of _SIGNALS
    own_broken: Any  # placeholders of this worker's numbers
    own_stop: Any


class _RunGraph(NamedTuple):
    """The graph of a run, and the data that it reads."""

    stream: Any  # training faces
    val_stream: Any  # validation faces
    queue: BatchQueue
    val_queue: BatchQueue
    step: TrainingStep
    exchange: _Exchange
    identity: str  # kind and file of the identity network, or NO_IDENTITY


def train(
    options: TrainingOptions, model: FaceModel, task: Task, cluster: Optional[LoneWorker] = None
) -> Outcome:
    """Train a network.

    Args:
        options: options of the run.
        model: face model.
        task: task of the options' network and supervision, see ``training.tasks``.
        cluster: the workers that share each batch; None: this process alone. Only the first one
            reads and writes the folder of the run.

    Raises:
        InputError: files are missing, damaged or cannot be written, a loss is not finite, or
            another worker is lost or differs.
    """
    cluster = cluster or LoneWorker()
    with cluster, _run_folder(options, cluster) as folder, tf.Graph().as_default():
        try:
            trainer = _Trainer(options, model, task, folder, cluster)
            try:
                return trainer.run()
            finally:
                trainer.close()
        except OSError as error:  # of the run's folder: errors of reading faces are caught earlier
            raise InputError(
                "{}: cannot be written ({}); make room, then continue with --resume".format(
                    folder, error.strerror or error
                )
            ) from None


@contextlib.contextmanager
def _run_folder(options: TrainingOptions, cluster: LoneWorker) -> Iterator[Optional[str]]:
    """Yield the folder of the run, locked, or None in a worker that is not the chief."""
    if not cluster.is_chief:
        yield None
        return
    with locked_run_folder(options) as folder:
        yield folder


class _Trainer:
    """A run: its graph, session and files, which only the chief of a cluster has."""

    def __init__(
        self,
        options: TrainingOptions,
        model: FaceModel,
        task: Task,
        folder: Optional[str],
        cluster: LoneWorker,
    ) -> None:
        self._options = options
        self._cluster = cluster
        self._share = cluster.share(options.batch_size)
        self._model = model
        self._losses: Dict[str, float] = {}  # of the last step
        self._validation: Dict[str, float] = {}  # of the last validation
        self._checkpoint: Optional[str] = None  # prefix of the newest
        self._stop: Optional[int] = None  # signal by which a worker stops all
        self._broken = 0  # faces that could not be read, over all workers
        self._writers: Dict[str, SummaryWriter] = {}

        # 1. Graph and session; the configuration first, because it may be unsupported.
        config = _session_config(options)
        cluster.start(config)
        self._graph = _build_graph(options, model, task, cluster)
        self._session = tf.Session(cluster.target, config=config)

        # 2. Variables: of a checkpoint, of other weights, or random; the chief's in all workers.
        faces = self._graph.stream.folder
        self._record = dict(describe_run(options, model), data=describe_data(faces))
        self._saver: Optional[CheckpointSaver] = None
        if folder is not None:
            self._saver = CheckpointSaver(folder, options.keep, self._record)
        notices = self._initialize(task)
        self._first_step = self._join()
        self._start_queue(self._first_step)

        # 3. Outputs beside the checkpoints.
        is_quiet = options.quiet or not cluster.is_chief
        self._progress = Progress(self._first_step, options.steps, is_quiet)
        self._speed = _SpeedMeter()
        if folder is None:
            return
        for notice in _describe_supervision(self._graph, task) + notices:
            self._progress.notice(notice)
        write_json(os.path.join(folder, OPTIONS_FILE), self._record)
        self._writers = {
            side: SummaryWriter(os.path.join(folder, "summary", side), self._first_step)
            for side in ("train", "val")
        }
        if not self._first_step:
            self._writers["train"].write_graph(self._session.graph)

    def _initialize(self, task: Task) -> List[str]:
        """Set all variables; returns notices about their origin."""
        self._session.run(tf.global_variables_initializer())
        notices: List[str] = []
        if self._saver is None:
            return notices
        if self._options.resume:
            self._checkpoint, reasons = self._saver.restore_newest(
                self._session, self._require_resumable
            )
            notices = ["passed over: " + reason for reason in reasons]
        before = (read_record(self._checkpoint) or {}) if self._checkpoint else None
        notices += self._settle_batch_norm_decay(before)
        if before is not None:
            notices += describe_changes(before, self._record)
            notices.append("resumed from {}".format(self._checkpoint))
        elif self._options.init_weights:
            task.initialize(self._session, self._options.init_weights)
            notices.append("started from the weights of {}".format(self._options.init_weights))
            notices += image_size_notices(self._options.init_weights, self._options.image_size)
        return notices + missing_dependencies([MESH_PLUGIN])

    def _join(self) -> int:
        """Begin together with the other workers; returns the number of steps done before."""
        # 1. The chief's choices.
        step = self._graph.step.step
        first: Dict[str, Any] = {
            "step": int(self._session.run(step)),
            "batch_norm_decay": self._options.batch_norm_decay,
        }
        self._cluster.report(first["step"], self._checkpoint)
        settings = shared_settings(self._record, self._graph.identity)
        first = dict(self._cluster.join(settings, first))
        self._options = self._options._replace(batch_norm_decay=first["batch_norm_decay"])

        # 2. Its variables.
        if not self._cluster.is_chief:
            assign(self._session, [step], {step.op.name: np.array(first["step"])})
        self._cluster.broadcast(self._session, tf.global_variables())
        return int(first["step"])

    def _require_resumable(self, prefix: str) -> None:
        """Raise an InputError if a checkpoint is of another face model or mesh pyramid."""
        require_face_model(prefix, self._model)
        if self._options.model != "gcn":
            return
        trained = recorded_pyramid(read_record(prefix))
        if trained != self._options.pyramid:
            raise InputError(
                "{}: was trained on the mesh pyramid {}, and this run is on {}; continue with the "
                "same --pyramid, or start a new run".format(prefix, trained, self._options.pyramid)
            )

    def _settle_batch_norm_decay(self, resumed: Optional[Dict[str, Any]]) -> List[str]:
        """Set the decay of the moving averages in options and record; returns a notice.

        Args:
            resumed: record of the checkpoint from which the run continues; None for a new run.
        """
        if self._options.model == "gcn":
            return []
        decay = choose_batch_norm_decay(self._options, resumed)
        self._options = self._options._replace(batch_norm_decay=decay)
        self._record["options"]["batch_norm_decay"] = decay  # the saver's record too
        return [_DECAY_NOTICES[decay]]

    def _start_queue(self, step: int) -> None:
        """Start reading training faces at the position of a step."""
        queue = self._graph.queue
        self._session.run(queue.initializer, {queue.first: step * self._options.batch_size})

    def run(self) -> Outcome:
        """Train to the last step, or until a signal requests to stop."""
        options, done = self._options, self._first_step
        start = time.monotonic()
        self._speed.start(done)

        # 1. Steps.
        with StopRequest(self._progress.notice) as stop:
            while done < options.steps and not self._must_stop(stop):
                self._train_step(done, stop)
                done += 1
                if self._saver is None:
                    continue
                if _is_due(done, options.val_interval) or done == options.steps:
                    self._validate(done)
                    self._speed.start(done)
                if _is_due(done, options.checkpoint_interval):
                    self._save(done)
                    self._speed.start(done)

            # 2. The last checkpoint, before another signal may interrupt.
            if done > self._first_step and not _is_due(done, options.checkpoint_interval):
                self._save(done)
        return Outcome(
            first_step=self._first_step,
            last_step=done,
            seconds=time.monotonic() - start,
            images=(done - self._first_step) * options.batch_size,
            losses=self._losses,
            validation=self._validation,
            checkpoint=self._checkpoint,
            broken=max(self._broken, len(self._graph.stream.broken)),
            signal=self._stop,
        )

    def _must_stop(self, stop: StopRequest) -> bool:
        """Return True if a signal stops the run; the workers of a cluster agree after each step."""
        if self._cluster.size == 1:
            self._stop = stop.signal
        return self._stop is not None

    def _save(self, done: int) -> None:
        """Write a checkpoint, in the chief."""
        if self._saver is not None:
            self._checkpoint = self._saver.save(self._session, done)
            self._cluster.report(done, self._checkpoint)

    def close(self) -> None:
        """Close the progress line, the event files and the session."""
        self._progress.close()
        for writer in self._writers.values():
            writer.close()
        self._cluster.close(self._session)

    def _train_step(self, step: int, stop: StopRequest) -> None:
        """Perform the update after ``step`` updates, and write its summaries if they are due.

        Args:
            step: number of updates.
            stop: signal to this worker, by which all workers stop after the step.
        """
        done, graph, exchange = step + 1, self._graph.step, self._graph.exchange
        is_first = step == self._first_step
        scalars_due = is_first or _is_due(done, self._options.scalar_interval)
        pictures_due = is_first or _is_due(done, self._options.image_interval)
        scalars_due, pictures_due = (
            due and bool(self._writers) for due in (scalars_due, pictures_due)
        )

        # 1. Update.
        feeds = {
            graph.learning_rate: learning_rate_at(step, self._options),
            graph.batch_norm_decay: batch_norm_decay_at(step, self._options),
            exchange.own_broken: len(self._graph.stream.broken),
            exchange.own_stop: [stop.signal == number for number in _SIGNALS],
        }
        fetches = self._step_fetches(scalars_due, pictures_due)
        values = self._cluster.run(lambda: self._evaluate(fetches, feeds))

        # 2. Broken faces, diverged losses, progress.
        for reason in self._graph.stream.pop_errors():
            self._progress.notice("skipped: " + reason)
        self._require_finite(done, values)
        self._losses = values["losses"]
        self._broken = int(values["broken"])
        self._stop = next((n for n, count in zip(_SIGNALS, values["stop"]) if count), None)
        self._cluster.report(done, self._checkpoint)
        self._progress.step(values["losses"]["total"])

        # 3. Summaries.
        if scalars_due:
            self._write_scalars(done, values)
        if pictures_due:
            if graph.pictures:
                batch, pictures = values["batch"], values["pictures"]
                self._writers["train"].write_strip(done, batch, pictures)
                self._writers["train"].write_published_pictures(done, batch, pictures)
            self._writers["train"].write_serialized(done, values["histograms"])

    def _step_fetches(self, scalars_due: bool, pictures_due: bool) -> Dict[str, Any]:
        """Return name -> tensors to be evaluated in a training step."""
        graph, batch = self._graph.step, self._graph.queue.batch
        exchange = self._graph.exchange
        fetches = {
            "update": graph.update,
            "losses": exchange.losses,
            "indices": exchange.indices,
            "broken": exchange.broken,
            "stop": exchange.stop,
            "gradient_norm": graph.gradient_norm,
        }
        if scalars_due:
            fetches.update(
                metrics=graph.metrics,
                loss_gradient_norms=graph.loss_gradient_norms,
                published=graph.published,
            )
        if pictures_due:
            fetches.update(histograms=graph.histograms)
        if pictures_due and graph.pictures:
            fetches.update(batch=batch, pictures=graph.pictures)
        return fetches

    def _validate(self, done: int) -> None:
        """Average losses and metrics over the validation faces, with the network in inference mode.

        Args:
            done: number of updates so far.
        """
        # 1. The same faces each time, in whole batches.
        graph, writer = self._graph, self._writers["val"]
        faces = min(self._options.val_faces, len(graph.val_stream.folder.faces))
        batches = -(-faces // self._share.size)
        self._session.run(graph.val_queue.initializer, {graph.val_queue.first: 0})

        # 2. Sums; pictures of the first batch.
        sums: Dict[str, float] = {}
        for number in range(batches):
            with_pictures = number == 0 and graph.step.pictures is not None
            batch, values = self._evaluate_validation_batch(with_pictures)
            scalars = _tag(loss=values["losses"], metrics=values["metrics"])
            scalars.update(
                (tag + _VALIDATION_SUFFIX, value) for tag, value in values["published"].items()
            )
            for tag, value in scalars.items():
                sums[tag] = sums.get(tag, 0.0) + value
            if with_pictures:
                writer.write_strip(done, batch, values["pictures"])
                writer.write_mesh(done, values["pictures"], self._model.triangles)

        # 3. Means.
        self._validation = {tag: value / batches for tag, value in sums.items()}
        writer.write_scalars(done, self._validation)
        writer.flush()
        release_freed_memory()  # otherwise each validation can add some 30 MB to another heap

    def _evaluate_validation_batch(self, with_pictures: bool) -> Tuple[Any, Dict[str, Any]]:
        """Return the next validation batch as arrays, and name -> values of its evaluation."""
        step, queue = self._graph.step, self._graph.queue
        batch = self._evaluate(self._graph.val_queue.batch)
        feeds = dict(zip(queue.batch, batch))
        feeds.update(step.validation_feeds)
        feeds[step.prediction] = self._evaluate(step.applied_prediction, feeds)
        fetches: Dict[str, Any] = {
            "losses": step.losses,
            "metrics": step.metrics,
            "published": step.published,
        }
        if with_pictures:
            fetches["pictures"] = step.pictures
        return type(queue.batch)(*batch), self._evaluate(fetches, feeds)

    def _evaluate(self, fetches: Any, feeds: Optional[Dict[Any, Any]] = None) -> Any:
        """Run the session; report its errors in terms of options and data."""
        try:
            return self._session.run(fetches, feeds)
        except tf.errors.ResourceExhaustedError:
            raise InputError(
                "a batch of {} faces does not fit into memory; choose a smaller "
                "--batch_size".format(self._share.size)
            ) from None
        except tf.errors.OpError as error:
            for stream in (self._graph.stream, self._graph.val_stream):
                if stream.failure:
                    raise stream.failure from None
            self._cluster.explain(error)
            raise

    def _require_finite(self, done: int, values: Dict[str, Any]) -> None:
        """Raise an InputError that names losses and faces if a loss or a gradient is not finite."""
        losses = values["losses"]
        quantities = [
            "the {} loss".format(name)
            for name, value in sorted(losses.items())
            if not np.isfinite(value) and name != "total"
        ]
        if not quantities and not np.isfinite(losses["total"] + values["gradient_norm"]):
            quantities = ["the gradient"]
        if not quantities:
            return
        faces = self._graph.stream.folder.faces
        checkpoint = "there is no checkpoint yet"
        if self._checkpoint:
            checkpoint = "the last good checkpoint is {}".format(self._checkpoint)
        raise InputError(
            "step {}: {} {} not finite, training stopped; the batch was {}; {}".format(
                done,
                " and ".join(quantities),
                "are" if len(quantities) > 1 else "is",
                ", ".join(faces[int(index)].name for index in values["indices"]),
                checkpoint,
            )
        )

    def _write_scalars(self, done: int, values: Dict[str, Any]) -> None:
        images_per_second = self._options.batch_size * self._speed.steps_per_second(done)
        gradient_norms = dict(values["loss_gradient_norms"], all_weights=values["gradient_norm"])
        scalars = _tag(
            loss=values["losses"], metrics=values["metrics"], gradient_norm=gradient_norms
        )
        scalars["learning_rate"] = learning_rate_at(done - 1, self._options)
        scalars["images_per_second"] = images_per_second
        scalars.update(values["published"])
        self._writers["train"].write_scalars(done, scalars)
        self._writers["train"].flush()
        self._speed.start(done)


class _SpeedMeter:
    """Measures the speed of training between calls of ``start``.

    It is started again after validating and saving, which therefore do not count.
    """

    def __init__(self) -> None:
        self.start(0)

    def start(self, done: int) -> None:
        """Start a measurement after ``done`` updates."""
        self._time = time.monotonic()
        self._done = done

    def steps_per_second(self, done: int) -> float:
        """Return the mean speed since the start; ``done`` updates have been done by now."""
        return (done - self._done) / (time.monotonic() - self._time)


def _build_graph(
    options: TrainingOptions, model: FaceModel, task: Task, cluster: LoneWorker
) -> _RunGraph:
    """Build the graph of a run in the current graph."""
    # 1. Data.
    stream, val_stream = task.open_streams(options, model)
    tf.set_random_seed(options.seed)
    share = cluster.share(options.batch_size)
    queue = task.build_queue(stream, share, options)
    val_queue = task.build_queue(val_stream, Share(share.size, 0, share.size), options)

    # 2. Network, losses and update.
    identity = None
    if task.identity_role is not None and options.identity != NO_IDENTITY:
        identity = load_identity_network(options.identity, task.pooled_only)
    step = task.build_step(queue.batch, model, options, identity, cluster.average)
    exchange = _build_exchange(step, queue.batch, share, cluster)
    description = NO_IDENTITY
    if identity:
        description = "{} ({})".format(identity.kind, from_root(identity.path))
    return _RunGraph(stream, val_stream, queue, val_queue, step, exchange, description)


def _build_exchange(step: TrainingStep, batch: Any, share: Share, cluster: LoneWorker) -> _Exchange:
    """Build the exchange of the values of a step that all workers need."""
    # 1. This worker's values.
    broken = tf.placeholder(tf.float32, [], "broken")
    stop = tf.placeholder(tf.float32, [len(_SIGNALS)], "stop")
    if cluster.average is None:
        return _Exchange(step.losses, batch.indices, broken, stop, broken, stop)
    names = sorted(step.losses)
    losses = tf.stack([step.losses[name] for name in names])
    indices = tf.cast(tf.reshape(batch.indices, [share.size]), tf.float32)
    before, after = share.offset, share.stride - share.offset - share.size
    indices = tf.pad(indices, [[before, after]])

    # 2. Means over the workers; a sum is the number of workers times the mean.
    count = float(cluster.size)
    losses, *others = cluster.average([losses, indices, broken, stop])
    indices, all_broken, all_stop = (tf.rint(count * values) for values in others)
    return _Exchange(
        dict(zip(names, tf.unstack(losses))), indices, all_broken, all_stop, broken, stop
    )


def _session_config(options: TrainingOptions) -> Any:
    """Return the session's configuration; with one thread, sums have one order."""
    threads = 1 if options.deterministic else 0
    config = session_config(intra_op_threads=threads, inter_op_threads=threads)
    if options.precision == "bfloat16":
        use_bfloat16(config)
    return config


def _is_due(done: int, interval: int) -> bool:
    return done % interval == 0


def _tag(**groups: Dict[str, Any]) -> Dict[str, Any]:
    """Return "group/name" -> value, the form in which TensorBoard groups scalars."""
    return {
        "{}/{}".format(group, name): value
        for group, values in groups.items()
        for name, value in values.items()
    }


def _describe_supervision(graph: _RunGraph, task: Task) -> List[str]:
    """Summarize the dataset and the supervision used, as log messages."""
    faces, val_faces = graph.stream.folder, graph.val_stream.folder
    notices = _describe_left_out(faces)
    validation = "the same"
    if val_faces is not faces:
        notices += _describe_left_out(val_faces)
        validation = str(len(val_faces.faces))
    supervision = "losses against their true coefficients"
    if task.identity_role is not None:
        supervision = "{}: {}".format(task.identity_role, graph.identity)
    return notices + [
        "{} training faces, {} for validation; {}".format(len(faces.faces), validation, supervision)
    ]


def _describe_left_out(folder: FaceFolder) -> List[str]:
    """Return notices of the faces that are not used."""
    notices = [
        "skipped: {} of {}: {}".format(name, folder.path, reason)
        for name, reason in folder.left_out[:_NAMED_FACES]
    ]
    if len(folder.left_out) > _NAMED_FACES:
        count = len(folder.left_out) - _NAMED_FACES
        notices.append("skipped: {} more of {}".format(count, folder.path))
    return notices
