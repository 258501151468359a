"""What TensorBoard shows of a run: scalars, histograms, picture strips and the face as a mesh."""

import contextlib
import importlib
import os
import re
import socket
import time

import numpy as np

from training.picture_strip import picture_strip
from training.saver import write_fault
from utils.drawing import encode_jpeg
from utils.errors import InputError
from utils.installed import is_installed
from utils.tf_compat import tf

_EVENT_FILE = "events.out.tfevents.{:010d}.{}.{}"  # seconds, host, process: TensorBoard reads them in this order
_EVENT_SECONDS = re.compile(r"events\.out\.tfevents\.(\d{10})\.")
_EVENT_VERSION = "brain.Event:2"  # of the format, in the first event
MESH_PLUGIN = "tensorboard.plugins.mesh"
_JPEG_QUALITY = 90  # a tenth of a PNG's size, and runs write thousands of pictures


class SummaryWriter:
    """Writes the event files of one side of a run, ``train`` or ``val``.

    Args:
        folder: for the event files.
        first_step: what older event files say beyond this step is void, because a run resumed there.

    Raises:
        InputError: (from every method) the file cannot be written.
    """

    def __init__(self, folder, first_step=0):
        # TensorFlow's own FileWriter writes from a thread, where a full disk ends in a traceback.
        self._path = folder
        with self._faults_named():
            os.makedirs(folder, exist_ok=True)
            self._path = os.path.join(folder, _EVENT_FILE.format(
                _next_second(folder), socket.gethostname(), os.getpid()))
            self._file = tf.python_io.TFRecordWriter(self._path)
        self._write(file_version=_EVENT_VERSION)
        if first_step:
            self._write(first_step + 1, session_log=tf.SessionLog(status=tf.SessionLog.START))

    def scalars(self, step, values):
        """Write scalars, tag -> number."""
        self._write(step, summary=tf.Summary(
            value=[tf.Summary.Value(tag=tag, simple_value=float(value)) for tag, value in values.items()]))

    def serialised(self, step, summary):
        """Write what a summary operation returned."""
        self._write(step, summary=tf.Summary.FromString(summary))

    def strip(self, step, batch, pictures):
        """Write the picture strip of a batch.

        Args:
            step: of the run.
            batch: ``dataset.face_stream.Batch`` of arrays.
            pictures: ``training.step.Pictures`` of arrays.
        """
        strip = picture_strip(batch.photos, pictures, batch.landmarks)
        image = tf.Summary.Image(height=strip.shape[0], width=strip.shape[1], colorspace=3,
                                 encoded_image_string=encode_jpeg(strip, _JPEG_QUALITY))
        self._write(step, summary=tf.Summary(value=[tf.Summary.Value(tag="faces", image=image)]))

    def mesh(self, step, pictures, triangles):
        """Write the first face of a batch, and its further meshes, for TensorBoard's mesh plugin.

        Nothing is written where there is no such plugin.

        Args:
            step: of the run.
            pictures: ``training.step.Pictures`` of arrays.
            triangles: [F, 3].
        """
        if not mesh_plugin_available():
            return
        faces = np.asarray(triangles, np.int32)[np.newaxis]
        meshes = dict(pictures.further_meshes, face=(pictures.shape, pictures.colors))
        for name, (vertices, colors) in sorted(meshes.items()):
            self._write(step, summary=importlib.import_module(MESH_PLUGIN + ".summary").pb(
                name, np.asarray(vertices[:1], np.float32), faces=faces,
                colors=np.clip(colors[:1], 0, 255).astype(np.uint8)))

    def flush(self):
        """Let TensorBoard see what was written so far."""
        with self._faults_named():
            self._file.flush()

    def close(self):
        """Write everything to disk."""
        with self._faults_named():
            self._file.close()

    def _write(self, step=0, **content):
        with self._faults_named():
            self._file.write(tf.Event(wall_time=time.time(), step=step, **content).SerializeToString())

    @contextlib.contextmanager
    def _faults_named(self):
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise InputError("{}: cannot be written ({}); make room, then go on with --resume".format(
                self._path, write_fault(error))) from None


def _next_second(folder):
    """Return the time of day, or what follows the newest event file, should the clock have been set back since."""
    taken = (_EVENT_SECONDS.match(name) for name in os.listdir(folder))
    return max([int(time.time())] + [int(match.group(1)) + 1 for match in taken if match])


def mesh_plugin_available():
    """Say whether the installed TensorBoard can show meshes (1.14 and later can)."""
    return is_installed(MESH_PLUGIN)
