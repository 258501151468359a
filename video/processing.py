"""From a clip to its files: tracked, fitted, made smooth, and drawn into its frames.

Two passes read the clip: the first tracks the faces, the second draws them. Between them, numbers
of each frame are kept, not its pixels, so memory hardly grows with the length of the clip.
"""

import itertools
import os
import time
from concurrent import futures
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from scipy.spatial.transform import Rotation

from face_model.coefficients import is_blendshape
from face_model.model import FaceModel, neutral_shape
from geometry.camera import CAMERA_DISTANCE
from mesh.gltf import write_rig
from mesh.gltf_animation import Animation
from mesh.morph_targets import METERS_PER_DM, REMAINDER, make_rig
from mesh.person_texture import bake_person_texture
from mesh.uv_unwrap import unwrap_uv
from reconstruction.face_data import encode_face_data
from utils.atomic import atomic_path, remove_partial_files, write_atomically
from utils.errors import InputError
from utils.mat_files import write_mat
from utils.report import Report
from utils.tf_compat import tf
from utils.version import VERSION, git_revision
from utils.workers import ahead_in_thread
from video.clips import Clip, Frame
from video.drawing import FacePainter, PlacedFace
from video.finished_work import FinishedWork
from video.live_link import encode_table
from video.motion import Motion, Person, Placement, Placer, smooth_motion
from video.overlay import encode_piece, overlay_writer
from video.people import FoundPerson, find_people
from video.smoothing import continuous_quaternions
from video.tracking import FaceTracker

_BATCH = 8  # faces drawn together
_AHEAD = 8  # frames read ahead
_PIECE = 240  # frames of the overlay video that are encoded together

# Returns the fields of NAME.mat for a face in a frame: name, pixels and placement.
MatFields = Callable[[str, np.ndarray, Placement], Dict[str, Any]]


class ClipResult(NamedTuple):
    """The outcome of a clip."""

    people: List[Person]  # with smooth motion
    frame_count: int  # read
    skipped: int  # damaged
    seconds: float
    paths: List[str]  # written files


class ClipProcessor:
    """Reconstructs the faces of clips.

    Args:
        pipeline: ``reconstruction.pipeline.FacePipeline``.
        all_faces: everybody in a clip, not only the person seen most.
        mat_fields: writes ``NAME_frames/NAME_000001.mat`` of each frame with its fields; None: not.
        quiet: hide the progress bars.
        show: gets each frame with the faces laid in, [H, W, 3] uint8 RGB; None: not.
    """

    def __init__(
        self,
        pipeline: Any,
        all_faces: bool = False,
        mat_fields: Optional[MatFields] = None,
        quiet: bool = False,
        show: Optional[Callable[[np.ndarray], Any]] = None,
    ) -> None:
        self._pipeline = pipeline
        self._show = show
        self._model: FaceModel = pipeline.model
        self._all_faces = all_faces
        self._mat_fields = mat_fields
        self._quiet = quiet
        self._uv_map: Any = None

    def run(self, clip: Clip, folder: str) -> ClipResult:
        """Write the files of a clip.

        Args:
            clip: the clip.
            folder: folder of the results.

        Raises:
            InputError: the clip cannot be read, or shows no face.
        """
        # 1. tracking
        start = time.monotonic()
        work = FinishedWork(folder, clip.name, self._settings(clip))
        report = Report(clip.frame_count, "frame", "tracked", self._quiet)
        if work.is_continued:
            report.remark("{}: goes on where an earlier run was stopped".format(clip.path))
        tracker = FaceTracker(self._all_faces, self._pipeline.predictor, work)
        try:
            size = None
            for frame in ahead_in_thread(clip.read_frames(_skip_on(report)), _AHEAD):
                tracker.step(frame)
                size = frame.pixels.shape[1::-1]
                report.step()
            tracks = tracker.finish()
        finally:
            report.close()
        if not tracks or size is None:
            work.remove()
            raise InputError(
                "{}: no face was found in {} frames; choose a clip that shows one for longer or "
                "larger".format(clip.path, report.done_count)
            )

        # 2. people and their motion
        found = find_people(tracks, self._pipeline, clip.path, clip.name, self._all_faces, work)
        found = [
            one._replace(
                person=one.person._replace(motion=smooth_motion(one.person.motion, self._model))
            )
            for one in found
        ]

        # 3. files; the textures are baked while the overlay video is drawn
        paths = [os.path.join(folder, clip.name + ".mp4")]
        people = [one.person for one in found]
        with futures.ThreadPoolExecutor(max_workers=1) as executor:
            textures = executor.map(self._bake_texture, found)
            self._draw(clip, people, paths[0], report.done_count, work)
        for one, texture in zip(found, textures):
            paths += self._write_person(one, texture, clip, size, folder)
        work.remove()
        seconds = time.monotonic() - start
        return ClipResult(people, report.done_count, len(report.skipped), seconds, paths)

    def _settings(self, clip: Clip) -> Dict[str, Any]:
        """Return everything that the results of a clip depend on."""
        return {
            "clip": [os.path.abspath(clip.path), clip.frame_rate, clip.stamp()],
            "model": self._model.fingerprint(),
            "networks": self._pipeline.description,
            "all_faces": self._all_faces,
            "frame_files": self._mat_fields is not None,
            "version": [VERSION, git_revision(), tf.VERSION],
        }

    def _draw(
        self, clip: Clip, people: Sequence[Person], path: str, count: int, work: FinishedWork
    ) -> None:
        """Write the overlay video, and the .mat files of the frames if they are wanted.

        The video is encoded in pieces, which are kept until it is whole.
        """
        # 1. the pieces that are missing
        report = Report(count, "frame", "drawn", self._quiet)
        number = work.count_pieces()
        report.step(min(number * _PIECE, count))
        frames = ahead_in_thread(clip.read_frames(lambda sentence: None), _AHEAD)
        rest = itertools.islice(frames, number * _PIECE, None)
        drawn = ahead_in_thread(self._draw_frames(rest, people, os.path.dirname(path)), _AHEAD)
        while True:
            some = itertools.islice(drawn, _PIECE)
            piece = encode_piece(self._shown(some, report), clip.frame_rate)
            if not piece:
                break
            work.write_piece(number, piece)
            number += 1
        report.close()

        # 2. all of them, and the sound
        with overlay_writer(path, clip.sound_path, clip.frame_rate) as writer:
            for i in range(number):
                writer.write_piece(work.read_piece(i))

    def _shown(
        self, frames: Iterator[Tuple[np.ndarray, float]], report: Report
    ) -> Iterator[Tuple[np.ndarray, float]]:
        """Yield frames, after showing and counting them."""
        for picture, seconds in frames:
            if self._show:
                self._show(picture)
            yield picture, seconds
            report.step()

    def _draw_frames(
        self, frames: Iterator[Frame], people: Sequence[Person], folder: str
    ) -> Iterator[Tuple[np.ndarray, float]]:
        """Yield frames with the faces laid in, and their times."""
        placers = [Placer(self._model, person) for person in people]
        painter = FacePainter(self._pipeline, people)
        rows = [
            dict(zip(one.motion.frames.tolist(), range(len(one.motion.frames)))) for one in people
        ]
        with_crop = self._mat_fields is not None
        if with_crop:
            for one in people:
                remove_partial_files(os.path.join(folder, one.name + "_frames"))
        for batch in _batches(frames, _BATCH):
            # 1. who is where in these frames
            faces = [
                PlacedFace(
                    picture,
                    person,
                    placers[person].place(frame.pixels, rows[person][frame.number], with_crop),
                )
                for picture, frame in enumerate(batch)
                for person in range(len(people))
                if frame.number in rows[person]
            ]

            # 2. their faces, laid in
            pictures = [frame.pixels for frame in batch]
            for first in range(0, len(faces), _BATCH):
                some = faces[first : first + _BATCH]
                painter.lay_in(pictures, some)
                for face in some:
                    name, frame = people[face.person].name, batch[face.picture]
                    self._write_mat(name, frame, face.placement, folder)
            for frame, picture in zip(batch, pictures):
                yield picture, frame.seconds

    def _write_mat(self, name: str, frame: Frame, placement: Placement, folder: str) -> None:
        if self._mat_fields is None:
            return
        stem = "{}_{:06d}".format(name, frame.number)
        fields = self._mat_fields(stem, frame.pixels, placement)
        with atomic_path(os.path.join(folder, name + "_frames", stem + ".mat")) as temporary:
            with open(temporary, "wb") as file:
                write_mat(file, fields)

    def _bake_texture(self, found: FoundPerson) -> np.ndarray:
        """Return the texture [T, T, 3] uint8 RGB of a person."""
        if self._uv_map is None:
            self._uv_map = unwrap_uv(self._model)
        frames = sorted(found.best, key=lambda one: one.face.alignment.trans_params[2])
        return bake_person_texture(frames, self._model, self._uv_map, found.best[0].albedo)

    def _write_person(
        self,
        found: FoundPerson,
        texture: np.ndarray,
        clip: Clip,
        size: Sequence[int],
        folder: str,
    ) -> List[str]:
        """Write the tables and the animated mesh of a person; return their paths."""
        person, model = found.person, self._model
        stem = os.path.join(folder, person.name)
        motion = person.motion._replace(seconds=person.motion.seconds - clip.start)

        # 1. table
        table = encode_table(motion, model.expression_names, clip.frame_rate)
        write_atomically(stem + ".csv", table)

        # 2. trust in each frame
        trust = encode_face_data(describe_trust(person, motion, model))
        write_atomically(stem + "_frames.json", trust)

        # 3. mesh at rest, its texture, and the animation
        resting = found.best[0]._replace(
            coefficients=_resting_coefficients(found.best[0].coefficients, person),
            world_shape=_resting_shape(person, model),
        )
        rig = make_rig(resting, model)
        targets = tuple(target for target in rig.morph_targets if target[0] != REMAINDER)
        write_rig(
            stem + ".glb",
            rig._replace(morph_targets=targets),
            model.triangles,
            self._uv_map.coordinates,
            texture,
            person.name,
            make_animation(motion, target_weights(motion, targets, model), size),
        )
        return [stem + ".csv", stem + "_frames.json", stem + ".glb"]


def describe_result(path: str, result: ClipResult) -> str:
    """Return one line on a clip: people, frames, and frames a second."""
    count = len(result.people)
    line = "{}: {} {} in {} frames".format(
        path, count, "person" if count == 1 else "people", result.frame_count
    )
    if result.skipped:
        line += ", {} damaged frames skipped".format(result.skipped)
    doubts = describe_doubts(result.people)
    if doubts:
        line += ", doubtful: {}".format(doubts)
    rate = result.frame_count / result.seconds
    return line + ", {:.1f} s ({:.1f} frames a second)".format(result.seconds, rate)


def describe_doubts(people: Sequence[Person]) -> str:
    """Return in how many frames of which people the face is doubtful; "" if in none."""
    parts = []
    for person in people:
        doubtful = person.motion.is_doubtful
        if doubtful.any():
            parts.append("{} in {} of {} frames".format(person.name, doubtful.sum(), len(doubtful)))
    return ", ".join(parts)


def describe_trust(person: Person, motion: Motion, model: FaceModel) -> Dict[str, Any]:
    """Return the content of ``NAME_frames.json``, as docs/video.md describes it.

    Args:
        person: the person.
        motion: their motion, its times from 0.
        model: the ``FaceModel``.
    """
    return {
        "name": person.name,
        "face_model": model.name,
        "doubtful_frames": motion.frames[motion.is_doubtful].tolist(),
        "frames": motion.frames.tolist(),
        "seconds": np.round(motion.seconds, 6).tolist(),
        "face_trust": np.round(motion.trust, 3).tolist(),
    }


def target_weights(
    motion: Motion, targets: Sequence[Tuple[str, np.ndarray, float]], model: FaceModel
) -> np.ndarray:
    """Return the weights [T, targets] of morph targets that make the expressions of a motion.

    Blend shapes stay within 0..1, as programs expect. A target that closes the lids of a person
    exactly differs from the component of the model, and gets the weight that comes closest.

    Args:
        motion: a ``Motion``.
        targets: (name, displacements [N, 3] meters, weight) of the first expression components.
        model: the ``FaceModel``.
    """
    weights = motion.expression[:, : len(targets)].copy()
    for i, (name, target, _) in enumerate(targets):
        component = METERS_PER_DM * model.expression_basis[:, i].reshape(-1, 3)
        weights[:, i] *= np.vdot(component, target) / max(np.vdot(target, target), 1e-12)
        if is_blendshape(name):
            weights[:, i] = np.clip(weights[:, i], 0, 1)
    return weights


def make_animation(motion: Motion, weights: np.ndarray, size: Sequence[int]) -> Animation:
    """Return a motion as keys of an animation, seen by a camera at the origin that looks along -z.

    The camera's focal length is that of the crops, or as long as the picture's longer side if that
    is more, so that no face is seen at a steep angle.

    Args:
        motion: a ``Motion``, its times from 0.
        weights: [T, targets] of the morph targets.
        size: width and height of the clip, pixels.
    """
    # 1. positions
    width, height = size
    focal = max(CAMERA_DISTANCE * float(np.median(motion.size)), float(max(size)))
    middle = np.array([width - 1, height - 1]) / 2
    across = (motion.position - middle) * [1, -1] / motion.size[:, np.newaxis]
    places = np.column_stack([across, -focal / motion.size])  # dm

    # 2. rotations, from the line of sight to the camera's axis
    ahead = places / np.linalg.norm(places, axis=1, keepdims=True)
    turns = [_turn_to(direction) for direction in ahead]
    rotations = np.matmul(np.array(turns), motion.rotation)
    return Animation(
        motion.seconds,
        weights,
        continuous_quaternions(rotations),
        places * METERS_PER_DM,
        vertical_fov=2 * float(np.arctan(height / 2 / focal)),
        aspect=width / height,
    )


def _turn_to(direction: np.ndarray) -> np.ndarray:
    """Return the smallest rotation [3, 3] that takes -z to a unit vector."""
    axis = np.cross([0.0, 0.0, -1.0], direction)
    sine = np.linalg.norm(axis)
    if sine < 1e-12:
        return np.eye(3)
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, -direction[2])).as_matrix()


def _resting_coefficients(like: np.ndarray, person: Person) -> np.ndarray:
    """Return coefficients of the person's identity, with expression, pose and light at zero."""
    coefficients = np.zeros_like(like)
    coefficients[: len(person.identity)] = person.identity
    return coefficients


def _resting_shape(person: Person, model: FaceModel) -> np.ndarray:
    """Return the person's vertices at rest in model space, [N, 3] dm."""
    center = model.mean_shape.mean(axis=0, dtype=np.float64)
    return neutral_shape(model, person.identity) - center


def _batches(frames: Iterator[Frame], size: int) -> Iterator[List[Frame]]:
    batch: List[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _skip_on(report: Report) -> Callable[[str], None]:
    """Return a function that reports a damaged frame, given its sentence."""
    return lambda sentence: report.skip("frame", sentence)
