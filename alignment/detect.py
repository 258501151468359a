"""Face detectors: MTCNN, which finds profiles too, and dlib's frontal detector."""

import contextlib
import importlib
from concurrent import futures
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np
from PIL import Image

from alignment.landmarks import LandmarkPredictor
from geometry.landmark_layout import five_from_68
from utils.errors import InputError
from utils.installed import is_installed, missing_dependencies
from utils.tf_compat import hidden_modules, tf

DETECTORS = ("auto", "mtcnn", "dlib")
# Larger photos are shrunk for detection. MTCNN finds faces of 20 pixels or more and samples each
# in 48, without anti-aliasing: faces that fill a photo are found better in a small one.
_LONGEST_SIDE = 480
_LONGEST_SIDE_ALL = 1280
_MIN_SIDE = 20  # pixels; MTCNN's smallest face; it fails on smaller photos
_MIN_CONFIDENCE = 0.9
_MIN_MARGIN = 0.2  # of dlib's detector, whose faces below are often folds of clothes


def missing_detectors(name: str) -> List[str]:
    """Return one sentence for each library that detection uses and that is not installed.

    Args:
        name: one of :data:`DETECTORS`.
    """
    return missing_dependencies(("dlib", "mtcnn") if name == "auto" else ("dlib",))


class Detection(NamedTuple):
    """A face in a photo."""

    box: np.ndarray  # [4] left, top, width, height, photo pixels
    confidence: float  # 0..1 (MTCNN) or a margin (dlib)
    five_points: np.ndarray  # [5, 2] photo pixels, y down


class FaceDetector:
    """Finds faces and their five points; loads its networks at the first photo.

    Args:
        name: ``"mtcnn"``, ``"dlib"`` or ``"auto"``: MTCNN if it is installed, then dlib if that
            finds no face.

    Raises:
        InputError: the named detector is not installed.
    """

    def __init__(self, name: str = "auto") -> None:
        installed = [known for known in ("mtcnn", "dlib") if is_installed(known)]
        if name != "auto" and name not in installed:
            raise InputError(
                "the face detector {} is not installed; pip install {}".format(
                    name, "mtcnn" if name == "mtcnn" else "dlib-bin"
                )
            )
        self._names = installed if name == "auto" else [name]
        self._loaded: Dict[str, Any] = {}

    def detect(self, photo: np.ndarray, all_faces: bool = False) -> List[Detection]:
        """Find faces.

        A face must measure about 20 pixels (MTCNN) or 40 (dlib) in the photo shrunk to 480 pixels.

        Args:
            photo: [H, W, 3] uint8 RGB.
            all_faces: search for small faces too, in up to 1280 pixels; otherwise that is done
                only if no larger face is found.

        Returns:
            The faces, largest first; an empty list if there are none.

        Raises:
            InputError: no detector is installed.
        """
        if not self._names:
            raise InputError(
                "no face detector is installed; pip install dlib-bin or mtcnn, or give five points "
                "in NAME.txt beside each photo"
            )
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

    def _detect_at(self, name: str, photo: np.ndarray, longest_side: int) -> List[Detection]:
        """Return the detections of one detector in a photo shrunk to a side, largest first."""
        if name not in self._loaded:
            self._loaded[name] = _Mtcnn() if name == "mtcnn" else _Dlib()
        small, scale = _shrink(photo, longest_side)
        found = self._loaded[name].detect(small)
        found.sort(key=lambda face: -face.box[2] * face.box[3])
        return [
            face._replace(
                box=face.box * np.tile(scale, 2), five_points=(face.five_points + 0.5) * scale - 0.5
            )
            for face in found
        ]


class _Mtcnn:
    """Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded CNNs" (2016)."""

    def __init__(self) -> None:
        # The package runs eagerly, while a caller may be building a graph. TensorFlow keeps the
        # current graph per thread, so the detector gets a thread of its own.
        self._thread = futures.ThreadPoolExecutor(max_workers=1)
        self._detector = self._thread.submit(self._load).result()

    @staticmethod
    def _load() -> Any:
        # 1. import and load
        for gpu in tf.config.experimental.list_physical_devices("GPU"):
            with contextlib.suppress(RuntimeError):  # a GPU in use keeps its settings
                tf.config.experimental.set_memory_growth(gpu, True)
        with hidden_modules("matplotlib"):  # Keras would import it
            detector = importlib.import_module("mtcnn").MTCNN(device="CPU:0")

        # 2. one graph for each network, for images of any number and size: the results are equal,
        # and Keras, layer by layer, takes three times as long as the layers' arithmetic
        images = tf.TensorSpec([None, None, None, 3], tf.float32)
        for stage in detector.stages:
            stage._model = tf.function(stage.model, input_signature=[images])
        return detector

    def detect(self, photo: np.ndarray) -> List[Detection]:
        if min(photo.shape[:2]) < _MIN_SIDE:
            return []
        # Columns: image, left, top, width, height, confidence, 5 x (left eye first, left as seen
        # in the image), 5 y. The package's other form rounds the points to whole pixels.
        job = self._thread.submit(self._detector.detect_faces, photo, output_type="numpy")
        return [
            Detection(row[1:5], float(row[5]), np.stack([row[6:11], row[11:16]], axis=1))
            for row in np.asarray(job.result(), np.float64)
            if row[5] >= _MIN_CONFIDENCE
        ]


class _Dlib:
    """dlib's frontal detector (histograms of oriented gradients); five points from its 68."""

    def __init__(self) -> None:
        import dlib  # an optional dependency under Python 3.6

        self._detector = dlib.get_frontal_face_detector()
        self._predictor = LandmarkPredictor()

    def detect(self, photo: np.ndarray) -> List[Detection]:
        boxes, margins, _ = self._detector.run(np.ascontiguousarray(photo), 1, _MIN_MARGIN)
        return [
            Detection(
                np.array([box.left(), box.top(), box.width(), box.height()], np.float64),
                float(margin),
                five_from_68(self._predictor.predict_in_box(photo, box)),
            )
            for box, margin in zip(boxes, margins)
        ]


def _shrink(photo: np.ndarray, longest_side: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return the photo with at most so many pixels a side, and photo pixels per its pixel [2]."""
    height, width = photo.shape[:2]
    scale = max(height, width) / longest_side
    if scale <= 1:
        return photo, np.ones(2)
    size = (max(1, int(round(width / scale))), max(1, int(round(height / scale))))
    small = Image.fromarray(photo).resize(size, Image.BILINEAR, reducing_gap=2.0)
    return np.asarray(small), np.array([width, height]) / size
