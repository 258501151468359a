"""Face detectors: MTCNN, which finds profiles too, and dlib's frontal detector."""

import importlib.util
from typing import NamedTuple

import numpy as np
from PIL import Image

from alignment.five_points import five_from_68
from alignment.landmarks import LandmarkPredictor
from workspace.errors import InputError

DETECTORS = ("auto", "mtcnn", "dlib")
_LONGEST_SIDE = 1200  # pixels; larger photos are shrunk for detection: faces in them are large enough
_LEAST_CONFIDENCE = 0.9
_KEYPOINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # left as seen in the image


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
        installed = [known for known in ("mtcnn", "dlib") if importlib.util.find_spec(known)]
        if name != "auto" and name not in installed:
            raise InputError("the face detector {} is not installed; pip install {}".format(
                name, "mtcnn" if name == "mtcnn" else "dlib"))
        self._names = installed if name == "auto" else [name]
        self._loaded = {}

    def detect(self, photo):
        """Find faces.

        Args:
            photo: [H, W, 3] uint8 RGB.

        Returns:
            List of :class:`Detection`, largest first; empty if there is none.

        Raises:
            InputError: no detector is installed.
        """
        if not self._names:
            raise InputError("no face detector is installed; pip install dlib or mtcnn, or give five points in "
                             "NAME.txt beside each photo")
        small, scale = _shrunk(photo)
        for name in self._names:
            if name not in self._loaded:
                self._loaded[name] = _Mtcnn() if name == "mtcnn" else _Dlib()
            found = self._loaded[name].detect(small)
            if found:
                found.sort(key=lambda face: -face.box[2] * face.box[3])
                return [Detection(face.box * scale, face.confidence, (face.five_points + 0.5) * scale - 0.5)
                        for face in found]
        return []


class _Mtcnn:
    """Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded CNNs" (2016)."""

    def __init__(self):
        from mtcnn import MTCNN  # loads TensorFlow; not needed where five points are given
        self._detector = MTCNN(device="CPU:0")

    def detect(self, photo):
        faces = self._detector.detect_faces(photo) or []
        return [Detection(np.array(face["box"], np.float64), float(face["confidence"]),
                          np.array([face["keypoints"][name] for name in _KEYPOINTS], np.float64))
                for face in faces if face["confidence"] >= _LEAST_CONFIDENCE]


class _Dlib:
    """dlib's frontal detector (histograms of oriented gradients); five points from its 68."""

    def __init__(self):
        import dlib
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = LandmarkPredictor()

    def detect(self, photo):
        boxes, margins, _ = self._detector.run(np.ascontiguousarray(photo), 1, 0.0)
        return [Detection(np.array([box.left(), box.top(), box.width(), box.height()], np.float64), float(margin),
                          five_from_68(self._predictor.predict_in_box(photo, box)))
                for box, margin in zip(boxes, margins)]


def _shrunk(photo):
    """Return the photo with at most 1200 pixels a side, and what to multiply its coordinates by."""
    height, width = photo.shape[:2]
    scale = max(height, width) / float(_LONGEST_SIDE)
    if scale <= 1:
        return photo, 1.0
    size = (max(1, int(round(width / scale))), max(1, int(round(height / scale))))
    return np.asarray(Image.fromarray(photo).resize(size, Image.BILINEAR, reducing_gap=2.0)), width / float(size[0])
