"""The training loop: steps, summaries, validation, checkpoints, and what ends it."""

import os
import time
from typing import NamedTuple, Optional

import numpy as np

from checkpoints.record import image_size_notices, read_record, require_face_model
from dataset.face_cache import open_face_cache
from dataset.face_stream import FaceStream, batch_queue
from dataset.processed_faces import find_faces
from dataset.truth_stream import CachedFaceStream, cached_batch_queue
from face_model.coefficients import coefficient_sizes
from identity import load_identity_network
from training.options import batch_norm_decay_at, learning_rate_at
from training.progress import Progress, StopRequest
from training.r_net_step import build_r_net_step, initialise_r_net
from training.run_folder import OPTIONS_FILE, locked_run_folder
from training.run_record import changes, data_record, run_record
from training.saver import CheckpointSaver
from training.summaries import MESH_PLUGIN, SummaryWriter
from utils.errors import InputError
from utils.installed import missing_dependencies
from utils.json_files import write_json
from utils.tf_compat import session_config, tf, use_bfloat16
from utils.workers import release_freed_memory

NO_IDENTITY = "none"
_NAMES_TOLD = 5  # how many left-out faces are named before they are only counted


class Outcome(NamedTuple):
    """How a run ended."""

    first_step: int  # steps done before this run
    last_step: int
    seconds: float  # of this run's steps, without the start
    images: int  # trained on in this run, repeats counted
    losses: dict  # name -> value, of the last step; empty without one
    validation: dict  # name -> value, of the last validation; empty without one
    checkpoint: Optional[str]  # prefix of the newest
    broken: int  # faces that could not be read
    signal: Optional[int]  # that stopped the run


def train(options, model, build_step=build_r_net_step, initialise=initialise_r_net):
    """Train a network.

    Args:
        options: ``training.options.TrainingOptions``.
        model: a ``FaceModel``.
        build_step: builds the network's graph and step, with the arguments and the result of
            ``training.r_net_step.build_r_net_step``.
        initialise: sets the network's variables from ``options.init_weights``, with the arguments of
            ``training.r_net_step.initialise_r_net``.

    Returns:
        An :class:`Outcome`.

    Raises:
        InputError: something is missing or damaged, nothing can be read or written any more, or a
            loss is not a finite number.
    """
    with locked_run_folder(options) as folder, tf.Graph().as_default():
        try:
            trainer = _Trainer(options, model, folder, build_step, initialise)
            try:
                return trainer.run()
            finally:
                trainer.close()
        except OSError as error:  # of the run's folder: reading faces has errors of its own
            raise InputError("{}: cannot be written ({}); make room, then go on with --resume".format(
                folder, error.strerror or error)) from None


class _Trainer:
    """The parts of a run."""

    def __init__(self, options, model, folder, build_step, initialise):
        self._options, self._model, self._folder = options, model, folder
        self._validation, self._losses, self._checkpoint = {}, {}, None
        config = _session_config(options)
        self._stream, self._val_stream = _streams(options, model)
        faces, val_faces = self._stream.folder, self._val_stream.folder
        tf.set_random_seed(options.seed)
        self._queue, self._val_queue = (_queue(stream, options) for stream in (self._stream, self._val_stream))
        needs_identity = options.identity != NO_IDENTITY and options.supervision != "truth"
        identity = load_identity_network(options.identity) if needs_identity else None
        self._step = build_step(self._queue.batch, model, options, identity)
        self._session = tf.Session(config=config)
        self._record = dict(run_record(options, model), data=data_record(faces))
        self._saver = CheckpointSaver(folder, options.keep, self._record)
        notices = self._initialise(initialise)
        self._progress = Progress(self._first_step, options.steps, options.quiet)
        notices = _data_notices(faces, val_faces, identity, options) + notices
        for notice in notices:
            self._progress.notice(notice)
        write_json(os.path.join(folder, OPTIONS_FILE), self._record)
        self._writers = {side: SummaryWriter(os.path.join(folder, "summary", side), self._first_step)
                         for side in ("train", "val")}

    def _initialise(self, initialise):
        """Set all variables and the position in the data; returns what there is to say about it."""
        self._session.run(tf.global_variables_initializer())
        notices = []
        if self._options.resume:
            self._checkpoint, notices = self._saver.restore_newest(
                self._session, lambda prefix: require_face_model(prefix, self._model))
            notices = ["passed over: " + reason for reason in notices]
        if self._checkpoint:
            notices += changes(read_record(self._checkpoint), self._record)
            notices.append("resumed from {}".format(self._checkpoint))
        elif self._options.init_weights:
            initialise(self._session, self._options.init_weights)
            notices.append("started from the weights of {}".format(self._options.init_weights))
            notices += image_size_notices(self._options.init_weights, self._options.image_size)
        notices += missing_dependencies([MESH_PLUGIN])
        self._first_step = int(self._session.run(self._step.step))
        self._session.run(self._queue.initializer, {
            self._queue.first: self._first_step * self._options.batch_size})
        return notices

    def run(self):
        """Train to the last step, or until asked to stop; returns an :class:`Outcome`."""
        options, done = self._options, self._first_step
        start = time.monotonic()
        self._count_from(done)
        with StopRequest(self._progress.notice) as stop:
            while done < options.steps and stop.signal is None:
                self._train_step(done)
                done += 1
                if _due(done, options.val_interval) or done == options.steps:
                    self._validate(done)
                    self._count_from(done)
                if _due(done, options.checkpoint_interval):
                    self._checkpoint = self._saver.save(self._session, done)
                    self._count_from(done)
            if done > self._first_step and not _due(done, options.checkpoint_interval):
                self._checkpoint = self._saver.save(self._session, done)
        return Outcome(self._first_step, done, time.monotonic() - start, (done - self._first_step) * options.batch_size,
                       self._losses, self._validation, self._checkpoint,
                       len(self._stream.broken), stop.signal)

    def close(self):
        """Write what is to be written, and free the session."""
        self._progress.close()
        for writer in self._writers.values():
            writer.close()
        self._session.close()

    def _train_step(self, step):
        """Do the update after ``step`` updates, and write what is due of it."""
        done, step_graph = step + 1, self._step
        first = step == self._first_step
        scalars_due = first or _due(done, self._options.scalar_interval)
        pictures_due = first or _due(done, self._options.image_interval)
        fetches = {"update": step_graph.update, "losses": step_graph.losses, "indices": self._queue.batch.indices,
                   "gradient_norm": step_graph.gradient_norm}
        if scalars_due:
            fetches.update(metrics=step_graph.metrics, loss_gradient_norms=step_graph.loss_gradient_norms)
        if pictures_due:
            fetches.update(histograms=step_graph.histograms)
        if pictures_due and step_graph.pictures:
            fetches.update(batch=self._queue.batch, pictures=step_graph.pictures)
        values = self._evaluate(fetches, {
            step_graph.learning_rate: learning_rate_at(step, self._options),
            step_graph.batch_norm_decay: batch_norm_decay_at(step)})
        for reason in self._stream.take_news():
            self._progress.notice("skipped: " + reason)
        self._require_finite(done, values)
        self._losses = values["losses"]
        self._progress.step(values["losses"]["total"])
        if scalars_due:
            self._write_scalars(done, values)
        if pictures_due:
            if step_graph.pictures:
                self._writers["train"].strip(done, values["batch"], values["pictures"])
            self._writers["train"].serialised(done, values["histograms"])

    def _validate(self, done):
        """Average the losses over the validation faces, with the network as it will be applied."""
        faces = min(self._options.val_faces, len(self._val_stream.folder.faces))
        batches = -(-faces // self._options.batch_size)
        self._session.run(self._val_queue.initializer, {self._val_queue.first: 0})
        sums = {}
        for number in range(batches):
            with_pictures = number == 0 and self._step.pictures is not None
            batch, values = self._validation_batch(with_pictures)
            for tag, value in _tagged(loss=values["losses"], metrics=values["metrics"]).items():
                sums[tag] = sums.get(tag, 0.0) + value
            if with_pictures:
                self._writers["val"].strip(done, batch, values["pictures"])
                self._writers["val"].mesh(done, values["pictures"], self._model.triangles)
        self._validation = {tag: value / batches for tag, value in sums.items()}
        self._writers["val"].scalars(done, self._validation)
        self._writers["val"].flush()
        release_freed_memory()  # each validation would leave some thirty megabytes with another thread's heap

    def _validation_batch(self, with_pictures):
        """Return the next validation batch as arrays, and what the network makes of it."""
        batch = self._evaluate(self._val_queue.batch)
        feeds = dict(zip(self._queue.batch, batch))
        feeds.update(self._step.validation_feeds)
        feeds[self._step.prediction] = self._evaluate(self._step.applied_prediction, feeds)
        fetches = {"losses": self._step.losses, "metrics": self._step.metrics}
        if with_pictures:
            fetches["pictures"] = self._step.pictures
        return type(self._queue.batch)(*batch), self._evaluate(fetches, feeds)

    def _evaluate(self, fetches, feeds=None):
        """Run the session; faults of the data become their own error."""
        try:
            return self._session.run(fetches, feeds)
        except tf.errors.ResourceExhaustedError:
            raise InputError("a batch of {} faces does not fit into memory; choose a smaller --batch_size".format(
                self._options.batch_size)) from None
        except tf.errors.OpError:
            for stream in (self._stream, self._val_stream):
                if stream.failure:
                    raise stream.failure from None
            raise

    def _require_finite(self, done, values):
        """Raise an InputError that names the loss and the faces if a loss or a gradient is not finite."""
        quantities = ["the {} loss".format(name) for name, value in sorted(values["losses"].items())
                      if not np.isfinite(value) and name != "total"]
        if not quantities and not np.isfinite(values["losses"]["total"] + values["gradient_norm"]):
            quantities = ["the gradient"]
        if quantities:
            names = [self._stream.folder.faces[index].name for index in values["indices"]]
            raise InputError("step {}: {} not finite, training stopped; the batch was {}; {}".format(
                done, " and ".join(quantities) + (" are" if len(quantities) > 1 else " is"), ", ".join(names),
                "the last good checkpoint is {}".format(self._checkpoint) if self._checkpoint
                else "there is no checkpoint yet"))

    def _write_scalars(self, done, values):
        since, counted = self._counted_from
        images = (done - counted) * self._options.batch_size
        scalars = _tagged(loss=values["losses"], metrics=values["metrics"],
                          gradient_norm=dict(values["loss_gradient_norms"], all_weights=values["gradient_norm"]))
        scalars["learning_rate"] = learning_rate_at(done - 1, self._options)
        scalars["images_per_second"] = images / (time.monotonic() - since)
        self._writers["train"].scalars(done, scalars)
        self._writers["train"].flush()
        self._count_from(done)

    def _count_from(self, done):
        """Measure the speed of training from here on; validating and saving do not count."""
        self._counted_from = time.monotonic(), done


def _streams(options, model):
    """Return the streams of training and validation faces."""
    folders = [find_faces(options.data_path)]
    if options.val_data_path is not None:
        folders.append(find_faces(options.val_data_path))
    if options.supervision == "truth":
        count = sum(coefficient_sizes(model))
        caches = [open_face_cache(folder, count) for folder in folders]
        return tuple(CachedFaceStream(cache, options.seed, augmented, options.image_size)
                     for cache, augmented in ((caches[0], options.augment), (caches[-1], False)))
    return (FaceStream(folders[0], options.seed, options.augment),
            FaceStream(folders[-1], options.seed, augmented=False))


def _queue(stream, options):
    if options.supervision == "truth":
        return cached_batch_queue(stream, options.batch_size)
    return batch_queue(stream, options.batch_size, options.threads)


def _session_config(options):
    """Return the session's configuration; with one thread, sums have one order."""
    config = session_config(intra_op_threads=1, inter_op_threads=1) if options.deterministic else session_config()
    if options.precision == "bfloat16":
        use_bfloat16(config)
    return config


def _due(done, interval):
    return done % interval == 0


def _tagged(**groups):
    """Return tag -> value with a group's name before each name, as TensorBoard sorts them."""
    return {"{}/{}".format(group, name): value for group, values in groups.items() for name, value in values.items()}


def _data_notices(faces, val_faces, identity, options):
    """Return what there is to say about the data and the teachers of a run."""
    shared = val_faces is faces
    validation = "the same" if shared else str(len(val_faces.faces))
    return _left_out(faces) + ([] if shared else _left_out(val_faces)) + [
        "{} training faces, {} for validation; {}".format(
            len(faces.faces), validation, "losses against their true coefficients"
            if options.supervision == "truth" else "{}: {}".format(
                "identity features" if options.model == "gcn" else "perceptual loss",
                identity.kind if identity else NO_IDENTITY))]


def _left_out(folder):
    """Return notices of the faces that are not used."""
    notices = ["skipped: {} of {}: {}".format(name, folder.path, reason)
               for name, reason in folder.left_out[:_NAMES_TOLD]]
    if len(folder.left_out) > _NAMES_TOLD:
        notices.append("skipped: {} more of {}".format(len(folder.left_out) - _NAMES_TOLD, folder.path))
    return notices
