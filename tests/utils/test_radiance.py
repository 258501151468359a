"""Radiance pictures: rows with and without runs, and damaged files."""

import os

import numpy as np
import pytest

from utils.errors import InputError
from utils.radiance import read_radiance

HEADER = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n"


def encode(pixels, runs):
    """Return the bytes of [H, W, 4] uint8 pixels, with runs or plain."""
    content = HEADER % pixels.shape[:2]
    for row in pixels:
        if not runs:
            content += row.tobytes()
            continue
        content += bytes([2, 2, 0, len(row)])
        for channel in row.T:
            half = len(channel) // 2
            content += bytes([128 + half, channel[0], len(channel) - half])
            content += channel[half:].tobytes()
    return content


@pytest.mark.parametrize("runs", [True, False])
def test_light_is_mantissa_times_a_power_of_two(tmp_path, runs):
    pixels = np.random.RandomState(0).randint(100, 140, (3, 10, 4)).astype(np.uint8)
    pixels[:, :5] = [200, 100, 50, 129]  # 2^(129 - 136) = 1 / 128
    pixels[1, 7:] = 0
    path = tmp_path / "map.hdr"
    path.write_bytes(encode(pixels, runs))
    light = read_radiance(str(path))
    assert light.shape == (3, 10, 3) and light.dtype == np.float32
    np.testing.assert_allclose(light[0, 0], np.array([200, 100, 50]) / 128.0)
    expected = pixels[..., :3] * 2.0 ** (pixels[..., 3:].astype(int) - 136)
    expected[1, 7:] = 0
    np.testing.assert_allclose(light, expected)


def test_damaged_files_are_refused_in_one_sentence(tmp_path):
    pixels = np.full((3, 10, 4), 128, np.uint8)
    whole = encode(pixels, True)
    longer = bytearray(whole)
    longer[len(HEADER % (3, 10)) + 4] = 255  # a run of 127 pixels in a row of ten
    damaged = (b"", b"#?RADIANCE\n\n-Y 3 +X 10\n", whole[:-4], b"x" + whole, bytes(longer))
    path = tmp_path / "map.hdr"
    for content in damaged + (HEADER % (99999, 99999),):
        path.write_bytes(content)
        with pytest.raises(InputError, match="map.hdr: no Radiance picture"):
            read_radiance(str(path))
    with pytest.raises(InputError, match="no such file"):
        read_radiance(str(tmp_path / "none.hdr"))
    os.mkfifo(str(tmp_path / "pipe.hdr"))
    with pytest.raises(InputError, match="no such file"):
        read_radiance(str(tmp_path / "pipe.hdr"))
