"""Dots, tiles, the colors of the heat map, and JPEG files."""

import io

import numpy as np
from PIL import Image

from utils.drawing import draw_points, encode_jpeg, heat_colors, tile_pictures
from utils.tf_compat import tf


def test_dots_are_round_and_y_points_down():
    image = Image.new("RGB", (40, 30))
    draw_points(image, np.array([[10.0, 20.0], [-50.0, 900.0]]), (0, 255, 0), radius=2)
    pixels = np.asarray(image)
    assert pixels[20, 10].tolist() == pixels[18, 10].tolist() == [0, 255, 0]
    assert not pixels[18, 8].any() and not pixels[10, 20].any() and not pixels[..., 0].any()


def test_tiles_fill_rows_from_the_top_left():
    pictures = [np.full((2, 3, 3), level, np.uint8) for level in range(1, 6)]
    sheet = tile_pictures(pictures, columns=3, background=9)
    assert sheet.shape == (4, 9, 3) and sheet.dtype == np.uint8
    assert sheet[::2, ::3, 0].tolist() == [[1, 2, 3], [4, 5, 9]]


def test_tiles_are_arrays_or_pillow_images():
    picture = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    sheet = tile_pictures([Image.fromarray(picture), picture], columns=2)
    np.testing.assert_array_equal(sheet, np.concatenate([picture, picture], axis=1))


def test_heat_rises_from_black_over_red_and_yellow_to_white():
    levels = np.float32([0, 0.5, 1, 2, 3, 7])
    colors = heat_colors(levels)
    assert colors.dtype == np.float32
    assert colors.tolist() == [
        [0, 0, 0],
        [127.5, 0, 0],
        [255, 0, 0],
        [255, 255, 0],
        [255, 255, 255],
        [255, 255, 255],
    ]
    with tf.Graph().as_default(), tf.Session() as session:
        tensor = heat_colors(tf.constant(levels), clip=tf.clip_by_value)
        np.testing.assert_array_equal(session.run(tensor), colors)


def test_jpeg_files_show_the_picture():
    picture = np.full((16, 24, 3), (200, 100, 50), np.uint8)
    with Image.open(io.BytesIO(encode_jpeg(picture, quality=90))) as image:
        assert image.format == "JPEG" and image.size == (24, 16)
        assert np.abs(np.asarray(image).astype(int) - picture).max() < 5
