"""Accuracy of a clip's motion on a drawn clip: ``python -m benchmarks.motion [--json]``.

The clip of ``benchmarks.moving_face`` has known motion, camera noise and the artifacts of
compression. Rotations are compared after their constant offset, which belongs to the shape of the
face, is taken out; the error with it is shown too. Jitter is that of the landmarks while the head
rests. Lag is the part of a found series that follows the rate of the true one, in frames; parts
that follow other angles and actions are taken out.
"""

import argparse
import os
import tempfile
from typing import Any, Dict, List, Tuple

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.measuring import Row, row_command
from benchmarks.moving_face import RATE, Truth, write_clip
from face_decoder import FaceDecoder
from face_model import load_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.model import FaceModel
from geometry.camera import flip_y
from geometry.rotation import euler_angles
from reconstruction.network_choice import NetworkRequest, choose_networks
from reconstruction.pipeline import FacePipeline
from utils.errors import run_main
from video.clips import open_clip
from video.motion import Person, Placer
from video.processing import ClipProcessor

GOALS = {"rotation_degrees": 2.0, "jitter_pixels": 0.3, "lag_frames": 0}
_REST = (0.3, 1.9)  # seconds in which the head of the clip rests
_CLOSED, _OPEN = 0.5, 0.35  # weights of a blink and of open eyes


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    model = load_face_model("open")
    pipeline = FacePipeline(model, choose_networks(NetworkRequest(method="both"), model))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "known.mp4")
        truth = write_clip(path, model, arguments.duration)
        result = ClipProcessor(pipeline, quiet=True).run(open_clip(path), folder)
    row: Row = {"name": "motion of a drawn clip, {:g} s".format(arguments.duration)}
    row.update(compare(model, truth, result.people[0]))
    row["goals"] = GOALS
    return row


def compare(model: FaceModel, truth: Truth, person: Person) -> Dict[str, Any]:
    """Return the figures of a person's motion beside the truth.

    Args:
        model: the open face model.
        truth: of the clip.
        person: found in it, with smooth motion.
    """
    motion = person.motion
    true = split_coefficients(truth.coefficients[motion.frames], coefficient_sizes(model))
    errors, errors_with_offset = rotation_errors(motion.rotation, true.angles)
    landmarks = project_landmarks(model, person)
    seconds = truth.seconds[motion.frames]
    rest = (seconds > _REST[0]) & (seconds < _REST[1])
    deviation = landmarks[rest] - landmarks[rest].mean(axis=0)
    names = list(model.expression_names)
    jaw, blink = names.index("jawOpen"), names.index("eyeBlinkLeft")
    moved = [jaw, blink, names.index("mouthPucker"), names.index("mouthSmileLeft")]
    others = np.concatenate([true.angles, true.translation, true.expression[:, moved]], axis=1)
    yaw = euler_angles(motion.rotation)[:, 1]
    found, count, false = count_blinks(seconds, motion.expression[:, blink], truth.blinks)
    return {
        "frames": len(motion.frames),
        "rotation_degrees": float(errors.mean()),
        "rotation_degrees_with_offset": float(errors_with_offset.mean()),
        "landmark_pixels": float(
            np.linalg.norm(landmarks - truth.landmarks[motion.frames], axis=2).mean()
        ),
        "jitter_pixels": float(np.sqrt(np.mean(np.sum(deviation**2, axis=2)))),
        "yaw_lag_frames": find_lag(true.angles[:, 1], yaw, others),
        "jaw_lag_frames": find_lag(true.expression[:, jaw], motion.expression[:, jaw], others),
        "blink_lag_frames": find_lag(
            true.expression[:, blink], motion.expression[:, blink], others
        ),
        "blinks": "{} of {}, {} false".format(found, count, false),
    }


def rotation_errors(found: np.ndarray, angles: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return the angles between found and true rotations, degrees [T], without and with offset.

    Args:
        found: [T, 3, 3].
        angles: [T, 3] true ones, radians.
    """
    true = Rotation.from_euler("xyz", angles)
    differences = true.inv() * Rotation.from_matrix(found)
    offset = differences.mean()
    without = np.degrees((differences * offset.inv()).magnitude())
    return without, np.degrees(differences.magnitude())


def project_landmarks(model: FaceModel, person: Person) -> np.ndarray:
    """Return the landmarks of a person's motion in the pictures, [T, 68, 2] pixels, y down."""
    placer, decoder = Placer(model, person), FaceDecoder(model)
    picture = np.zeros((720, 1280, 3), np.uint8)
    placements = [placer.place(picture, row) for row in range(len(person.motion.frames))]
    found: List[np.ndarray] = []
    for placement in placements:
        feed = {decoder.coefficients: placement.coefficients[np.newaxis]}
        in_crop = decoder.session.run(decoder.face.landmarks, feed)[0]
        found.append(placement.alignment.to_photo(flip_y(in_crop)))
    decoder.close()
    return np.array(found)


def find_lag(true: np.ndarray, found: np.ndarray, others: np.ndarray) -> float:
    """Return the delay of a series behind the true one, in frames.

    Args:
        true: [T].
        found: [T].
        others: [T, N] true series that the found one may depend on too.
    """
    design = np.column_stack([true, np.gradient(true), others, np.ones(len(true))])
    # ``others`` may hold the true series too: the shortest solution shares its gain among them.
    weights = np.linalg.lstsq(design, found, rcond=None)[0]
    same = [0] + [2 + i for i in range(others.shape[1]) if np.allclose(others[:, i], true)]
    return float(-weights[1] / weights[same].sum())


def count_blinks(
    seconds: np.ndarray, weights: np.ndarray, blinks: np.ndarray
) -> Tuple[int, int, int]:
    """Return the numbers of blinks that are found, that are true, and that are found wrongly.

    Args:
        seconds: [T].
        weights: [T] of the closed eye.
        blinks: [B] true moments, seconds.
    """
    found, starts, is_closed = 0, [], False
    for moment in blinks:
        near = np.abs(seconds - moment) <= 2.0 / RATE
        found += bool(np.any(weights[near] > _CLOSED))
    for time, weight in zip(seconds, weights):
        if not is_closed and weight > _CLOSED:
            starts.append(time)
            is_closed = True
        elif is_closed and weight < _OPEN:
            is_closed = False
    false = sum(np.abs(blinks - start).min() > 0.25 for start in starts)
    return found, len(blinks), int(false)


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--duration", type=float, default=10.0, help="seconds of the clip")


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
