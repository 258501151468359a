"""TensorBoard's view of a run: scalars, histograms, picture strips and the face as a mesh."""

import contextlib
import importlib
import os
import re
import socket
import time
from typing import Any, Dict, Iterator

import numpy as np

from training.picture_strip import draw_picture_strip
from training.saver import describe_write_error
from training.step import Pictures
from utils.drawing import encode_jpeg
from utils.errors import InputError
from utils.installed import is_installed
from utils.tf_compat import tf

# Seconds, host, process: TensorBoard reads the files in the order of their names.
_EVENT_FILE = "events.out.tfevents.{:010d}.{}.{}"
_EVENT_SECONDS = re.compile(r"events\.out\.tfevents\.(\d{10})\.")
_EVENT_VERSION = "brain.Event:2"  # of the format, in the first event
MESH_PLUGIN = "tensorboard.plugins.mesh"
_JPEG_QUALITY = 90  # a tenth of a PNG's size, and runs write thousands of pictures


class SummaryWriter:
    """Writes the event files of one side of a run, ``train`` or ``val``.

    Args:
        folder: folder of the event files.
        first_step: step at which the run resumes; later events of older files become void.

    Raises:
        InputError: (from every method) the file cannot be written.
    """

    def __init__(self, folder: str, first_step: int = 0) -> None:
        # TensorFlow's own FileWriter writes from a thread, where a full disk ends in a traceback.
        self._path = folder
        with self._naming_the_file():
            os.makedirs(folder, exist_ok=True)
            name = _EVENT_FILE.format(_next_second(folder), socket.gethostname(), os.getpid())
            self._path = os.path.join(folder, name)
            self._file = tf.python_io.TFRecordWriter(self._path)
        self._write(file_version=_EVENT_VERSION)
        if first_step:
            self._write(first_step + 1, session_log=tf.SessionLog(status=tf.SessionLog.START))

    def write_scalars(self, step: int, values: Dict[str, float]) -> None:
        """Write scalars, tag -> number."""
        scalars = [
            tf.Summary.Value(tag=tag, simple_value=float(value)) for tag, value in values.items()
        ]
        self._write(step, summary=tf.Summary(value=scalars))

    def write_serialized(self, step: int, summary: bytes) -> None:
        """Write the result of a summary operation."""
        self._write(step, summary=tf.Summary.FromString(summary))

    def write_strip(self, step: int, batch: Any, pictures: Pictures) -> None:
        """Write the picture strip of a batch.

        Args:
            step: step of the run.
            batch: ``dataset.face_stream.Batch`` of arrays.
            pictures: pictures as arrays.
        """
        strip = draw_picture_strip(batch.photos, pictures, batch.landmarks)
        image = tf.Summary.Image(
            height=strip.shape[0],
            width=strip.shape[1],
            colorspace=3,
            encoded_image_string=encode_jpeg(strip, _JPEG_QUALITY),
        )
        self._write(step, summary=tf.Summary(value=[tf.Summary.Value(tag="faces", image=image)]))

    def write_mesh(self, step: int, pictures: Pictures, triangles: np.ndarray) -> None:
        """Write the first face of a batch, and its further meshes, for TensorBoard's mesh plugin.

        Without the plugin, nothing is written.

        Args:
            step: step of the run.
            pictures: pictures as arrays.
            triangles: [F, 3] vertex indices.
        """
        if not mesh_plugin_available():
            return
        plugin = importlib.import_module(MESH_PLUGIN + ".summary")
        faces = np.asarray(triangles, np.int32)[np.newaxis]
        meshes = dict(pictures.further_meshes, face=(pictures.shape, pictures.colors))
        for name, (vertices, colors) in sorted(meshes.items()):
            summary = plugin.pb(
                name,
                np.asarray(vertices[:1], np.float32),
                faces=faces,
                colors=np.clip(colors[:1], 0, 255).astype(np.uint8),
            )
            self._write(step, summary=summary)

    def flush(self) -> None:
        """Make all events written so far visible to TensorBoard."""
        with self._naming_the_file():
            self._file.flush()

    def close(self) -> None:
        """Write everything to disk."""
        with self._naming_the_file():
            self._file.close()

    def _write(self, step: int = 0, **content: Any) -> None:
        event = tf.Event(wall_time=time.time(), step=step, **content)
        with self._naming_the_file():
            self._file.write(event.SerializeToString())

    @contextlib.contextmanager
    def _naming_the_file(self) -> Iterator[None]:
        """Turn errors of writing into an InputError that names the file."""
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            raise InputError(
                "{}: cannot be written ({}); make room, then continue with --resume".format(
                    self._path, describe_write_error(error)
                )
            ) from None


def _next_second(folder: str) -> int:
    """Return the time of day, but at least one second after the newest event file's name.

    The clock may have been set back since that file was written.
    """
    taken = (_EVENT_SECONDS.match(name) for name in os.listdir(folder))
    return max([int(time.time())] + [int(match.group(1)) + 1 for match in taken if match])


def mesh_plugin_available() -> bool:
    """Return True if the installed TensorBoard can show meshes (1.14 and later)."""
    return is_installed(MESH_PLUGIN)
