"""Face detectors: MTCNN, which finds profiles too, and dlib's frontal detector."""

import contextlib
import importlib
from concurrent import futures
from typing import NamedTuple

import numpy as np
from PIL import Image

from alignment.landmarks import LandmarkPredictor
from geometry.landmarks import five_from_68
from utils.errors import InputError
from utils.installed import is_installed, missing_dependencies
from utils.tf_compat import hidden_modules, tf

DETECTORS = ("auto", "mtcnn", "dlib")
# Larger photos are shrunk for detection. MTCNN sees faces of 20 pixels and looks at any in 48,
# without anti-aliasing: faces that fill a photo are found better in a small one.
_LONGEST_SIDE, _LONGEST_SIDE_ALL = 480, 1280
_LEAST_SIDE = 20  # pixels; MTCNN's smallest face, below which it takes no photo either
_LEAST_CONFIDENCE = 0.9
_LEAST_MARGIN = 0.2  # of dlib's detector; below, it takes folds of clothes for faces


def detection_shortfalls(name):
    """Return a sentence for each library that detection does without here; ``name`` is of :data:`DETECTORS`."""
    return missing_dependencies(("dlib", "mtcnn") if name == "auto" else ("dlib",))


class Detection(NamedTuple):
    """A face in a photo."""

    box: np.ndarray  # [4] left, top, width, height, photo pixels
    confidence: float  # 0..1 (MTCNN) or a margin (dlib)
    five_points: np.ndarray  # [5, 2] photo pixels, y down


class FaceDetector:
    """Finds faces and their five points; loads its networks at the first photo.

    Args:
        name: ``"mtcnn"``, ``"dlib"`` or ``"auto"``: MTCNN where it is installed, and dlib where that
            finds nothing.

    Raises:
        InputError: the named detector is not installed.
    """

    def __init__(self, name="auto"):
        installed = [known for known in ("mtcnn", "dlib") if is_installed(known)]
        if name != "auto" and name not in installed:
            raise InputError("the face detector {} is not installed; pip install {}".format(
                name, "mtcnn" if name == "mtcnn" else "dlib-bin"))
        self._names = installed if name == "auto" else [name]
        self._loaded = {}

    def detect(self, photo, all_faces=False):
        """Find faces.

        A face must measure about 20 pixels (MTCNN) or 40 (dlib) in the photo shrunk to 480 pixels.

        Args:
            photo: [H, W, 3] uint8 RGB.
            all_faces: look for small faces, too, in up to 1280 pixels; where only the largest is
                wanted this happens only if there is none else.

        Returns:
            List of :class:`Detection`, largest first; empty if there is none.

        Raises:
            InputError: no detector is installed.
        """
        if not self._names:
            raise InputError("no face detector is installed; pip install dlib-bin or mtcnn, or give five points in "
                             "NAME.txt beside each photo")
        longest = max(photo.shape[:2])
        sides = [_LONGEST_SIDE_ALL] if all_faces else [_LONGEST_SIDE, _LONGEST_SIDE_ALL]
        if longest <= sides[0]:
            del sides[1:]
        for name in self._names:
            for side in sides:
                found = self._detect_at(name, photo, side)
                if found:
                    return found
        return []

    def _detect_at(self, name, photo, longest_side):
        """Return the detections of one detector in a photo shrunk to a side, largest first."""
        if name not in self._loaded:
            self._loaded[name] = _Mtcnn() if name == "mtcnn" else _Dlib()
        small, scale = _shrunk(photo, longest_side)
        found = self._loaded[name].detect(small)
        found.sort(key=lambda face: -face.box[2] * face.box[3])
        return [Detection(face.box * np.tile(scale, 2), face.confidence, (face.five_points + 0.5) * scale - 0.5)
                for face in found]


class _Mtcnn:
    """Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded CNNs" (2016)."""

    def __init__(self):
        # The package runs eagerly, and TensorFlow keeps the graph that a caller may be building per
        # thread: in a thread of its own the detector never meets it.
        self._thread = futures.ThreadPoolExecutor(max_workers=1)
        self._detector = self._thread.submit(self._load).result()

    @staticmethod
    def _load():
        for gpu in tf.config.experimental.list_physical_devices("GPU"):
            with contextlib.suppress(RuntimeError):  # a GPU in use keeps its settings
                tf.config.experimental.set_memory_growth(gpu, True)
        with hidden_modules("matplotlib"):  # with which Keras, imported here, can draw
            detector = importlib.import_module("mtcnn").MTCNN(device="CPU:0")
        # Keras, layer by layer, takes three times as long as the layers' arithmetic: each network becomes
        # one graph instead, of the same results. Its arguments are images of any number and size.
        images = tf.TensorSpec([None, None, None, 3], tf.float32)
        for stage in detector.stages:
            stage._model = tf.function(stage.model, input_signature=[images])
        return detector

    def detect(self, photo):
        if min(photo.shape[:2]) < _LEAST_SIDE:
            return []
        # Columns: image, left, top, width, height, confidence, 5 x (left eye first, left as seen
        # in the image), 5 y. The package's other form rounds the points to whole pixels.
        rows = self._thread.submit(self._detector.detect_faces, photo, output_type="numpy").result()
        return [Detection(row[1:5], float(row[5]), np.stack([row[6:11], row[11:16]], axis=1))
                for row in np.asarray(rows, np.float64) if row[5] >= _LEAST_CONFIDENCE]


class _Dlib:
    """dlib's frontal detector (histograms of oriented gradients); five points from its 68."""

    def __init__(self):
        import dlib
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = LandmarkPredictor()

    def detect(self, photo):
        boxes, margins, _ = self._detector.run(np.ascontiguousarray(photo), 1, _LEAST_MARGIN)
        return [Detection(np.array([box.left(), box.top(), box.width(), box.height()], np.float64), float(margin),
                          five_from_68(self._predictor.predict_in_box(photo, box)))
                for box, margin in zip(boxes, margins)]


def _shrunk(photo, longest_side):
    """Return the photo with at most so many pixels a side, and what to multiply its coordinates by."""
    height, width = photo.shape[:2]
    scale = max(height, width) / longest_side
    if scale <= 1:
        return photo, np.ones(2)
    size = (max(1, int(round(width / scale))), max(1, int(round(height / scale))))
    small = Image.fromarray(photo).resize(size, Image.BILINEAR, reducing_gap=2.0)
    return np.asarray(small), np.array([width, height]) / size
