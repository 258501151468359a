"""The weights and angles of a clip as a table in the column layout of Live Link Face (Epic Games).

Columns: ``Timecode`` (hours:minutes:seconds:frames.thousandths), ``BlendshapeCount``, the 52
actions of ARKit, and yaw, pitch and roll of head and eyes in radians.
"""

import csv
import io
from typing import List, Sequence, Tuple

import numpy as np

from geometry.rotation import euler_angles
from video.motion import Motion

# The order of the app, which is not that of ARKit's documentation.
# fmt: off
ACTIONS = (
    "EyeBlinkLeft", "EyeLookDownLeft", "EyeLookInLeft", "EyeLookOutLeft", "EyeLookUpLeft",
    "EyeSquintLeft", "EyeWideLeft",
    "EyeBlinkRight", "EyeLookDownRight", "EyeLookInRight", "EyeLookOutRight", "EyeLookUpRight",
    "EyeSquintRight", "EyeWideRight",
    "JawForward", "JawRight", "JawLeft", "JawOpen",
    "MouthClose", "MouthFunnel", "MouthPucker", "MouthRight", "MouthLeft",
    "MouthSmileLeft", "MouthSmileRight", "MouthFrownLeft", "MouthFrownRight",
    "MouthDimpleLeft", "MouthDimpleRight", "MouthStretchLeft", "MouthStretchRight",
    "MouthRollLower", "MouthRollUpper", "MouthShrugLower", "MouthShrugUpper",
    "MouthPressLeft", "MouthPressRight", "MouthLowerDownLeft", "MouthLowerDownRight",
    "MouthUpperUpLeft", "MouthUpperUpRight",
    "BrowDownLeft", "BrowDownRight", "BrowInnerUp", "BrowOuterUpLeft", "BrowOuterUpRight",
    "CheekPuff", "CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft", "NoseSneerRight",
    "TongueOut")
# fmt: on
ANGLES = tuple(
    part + angle for part in ("Head", "LeftEye", "RightEye") for angle in ("Yaw", "Pitch", "Roll")
)
HEADER = ("Timecode", "BlendshapeCount") + ACTIONS + ANGLES
# Radians by which an eye turns at the full strength of a look action.
_LOOK_SIDEWAYS, _LOOK_UP_OR_DOWN = np.radians(30.0), np.radians(25.0)


def encode_table(motion: Motion, names: Sequence[str], frame_rate: float) -> bytes:
    """Return the rows of a motion as the bytes of a CSV file.

    Args:
        motion: a ``Motion``.
        names: of the expression components; actions that are missing there are 0.
        frame_rate: frames a second, of the time code.
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(HEADER)
    count = str(len(ACTIONS) + len(ANGLES))
    places = {name.lower(): i for i, name in enumerate(names)}
    for seconds, rotation, expression in zip(motion.seconds, motion.rotation, motion.expression):
        weights = {name: expression[place] for name, place in places.items()}
        values = [float(weights.get(action.lower(), 0.0)) for action in ACTIONS]
        pitch, yaw, roll = euler_angles(rotation)
        values += [yaw, pitch, roll] + _eye_angles(values)
        row = ["{:.6f}".format(value + 0.0) for value in values]
        writer.writerow([time_code(seconds, frame_rate), count] + row)
    return lines.getvalue().encode("ascii")


def time_code(seconds: float, frame_rate: float) -> str:
    """Return a time as hours:minutes:seconds:frames.thousandths of a frame."""
    whole, rest = divmod(max(seconds, 0.0), 1.0)
    thousandths = min(int(round(rest * frame_rate * 1000)), int(np.ceil(frame_rate)) * 1000 - 1)
    frames, thousandths = divmod(thousandths, 1000)
    minutes, second = divmod(int(whole), 60)
    hours, minute = divmod(minutes, 60)
    return "{:02d}:{:02d}:{:02d}:{:02d}.{:03d}".format(hours, minute, second, frames, thousandths)


def _eye_angles(values: Sequence[float]) -> List[float]:
    """Return yaw, pitch and roll of the left and the right eye, from the look actions.

    As for the head, yaw is positive to the right of the picture, and pitch is positive downwards.
    """
    weights = dict(zip(ACTIONS, values))
    angles: List[float] = []
    # The left eye is at the right of the picture: it looks there when it looks out.
    sides: Tuple[Tuple[str, float], ...] = (("Left", 1.0), ("Right", -1.0))
    for side, outwards in sides:
        out = weights["EyeLookOut" + side] - weights["EyeLookIn" + side]
        down = weights["EyeLookDown" + side] - weights["EyeLookUp" + side]
        angles += [outwards * out * _LOOK_SIDEWAYS, down * _LOOK_UP_OR_DOWN, 0.0]
    return angles
