"""What stands in for parts too large for thousands of cases; all the code that reads files stays as it is."""

import concurrent.futures
import functools

import networks
import preprocess_img
import train
from alignment import landmark_network, locate
from face_model import bfm, loading
from identity import features
from synthesis import dataset, painting
from tf_runtime import tf
from training.mesh_targets import mesh_targets
from training.step import Pictures, TrainingStep

# ResNet-50's four blocks with a few channels: files of a hundred kilobytes instead of a hundred megabytes.
_SLIM_BLOCKS = ((4, 1, 2), (4, 1, 2), (4, 1, 2), (8, 1, 1))
BASEL_VERTICES, EXPRESSION_VERTICES = 900, 800


def install():
    """Put the stand-ins in place, for this process and its children."""
    networks._RESNET_BLOCKS = _SLIM_BLOCKS
    bfm.SHAPE_VERTEX_COUNT, bfm.EXPRESSION_VERTEX_COUNT = BASEL_VERTICES, EXPRESSION_VERTICES
    # Cases are processes already; workers of their own would cost seconds of start-up each.
    preprocess_img._executor = lambda workers: concurrent.futures.ThreadPoolExecutor(1)
    dataset.paint_all = _paint_here
    train._STEPS = {"r_net": (tiny_step, train.initialise_r_net), "gcn": (tiny_step, train.initialise_r_net)}


def use_bfm_folder(folder):
    """Look for BFM09 in another folder."""
    loading.load_face_model.__defaults__ = (None, folder)


def use_landmark_network(path):
    """Find the 68 landmarks with a network of one's own."""
    locate.LANDMARK_NETWORK = path
    locate.LandmarkNetwork = functools.partial(landmark_network.LandmarkNetwork, path)


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
    learning_rate, decay = (tf.placeholder(tf.float32, [], name) for name in ("learning_rate", "batch_norm_decay"))
    weight = tf.get_variable("weight", [], initializer=tf.zeros_initializer())
    step = tf.train.get_or_create_global_step()
    brightness = tf.reduce_mean(batch.photos * batch.attention, [1, 2, 3])
    prediction = tf.fill(tf.shape(brightness), weight)
    loss = tf.reduce_mean(tf.square(prediction - brightness)) + tf.reduce_mean(tf.abs(batch.landmarks))
    if targets is not None:
        loss += tf.reduce_mean(tf.abs(targets.vertices))
    optimizer = tf.train.GradientDescentOptimizer(learning_rate)
    (gradient, variable), = optimizer.compute_gradients(loss, [weight])
    count = tf.shape(brightness)[0]
    mesh = tf.tile(tf.constant(model.mean_shape)[tf.newaxis], tf.stack([count, 1, 1]))
    return TrainingStep(
        update=optimizer.apply_gradients([(gradient, variable)], step), step=step, learning_rate=learning_rate,
        batch_norm_decay=decay, prediction=prediction, applied_prediction=prediction,
        losses={"brightness": loss, "total": loss},
        metrics={"landmark_error_pixels": tf.reduce_mean(tf.abs(batch.landmarks))}, gradient_norm=tf.abs(gradient),
        loss_gradient_norms={}, histograms=tf.summary.histogram("brightness", brightness),
        pictures=Pictures(batch.photos, batch.attention, batch.photos, batch.landmarks, mesh, mesh))
