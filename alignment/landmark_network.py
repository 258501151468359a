"""68 landmarks by the published network, ``network/landmark68_detector.pb``."""

import functools
import os
from typing import Optional, Tuple

import numpy as np

from alignment.align import Alignment, align
from alignment.landmark_confidence import Landmarks, landmark_confidence
from checkpoints.frozen_graph import (
    INPUT_TENSOR,
    LANDMARK_TENSOR,
    LOG_NOISE_TENSOR,
    evaluate_network,
    load_frozen_graph,
)
from geometry.camera import IMAGE_SIZE
from geometry.landmark_layout import mirrored_landmarks
from utils.paths import NETWORK_DIR
from utils.tf_compat import inference_config, tf

LANDMARK_NETWORK = os.path.join(NETWORK_DIR, "landmark68_detector.pb")
OPEN_LANDMARK_NETWORK = os.path.join(NETWORK_DIR, "open_landmarks.pb")  # of this project


class LandmarkNetwork:
    """Runs a frozen graph ``input_imgs:0`` [B, 224, 224, 3] -> ``landmark:0``, 68 x (row, column).

    Args:
        path: the ``.pb`` file.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``.
        with_noise: require ``log_noise:0`` too, [B, 68].

    Raises:
        InputError: the file is damaged or lacks these tensors.
    """

    def __init__(
        self,
        path: str = LANDMARK_NETWORK,
        allow_any_op: bool = False,
        with_noise: bool = False,
    ) -> None:
        graph = tf.Graph()
        with graph.as_default():
            self._images = tf.placeholder(
                tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], "photo_bgr"
            )
            outputs = [LANDMARK_TENSOR] + [LOG_NOISE_TENSOR] * with_noise
            self._landmarks, *log_noise = load_frozen_graph(
                path, {INPUT_TENSOR: self._images}, outputs, allow_any_op
            )
            if with_noise:
                noise = tf.exp(log_noise[0])[..., tf.newaxis]
                self._with_noise = tf.concat([self._landmarks, noise], axis=2)
        self._path = path
        self._session = tf.Session(graph=graph, config=inference_config())

    def predict_in_crops(self, crops: np.ndarray) -> np.ndarray:
        """Return landmarks in aligned crops, [B, 68, 2] (x, y), y down.

        Args:
            crops: [B, 224, 224, 3] uint8 RGB.

        Raises:
            InputError: the network cannot be evaluated, or its outputs are not plausible.
        """
        images = np.asarray(crops)[..., ::-1].astype(np.float32)
        rows_and_columns = evaluate_network(
            self._session, self._path, self._landmarks, {self._images: images}, (len(images), 68, 2)
        )
        return rows_and_columns[..., ::-1].astype(np.float64)

    def predict_noise(self, crops: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Return landmarks as :meth:`predict_in_crops`, and their standard deviations [B, 68].

        Both are in pixels of the crop; the network must have been opened ``with_noise``.
        """
        images = np.asarray(crops)[..., ::-1].astype(np.float32)
        values = evaluate_network(
            self._session,
            self._path,
            self._with_noise,
            {self._images: images},
            (len(images), 68, 3),
        ).astype(np.float64)
        return values[..., 1::-1], values[..., 2]

    def predict_both_ways(self, crops: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Return the means over crops and their mirror images of what :meth:`predict_noise` gives.

        On drawn faces their errors are 3 to 7% smaller; further looks at shifted crops add nothing.
        """
        count, order = len(crops), mirrored_landmarks()
        points, noise = self.predict_noise(np.concatenate([crops, crops[:, :, ::-1]]))
        mirrored = points[count:, order]
        mirrored[..., 0] = IMAGE_SIZE - 1 - mirrored[..., 0]
        return (points[:count] + mirrored) / 2, (noise[:count] + noise[count:, order]) / 2

    def predict(
        self, photo: np.ndarray, five_points: np.ndarray, alignment: Optional[Alignment] = None
    ) -> Landmarks:
        """Return the :class:`Landmarks` of a face.

        Args:
            photo: [H, W, 3] uint8 RGB.
            five_points: [5, 2] photo pixels, y down; they define the crop, and check the result.
            alignment: result of ``align(photo, five_points)``; None to compute it.
        """
        alignment = alignment or align(photo, five_points)
        points = alignment.to_photo(self.predict_in_crops(alignment.crop[np.newaxis])[0])
        # Its labels are projections of 3-D points: valid on the far side of the face too.
        return Landmarks(points, landmark_confidence(points, five_points, yaw=None))


@functools.lru_cache(maxsize=1)
def open_landmark_network() -> LandmarkNetwork:
    """Return this project's landmark network, loaded once.

    Raises:
        InputError: its file is missing or damaged.
    """
    return LandmarkNetwork(OPEN_LANDMARK_NETWORK, with_noise=True)
