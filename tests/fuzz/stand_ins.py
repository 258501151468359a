"""What stands in for parts too large for thousands of cases; all the code that reads files stays as it is."""

import concurrent.futures
import functools
import os
import sys

import networks
import preprocess_img
import train
from alignment import landmark_network, landmarks, locate
from checkpoints import record as records
from dataset import face_cache
from dataset.mesh_targets import mesh_targets
from dataset.processed_faces import find_faces
from face_model import bfm, loading, read_face_model
from face_model.coefficients import coefficient_sizes
from gcn import embedding as frozen_features
from gcn import pyramid
from identity import features
from reconstruction import face as reconstruction
from synthesis import compositing as painting
from synthesis import dataset
from tests.paths import TOY_MODEL
from training.step import Pictures, TrainingStep
from utils import tf_compat as tf_runtime
from utils.tf_compat import tf

# ResNet-50's four blocks with a few channels: files of a hundred kilobytes instead of a hundred megabytes.
_SLIM_BLOCKS = ((4, 1, 2), (4, 1, 2), (4, 1, 2), (8, 1, 1))
POOL5_WIDTH = 32  # four times the last block's
BASEL_VERTICES, EXPRESSION_VERTICES = 900, 800
FACE_NET_SHAPES = {"InceptionResnetV1/Conv2d_1a_3x3/weights": [3, 3, 3, 8],
                   "InceptionResnetV1/Conv2d_1a_3x3/BatchNorm/beta": [8],
                   "InceptionResnetV1/Bottleneck/weights": [64, 16]}
_SESSION_CONFIG = tf_runtime.session_config


def install():
    """Put the stand-ins in place, for this process and its children."""
    networks._RESNET_BLOCKS, networks.POOL5_WIDTH = _SLIM_BLOCKS, POOL5_WIDTH
    frozen_features._IDENTITY_BY_WIDTH = {POOL5_WIDTH: None}
    face_net_shapes = FACE_NET_SHAPES.copy
    bfm.SHAPE_VERTEX_COUNT, bfm.EXPRESSION_VERTEX_COUNT = BASEL_VERTICES, EXPRESSION_VERTICES
    # Cases are processes already; workers of their own would cost seconds of start-up each.
    preprocess_img._executor = lambda workers: concurrent.futures.ThreadPoolExecutor(1)
    dataset.paint_all = _paint_here
    train._STEPS = {"r_net": (tiny_step, train.initialise_r_net), "gcn": (tiny_step, train.initialise_r_net)}
    train.build_truth_step = tiny_truth_step
    _read_once()


def _read_once():
    """Do here, for all cases, what takes each of them long and has nothing to do with its files."""
    if landmarks.LandmarkPredictor.available():
        import dlib  # an optional dependency under Python 3.6
        predictor = dlib.shape_predictor(landmarks.predictor_path())
        dlib.shape_predictor = lambda path: predictor
    revision = records.git_revision()
    records.git_revision = lambda: revision
    reconstruction._PICTURE_HEIGHTS = (96, 96)
    for module in list(sys.modules.values()):  # small graphs that run once are not worth being optimised
        if getattr(module, "session_config", None) is tf_runtime.session_config:
            module.session_config = _plain_session_config


def _plain_session_config(*arguments, **options):
    config = _SESSION_CONFIG(*arguments, **options)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def use_bfm_folder(folder):
    """Look for BFM09 in another folder."""
    loading.load_face_model.__defaults__ = (None, folder)


def use_landmark_network(path):
    """Find the 68 landmarks with a network of one's own."""
    locate.LANDMARK_NETWORK = path
    locate.LandmarkNetwork = functools.partial(landmark_network.LandmarkNetwork, path)


def use_pyramids(folder):
    """Keep mesh pyramids in another folder."""
    pyramid.load_pyramid.__defaults__ = (folder,)


def use_face_cache(folder):
    """Keep decoded training faces in another folder."""
    face_cache.open_face_cache.__defaults__ = (folder,)


def fill_face_cache(folder):
    """Decode the training faces of a folder, as a run before would have done."""
    face_cache.open_face_cache(find_faces(folder), sum(coefficient_sizes(read_face_model(TOY_MODEL))))


def use_face_net(folder):
    """Look for FaceNet in another folder: its checkpoint, or else its graph."""
    features.FACE_NET_CHECKPOINT = os.path.join(folder, os.path.basename(features.FACE_NET_CHECKPOINT))
    features.FACE_NET_GRAPH = os.path.join(folder, os.path.basename(features.FACE_NET_GRAPH))


def use_weights_folder(folder):
    """Look for dlib's identity network in another folder."""
    features.WEIGHTS_DIR = folder


def _paint_here(settings, batches, workers, finished):
    painter = painting.Painter(settings)
    for faces in batches:
        for face in faces:
            painter.paint(face)
        finished(len(faces))


def tiny_step(batch, model, options, identity_network=None):
    """Build a training step of one weight, which learns the mean brightness of the photos."""
    targets = mesh_targets(batch.indices, model, options)
    step = _step_of(tf.reduce_mean(batch.photos * batch.attention, [1, 2, 3]),
                    tf.reduce_mean(tf.abs(batch.landmarks)) + (
                        0.0 if targets is None else tf.reduce_mean(tf.abs(targets.vertices))))
    if not options.augment:  # pictures take long: half of the commands do without
        return step
    count = tf.shape(batch.photos)[0]
    mesh = tf.tile(tf.constant(model.mean_shape)[tf.newaxis], tf.stack([count, 1, 1]))
    return step._replace(pictures=Pictures(batch.photos, batch.attention, batch.photos, batch.landmarks, mesh, mesh))


def tiny_truth_step(batch, model, options, identity_network=None):
    """Build the like for faces whose coefficients are known."""
    return _step_of(tf.reduce_mean(batch.photos, [1, 2, 3]),
                    tf.reduce_mean(tf.abs(batch.landmarks)) + tf.reduce_mean(tf.abs(batch.coefficients)))


def _step_of(brightness, further_loss):
    learning_rate, decay = (tf.placeholder(tf.float32, [], name) for name in ("learning_rate", "batch_norm_decay"))
    weight = tf.get_variable("weight", [], initializer=tf.zeros_initializer())
    step = tf.train.get_or_create_global_step()
    prediction = tf.fill(tf.shape(brightness), weight)
    loss = tf.reduce_mean(tf.square(prediction - brightness)) + further_loss
    optimizer = tf.train.GradientDescentOptimizer(learning_rate)
    (gradient, variable), = optimizer.compute_gradients(loss, [weight])
    return TrainingStep(
        update=optimizer.apply_gradients([(gradient, variable)], step), step=step, learning_rate=learning_rate,
        batch_norm_decay=decay, prediction=prediction, applied_prediction=prediction,
        losses={"brightness": loss, "total": loss}, metrics={"landmark_error_pixels": further_loss},
        gradient_norm=tf.abs(gradient), loss_gradient_norms={},
        histograms=tf.summary.histogram("brightness", brightness), pictures=None)
