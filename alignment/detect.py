"""Face detectors: MediaPipe's networks, for faces at any angle, and dlib's frontal detector.

What MediaPipe's detector proposes is a face if its 478-point network confirms it, or, for faces
that this one does not see, turned away or covered, this project's network of 68 landmarks.
"""

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from alignment.align import align, lean_angle, upright_angle
from alignment.dense_landmarks import DenseLandmarkNetwork, DenseLandmarks
from alignment.dlib_landmarks import LandmarkPredictor
from alignment.landmark_confidence import network_presence
from alignment.landmark_network import open_landmark_network
from alignment.mediapipe_networks import DETECTOR_NETWORK, DETECTOR_OUTPUTS, OpenNetwork
from alignment.square import BLOCK_GAP, Square
from geometry.landmark_layout import five_from_68
from utils.errors import InputError
from utils.installed import is_installed

DETECTORS = ("auto", "dlib")

# The network finds faces of about a tenth to all of a picture of 192 pixels, as in its training.
# It is convolutional: in a larger picture it finds smaller faces.
_SIDES = (192, 384, 1280)
_SIDES_TURNED = (192, 384)  # in which turned faces are looked for too
_STRIDE, _MULTIPLE = 4, 32  # pixels per place of the result; divisor of the picture's sides
_MIN_SCORE = 0.3
_MAX_OVERLAP = 0.3  # intersection over union of two faces
# The landmarks of a right answer are present and agree with the detector's own points; those of a
# wrong one mostly do not, and a turn that is wrong has a lower score than the right one.
_MIN_PRESENCE, _MAX_DISAGREEMENT = 0.8, 0.35
_LOOKS = 2  # of the landmark network, each placed by the one before
_MOUTH_HALF_WIDTH = 0.3  # of the distance of the eyes
_SURE_SCORE, _SURE_ROLL = 0.7, 50.0  # degrees: no other turn needs to be looked at
_FILLING = 0.5  # least size of a face that fills the photo, by its longest side
_MAX_CHECKED = 64  # faces of a photo whose landmarks are found

_LONGEST_SIDE_DLIB, _LONGEST_SIDE_DLIB_ALL = 480, 1280
_MIN_MARGIN = 0.2  # of dlib's detector, whose faces below are often folds of clothes


class Detection(NamedTuple):
    """A face in a photo."""

    box: np.ndarray  # [4] left, top, width, height, photo pixels
    confidence: float  # 0..1, or a margin (dlib)
    five_points: np.ndarray  # [5, 2] photo pixels, y down
    dense: Optional[DenseLandmarks] = None  # of "auto"


class FaceDetector:
    """Finds faces and their five points; loads its networks at the first photo, or before.

    Args:
        name: ``"auto"``, MediaPipe's networks, or ``"dlib"``.

    Raises:
        InputError: the named detector is not installed.
    """

    def __init__(self, name: str = "auto") -> None:
        if name == "dlib" and not is_installed("dlib"):
            raise InputError("the face detector dlib is not installed; pip install dlib-bin")
        self._name = name
        self._detector: Any = None

    def detect(self, photo: np.ndarray, all_faces: bool = False) -> List[Detection]:
        """Find faces, turned ones too.

        Args:
            photo: [H, W, 3] uint8 RGB.
            all_faces: search for small faces too, in up to 1280 pixels; otherwise that is done
                only if no larger face is found.

        Returns:
            The faces, largest first; an empty list if there are none.

        Raises:
            InputError: the networks' files are missing or damaged.
        """
        return self.load().detect(photo, all_faces)

    def refine(self, photo: np.ndarray, five_points: np.ndarray) -> DenseLandmarks:
        """Return the 478 points of a face with known five points; not of ``"dlib"``.

        Args:
            photo: [H, W, 3] uint8 RGB.
            five_points: [5, 2] photo pixels, y down.
        """
        return self.load().landmarks_at(photo, five_points)

    def follow(self, photo: np.ndarray, last: DenseLandmarks) -> DenseLandmarks:
        """Return the 478 points of a face near those of the frame before; not of ``"dlib"``.

        Args:
            photo: [H, W, 3] uint8 RGB.
            last: points of the frame before, in pixels of this one.
        """
        return self.load().follow(photo, last)

    def load(self) -> Any:
        """Load the networks, unless they are, and return the detector behind this one.

        Raises:
            InputError: the networks' files are missing or damaged.
        """
        if self._detector is None:
            self._detector = _Dlib() if self._name == "dlib" else _MediaPipe()
        return self._detector


class _Candidate(NamedTuple):
    """An answer of the detector's network. Photo pixels, y down."""

    score: float  # 0..1
    center: np.ndarray  # [2]
    side: float  # of the larger side
    points: np.ndarray  # [6, 2] eyes, nose tip, middle of the mouth, ears

    def five_points(self) -> np.ndarray:
        """Return five points, [5, 2], with the corners of a usual mouth."""
        corner = _MOUTH_HALF_WIDTH * (self.points[1] - self.points[0])
        return np.vstack([self.points[:3], self.points[3] - corner, self.points[3] + corner])


class _MediaPipe:
    """The full-range face detector, checked by the landmark networks."""

    def __init__(self) -> None:
        self._network = OpenNetwork(DETECTOR_NETWORK, DETECTOR_OUTPUTS)
        self._landmarks = DenseLandmarkNetwork()

    def detect(self, photo: np.ndarray, all_faces: bool) -> List[Detection]:
        longest = max(photo.shape[:2])
        sides = [side for side in _SIDES if side == _SIDES[0] or side / 2 < longest]
        found: List[Detection] = []
        for side in sides:
            picture, scale = _letterbox(photo, side)
            found = _without_overlaps(found + self._look(photo, picture, scale, (0,)))
            if not any(_is_sure(face) for face in found) and side in _SIDES_TURNED:
                found = _without_overlaps(found + self._look(photo, picture, scale, (1, 2, 3)))
            if found and not all_faces:
                break
        if not found:
            found = self._look_at_filling(photo)
        return sorted(found, key=lambda face: -face.box[2] * face.box[3])

    def landmarks_at(self, photo: np.ndarray, five_points: np.ndarray) -> DenseLandmarks:
        """Return the :class:`DenseLandmarks` around known five points."""
        eyes, mouth = five_points[:2].mean(axis=0), five_points[3:].mean(axis=0)
        # A detector's box has about twice the height from mouth to eyes.
        extents = np.linalg.norm([mouth - eyes, five_points[1] - five_points[0]], axis=1)
        box = Square((eyes + mouth) / 2, 2.2 * float(extents.max()), lean_angle(five_points))
        return self._landmarks.predict(photo, box)

    def follow(self, photo: np.ndarray, last: DenseLandmarks) -> DenseLandmarks:
        """Return the :class:`DenseLandmarks` near those of the frame before."""
        return self._landmarks.follow(photo, last)

    def _look_at_filling(self, photo: np.ndarray) -> List[Detection]:
        """Return faces that fill the photo: the network finds them within a black border."""
        picture, scale = _letterbox(photo, _SIDES[0] // 2)
        border = _SIDES[0] // 4
        framed = np.roll(picture, (border, border), axis=(0, 1))
        found = _without_overlaps(self._look(photo, framed, scale, range(4), border))
        least = _FILLING * max(photo.shape[:2])
        return [face for face in found if face.box[2:].max() >= least]

    def _look(
        self,
        photo: np.ndarray,
        picture: np.ndarray,
        scale: np.ndarray,
        turns: Sequence[int],
        border: int = 0,
    ) -> List[Detection]:
        """Return the faces in a picture of the photo, turned by multiples of 90 degrees.

        Args:
            photo: [H, W, 3] uint8 RGB.
            picture: square picture of it, [S, S, 3] float32.
            scale: [2] photo pixels per pixel of the picture, right and down.
            turns: quarter turns, counter-clockwise.
            border: pixels of the picture left of the photo and above it.
        """
        # 1. the network
        images = np.stack([np.rot90(picture, turn) for turn in turns])
        boxes, logits = self._network.run(images)
        scores = 1 / (1 + np.exp(-logits[..., 0].astype(np.float64)))

        # 2. its answers in the photo
        candidates = []
        size = picture.shape[0]
        for turn, values, chances in zip(turns, boxes, scores):
            for place in np.flatnonzero(chances > _MIN_SCORE):
                candidates.append(
                    _read_answer(values[place], place, chances[place], size, turn, scale, border)
                )
        merged = _merge(candidates)[:_MAX_CHECKED]

        # 3. those that the landmarks confirm
        checked = (self._check(photo, candidate) for candidate in merged)
        return [face for face in checked if face is not None]

    def _check(self, photo: np.ndarray, candidate: _Candidate) -> Optional[Detection]:
        """Return a candidate with its landmarks; None if these do not confirm it."""
        right, down = candidate.points[1] - candidate.points[0]
        degrees = float(np.degrees(np.arctan2(down, right)))
        dense = self._landmarks.predict(photo, Square(candidate.center, candidate.side, degrees))
        if dense.presence < _MIN_PRESENCE or _disagreement(candidate, dense) > _MAX_DISAGREEMENT:
            return self._check_turned_away(photo, candidate)
        return Detection(_box_around(dense.points), candidate.score, dense.five_points(), dense)

    def _check_turned_away(self, photo: np.ndarray, candidate: _Candidate) -> Optional[Detection]:
        """Return a candidate that the network of 68 landmarks is sure to be a face, else None."""
        five_points = candidate.five_points()
        for _ in range(_LOOKS):
            try:
                alignment = align(photo, five_points, upright_angle(five_points))
            except InputError:  # the points lie on one spot
                return None
            found, noise = open_landmark_network().predict_noise(alignment.crop[np.newaxis])
            points = alignment.to_photo(found[0])
            five_points = five_from_68(points)
        if network_presence(noise[0]) < 1:
            return None
        dense = self.landmarks_at(photo, five_points)
        return Detection(_box_around(points), candidate.score, five_points, dense)


def _letterbox(photo: np.ndarray, side: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return a square picture of a photo for the detector, and photo pixels per pixel of it.

    Args:
        photo: [H, W, 3] uint8 RGB.
        side: longest side of the shrunk photo; photos are not enlarged beyond the smallest side.

    Returns:
        [S, S, 3] float32 in -1..1, black below and right of the photo; and [2].
    """
    height, width = photo.shape[:2]
    ratio = side / max(height, width)
    if side > _SIDES[0]:
        ratio = min(ratio, 1.0)
    size = [max(1, int(round(length * ratio))) for length in (width, height)]
    image = Image.fromarray(photo).resize(size, Image.BILINEAR, reducing_gap=BLOCK_GAP)
    shrunk = np.asarray(image, np.float32)
    extent = max(_SIDES[0], -(-max(size) // _MULTIPLE) * _MULTIPLE)
    picture = np.full((extent, extent, 3), -1, np.float32)
    picture[: size[1], : size[0]] = shrunk / 127.5 - 1
    return picture, np.array([width, height]) / size


def _read_answer(
    values: np.ndarray,
    place: int,
    score: float,
    size: int,
    turn: int,
    scale: np.ndarray,
    border: int,
) -> _Candidate:
    """Return the answer of the network at a place of a turned picture as a candidate.

    Args:
        values: [16] center, width and height, and six points, relative to the place, pixels.
        place: number of the place, row by row.
        score: 0..1.
        size: width and height of the picture.
        turn: quarter turns of the picture, counter-clockwise.
        scale: [2] photo pixels per pixel of the picture before its turn.
        border: pixels of the picture left of the photo and above it.
    """
    row, column = divmod(int(place), size // _STRIDE)
    anchor = (np.array([column, row]) + 0.5) * _STRIDE
    points = np.vstack([values[:2], values[4:].reshape(6, 2)]).astype(np.float64) + anchor
    for _ in range(turn):  # back, clockwise
        points = np.stack([size - points[:, 1], points[:, 0]], axis=1)
    points = (points - border) * scale - 0.5
    return _Candidate(score, points[0], float(values[2:4].max() * scale.mean()), points[1:])


def _merge(candidates: Sequence[_Candidate]) -> List[_Candidate]:
    """Return one candidate for each group of overlapping ones, by score; highest first.

    As in BlazeFace, a group's place is its mean, weighted by the scores, which is steadier than
    that of its best. Candidates of different turns have their points in different places, so only
    those near the best one's are averaged.
    """
    rest = sorted(candidates, key=lambda candidate: -candidate.score)
    merged = []
    while rest:
        best = rest[0]
        overlaps = [_overlap(best.center, best.side, c.center, c.side) for c in rest]
        group = [
            c
            for c, overlap in zip(rest, overlaps)
            if overlap > _MAX_OVERLAP
            and np.abs(c.points - best.points).max() < _MAX_OVERLAP * best.side
        ]
        weights = np.array([c.score for c in group]) / sum(c.score for c in group)
        merged.append(
            _Candidate(
                best.score,
                sum(w * c.center for w, c in zip(weights, group)),
                float(sum(w * c.side for w, c in zip(weights, group))),
                sum(w * c.points for w, c in zip(weights, group)),
            )
        )
        rest = [c for c in rest[1:] if not any(c is member for member in group)]
    return merged


def _without_overlaps(faces: Sequence[Detection]) -> List[Detection]:
    """Return the faces with the highest scores that do not overlap."""
    kept: List[Detection] = []
    for face in sorted(faces, key=lambda face: -face.confidence):
        center, side = face.box[:2] + face.box[2:] / 2, float(face.box[2:].max())
        overlaps = (
            _overlap(center, side, other.box[:2] + other.box[2:] / 2, float(other.box[2:].max()))
            for other in kept
        )
        if not any(overlap > _MAX_OVERLAP for overlap in overlaps):
            kept.append(face)
    return kept


def _box_around(points: np.ndarray) -> np.ndarray:
    """Return the box [4] around points: left, top, width and height."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.concatenate([low, high - low])


def _overlap(center: np.ndarray, side: float, other: np.ndarray, other_side: float) -> float:
    """Return the intersection over union of two squares."""
    low = np.maximum(center - side / 2, other - other_side / 2)
    high = np.minimum(center + side / 2, other + other_side / 2)
    common = float(np.prod(np.maximum(high - low, 0)))
    return common / (side**2 + other_side**2 - common)


def _is_sure(face: Detection) -> bool:
    """Return True if the face cannot be a turned one seen wrongly."""
    lean = abs(lean_angle(face.five_points))
    return bool(face.confidence >= _SURE_SCORE and lean <= _SURE_ROLL)


def _disagreement(candidate: _Candidate, dense: DenseLandmarks) -> float:
    """Return the largest distance of the detector's points from the landmarks.

    In distances from eyes to mouth; eyes, nose tip and middle of the mouth are compared.
    """
    five = dense.five_points()
    points = np.vstack([five[:3], five[3:].mean(axis=0)])
    height = np.linalg.norm(five[:2].mean(axis=0) - points[3])
    return float(np.linalg.norm(candidate.points[:4] - points, axis=1).max() / max(height, 1.0))


class _Dlib:
    """dlib's frontal detector (histograms of oriented gradients); five points from its 68."""

    def __init__(self) -> None:
        import dlib  # an optional dependency

        self._detector = dlib.get_frontal_face_detector()
        self._predictor = LandmarkPredictor()

    def detect(self, photo: np.ndarray, all_faces: bool) -> List[Detection]:
        longest = max(photo.shape[:2])
        sides = [_LONGEST_SIDE_DLIB_ALL]
        if not all_faces and longest > _LONGEST_SIDE_DLIB:
            sides.insert(0, _LONGEST_SIDE_DLIB)
        for side in sides:
            small, scale = _shrink(photo, side)
            found = self._detect(small)
            if found:
                break
        found.sort(key=lambda face: -face.box[2] * face.box[3])
        return [
            face._replace(
                box=face.box * np.tile(scale, 2), five_points=(face.five_points + 0.5) * scale - 0.5
            )
            for face in found
        ]

    def _detect(self, photo: np.ndarray) -> List[Detection]:
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
