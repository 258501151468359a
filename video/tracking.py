"""Faces tracked through a clip: their points in each frame, and the frames that show them best.

A face is detected where none is tracked, where it is lost, and at times; otherwise its points of
the frame before give the square in which the landmark network looks next.
"""

from concurrent import futures
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from alignment.align import Alignment, align, upright_angle
from alignment.dense_landmarks import DENSE_COUNT, DenseLandmarks
from alignment.detect import FaceDetector
from alignment.five_points import estimate_yaw_and_roll
from alignment.landmark_confidence import landmark_confidence
from alignment.landmark_network import OPEN_LANDMARK_NETWORK, LandmarkNetwork
from geometry.camera import IMAGE_SIZE
from geometry.landmark_layout import INNER_LANDMARKS
from utils.errors import InputError
from video.clips import Frame
from video.finished_work import FinishedWork
from video.shots import ShotDetector

LEAST_PRESENCE = 0.5  # of a tracked face; detection asks for more
_LARGEST_OVERLAP = 0.3  # intersection over union of two faces
PAUSE = 5  # frames between searches while there is no face
_EVERY_SECONDS = 1.0  # between searches for further faces
_LONGEST_GAP = 0.5  # seconds over which a lost face is found again
_FEWEST_FRAMES = 3  # of a track
_BATCH = 8  # crops that the landmark network sees together
_CANDIDATES, _CANDIDATE_SPACING = 8, 0.4  # best frames of a track, and seconds between them
_REGION = 2.2  # side of the picture that is kept of a best frame, by that of its crop
_LARGE = 100.0  # pixels from eyes to mouth; larger faces are as good


class Sighting(NamedTuple):
    """A face in a frame. Pixels of the frame, y down."""

    frame: int
    seconds: float
    dense: np.ndarray  # [478, 2] float32
    presence: float  # 0..1
    landmarks: np.ndarray  # [68, 2] float32, of the landmark network
    noise: np.ndarray  # [68] float32, standard deviations of these, pixels of the crop
    colors: np.ndarray  # [478, 3] uint8 RGB at the dense points
    trans_params: np.ndarray  # [5] of the crop
    degrees: float  # of the crop
    predicted: Optional[np.ndarray] = None  # [257] float32 of the coefficient network


class Candidate(NamedTuple):
    """A frame that shows a face well."""

    score: float
    seconds: float
    pixels: np.ndarray  # [h, w, 3] uint8 RGB, a part of the frame
    dense: DenseLandmarks  # in that part


class Track:
    """A face through consecutive frames of a shot.

    Attributes:
        shot: number of the shot.
        sightings: the :class:`Sighting` of each frame.
        candidates: the :class:`Candidate` of the best frames.
    """

    def __init__(self, shot: int) -> None:
        self.shot = shot
        self.sightings: List[Sighting] = []
        self.candidates: List[Candidate] = []
        self.last = DenseLandmarks(np.zeros((478, 2)), 0.0)
        self.last_seconds = 0.0

    def add_candidate(self, candidate: Candidate) -> None:
        """Keep a frame if it is among the best that are some time apart."""
        near = [
            other
            for other in self.candidates
            if abs(other.seconds - candidate.seconds) < _CANDIDATE_SPACING
        ]
        if any(other.score >= candidate.score for other in near):
            return
        kept = [other for other in self.candidates if not any(other is one for one in near)]
        kept.append(candidate)
        self.candidates = sorted(kept, key=lambda one: -one.score)[:_CANDIDATES]

    def would_keep(self, score: float, seconds: float) -> bool:
        """Return True if :meth:`add_candidate` would keep a frame with this score."""
        near = [
            other.score
            for other in self.candidates
            if abs(other.seconds - seconds) < _CANDIDATE_SPACING
        ]
        if near:
            return score > max(near)
        return len(self.candidates) < _CANDIDATES or score > self.candidates[-1].score


class _Pending(NamedTuple):
    """A face that awaits the landmark network."""

    track: Track
    frame: Frame
    dense: DenseLandmarks
    alignment: Alignment


class _Asked(NamedTuple):
    """Faces at which the networks look."""

    faces: List[_Pending]
    answer: Callable[[], List[np.ndarray]]  # of the networks, once they have it


class FaceTracker:
    """Tracks the largest face of each shot, or all faces.

    Args:
        all_faces: track every face.
        predict: callable taking crops [B, 224, 224, 3] and returning coefficients [B, 257] of the
            coefficient network, or None without one.
        work: keeps the answers of the networks; None: they are not kept.

    Attributes:
        tracks: the finished tracks, after :meth:`finish`.
    """

    def __init__(
        self,
        all_faces: bool = False,
        predict: Optional[Callable[[np.ndarray], np.ndarray]] = None,
        work: Optional[FinishedWork] = None,
    ) -> None:
        self._work = work or FinishedWork()
        self._all_faces = all_faces
        self._predict = predict
        self._detector = FaceDetector()
        self._network = LandmarkNetwork(OPEN_LANDMARK_NETWORK, with_noise=True)
        self._shots = ShotDetector()
        self._shot = 0
        self._active: List[Track] = []
        self._lost: List[Track] = []
        self._pending: List[_Pending] = []
        self._asked: Optional[_Asked] = None
        self._background = futures.ThreadPoolExecutor(max_workers=1)
        self._next_search = 0
        self._last_search = -np.inf
        self.tracks: List[Track] = []

    def step(self, frame: Frame) -> int:
        """Find the faces of the next frame; return their number."""
        # 1. a new shot ends all tracks
        if self._shots.is_cut(frame.pixels):
            self._shot += 1
            self._end(self._active + self._lost)
            self._active, self._lost, self._next_search = [], [], frame.number

        # 2. tracked faces, near where they were
        found: List[Tuple[Track, DenseLandmarks]] = []
        for track in self._active:
            dense = self._follow(frame, track.last)
            twin = any(_overlap(dense, other) > _LARGEST_OVERLAP for _, other in found)
            if dense.presence < LEAST_PRESENCE or twin or not is_inside(dense, frame.pixels):
                self._lost.append(track)
                self._next_search = frame.number
            else:
                found.append((track, dense))

        # 3. others, where it is time to search
        if self._is_time_to_search(frame, bool(found)):
            found += self._search(frame, [dense for _, dense in found])
        self._active = [track for track, _ in found]
        stale = [one for one in self._lost if frame.seconds - one.last_seconds > _LONGEST_GAP]
        self._lost = [one for one in self._lost if not any(one is other for other in stale)]
        self._end(stale)

        for track, dense in found:
            track.last, track.last_seconds = dense, frame.seconds
            self._observe(track, frame, dense)
        return len(found)

    def finish(self) -> List[Track]:
        """Return all tracks, after the last frame."""
        self._end(self._active + self._lost)
        self._active, self._lost = [], []
        self._background.shutdown()
        return self.tracks

    def _end(self, tracks: List[Track]) -> None:
        """Finish tracks, once the networks have seen their last faces."""
        if not tracks:
            return
        self._look()
        self._note()
        self.tracks += [track for track in tracks if len(track.sightings) >= _FEWEST_FRAMES]

    def _is_time_to_search(self, frame: Frame, is_tracking: bool) -> bool:
        if not is_tracking or self._lost:
            return frame.number >= self._next_search
        return self._all_faces and frame.seconds - self._last_search >= _EVERY_SECONDS

    def _search(
        self, frame: Frame, known: List[DenseLandmarks]
    ) -> List[Tuple[Track, DenseLandmarks]]:
        """Return the faces that a search adds to the known ones, with new or found tracks."""
        self._last_search, self._next_search = frame.seconds, frame.number + PAUSE
        if not self._all_faces and known:
            return []
        added = []
        for dense in self._detect(frame):
            if dense.presence < LEAST_PRESENCE:
                continue
            if any(_overlap(dense, one) > _LARGEST_OVERLAP for one in known):
                continue
            again = [one for one in self._lost if _overlap(dense, one.last) > _LARGEST_OVERLAP]
            track = again[0] if again else Track(self._shot)
            self._lost = [one for one in self._lost if one is not track]
            known = known + [dense]
            added.append((track, dense))
        return added

    def _follow(self, frame: Frame, last: DenseLandmarks) -> DenseLandmarks:
        """Return the points of a face near those of the frame before."""
        points, presence = self._work.recall(
            "follow", lambda: self._detector.follow(frame.pixels, last)
        )
        return DenseLandmarks(points, float(presence))

    def _detect(self, frame: Frame) -> List[DenseLandmarks]:
        """Return the points of the faces in a frame, largest first; only one unless all count."""

        def detect() -> Sequence[np.ndarray]:
            found = self._detector.detect(frame.pixels, self._all_faces)
            found = found if self._all_faces else found[:1]
            dense = [one.dense for one in found if one.dense is not None]
            points = np.array([one.points for one in dense]).reshape(-1, DENSE_COUNT, 2)
            return points, np.array([one.presence for one in dense])

        return [
            DenseLandmarks(points, float(value))
            for points, value in zip(*self._work.recall("detect", detect))
        ]

    def _observe(self, track: Track, frame: Frame, dense: DenseLandmarks) -> None:
        """Cut the crop of a face, and queue it for the landmark network."""
        five_points = dense.five_points()
        try:
            alignment = align(frame.pixels, five_points, upright_angle(five_points))
        except InputError:  # the points lie on one spot
            return
        self._pending.append(_Pending(track, frame, dense, alignment))
        if len(self._pending) == _BATCH:
            self._look()

    def _look(self) -> None:
        """Note the last answers of the networks, and ask them about the queued crops."""
        self._note()
        if not self._pending:
            return
        faces, self._pending = self._pending, []
        crops = np.stack([one.alignment.crop for one in faces])
        # In the background, unless an earlier run may know the answers.
        if self._work.is_replaying:
            self._asked = _Asked(faces, lambda: self._ask_networks(crops))
        else:
            answers = self._background.submit(self._ask_networks, crops)
            self._asked = _Asked(faces, answers.result)

    def _note(self) -> None:
        """Note the answers of the networks that were asked last."""
        if self._asked is None:
            return
        asked, self._asked = self._asked, None
        points, noise, *predicted = self._work.recall("look", asked.answer)
        rows: Any = predicted[0] if predicted else [None] * len(points)
        for one, in_crop, deviation, row in zip(asked.faces, points, noise, rows):
            one.track.sightings.append(
                make_sighting(one.frame, one.dense, one.alignment, in_crop, deviation, row)
            )
            self._propose(one, in_crop)

    def _ask_networks(self, crops: np.ndarray) -> List[np.ndarray]:
        """Return landmarks, their noise, and the coefficient network's rows if there is one."""
        answers = list(self._network.predict_noise(crops))
        return answers + [self._predict(crops)] if self._predict else answers

    def _propose(self, one: _Pending, landmarks: np.ndarray) -> None:
        """Offer a frame as one of the best of its track."""
        # 1. presence, size and sharpness, before the yaw, which takes longest
        five_points = one.dense.five_points()
        in_crop = one.alignment.to_crop(five_points)
        agreement = landmark_confidence(landmarks, in_crop, yaw=None)[INNER_LANDMARKS].mean()
        height = np.linalg.norm(five_points[:2].mean(axis=0) - five_points[3:].mean(axis=0))
        sharpness = float(np.abs(np.diff(one.alignment.crop[..., 1].astype(np.float32))).mean())
        score = one.dense.presence * agreement * min(1.0, height / _LARGE) * sharpness
        if not one.track.would_keep(score, one.frame.seconds):
            return

        # 2. the yaw
        yaw, _ = estimate_yaw_and_roll(five_points)
        score *= np.exp(-((yaw / 40.0) ** 2))
        if one.track.would_keep(score, one.frame.seconds):
            pixels, dense = _cut_region(one.frame.pixels, one.alignment, one.dense)
            one.track.add_candidate(Candidate(float(score), one.frame.seconds, pixels, dense))


def make_sighting(
    frame: Frame,
    dense: DenseLandmarks,
    alignment: Alignment,
    landmarks: np.ndarray,
    noise: np.ndarray,
    predicted: Optional[np.ndarray],
) -> Sighting:
    """Return the :class:`Sighting` of a face in a frame.

    Args:
        frame: the frame.
        dense: the 478 points in it.
        alignment: the crop of the face.
        landmarks: [68, 2] of the landmark network, pixels of the crop, y down.
        noise: [68] standard deviations of these.
        predicted: [257] of the coefficient network, or None.
    """
    places = np.rint(alignment.to_crop(dense.points)).astype(int)
    across, down = np.clip(places, 0, IMAGE_SIZE - 1).T
    return Sighting(
        frame.number,
        frame.seconds,
        dense.points.astype(np.float32),
        dense.presence,
        alignment.to_photo(landmarks).astype(np.float32),
        noise.astype(np.float32),
        alignment.crop[down, across],
        alignment.trans_params,
        alignment.degrees,
        predicted,
    )


def is_inside(dense: DenseLandmarks, pixels: np.ndarray) -> bool:
    """Return True if the middle of a face lies in the picture."""
    middle = dense.points.mean(axis=0)
    return bool(np.all(middle >= 0) and np.all(middle < pixels.shape[1::-1]))


def _cut_region(
    pixels: np.ndarray, alignment: Alignment, dense: DenseLandmarks
) -> Tuple[np.ndarray, DenseLandmarks]:
    """Return the part of a frame around a crop, and the points in that part."""
    middle = alignment.to_photo(np.full(2, (IMAGE_SIZE - 1) / 2))
    half = _REGION / 2 * np.abs(alignment.to_photo(np.zeros(2)) - middle).max()
    size = np.array(pixels.shape[1::-1])
    first = np.clip(np.floor(middle - half), 0, size - 1).astype(int)
    last = np.clip(np.ceil(middle + half), first + 1, size).astype(int)
    part = pixels[first[1] : last[1], first[0] : last[0]].copy()
    return part, dense._replace(points=dense.points - first)


def _overlap(one: DenseLandmarks, other: DenseLandmarks) -> float:
    """Return the intersection over union of the boxes around two faces."""
    boxes = [(points.min(axis=0), points.max(axis=0)) for points in (one.points, other.points)]
    low = np.maximum(boxes[0][0], boxes[1][0])
    high = np.minimum(boxes[0][1], boxes[1][1])
    common = float(np.prod(np.maximum(high - low, 0)))
    areas = [float(np.prod(box[1] - box[0])) for box in boxes]
    return common / max(sum(areas) - common, 1e-6)
