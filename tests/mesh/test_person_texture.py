"""One texture from several photos: without light, without what hides the face in one of them."""

import numpy as np
import pytest

from mesh.person_texture import bake_person_texture, person_texture_size
from mesh.texture_baking import look_up_texels
from mesh.uv_unwrap import unwrap_uv
from tests.toy_reconstruction import toy_face_model, toy_reconstruction

SIZE = 512
SKIN = np.array([190.0, 140.0, 120.0])


@pytest.fixture(scope="module")
def model():
    return toy_face_model()


@pytest.fixture(scope="module")
def uv_map(model):
    return unwrap_uv(model)


def photo_of(shading, hidden=False):
    """A face of even skin in even light of a given strength, half of it behind a blue board."""
    reconstruction = toy_reconstruction()
    photo = np.empty_like(reconstruction.face.photo)
    photo[...] = np.clip(np.rint(SKIN * shading), 0, 255)
    if hidden:
        photo[:, : photo.shape[1] // 2] = (20, 40, 220)
    albedo = np.tile(SKIN, (len(reconstruction.albedo), 1))
    return reconstruction._replace(
        face=reconstruction.face._replace(photo=photo), albedo=albedo, colors=albedo * shading
    )


def bake(model, uv_map, photos):
    return bake_person_texture(photos, model, uv_map, photos[0].albedo, SIZE).astype(float)


def face_of(model, uv_map):
    """Return the texels of the front of the face in the photo, [T, T] bool."""
    texels = look_up_texels(photo_of(1.0), model, uv_map, SIZE)
    return texels.covered & (texels.certain > 0.2)


def test_different_light_gives_the_same_skin(model, uv_map):
    texture = bake(model, uv_map, [photo_of(0.7), photo_of(1.0), photo_of(1.2)])
    np.testing.assert_allclose(texture[face_of(model, uv_map)].mean(axis=0), SKIN, atol=3)


def test_a_board_in_front_of_one_photo_does_not_show(model, uv_map):
    photos = [photo_of(1.0), photo_of(0.9, hidden=True), photo_of(0.8)]
    texture = bake(model, uv_map, photos)
    alone = bake(model, uv_map, photos[1:2])
    seen = face_of(model, uv_map)
    errors = [np.abs(picture[seen] - SKIN).max(axis=1) for picture in (texture, alone)]
    assert np.percentile(errors[0], 99) < 12
    assert np.percentile(errors[1], 99) > 60  # with that photo alone it shows


def test_texels_that_no_photo_shows_are_filled(model, uv_map):
    texture = bake(model, uv_map, [photo_of(1.0)])
    assert np.all(np.isfinite(texture)) and texture.min() > 60  # no black holes


def test_memory_is_bounded_by_the_size(model, uv_map):
    assert person_texture_size(photo_of(1.0), model, uv_map) <= 2048
