"""The published crop, the maps between crop and photo, and the skin mask."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from alignment import skin
from alignment.align import (
    align,
    crop_box,
    crop_to_photo,
    crop_to_photo_matrix,
    paste_crop,
    photo_to_crop,
)
from geometry.camera import IMAGE_SIZE, flip_y
from geometry.landmark_layout import STANDARD_POINTS_3D
from tests.paths import TESTS_DIR
from utils.errors import InputError

GOLDEN = os.path.join(TESTS_DIR, "golden", "alignment_and_skin.npz")


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def aligned(golden):
    return align(golden["align_image_rgb"], golden["align_lm5"])


def smooth_photo(width, height):
    """A photo whose red is x and whose green is y, so that a pixel has its place as its color."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return (
        np.stack([columns * 255.0 / width, rows * 255.0 / height, 0 * rows], axis=-1)
        .round()
        .astype(np.uint8)
    )


def points_at(x, y, size):
    """Five points of a frontal face (y down) around (x, y); ``size`` pixels per dm."""
    return STANDARD_POINTS_3D[:, :2] * [size, -size] + [x, y]


def test_crop_is_the_published_one(golden, aligned):
    difference = np.abs(aligned.crop.astype(int) - golden["align_crop_bgr"][..., ::-1])
    assert aligned.crop.dtype == np.uint8 and difference.max() <= 2


def test_five_points_and_parameters_are_the_published_ones(golden, aligned):
    np.testing.assert_allclose(aligned.five_points, golden["align_lm5_crop"], rtol=1e-6)
    np.testing.assert_allclose(aligned.trans_params, golden["align_trans_params"], rtol=1e-6)


@pytest.mark.parametrize(
    "x, y, size", [(300, 200, 90), (40, 30, 150), (600, 400, 40), (320, 240, 700), (0, 240, 51)]
)
def test_crop_equals_resizing_the_whole_photo(x, y, size):
    photo = np.random.RandomState(0).randint(0, 256, (480, 640, 3)).astype(np.uint8)
    crop, _, trans_params, _ = align(photo, points_at(x, y, size))
    box = crop_box(trans_params)
    whole = Image.fromarray(photo).resize(box.resized_size, Image.BICUBIC)
    left, top = box.corner
    expected = np.asarray(whole.crop((left, top, left + IMAGE_SIZE, top + IMAGE_SIZE)))
    assert np.abs(crop.astype(int) - expected).max() <= 1


def test_a_small_face_in_a_large_photo_needs_no_large_resize():
    photo = smooth_photo(3000, 2000)
    crop = align(
        photo, points_at(1500, 1000, 1.5)
    ).crop  # the resized photo would have 27 gigapixels
    assert np.abs(crop[112, 112].astype(int) - photo[1000, 1500]).max() <= 1


def test_maps_follow_the_pixels():
    photo = smooth_photo(640, 480)
    alignment = align(photo, points_at(300, 200, 120))
    spots = np.array([[60, 70], [112, 112], [200, 150]])
    x, y = crop_to_photo(spots, alignment.trans_params).T
    colors = alignment.crop[spots[:, 1], spots[:, 0]].astype(float)
    np.testing.assert_allclose(colors[:, 0] * 640 / 255, x, atol=1.6)  # a gray level is 2.5 pixels
    np.testing.assert_allclose(colors[:, 1] * 480 / 255, y, atol=1.3)


def test_maps_invert_each_other(golden, aligned):
    points = np.random.RandomState(1).uniform(-50, 400, (4, 7, 2))
    there = photo_to_crop(points, aligned.trans_params)
    np.testing.assert_allclose(crop_to_photo(there, aligned.trans_params), points, atol=1e-9)
    matrix = crop_to_photo_matrix(aligned.trans_params)
    np.testing.assert_allclose(there.dot(matrix[:, :2].T) + matrix[:, 2], points, atol=1e-9)
    np.testing.assert_allclose(flip_y(flip_y(points)), points)


def test_maps_agree_with_the_published_points_but_for_rounding(golden, aligned):
    exact = photo_to_crop(golden["align_lm5"], aligned.trans_params)
    assert np.abs(exact - aligned.five_points).max() < 1.5


def test_parameters_may_come_back_as_a_matlab_row(aligned):
    stored = aligned.trans_params.reshape(1, 5)
    assert crop_box(stored) == crop_box(aligned.trans_params)


def test_outside_of_the_photo_is_black():
    crop = align(np.full((300, 300, 3), 200, np.uint8), points_at(0, 150, 102)).crop
    assert (crop[:, :100] == 0).all() and (crop[:, 125:] == 200).all()


@pytest.mark.parametrize("size", [60, 300])
def test_pasting_the_crop_back_restores_the_photo(size):
    photo = smooth_photo(640, 480)
    alignment = align(photo, points_at(300, 220, size))
    overlay = np.dstack([alignment.crop, np.full((IMAGE_SIZE, IMAGE_SIZE), 255, np.uint8)])
    pasted = paste_crop(photo, overlay, alignment)
    assert np.abs(pasted.astype(int) - photo)[8:-8, 8:-8].max() <= 3
    assert np.array_equal(photo, smooth_photo(640, 480))  # the argument stays as it was


def test_pasted_overlay_agrees_with_the_map():
    photo = np.zeros((480, 640, 3), np.uint8)
    alignment = align(photo, points_at(300, 220, 160))
    for factor in (1, 3):
        overlay = np.zeros((IMAGE_SIZE * factor, IMAGE_SIZE * factor, 4), np.uint8)
        overlay[90 * factor : 101 * factor, 50 * factor : 61 * factor] = (
            255  # centered on crop pixel (55, 95)
        )
        pasted = paste_crop(photo, overlay, alignment)[..., 0].astype(float)
        rows, columns = np.mgrid[:480, :640]
        center = np.array([(pasted * columns).sum(), (pasted * rows).sum()]) / pasted.sum()
        np.testing.assert_allclose(center, alignment.to_photo(np.array([55.0, 95.0])), atol=0.2)


def test_transparent_overlay_changes_nothing():
    photo = smooth_photo(320, 240)
    overlay = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 4), np.uint8)
    np.testing.assert_array_equal(
        paste_crop(photo, overlay, align(photo, points_at(160, 120, 70))), photo
    )


def test_impossible_points_are_refused():
    photo = smooth_photo(200, 200)
    with pytest.raises(InputError, match="one spot"):
        align(photo, np.full((5, 2), 50.0))
    with pytest.raises(InputError, match="outside of the photo"):
        align(photo, points_at(5000, 100, 102))


def test_skin_mask_is_the_published_one(golden):
    np.testing.assert_array_equal(
        skin.skin_mask(golden["skin_bgr"][..., ::-1]), golden["skin_mask"]
    )


def test_skin_mask_equals_the_textbook_formula():
    photo = np.random.RandomState(2).randint(0, 256, (8, 9, 3)).astype(np.uint8)
    with open(os.path.join(os.path.dirname(skin.__file__), "skin_gmm.json")) as file:
        constants = json.load(file)
    expected = np.zeros((8, 9))
    for row, column in np.ndindex(8, 9):
        r, g, b = photo[row, column] / 255.0
        color = np.array(
            [
                16 + 65.481 * r + 128.553 * g + 24.966 * b,
                128 - 37.797 * r - 74.203 * g + 112 * b,
                128 + 112 * r - 93.786 * g - 18.214 * b,
            ]
        )
        skin_density, other_density = (
            sum(
                c["weight"]
                * np.exp(-(color - c["mean"]).dot(c["inv_cov"]).dot(color - c["mean"]) / 2)
                / np.sqrt((2 * np.pi) ** 3 * c["det_cov"])
                for c in constants[kind]
            )
            for kind in ("skin", "non_skin")
        )
        expected[row, column] = (
            255 * 0.8 * skin_density / (0.8 * skin_density + 0.2 * other_density)
        )
    assert np.abs(skin.skin_mask(photo) - expected).max() <= 0.51


def test_skin_is_skin():
    colors = np.array(
        [[[224, 172, 145], [141, 85, 60], [40, 90, 200], [30, 140, 40], [255, 255, 255]]], np.uint8
    )
    mask = skin.skin_mask(colors)[0]
    assert (mask[:2] > 200).all() and (mask[2:4] < 60).all()
