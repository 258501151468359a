"""What TensorBoard shows of a run: scalars, histograms, picture strips and the face as a mesh."""

import importlib
import os

import numpy as np

from tf_runtime import tf
from training.pictures import encode_jpeg, picture_strip

_FLUSH_SECONDS = 20  # how far TensorBoard may lag behind
_MESH_PLUGIN = "tensorboard.plugins.mesh.summary"


class SummaryWriter:
    """Writes the event files of one side of a run, ``train`` or ``val``.

    Args:
        folder: for the event files.
        first_step: what older event files say beyond this step is void, because a run resumed there.
    """

    def __init__(self, folder, first_step=0):
        os.makedirs(folder, exist_ok=True)
        with tf.Graph().as_default():  # TensorFlow 2 has this writer in graph mode only
            self._writer = tf.summary.FileWriter(folder, flush_secs=_FLUSH_SECONDS)
        if first_step:
            self._writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), first_step + 1)

    def scalars(self, step, values):
        """Write scalars, tag -> number."""
        self._writer.add_summary(tf.Summary(
            value=[tf.Summary.Value(tag=tag, simple_value=float(value)) for tag, value in values.items()]), step)

    def serialised(self, step, summary):
        """Write what a summary operation returned."""
        self._writer.add_summary(summary, step)

    def strip(self, step, batch, pictures):
        """Write the picture strip of a batch.

        Args:
            step: of the run.
            batch: ``training.data.Batch`` of arrays.
            pictures: ``training.step.Pictures`` of arrays.
        """
        strip = picture_strip(batch.photos, pictures, batch.landmarks)
        image = tf.Summary.Image(height=strip.shape[0], width=strip.shape[1], colorspace=3,
                                 encoded_image_string=encode_jpeg(strip))
        self._writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag="faces", image=image)]), step)

    def mesh(self, step, pictures, triangles):
        """Write the first face of a batch for TensorBoard's mesh plugin; nothing where there is none.

        Args:
            step: of the run.
            pictures: ``training.step.Pictures`` of arrays.
            triangles: [F, 3].
        """
        if not mesh_plugin_available():
            return
        colors = np.clip(pictures.colors[:1], 0, 255).astype(np.uint8)
        summary = importlib.import_module(_MESH_PLUGIN).pb(
            "face", np.asarray(pictures.shape[:1], np.float32), faces=np.asarray(triangles, np.int32)[np.newaxis],
            colors=colors)
        self._writer.add_summary(summary, step)

    def flush(self):
        """Write to disk what was given so far; else the end of a large summary waits for the next one."""
        self._writer.flush()

    def close(self):
        """Write everything to disk."""
        self._writer.close()


def mesh_plugin_available():
    """Say whether the installed TensorBoard can show meshes (1.14 and later can)."""
    try:
        importlib.import_module(_MESH_PLUGIN)
    except ImportError:
        return False
    return True
