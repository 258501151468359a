"""Turned squares of a photo, and crops of turned photos."""

import numpy as np
import pytest
from PIL import Image

from alignment.align import align, paste_crop, upright_angle
from alignment.square import Square, cut_affine, resize_box
from geometry.landmark_layout import STANDARD_POINTS_3D


def ramp(height=240, width=320):
    """Return a photo whose red is its column and whose green is its row, half a level each."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([columns * 0.5, rows * 0.5, rows * 0], axis=2).round().astype(np.uint8)


@pytest.mark.parametrize("degrees", [0, 30, -135])
def test_points_go_to_the_photo_and_back(degrees):
    square = Square(np.array([120.0, 90.0]), 77.0, degrees)
    points = np.random.RandomState(0).uniform(0, 64, (10, 2))
    np.testing.assert_allclose(
        square.from_photo(square.to_photo(points, 64), 64), points, atol=1e-9
    )
    middle = np.full(2, 31.5)
    np.testing.assert_allclose(square.to_photo(middle, 64), [120, 90])
    up = square.to_photo(middle - [0, 10], 64) - [120, 90]
    lean = np.degrees(np.arctan2(up[0], -up[1]))
    assert lean == pytest.approx(degrees, abs=1e-6)


@pytest.mark.parametrize("degrees", [0, 20, 90, 200])
def test_pixels_of_a_square_are_those_of_the_photo(degrees):
    photo = ramp()
    square = Square(np.array([150.0, 110.0]), 64.0, degrees)
    crop = square.cut(photo, 64)
    rows, columns = np.mgrid[4:60:7, 4:60:7]
    x, y = square.to_photo(np.stack([columns, rows], axis=-1), 64)[..., :2].T
    np.testing.assert_allclose(crop[rows, columns, 1].T, 0.5 * y, atol=1.01)
    np.testing.assert_allclose(crop[rows, columns, 0].T, 0.5 * x, atol=1.01)


def test_a_shrunk_square_is_smooth():
    photo = (
        np.random.RandomState(0).randint(0, 2, (400, 400, 1)).repeat(3, 2).astype(np.uint8) * 255
    )
    crop = Square(np.array([200.0, 200.0]), 256.0, 10.0).cut(photo, 32)
    assert crop[4:-4, 4:-4].std() < 40  # 127 without smoothing


def test_outside_of_the_photo_is_black():
    photo = np.full((50, 50, 3), 200, np.uint8)
    crop = cut_affine(photo, np.array([[1.0, 0, 40], [0, 1, 40]]), (32, 32))
    assert (crop[:8, :8] > 150).all() and not crop[14:, 14:].any()


@pytest.mark.parametrize("degrees", [40, 90, -170])
def test_a_leaning_face_is_cut_out_upright(degrees):
    # a face that leans by an angle, about the middle of the photo
    photo = np.asarray(Image.fromarray(ramp(400, 400)))
    upright = STANDARD_POINTS_3D[:, :2] * [120, -120]
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = upright.dot(turn.T) + 200
    assert upright_angle(points) == pytest.approx(degrees, abs=0.5)
    found = align(photo, points, upright_angle(points))
    assert found.five_points[3:, 1].mean() > found.five_points[:2, 1].mean() + 50
    np.testing.assert_allclose(found.to_crop(points), found.five_points, atol=1.5)
    np.testing.assert_allclose(found.to_photo(found.to_crop(points)), points, atol=1e-9)
    rows, columns = np.mgrid[20:200:30, 20:200:30]
    x, y = found.to_photo(np.stack([columns, rows], axis=-1))[..., :2].T
    inside = (x > 5) & (x < 394) & (y > 5) & (y < 250)
    assert inside.sum() > 5
    np.testing.assert_allclose(found.crop[rows, columns, 1].T[inside], 0.5 * y[inside], atol=1.5)

    # a dot of the crop lies at its place in the photo
    overlay = np.zeros((448, 448, 4), np.uint8)
    overlay[180:184, 100:104] = [255, 0, 255, 255]
    pasted = paste_crop(photo, overlay, found)
    changed = np.argwhere(pasted[..., 2] > 100)[:, ::-1]
    there = found.to_photo(np.array([50.5, 90.5]))
    np.testing.assert_allclose(changed.mean(axis=0), there, atol=1.0)


def test_a_face_that_leans_a_little_is_cut_out_as_published():
    points = STANDARD_POINTS_3D[:, :2] * [120, -120] + 200
    assert upright_angle(points) == 0


@pytest.mark.parametrize("resample", [Image.BICUBIC, Image.LANCZOS])
@pytest.mark.parametrize("size", [(30, 20), (200, 310)])
def test_a_resized_box_is_that_of_the_whole_photo(resample, size):
    photo = np.random.RandomState(2).randint(0, 256, (140, 170, 3)).astype(np.uint8)
    first, last = np.array([31.3, 40.7]), np.array([129.9, 138.2])
    box = tuple(first) + tuple(last)
    wanted = np.asarray(Image.fromarray(photo).resize(size, resample, box=box)).astype(int)
    found = resize_box(photo, first, last, np.array(size), resample)
    difference = np.abs(found - wanted)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01
