"""Small replacements of parts too large for thousands of cases; code that reads files is real."""

import concurrent.futures
import functools
import os
import sys
from typing import Any, Callable, Iterable, Optional

import networks
import preprocess_img
from alignment import dlib_landmarks, landmark_network, locate
from dataset import face_cache
from dataset.mesh_targets import build_mesh_targets
from dataset.processed_faces import find_faces
from face_model import bfm, loading, read_face_model
from face_model.coefficients import coefficient_sizes
from gcn import embedding, pyramid
from identity import features
from reconstruction import result_files
from synthesis import compositing
from synthesis import dataset as synthesis_dataset
from tests.paths import TOY_MODEL
from training import run_record, tasks
from training.step import Pictures, TrainingStep
from utils import tf_compat
from utils.tf_compat import Tensor, tf

# ResNet-50's four blocks with a few channels: files of 100 KB instead of 100 MB.
_SLIM_BLOCKS = ((4, 1, 2), (4, 1, 2), (4, 1, 2), (8, 1, 1))
POOL5_WIDTH = 32  # four times the last block's
BASEL_VERTICES, EXPRESSION_VERTICES = 900, 800
FACE_NET_SHAPES = {
    "InceptionResnetV1/Conv2d_1a_3x3/weights": [3, 3, 3, 8],
    "InceptionResnetV1/Conv2d_1a_3x3/BatchNorm/beta": [8],
    "InceptionResnetV1/Bottleneck/weights": [64, 16],
}
_SESSION_CONFIG = tf_compat.session_config


def install() -> None:
    """Put the replacements in place, for this process and its children."""
    # 1. smaller networks and face models
    _replace(networks, _RESNET_BLOCKS=_SLIM_BLOCKS, POOL5_WIDTH=POOL5_WIDTH)
    _replace(embedding, _IDENTITY_BY_WIDTH={POOL5_WIDTH: None})
    _replace(features, face_net_shapes=lambda with_bottleneck=True: FACE_NET_SHAPES.copy())
    _replace(
        bfm,
        SHAPE_VERTEX_COUNT=BASEL_VERTICES,
        EXPRESSION_VERTEX_COUNT=EXPRESSION_VERTICES,
    )

    # 2. no workers: cases are processes already, and workers would cost seconds of start-up each
    _replace(preprocess_img, _executor=lambda workers: concurrent.futures.ThreadPoolExecutor(1))
    _replace(synthesis_dataset, paint_all=_paint_here)

    # 3. training steps of one weight
    initialize = tasks.TASKS["r_net", "photo"].initialize
    builders = {"photo": tiny_step, "truth": tiny_supervised_step}
    tiny_tasks = {
        (model, supervision): task._replace(build_step=builders[supervision], initialize=initialize)
        for (model, supervision), task in tasks.TASKS.items()
    }
    _replace(tasks, TASKS=tiny_tasks)

    # 4. work that is slow and independent of the files, done once for all cases
    _share_slow_work()


def _replace(module: Any, **values: Any) -> None:
    """Set attributes of a module, all of which must exist."""
    for name, value in values.items():
        getattr(module, name)
        setattr(module, name, value)


def _share_slow_work() -> None:
    if dlib_landmarks.LandmarkPredictor.available():
        import dlib  # an optional dependency under Python 3.6

        predictor = dlib.shape_predictor(dlib_landmarks.predictor_path())
        dlib.shape_predictor = lambda path: predictor
    revision = run_record.git_revision()
    _replace(run_record, git_revision=lambda: revision)
    _replace(result_files, _PICTURE_HEIGHTS=(96, 96))
    for module in list(sys.modules.values()):  # small graphs that run once need no optimization
        if getattr(module, "session_config", None) is tf_compat.session_config:
            _replace(module, session_config=_unoptimized_session_config)


def _unoptimized_session_config(*arguments: Any, **options: Any) -> Any:
    config = _SESSION_CONFIG(*arguments, **options)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def use_bfm_folder(folder: str) -> None:
    """Look for BFM09 in another folder."""
    loading.load_face_model.__defaults__ = (None, folder)


def use_landmark_network(path: str) -> None:
    """Find the 68 landmarks with another network."""
    _replace(
        locate,
        LANDMARK_NETWORK=path,
        LandmarkNetwork=functools.partial(landmark_network.LandmarkNetwork, path),
    )


def use_pyramids(folder: str) -> None:
    """Store mesh pyramids in another folder."""
    pyramid.load_pyramid.__defaults__ = (pyramid.OWN_PYRAMID, folder)


def use_face_cache(folder: str) -> None:
    """Store decoded training faces in another folder."""
    face_cache.open_face_cache.__defaults__ = (folder,)


def fill_face_cache(folder: str) -> None:
    """Decode the training faces of a folder, as an earlier run would have done."""
    count = sum(coefficient_sizes(read_face_model(TOY_MODEL)))
    face_cache.open_face_cache(find_faces(folder), count)


def use_face_net(folder: str) -> None:
    """Look for FaceNet in another folder: its checkpoint, or else its graph."""
    _replace(
        features,
        FACE_NET_CHECKPOINT=os.path.join(folder, os.path.basename(features.FACE_NET_CHECKPOINT)),
        FACE_NET_GRAPH=os.path.join(folder, os.path.basename(features.FACE_NET_GRAPH)),
    )


def use_weights_folder(folder: str) -> None:
    """Look for dlib's identity network in another folder."""
    _replace(features, WEIGHTS_DIR=folder)


def _paint_here(
    settings: Any, batches: Iterable[Any], workers: int, finished: Callable[[int], Any]
) -> None:
    painter = compositing.Painter(settings)
    for faces in batches:
        for face in faces:
            painter.paint(face)
        finished(len(faces))


def tiny_step(
    batch: Any, model: Any, options: Any, identity_network: Any = None, average: Any = None
) -> TrainingStep:
    """Build a training step of one weight, which learns the mean brightness of the photos."""
    targets = build_mesh_targets(batch.indices, model, options)
    step = _build_step(
        tf.reduce_mean(batch.photos * batch.attention, [1, 2, 3]),
        tf.reduce_mean(tf.abs(batch.landmarks))
        + (0.0 if targets is None else tf.reduce_mean(tf.abs(targets.vertices))),
        average,
    )
    if not options.augment:  # half of the commands go without pictures, which are slow
        return step
    count = tf.shape(batch.photos)[0]
    mesh = tf.tile(tf.constant(model.mean_shape)[tf.newaxis], tf.stack([count, 1, 1]))
    pictures = Pictures(batch.photos, batch.attention, batch.photos, batch.landmarks, mesh, mesh)
    return step._replace(pictures=pictures)


def tiny_supervised_step(
    batch: Any,
    model: Any,
    options: Any,
    identity_network: Optional[Any] = None,
    average: Optional[Any] = None,
) -> TrainingStep:
    """Build a training step of one weight for faces whose coefficients are known."""
    return _build_step(
        tf.reduce_mean(batch.photos, [1, 2, 3]),
        tf.reduce_mean(tf.abs(batch.landmarks)) + tf.reduce_mean(tf.abs(batch.coefficients)),
        average,
    )


def _build_step(brightness: Tensor, further_loss: Tensor, average: Any) -> TrainingStep:
    learning_rate, decay = (
        tf.placeholder(tf.float32, [], name) for name in ("learning_rate", "batch_norm_decay")
    )
    weight = tf.get_variable("weight", [], initializer=tf.zeros_initializer())
    step = tf.train.get_or_create_global_step()
    prediction = tf.fill(tf.shape(brightness), weight)
    loss = tf.reduce_mean(tf.square(prediction - brightness)) + further_loss
    optimizer = tf.train.GradientDescentOptimizer(learning_rate)
    ((gradient, variable),) = optimizer.compute_gradients(loss, [weight])
    if average is not None:
        (gradient,) = average([gradient])
    return TrainingStep(
        update=optimizer.apply_gradients([(gradient, variable)], step),
        step=step,
        learning_rate=learning_rate,
        batch_norm_decay=decay,
        prediction=prediction,
        applied_prediction=prediction,
        losses={"brightness": loss, "total": loss},
        metrics={"landmark_error_pixels": further_loss},
        gradient_norm=tf.abs(gradient),
        loss_gradient_norms={},
        histograms=tf.summary.histogram("brightness", brightness),
        pictures=None,
    )
