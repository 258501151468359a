"""The table has the columns of Live Link Face, and the right values in them."""

import csv
import io

import numpy as np
import pytest

from geometry.rotation import rotation_with_derivatives
from video.live_link import ACTIONS, HEADER, encode_table, time_code
from video.motion import Motion

NAMES = tuple(name[0].lower() + name[1:] for name in sorted(ACTIONS)) + ("more",)


def rows_of(expression, angles):
    count = len(expression)
    motion = Motion(
        *[np.arange(count)] * 4,
        rotation=np.array([rotation_with_derivatives(one)[0].T for one in angles]),
        position=np.zeros((count, 2)),
        size=np.ones(count),
        expression=expression,
        light=np.zeros((count, 27)),
        trust=np.ones(count),
    )
    motion = motion._replace(seconds=np.arange(count) / 25.0)
    table = encode_table(motion, NAMES, 25.0).decode("ascii")
    return list(csv.reader(io.StringIO(table)))


def test_columns_are_those_of_the_app():
    assert HEADER[:4] == ("Timecode", "BlendshapeCount", "EyeBlinkLeft", "EyeLookDownLeft")
    assert HEADER[16:20] == ("JawForward", "JawRight", "JawLeft", "JawOpen")
    assert HEADER[53:57] == ("TongueOut", "HeadYaw", "HeadPitch", "HeadRoll")
    assert HEADER[57:] == tuple(
        side + "Eye" + angle for side in ("Left", "Right") for angle in ("Yaw", "Pitch", "Roll")
    )
    assert len(HEADER) == len(set(HEADER)) == 63


def test_values_stand_under_their_names():
    expression = np.random.RandomState(0).uniform(0, 1, (3, len(NAMES)))
    angles = np.array([[0.1, -0.2, 0.3]] * 3)
    rows = rows_of(expression, angles)
    assert tuple(rows[0]) == HEADER and len(rows) == 4
    for frame, row in enumerate(rows[1:]):
        values = dict(zip(HEADER, row))
        assert values["BlendshapeCount"] == "61"
        for name, weight in zip(NAMES[:52], expression[frame]):
            assert float(values[name[0].upper() + name[1:]]) == pytest.approx(weight, abs=1e-6)
        assert float(values["HeadPitch"]) == pytest.approx(0.1, abs=1e-6)
        assert float(values["HeadYaw"]) == pytest.approx(-0.2, abs=1e-6)
        assert float(values["HeadRoll"]) == pytest.approx(0.3, abs=1e-6)
    assert [row[0] for row in rows[1:]] == ["00:00:00:00.000", "00:00:00:01.000", "00:00:00:02.000"]


def test_eyes_that_look_to_the_right_of_the_picture_turn_there_together():
    expression = np.zeros((1, len(NAMES)))
    for name in ("eyeLookOutLeft", "eyeLookInRight", "eyeLookDownLeft", "eyeLookDownRight"):
        expression[0, NAMES.index(name)] = 0.5
    values = dict(zip(HEADER, rows_of(expression, np.zeros((1, 3)))[1]))
    assert float(values["LeftEyeYaw"]) == float(values["RightEyeYaw"]) > 0.1
    assert float(values["LeftEyePitch"]) == float(values["RightEyePitch"]) > 0.1


@pytest.mark.parametrize(
    "seconds, rate, wanted",
    [
        (0.0, 30.0, "00:00:00:00.000"),
        (1.0 - 1e-9, 30.0, "00:00:00:29.999"),
        (3661.5, 24.0, "01:01:01:12.000"),
        (0.05, 30.0, "00:00:00:01.500"),
    ],
)
def test_time_codes_count_frames_and_thousandths(seconds, rate, wanted):
    assert time_code(seconds, rate) == wanted
