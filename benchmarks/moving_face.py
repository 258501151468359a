"""A drawn clip of known motion: a head that rests, turns, talks and blinks, with camera noise.

``python -m benchmarks.moving_face FILE.mp4`` writes one, and the truth beside it as ``FILE.npz``.
"""

import argparse
import fractions
from typing import Any, List, NamedTuple, Optional

import numpy as np
from PIL import Image

from face_model import load_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.model import FaceModel
from synthesis.pose import head_pose
from synthesis.rendering import FaceRenderer
from synthesis.sampling import FaceSampler
from synthesis.scene import SceneOptions, compose
from utils.atomic import atomic_path
from utils.errors import run_main

WIDTH, HEIGHT, RATE = 1280, 720, 30
_FACE_SIDE = 640  # pixels of the square in which the face is drawn
_CORNER = (300, 40)  # of that square
_REST = 2.0  # seconds at the beginning
_BLINK_EVERY, _BLINK_LENGTH = 1.3, 0.3  # seconds
_NOISE = 4.0  # gray levels, standard deviation
_QUALITY = {"crf": "26", "preset": "veryfast"}
_PERSON = 3  # seed


class Truth(NamedTuple):
    """The motion of a drawn clip."""

    seconds: np.ndarray  # [T]
    coefficients: np.ndarray  # [T, 257]
    landmarks: np.ndarray  # [T, 68, 2] pixels of the clip, y down
    blinks: np.ndarray  # [B] seconds at which the eyes are closed


def known_motion(model: FaceModel, seconds: np.ndarray) -> np.ndarray:
    """Return the coefficients [T, 257] of a head that rests, turns, talks and blinks.

    Args:
        model: the open face model.
        seconds: [T].
    """
    # 1. one person under one light
    sizes = coefficient_sizes(model)
    person = FaceSampler(model, _PERSON).sample(0)
    rows = np.tile(np.asarray(person, np.float64), (len(seconds), 1))
    parts = split_coefficients(rows, sizes)  # views
    parts.expression[:] = parts.angles[:] = parts.translation[:] = 0

    # 2. the head: still at first, then turning about all axes and moving
    going = np.clip(seconds - _REST, 0, None)
    parts.angles[:, 1] = np.radians(30) * np.sin(2 * np.pi * 0.25 * going)
    parts.angles[:, 0] = np.radians(10) * np.sin(2 * np.pi * 0.4 * going)
    parts.angles[:, 2] = np.radians(8) * np.sin(2 * np.pi * 0.3 * going)
    parts.translation[:, 0] = 0.15 * np.sin(2 * np.pi * 0.2 * going)
    parts.translation[:, 2] = 0.3 * np.sin(2 * np.pi * 0.15 * going)

    # 3. the mouth talks, the eyes blink
    names = {name: i for i, name in enumerate(model.expression_names)}
    talk = np.where(going > 0, 1.0, 0.0)
    parts.expression[:, names["jawOpen"]] = talk * 0.25 * (1 - np.cos(2 * np.pi * 2.0 * going))
    pucker = 0.3 * (1 - np.cos(2 * np.pi * 0.7 * going))
    parts.expression[:, names["mouthPucker"]] = talk * pucker
    smile = np.clip(0.5 * np.sin(2 * np.pi * 0.3 * going), 0, 1)
    for side in ("Left", "Right"):
        parts.expression[:, names["mouthSmile" + side]] = smile
        for moment in blink_times(seconds[-1]):
            closed = np.clip(1 - np.abs(seconds - moment) / (_BLINK_LENGTH / 2), 0, 1)
            column = names["eyeBlink" + side]
            parts.expression[:, column] = np.maximum(parts.expression[:, column], closed)
    return rows.astype(np.float32)


def blink_times(end: float) -> np.ndarray:
    """Return the seconds at which the eyes are closed, after the rest and before the end."""
    times = np.arange(_REST + 0.5, end - _BLINK_LENGTH, _BLINK_EVERY)
    return np.round(times * RATE) / RATE


def write_clip(path: str, model: FaceModel, duration: float, repeat: int = 1) -> Truth:
    """Write a clip of 1280x720 at 30 frames a second, and return its :class:`Truth`.

    Args:
        path: the .mp4 file to write.
        model: the open face model.
        duration: seconds.
        repeat: times that the motion is played, forwards and backwards in turn.
    """
    import av  # an optional dependency

    # 1. motion
    seconds = np.arange(int(round(duration * RATE))) / RATE
    coefficients = known_motion(model, seconds)
    renderer = FaceRenderer(model, _FACE_SIDE)
    landmarks = []
    pictures: List[np.ndarray] = []

    # 2. frames; each draws the same person before the same scene
    noise = np.random.RandomState(0)
    background = _background()
    with atomic_path(path) as temporary, av.open(temporary, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=fractions.Fraction(RATE), options=_QUALITY)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for row in coefficients:
            rendered = renderer.render(row[np.newaxis])
            picture = background.copy()
            left, top = _CORNER
            picture[top : top + _FACE_SIDE, left : left + _FACE_SIDE] = _draw(model, row, rendered)
            scale = _FACE_SIDE / 224.0
            # The rasterizer counts pixel corners as integers.
            points = rendered.landmarks[0] * [1, -1] + [0, 224]
            landmarks.append(points * scale - 0.5 + _CORNER)
            if repeat > 1:
                pictures.append(picture)
            _encode(file, stream, picture, noise)
        for turn in range(1, repeat):
            for picture in pictures[::-1] if turn % 2 else pictures:
                _encode(file, stream, picture, noise)
        file.mux(stream.encode(None))
    return Truth(seconds, coefficients, np.array(landmarks), blink_times(seconds[-1]))


def _encode(file: Any, stream: Any, picture: np.ndarray, noise: np.random.RandomState) -> None:
    """Append a picture with camera noise to a file."""
    import av

    grain = noise.standard_normal(picture.shape).astype(np.float32)
    noisy = np.clip(picture + _NOISE * grain, 0, 255).astype(np.uint8)
    file.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))


def _background() -> np.ndarray:
    small = np.random.RandomState(1).randint(60, 160, (9, 16, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((WIDTH, HEIGHT), Image.BICUBIC))


def _draw(model: FaceModel, row: np.ndarray, rendered: Any) -> np.ndarray:
    """Return the face of one frame in its scene."""
    parts = split_coefficients(row[np.newaxis], coefficient_sizes(model))
    canvas = compose(
        np.random.RandomState(_PERSON),
        rendered.rgba[0],
        head_pose(parts.angles[0], parts.translation[0]),
        rendered.head_landmarks[0],
        parts.gamma[0],
        SceneOptions(occluders=0.0),
    )
    return canvas.picture


def main(argv: Optional[List[str]] = None) -> None:
    """Write a clip and its truth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moving_face", description=__doc__)
    parser.add_argument("path", help="the .mp4 file to write")
    parser.add_argument("--duration", type=float, default=10.0, help="seconds")
    arguments = parser.parse_args(argv)
    truth = write_clip(arguments.path, load_face_model("open"), arguments.duration)
    np.savez(arguments.path[: -len(".mp4")] + ".npz", **truth._asdict())


if __name__ == "__main__":
    run_main(main)
