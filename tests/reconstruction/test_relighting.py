"""Faces under another light: directions and environment maps."""

import numpy as np
import pytest
from PIL import Image

import renderer
from geometry.spherical_harmonics import harmonics_array
from reconstruction.face_views import crop_view
from reconstruction.relighting import project_environment, read_light, relight
from tests.toy_reconstruction import toy_face_model, toy_reconstruction
from utils.errors import InputError


def light_at(light, *normal):
    return harmonics_array(np.array(normal, float)).dot(light.T)


def test_an_even_environment_lights_every_surface_alike():
    light = project_environment(np.full((64, 128, 3), 2.0))
    for normal in ((1, 0, 0), (0, -1, 0), (0, 0.6, 0.8)):
        np.testing.assert_allclose(light_at(light, *normal), 2.0, rtol=0.01)


def test_a_spot_of_the_map_lights_what_faces_it():
    """Against the integral over the map: a surface gets the light of the spot times its cosine."""
    panorama = np.zeros((64, 128, 3))
    panorama[8:12, 96] = [1, 2, 0]  # high, and right of the middle: from -x
    light = project_environment(panorama)
    height = np.pi * (0.5 - 10 / 64.0)
    direction = np.array([-np.cos(height), np.sin(height), 0.0])
    strength = 4 * np.cos(height) * (np.pi / 64) * (2 * np.pi / 128) / np.pi
    found = light_at(light, *direction)
    np.testing.assert_allclose(found, strength * np.array([1, 2, 0]), rtol=0.1, atol=1e-6)
    assert light_at(light, *-direction)[0] < 0.1 * found[0]


def test_directions_are_read_and_refused():
    light = read_light(["2", "0", "0"])
    bright, dark = light_at(light, 1, 0, 0), light_at(light, -1, 0, 0)
    np.testing.assert_allclose(bright, 1.0, atol=0.1)
    assert np.all(dark < 0.2)
    for values in (["1", "2"], ["0", "0", "0"], ["a", "b", "c"], ["nan", "0", "1"]):
        with pytest.raises(InputError, match="three numbers of a direction"):
            read_light(values)
    with pytest.raises(InputError):
        read_light(["no_such_file.hdr"])


def test_a_photo_is_an_environment_too(tmp_path):
    path = str(tmp_path / "room.png")
    Image.new("RGB", (64, 32), (255, 255, 255)).save(path)
    np.testing.assert_allclose(light_at(read_light([path]), 0, 1, 0), 1.0, rtol=0.02)


def test_the_side_of_the_light_is_brighter_and_the_background_stays():
    model, reconstruction = toy_face_model(), toy_reconstruction()
    under = np.full((224, 224, 3), 100, np.uint8)
    view = crop_view(reconstruction.world_shape, 224)
    right = relight(reconstruction, model, view, under, read_light(["1", "0", "0.3"]))
    left = relight(reconstruction, model, view, under, read_light(["-1", "0", "0.3"]))
    changed = np.argwhere((right != under).any(axis=2))
    middle = np.median(changed[:, 1])
    columns = np.arange(224)
    east, west = right[:, columns > middle + 20], right[:, columns < middle - 20]
    assert east.astype(int).sum() > west.astype(int).sum() * 1.01
    assert left[:, columns < middle - 20].sum() > left[:, columns > middle + 20].sum()
    np.testing.assert_array_equal(right[:3], under[:3])
    assert 80 < right[tuple(changed.T)].mean() < 120  # as bright as before


def test_relit_pictures_are_written(tmp_path):
    arguments = renderer.parse_arguments(
        ["--output", str(tmp_path), "--kinds", "depth", "--frames", "0", "--light", "-1", "0", "1"]
    )
    light = read_light(arguments.light)
    row = renderer.write_pictures(toy_reconstruction(), toy_face_model(), arguments, light)
    assert len(row) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "face_depth.png",
        "face_photo_depth.png",
        "face_photo_relit.png",
        "face_relit.png",
    ]
