"""Pictures of faces: positions and contents."""

import numpy as np
import pytest
from PIL import Image

import renderer
from mesh.morph_targets import upright_shape
from mesh.uv_unwrap import unwrap_uv
from reconstruction.face_views import (
    KINDS,
    View,
    arrange_contact_sheet,
    crop_view,
    cut_crop,
    draw_attributes,
    draw_pictures,
    draw_turntable,
    photo_view,
)
from reconstruction.frontal_view import draw_frontal
from tests.toy_reconstruction import toy_face_model, toy_reconstruction


@pytest.fixture(scope="module")
def face():
    return toy_face_model(), toy_reconstruction()


def test_the_frontal_view_turns_the_face_and_marks_what_the_photo_hides():
    model = toy_face_model()
    face = toy_reconstruction(model=model)
    upright = crop_view(upright_shape(face, model), 112)
    _, wanted = draw_attributes(upright, model.triangles, np.zeros((model.vertex_count, 1)))
    frontal, hidden = draw_frontal(face, model, unwrap_uv(model), 112)
    assert frontal.shape == (112, 112, 4) and hidden.shape == (112, 112)
    np.testing.assert_allclose(frontal[..., 3] / 255.0, wanted, atol=0.01)
    assert not hidden[wanted == 0].any()

    # in the photo the face looks to the right, which hides more of that half
    sides = hidden[:, :56].mean() / 255, hidden[:, 56:].mean() / 255
    assert sides[1] > 1.3 * sides[0]
    photo = face.face.photo
    seen = (hidden < 5) & (wanted == 1)
    assert seen.sum() > 500
    assert np.abs(frontal[seen][:, 2] - photo[0, 0, 2].astype(float)).max() <= 2  # 128 all over


def square_view(low, high, size):
    corners = np.array([[low, low], [high, low], [low, high], [high, high]], float)
    return View(corners, np.zeros(4), size, size)


def test_a_square_covers_its_pixels_and_half_of_its_border():
    image, coverage = draw_attributes(
        square_view(10, 20.5, 40), np.array([[0, 2, 1], [1, 2, 3]], np.int32), np.full((4, 1), 7.0)
    )
    assert np.all(coverage[10:20, 10:20] == 1) and coverage[20, 15] == 0.5
    assert coverage.sum() == pytest.approx(10.5**2, abs=0.3)
    np.testing.assert_allclose(image[10:21, 10:21], 7, atol=1e-5)
    assert np.all(image[coverage == 0] == 0)


def test_attributes_are_interpolated_linearly():
    view = square_view(0, 32, 32)
    image, _ = draw_attributes(view, np.array([[0, 2, 1], [1, 2, 3]], np.int32), view.screen)
    rows, columns = np.mgrid[:32, :32] + 0.5
    np.testing.assert_allclose(image, np.stack([columns, rows], axis=2), atol=1e-3)


def test_a_face_that_lies_outside_is_not_drawn():
    _, coverage = draw_attributes(
        square_view(-30, -10, 20), np.array([[0, 2, 1]], np.int32), np.ones((4, 1))
    )
    assert not coverage.any()


def test_the_nearer_surface_hides_the_other():
    screen = np.tile([[0.0, 0], [20, 0], [0, 20]], (2, 1))
    view = View(screen, np.array([1.0, 1, 1, -1, -1, -1]), 20, 20)
    image, _ = draw_attributes(
        view, np.array([[0, 1, 2], [3, 4, 5]], np.int32), np.repeat([[1.0], [2.0]], 3, axis=0)
    )
    assert image[3, 3, 0] == 2


def test_crop_and_photo_show_the_face_in_the_same_place(face):
    """A place in the crop shows the same as the place in the photo that it was cut from."""
    model, reconstruction = face
    _, in_crop = draw_attributes(
        crop_view(reconstruction.world_shape, 224),
        model.triangles,
        np.ones((model.vertex_count, 1)),
    )
    _, in_photo = draw_attributes(
        photo_view(reconstruction), model.triangles, np.ones((model.vertex_count, 1))
    )
    ratio = in_photo.sum() / in_crop.sum()
    assert ratio == pytest.approx(reconstruction.face.alignment.trans_params[2] ** -2, rel=0.02)
    photo = reconstruction.face.photo.copy()
    photo[in_photo > 0.5] = [0, 0, 255]
    painted = reconstruction._replace(face=reconstruction.face._replace(photo=photo))
    blue = cut_crop(painted, 224)[..., 2] > 192
    assert np.mean(blue != (in_crop > 0.5)) < 0.01


@pytest.mark.parametrize("size", [97, 224, 500])
def test_every_kind_at_any_size(face, size):
    model, reconstruction = face
    under = cut_crop(reconstruction, size)
    pictures = draw_pictures(
        reconstruction, model, crop_view(reconstruction.world_shape, size), under
    )
    assert set(pictures) == set(KINDS)
    for kind, picture in pictures.items():
        assert picture.shape == (size, size, 3) and picture.dtype == np.uint8, kind
        assert np.any(picture != under), kind


def test_the_cut_crop_agrees_with_the_published_crop(face):
    difference = cut_crop(face[1], 224).astype(int) - face[1].face.alignment.crop
    assert np.abs(difference[5:-5, 5:-5]).mean() < 2


def test_landmarks_stand_where_the_crop_shows_them_whatever_the_size_of_the_photo(face):
    """A photo as large as the picture is no view of the photo; one more row changes nothing."""
    model, size = face[0], 400
    square = toy_reconstruction(photo_size=size)
    points = np.full((68, 2), 120.0)
    square = square._replace(face=square.face._replace(landmarks=points))
    taller = square._replace(
        face=square.face._replace(photo=np.pad(square.face.photo, ((0, 1), (0, 0), (0, 0)), "edge"))
    )
    pictures = [
        draw_pictures(one, model, crop_view(one.world_shape, size), np.zeros((size, size, 3), "u1"))
        for one in (square, taller)
    ]
    np.testing.assert_array_equal(pictures[0]["landmarks"], pictures[1]["landmarks"])
    detected = np.argwhere(pictures[0]["landmarks"][..., 1] > 200).mean(axis=0)[::-1] + 0.5
    in_crop = square.face.alignment.to_crop(square.face.landmarks)[0] + 0.5
    np.testing.assert_allclose(detected, in_crop * size / 224, atol=1)


def test_normals_and_depth_read_as_documented(face):
    """Blue is 255 where the surface faces the camera; the nearest point is white."""
    model, reconstruction = face
    view = crop_view(reconstruction.world_shape, 224)
    pictures = draw_pictures(reconstruction, model, view, cut_crop(reconstruction, 224))
    normals = pictures["normals"].astype(float) / 127.5 - 1
    drawn = pictures["depth"][..., 0] != 24
    lengths = np.linalg.norm(normals[drawn], axis=1)
    assert np.median(np.abs(lengths - 1)) < 0.02
    nearest = view.screen[np.argmax(reconstruction.world_shape[:, 2])].astype(int)
    assert pictures["depth"][nearest[1], nearest[0], 0] > 240


def test_turntable_turns_and_comes_back(face):
    model, reconstruction = face
    frames = draw_turntable(reconstruction, model, 64, frames=4, textured=False)
    assert len(frames) == 4 and np.any(frames[0] != frames[1])
    still = draw_turntable(reconstruction, model, 64, frames=2, swing=0.0)
    np.testing.assert_array_equal(still[0], still[1])


def test_contact_sheet_has_one_row_per_face():
    row = [np.zeros((10, 10, 3), np.uint8), np.full((30, 20, 3), 255, np.uint8)]
    sheet = arrange_contact_sheet([row, row[::-1], row], 64, ["one", "two"])
    assert sheet.shape == (20 + 3 * 64, 128, 3)
    titles, cells = sheet[:20], sheet[20:]
    assert cells[0, 64:].min() == 255 and cells[64:128, :64].min() == 255
    assert titles[:, :64].max() > 150 and titles[:, 64:].max() > 150  # both have a title
    assert not np.array_equal(titles[:, :64], titles[:, 64:])


def test_the_pictures_of_a_face_are_written(face, tmp_path):
    model, reconstruction = face
    arguments = renderer.parse_arguments(
        ["--output", str(tmp_path), "--size", "100", "--frames", "3"]
    )
    row = renderer.write_pictures(reconstruction, model, arguments)
    names = ["face_{}{}.png".format(place, kind) for place in ("", "photo_") for kind in KINDS]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        names + ["face_turntable.gif"]
    )
    assert len(row) == 1 + len(KINDS)
    for name in names:
        size = (400, 400) if "photo_" in name else (100, 100)
        with Image.open(str(tmp_path / name)) as picture:
            assert picture.size == size
    with Image.open(str(tmp_path / "face_turntable.gif")) as animation:
        assert animation.n_frames == 3 and animation.size == (100, 100)
