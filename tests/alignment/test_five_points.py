"""Five points: reading files, checking the order, and estimating the pose."""

import numpy as np
import pytest

from alignment.five_points import (
    NoFivePoints,
    diagnose_five_points,
    estimate_yaw_and_roll,
    five_points_path,
    read_five_points,
)
from geometry.landmark_layout import STANDARD_POINTS_3D
from utils.errors import InputError

WIDTH, HEIGHT = 500, 400


def project(yaw=0.0, pitch=0.0, roll=0.0, noise=0.0, seed=0, size=100):
    """Five points (y down) of a face turned by degrees, seen by the renderer's 10 dm camera."""
    yaw, pitch, roll = np.radians([yaw, pitch, roll])
    turn_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turn_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    turn_z = np.array(
        [[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    face = STANDARD_POINTS_3D + noise * np.random.RandomState(seed).standard_normal((5, 3))
    x, y, z = turn_z.dot(turn_x).dot(turn_y).dot(face.T)
    return np.stack(
        [WIDTH / 2 + size * x * 10 / (10 - z), HEIGHT / 2 - size * y * 10 / (10 - z)], axis=1
    )


def write(folder, text):
    path = folder / "face.txt"
    path.write_text(text)
    return str(path)


def points_text(points):
    return "\n".join("{:.2f} {:.2f}".format(x, y) for x, y in points)


def test_read(tmp_path):
    points = project(20, 5, 3)
    for text in (
        points_text(points),
        points_text(points).replace(" ", "\t") + "\n\n",
        points_text(points).replace(" ", ", "),
    ):
        np.testing.assert_allclose(
            read_five_points(write(tmp_path, text), WIDTH, HEIGHT), points, atol=0.006
        )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_of_windows_editors_are_read(tmp_path, encoding):
    points = project(20, 5, 3)
    (tmp_path / "face.txt").write_bytes(points_text(points).replace("\n", "\r\n").encode(encoding))
    np.testing.assert_allclose(
        read_five_points(str(tmp_path / "face.txt"), WIDTH, HEIGHT), points, atol=0.006
    )


@pytest.mark.parametrize(
    "content", [b"\xff", b"\xff\xfe1", b"\xfe\xff\xd8\x00\xd8\x00", b"\xef\xbb\xbf\xff"]
)
def test_broken_encodings_are_refused(tmp_path, content):
    (tmp_path / "face.txt").write_bytes(content)
    with pytest.raises(NoFivePoints, match="not numbers"):
        read_five_points(str(tmp_path / "face.txt"), WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "found 0 numbers"),
        ("1 2\n3 4", "found 4 numbers"),
        ("a b\n" * 5, "not numbers"),
        ("nan 1\n" + "1 2\n" * 4, "expected five"),
        ("\x00\xff" * 20, "not numbers"),
        ("a woman with an orange suit, smiling", "not numbers"),
        ("0 0.51 0.43 0.22 0.31\n", "found 5 numbers in 1 lines"),
        ("0 0.51 0.43 0.22 0.31\n15 0.2 0.3 0.1 0.1\n", "found 10 numbers in 2 lines"),
    ],
)
def test_files_that_are_no_points(tmp_path, text, words):
    with pytest.raises(NoFivePoints, match=words) as error:
        read_five_points(write(tmp_path, text), WIDTH, HEIGHT)
    assert "face.txt" in str(error.value) and "\n" not in str(error.value)


def test_five_points_on_one_line_are_read(tmp_path):
    points = project()
    text = points_text(points).replace("\n", " ")
    np.testing.assert_allclose(
        read_five_points(write(tmp_path, text), WIDTH, HEIGHT), points, atol=0.006
    )


def test_points_that_are_no_face_are_refused(tmp_path):
    with pytest.raises(InputError, match="one spot") as error:
        read_five_points(write(tmp_path, "1 2\n" * 5), WIDTH, HEIGHT)
    assert not isinstance(error.value, NoFivePoints)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_five_points(str(tmp_path / "none.txt"), WIDTH, HEIGHT)


def test_points_lie_beside_the_photo():
    assert five_points_path("/a.b/photo.one.jpg") == "/a.b/photo.one.txt"


@pytest.mark.parametrize("yaw", range(-90, 91, 15))
def test_true_faces_are_never_refused(yaw):
    for seed, (pitch, roll) in enumerate([(0, 0), (25, 0), (-25, 0), (0, 40), (0, -40), (20, 20)]):
        points = project(yaw, pitch, roll, noise=0.02, seed=seed)
        assert diagnose_five_points(points, WIDTH, HEIGHT) is None, (yaw, pitch, roll)


@pytest.mark.parametrize("yaw", [-40, 0, 25])
@pytest.mark.parametrize(
    "order, words",
    [
        ([1, 0, 2, 4, 3], "left and right are exchanged"),
        ([1, 0, 2, 3, 4], "another order"),
        ([0, 1, 2, 4, 3], "another order"),
        ([2, 0, 1, 3, 4], "another order"),
        ([0, 1, 3, 4, 2], "another order"),
        ([3, 4, 2, 0, 1], "upside down"),
    ],
)
def test_wrong_orders_are_named(yaw, order, words):
    assert words in diagnose_five_points(project(yaw, 5, 5, noise=0.01)[order], WIDTH, HEIGHT)


def test_y_counted_upwards_is_named():
    points = project(20)
    points[:, 1] = HEIGHT - 1 - points[:, 1]
    assert "y was counted upwards" in diagnose_five_points(points, WIDTH, HEIGHT)


def test_the_message_names_the_order_found(tmp_path):
    text = points_text(project()[[2, 0, 1, 3, 4]])
    with pytest.raises(InputError, match="nose tip, left eye, right eye") as error:
        read_five_points(write(tmp_path, text), WIDTH, HEIGHT)
    assert "the order is left eye, right eye, nose tip" in str(error.value)


def test_points_outside_of_the_photo_are_named():
    points = project()
    points[2] = [2000, 100]
    assert "the nose tip lies outside" in diagnose_five_points(points, WIDTH, HEIGHT)
    assert (
        diagnose_five_points(project() - [230, 0], WIDTH, HEIGHT) is None
    )  # cut by the photo's edge


def test_scattered_points_are_no_face():
    points = np.array([[100, 100], [400, 350], [120, 380], [390, 90], [250, 120]], float)
    assert diagnose_five_points(points, WIDTH, HEIGHT)


@pytest.mark.parametrize("yaw", [-85, -50, -20, 0, 20, 50, 85])
@pytest.mark.parametrize("roll", [-35, 0, 35])
def test_pose(yaw, roll):
    found_yaw, found_roll = estimate_yaw_and_roll(project(yaw, 0, roll))
    # an orthographic camera explains the perspective of a near face by a few degrees
    assert abs(found_yaw - yaw) < 6 and abs(found_roll - roll) < 3
