"""TensorBoard's view of a run: scalars, histograms, pictures, the face as a mesh, the graph."""

import contextlib
import importlib
import os
import re
import socket
import time
from typing import Any, Dict, Iterator, List

import numpy as np

from training.picture_strip import draw_pair, draw_picture_strip
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
PUBLISHED_PICTURES = 8  # of a batch, in the published summary "imgs"
_MAX_CONSTANT = 256  # numbers of a constant that the summary of the graph includes
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
        self._write_images(step, {"faces": strip})

    def write_published_pictures(self, step: int, batch: Any, pictures: Pictures) -> None:
        """Write photos beside their renders under the tags of the published summary ``imgs``.

        Args:
            step: step of the run.
            batch: ``dataset.face_stream.Batch`` of arrays; its first eight faces are shown.
            pictures: pictures as arrays.
        """
        pairs = zip(batch.photos[:PUBLISHED_PICTURES], pictures.rendered)
        self._write_images(
            step,
            {  # as tf.summary.image names them
                "imgs/image/{}".format(index): draw_pair(photo, rendered)
                for index, (photo, rendered) in enumerate(pairs)
            },
        )

    def _write_images(self, step: int, images: Dict[str, np.ndarray]) -> None:
        """Write pictures, tag -> [H, W, 3] uint8 RGB."""
        values: List[Any] = []
        for tag, pixels in images.items():
            image = tf.Summary.Image(
                height=pixels.shape[0],
                width=pixels.shape[1],
                colorspace=3,
                encoded_image_string=encode_jpeg(pixels, _JPEG_QUALITY),
            )
            values.append(tf.Summary.Value(tag=tag, image=image))
        self._write(step, summary=tf.Summary(value=values))

    def write_graph(self, graph: Any) -> None:
        """Write a graph of operations, without the values of large constants."""
        self._write(graph_def=outline_graph(graph).SerializeToString())

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


def outline_graph(graph: Any) -> Any:
    """Return a graph's ``GraphDef`` without the numbers of large constants.

    Frozen networks are constants of tens of megabytes, which no view shows. Their values are never
    copied, as they would be by ``graph.as_graph_def()``.

    Args:
        graph: a ``tf.Graph``.
    """
    outline = tf.GraphDef()
    outline.versions.CopyFrom(graph.graph_def_versions)
    for operation in graph.get_operations():
        if operation.type != "Const" or operation.outputs[0].shape.num_elements() <= _MAX_CONSTANT:
            outline.node.add().CopyFrom(operation.node_def)
            continue
        output = operation.outputs[0]
        node = outline.node.add(name=operation.name, op=operation.type, device=operation.device)
        kind = output.dtype.as_datatype_enum
        node.attr["dtype"].type = kind
        node.attr["value"].tensor.dtype = kind
        node.attr["value"].tensor.tensor_shape.CopyFrom(output.shape.as_proto())
    return outline


def _next_second(folder: str) -> int:
    """Return the time of day, but at least one second after the newest event file's name.

    The clock may have been set back since that file was written.
    """
    taken = (_EVENT_SECONDS.match(name) for name in os.listdir(folder))
    return max([int(time.time())] + [int(match.group(1)) + 1 for match in taken if match])


def mesh_plugin_available() -> bool:
    """Return True if the installed TensorBoard can show meshes (1.14 and later)."""
    return is_installed(MESH_PLUGIN)
