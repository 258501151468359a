"""68 landmarks by the published network (``network/landmark68_detector.pb``), where a user has it."""

import os

import numpy as np

from alignment.align import align, crop_to_photo
from alignment.five_points import yaw_and_roll
from alignment.landmark_confidence import landmark_weights
from alignment.landmarks import Landmarks
from checkpoints.frozen_graph import evaluate_network, load_frozen_graph
from geometry.camera import IMAGE_SIZE
from utils.paths import NETWORK_DIR
from utils.tf_compat import inference_config, tf

LANDMARK_NETWORK = os.path.join(NETWORK_DIR, "landmark68_detector.pb")


class LandmarkNetwork:
    """Runs a frozen graph ``input_imgs:0`` [B, 224, 224, 3] -> ``landmark:0``, 68 x (row, column).

    Args:
        path: the ``.pb`` file.

    Raises:
        InputError: the file is damaged or lacks these tensors.
    """

    def __init__(self, path=LANDMARK_NETWORK):
        graph = tf.Graph()
        with graph.as_default():
            self._images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], "photo_bgr")
            self._landmarks, = load_frozen_graph(path, {"input_imgs:0": self._images}, ["landmark:0"])
        self._path = path
        self._session = tf.Session(graph=graph, config=inference_config())

    def predict_in_crops(self, crops):
        """Return landmarks in aligned crops, [B, 68, 2] (x, y), y down.

        Args:
            crops: [B, 224, 224, 3] uint8 RGB.

        Raises:
            InputError: the network cannot be evaluated, or gives something else.
        """
        images = np.asarray(crops)[..., ::-1].astype(np.float32)
        rows_and_columns = evaluate_network(
            self._session, self._path, self._landmarks, {self._images: images}, (len(images), 68, 2))
        return rows_and_columns[..., ::-1].astype(np.float64)

    def predict(self, photo, five_points, alignment=None):
        """Return the :class:`Landmarks` of a face.

        Args:
            photo: [H, W, 3] uint8 RGB.
            five_points: [5, 2] photo pixels, y down; they place the crop, and check the result.
            alignment: ``align(photo, five_points)``, from callers that have it.
        """
        crop, _, trans_params = alignment or align(photo, five_points)
        points = crop_to_photo(self.predict_in_crops(crop[np.newaxis])[0], trans_params)
        return Landmarks(points, landmark_weights(points, five_points, yaw_and_roll(five_points)[0]))
