"""Photos of every pixel format, and files that only pretend to be photos."""

import io
import os
import stat
import warnings

import numpy as np
import pytest
from PIL import Image

from utils.errors import InputError
from utils.photos import MAX_PIXELS, MIN_SIDE, find_photos, read_photo

WIDTH, HEIGHT = 60, 40


def ramp():
    """An RGB picture that differs in every direction and channel."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([columns * 4, rows * 6, (rows + columns) * 2], axis=-1).astype(np.uint8)


def grey_ramp():
    return ramp()[..., 0]


def save(folder, name, array, **options):
    path = os.path.join(str(folder), name)
    Image.fromarray(array).save(path, **options)
    return path


def one_sentence(error):
    message = str(error.value)
    return "\n" not in message and ". " not in message and not message.endswith(".")


def test_rgb_comes_back_unchanged(tmp_path):
    photo = read_photo(save(tmp_path, "a.png", ramp()))
    assert photo.dtype == np.uint8 and photo.flags.writeable
    np.testing.assert_array_equal(photo, ramp())


@pytest.mark.parametrize("extension", ["bmp", "jpg", "png", "tif", "webp"])
def test_formats(tmp_path, extension):
    photo = read_photo(save(tmp_path, "a." + extension, ramp()))
    assert photo.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(photo.astype(int) - ramp()).mean() < 6  # JPEG and WebP lose a little


def test_grey_becomes_three_equal_channels(tmp_path):
    photo = read_photo(save(tmp_path, "grey.png", grey_ramp()))
    np.testing.assert_array_equal(photo, np.repeat(grey_ramp()[..., None], 3, axis=-1))


def test_one_bit(tmp_path):
    path = str(tmp_path / "bit.png")
    Image.fromarray(grey_ramp() > 100).save(path)
    np.testing.assert_array_equal(read_photo(path)[..., 1], np.where(grey_ramp() > 100, 255, 0))


def test_palette(tmp_path):
    path = str(tmp_path / "palette.png")
    image = Image.fromarray(ramp()).quantize(16)
    image.save(path)
    np.testing.assert_array_equal(read_photo(path), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(tmp_path, mode):
    image = Image.fromarray(ramp()).convert(mode)
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[:, : WIDTH // 2] = 255
    image.putalpha(Image.fromarray(alpha))
    path = str(tmp_path / "alpha.png")
    image.save(path)
    photo = read_photo(path)
    expected = np.asarray(Image.fromarray(ramp()).convert(mode).convert("RGB"))
    np.testing.assert_array_equal(photo[:, : WIDTH // 2], expected[:, : WIDTH // 2])
    assert (photo[:, WIDTH // 2 :] == 255).all()


def test_transparent_colour_of_a_palette(tmp_path):
    indices = np.zeros((HEIGHT, WIDTH), np.uint8)
    indices[:20] = 1
    image = Image.fromarray(indices).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    path = str(tmp_path / "p.png")
    image.save(path, transparency=0)
    photo = read_photo(path)
    assert (photo[:20] == [200, 100, 50]).all() and (photo[20:] == 255).all()


def test_cmyk(tmp_path):
    path = str(tmp_path / "cmyk.jpg")
    Image.fromarray(ramp()).convert("CMYK").save(path, quality=95)
    assert np.abs(read_photo(path).astype(int) - ramp()).mean() < 6


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_sixteen_bit_is_scaled_not_clipped(tmp_path, extension):
    path = save(tmp_path, "deep." + extension, grey_ramp().astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_photo(path)[..., 0], grey_ramp())


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("extension", ["png", "tif"])
def test_fewer_bits_in_sixteen_are_as_bright(tmp_path, extension, bits):
    top = 2**bits - 1
    path = save(tmp_path, "deep." + extension, np.rint(grey_ramp() / 255.0 * top).astype(np.uint16))
    np.testing.assert_array_equal(read_photo(path)[..., 0], grey_ramp())


@pytest.mark.parametrize("top, range_top", [(1.2, 1), (4.0, 1), (261.0, 255), (4095.0, 4095)])
def test_floating_point_beyond_its_range_is_clipped_and_as_bright(tmp_path, top, range_top):
    samples = (grey_ramp() / 255.0 * range_top).astype(np.float32)
    samples[0, 0], samples[0, 1] = top, -0.1 * range_top
    photo = read_photo(save(tmp_path, "float.tif", samples))[..., 0].astype(int)
    assert photo[0, 0] == 255 and photo[0, 1] == 0
    assert np.abs(photo[1:] - grey_ramp()[1:]).max() <= 1


def test_a_bright_window_does_not_darken_floating_point(tmp_path):
    samples = (grey_ramp() / 255.0).astype(np.float32)
    samples[:, -10:] = 9
    photo = read_photo(save(tmp_path, "float.tif", samples))[..., 0].astype(int)
    assert (photo[:, -10:] == 255).all() and np.abs(photo - grey_ramp())[:, :-10].max() <= 1


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_floating_point_that_is_no_picture_is_flat(tmp_path, value):
    photo = read_photo(save(tmp_path, "float.tif", np.full((40, 40), value, np.float32)))
    assert np.ptp(photo) == 0


@pytest.mark.parametrize("top", [1, 1.2, 255, 65535])
def test_floating_point(tmp_path, top):
    samples = (grey_ramp() / 255.0 * top).astype(np.float32)
    photo = read_photo(save(tmp_path, "float.tif", samples))
    wanted = np.minimum(np.rint(grey_ramp() * 1.2), 255) if top == 1.2 else grey_ramp()
    assert np.abs(photo[..., 0].astype(int) - wanted).max() <= 1


@pytest.mark.parametrize(
    "orientation, turn",
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_exif_orientation(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path, "turned.png", ramp(), exif=exif)
    np.testing.assert_array_equal(read_photo(path), turn(ramp()))


def test_broken_exif_does_not_spoil_the_photo(tmp_path):
    path = save(tmp_path, "odd.jpg", ramp(), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken")
    assert read_photo(path).shape == (HEIGHT, WIDTH, 3)


def test_twenty_megapixels(tmp_path):
    path = save(tmp_path, "large.jpg", np.zeros((4000, 5000, 3), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_photo(path).shape == (4000, 5000, 3)


def broken_files(folder):
    """Write files that are no photos; return their names and words of the message."""
    noise = np.random.RandomState(0).randint(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    encoded = {}
    for file_format in ("JPEG", "PNG", "TIFF", "WEBP"):
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, file_format)
        encoded[file_format] = buffer.getvalue()
    jpeg, png = encoded["JPEG"], encoded["PNG"]
    contents = {
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"this is no photo\n" * 50, "known format"),
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "damaged"),
        "truncated.png": (png[: len(png) // 2], "damaged"),
        "truncated.tif": (encoded["TIFF"][:-3000], "damaged"),
        "truncated.webp": (encoded["WEBP"][:200], "known format|damaged"),
        "header.jpg": (jpeg[:30], "known format|damaged"),
        "garbled.png": (png[:60] + b"\xff" * 500 + png[560:], "damaged"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    return {name: words for name, (_, words) in contents.items()}


def test_broken_files_are_told_in_one_sentence(tmp_path, capfd):
    for name, words in broken_files(tmp_path).items():
        with pytest.raises(InputError, match=words) as error:
            read_photo(str(tmp_path / name))
        assert name in str(error.value) and one_sentence(error)
    assert capfd.readouterr().err == ""


def test_bomb_is_refused_before_it_is_decoded(tmp_path):
    side = int(MAX_PIXELS**0.5) + 1
    path = str(tmp_path / "bomb.png")
    Image.new("1", (side, side)).save(path)
    with pytest.raises(InputError, match="megapixels"), warnings.catch_warnings():
        warnings.simplefilter("error")
        read_photo(path)


def test_beyond_pillows_own_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match="megapixels"):
        read_photo(save(tmp_path, "a.png", ramp()))


def test_tiny(tmp_path):
    with pytest.raises(InputError, match="pixels") as error:
        read_photo(save(tmp_path, "tiny.png", ramp()[: MIN_SIDE - 1]))
    assert one_sentence(error)


def test_folder_missing_file_and_pipe(tmp_path):
    os.mkfifo(str(tmp_path / "pipe.jpg"))
    for name in (".", "missing.jpg", "pipe.jpg"):
        with pytest.raises(InputError) as error:
            read_photo(str(tmp_path / name))
        assert one_sentence(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden(tmp_path):
    path = save(tmp_path, "secret.png", ramp())
    os.chmod(path, 0)
    with pytest.raises(InputError, match="permissions"):
        read_photo(path)
    os.chmod(path, stat.S_IRUSR | stat.S_IWUSR)


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")


def found(paths):
    return [(os.path.basename(path), name) for path, name in find_photos(paths)]


def test_find_in_a_folder(tmp_path):
    touch(tmp_path, "c.JPG", "a.jpeg", "b.Png", "d.webp", "e.TIFF", "f.bmp")
    touch(tmp_path, ".hidden.jpg", "a.txt", "note.md")
    (tmp_path / "folder.jpg").mkdir()
    assert found(str(tmp_path)) == [
        ("a.jpeg", "a"),
        ("b.Png", "b"),
        ("c.JPG", "c"),
        ("d.webp", "d"),
        ("e.TIFF", "e"),
        ("f.bmp", "f"),
    ]


def test_find_among_files(tmp_path):
    touch(tmp_path, "a.jpg", "a.txt", "a.mat", "b.jfif")
    paths = [str(tmp_path / name) for name in ("b.jfif", "a.jpg", "a.txt", "a.mat", "a.jpg")]
    assert found(paths) == [("b.jfif", "b"), ("a.jpg", "a")]
    with pytest.raises(InputError, match="does not exist"):
        find_photos([str(tmp_path / "missing.jpg")])


def test_names_are_distinct(tmp_path):
    touch(
        tmp_path, "one/a.jpg", "one/a.png", "one/A.bmp", "one/a_png.jpg", "two/a.jpg", "two/b.jpg"
    )
    names = [name for _, name in find_photos([str(tmp_path / "one"), str(tmp_path / "two")])]
    assert names == ["A", "a_jpg", "a_png_2", "a_png", "a_jpg_2", "b"]
    assert len({name.lower() for name in names}) == len(names)


def test_no_photo_is_called_what_files_of_another_are(tmp_path):
    touch(
        tmp_path,
        "a.jpg",
        "a_face2.jpg",
        "a_mesh.png",
        "a_refined.jpg",
        "a_face2_refined.png",
        "b_mesh.jpg",
        "c_face.jpg",
        "c.jpg",
    )
    assert found(tmp_path) == [
        ("a.jpg", "a"),
        ("a_face2.jpg", "a_face2_jpg"),
        ("a_face2_refined.png", "a_face2_refined_png"),
        ("a_mesh.png", "a_mesh_png"),
        ("a_refined.jpg", "a_refined_jpg"),
        ("b_mesh.jpg", "b_mesh"),
        ("c.jpg", "c"),
        ("c_face.jpg", "c_face"),
    ]


def test_blanks_do_not_make_names_distinct(tmp_path):
    touch(tmp_path, "IMG 1.jpg", "IMG_1.jpg")
    assert found(tmp_path) == [("IMG 1.jpg", "IMG 1"), ("IMG_1.jpg", "IMG_1_jpg")]


def test_name_does_not_depend_on_how_the_folder_is_written(tmp_path, monkeypatch):
    touch(tmp_path, "in/a.jpg", "in/b.jpg")
    monkeypatch.chdir(str(tmp_path))
    assert found("in") == found("in/") == found(["./in", "in/a.jpg"])


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("two\nlines", "two_lines"),
        ("\x1b[31mred", "_[31mred"),
        ("latin-\udce9", "latin-_"),
        ("n" * 240, "n" * 200),
        ("\u6f22" * 80, "\u6f22" * 66),
        ("a b", "a b"),
        ("\u00fcn\u00ef", "\u00fcn\u00ef"),
    ],
)
def test_output_names_can_be_printed_and_written(tmp_path, name, wanted):
    save(tmp_path, name + ".png", ramp())
    assert [photo.name for photo in find_photos(str(tmp_path))] == [wanted]
    assert read_photo(find_photos(str(tmp_path))[0].path).shape == ramp().shape


def test_no_other_program_is_started_for_a_document(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "subprocess.Popen", lambda *_, **__: pytest.fail("another program was started")
    )
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 160 160\n(/etc/passwd) run\n"
    )
    with pytest.raises(InputError, match="not an image of a known format"):
        read_photo(str(tmp_path / "a.png"))


def test_a_file_of_gigabytes_is_not_read(tmp_path):
    path = save(tmp_path, "a.webp", ramp())
    os.truncate(path, 8 << 30)
    with pytest.raises(InputError, match="more than 1024 MiB"):
        read_photo(path)
