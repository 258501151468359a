"""Photos of every pixel format, and files that only pretend to be photos."""

import io
import os
import stat
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms

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


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.gif", {}),
        ("a.jfif", {}),
        ("a.jp2", {}),
        ("a.ppm", {}),
        ("a.tga", {}),
        ("a.avif", {"quality": 95}),
        ("a.qoi", {}),
        ("a.mpo", {}),
    ],
)
def test_every_format_of_pillow_is_found_in_a_folder_and_read(tmp_path, name, options):
    Image.init()
    if Image.EXTENSION.get(os.path.splitext(name)[1]) not in Image.SAVE:
        pytest.skip("this Pillow does not write it")
    save(tmp_path, name, ramp(), **options)
    (photo,) = find_photos(str(tmp_path))
    assert np.abs(read_photo(photo.path).astype(int) - ramp()).mean() < 8


def test_heic_is_read_or_the_remedy_named(tmp_path):
    path = tmp_path / "phone.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    assert [photo.name for photo in find_photos(str(tmp_path))] == ["phone"]
    with pytest.raises(InputError, match="phone.heic cannot be read as a photo") as error:
        read_photo(str(path))
    if "HEIF" not in Image.OPEN:
        assert "is HEIC; install requirements/heif.txt" in str(error.value)
    assert one_sentence(error)


def test_heic_of_pillow_heif(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    path = str(tmp_path / "phone.heic")
    heif.from_pillow(Image.fromarray(ramp())).save(path, quality=95)
    assert np.abs(read_photo(path).astype(int) - ramp()).mean() < 8


@pytest.mark.parametrize(
    "content, words",
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "is a Git LFS pointer to it; run 'git lfs pull'",
        ),
        (b"\0\0\0\x18ftypisom" + bytes(99), "is a video; save one of its frames"),
    ],
)
def test_files_in_place_of_photos_are_called_by_their_name(tmp_path, content, words):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        read_photo(str(path))
    assert one_sentence(error)


@pytest.mark.parametrize("blank", [0, 255])
@pytest.mark.parametrize("extension", ["gif", "webp", "tif", "png"])
def test_a_blank_first_frame_does_not_hide_the_others(tmp_path, extension, blank):
    path = str(tmp_path / ("a." + extension))
    frames = [Image.new("RGB", (WIDTH, HEIGHT), (blank,) * 3), Image.fromarray(ramp())]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    assert np.abs(read_photo(path).astype(int) - ramp()).mean() < 20  # a GIF has a palette


def test_of_blank_frames_only_the_first_is_read(tmp_path):
    path = str(tmp_path / "a.gif")
    frames = [Image.new("RGB", (WIDTH, HEIGHT), color) for color in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert np.all(read_photo(path) == [255, 0, 0])


# Of a color space: gamma, and the XYZ of its primaries under D50 (as their profiles hold them).
SPACES = {
    "Adobe RGB": (
        2.19921875,
        [[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]],
    ),
    "wide, as Display P3": (
        2.2,
        [[0.51512, 0.24120, -0.00105], [0.29198, 0.69225, 0.04189], [0.15710, 0.06657, 0.78407]],
    ),
}
SRGB_PRIMARIES = [
    [0.43607, 0.22249, 0.01392],
    [0.38515, 0.71687, 0.09708],
    [0.14307, 0.06061, 0.71410],
]


def icc_profile(gamma, primaries):
    """A color profile of version 2 for RGB by primaries and gamma, after ICC.1:2001-04."""

    def xyz(values):
        fixed = [int(round(value * 65536)) for value in values]
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *fixed)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, int(round(gamma * 256))) + b"\0\0"
    text = b"made by a test\0"
    tags = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(79)),
        (b"cprt", b"text\0\0\0\0" + text + b"\0"),
        (b"wtpt", xyz([0.9642, 1.0, 0.8249])),
    ]
    tags += [(name + b"XYZ", xyz(row)) for name, row in zip((b"r", b"g", b"b"), primaries)]
    tags += [(name + b"TRC", curve) for name in (b"r", b"g", b"b")]
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags:
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content
    header = struct.pack(
        ">I4xI4s4s4s12s4s",
        start + len(data),
        0x02100000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        struct.pack(">6H", 2020, 1, 1, 0, 0, 0),
        b"acsp",
    )
    header += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header + bytes(128 - len(header)) + table + data


def skin_tones():
    """A picture of colors inside of every space: neither is clipped."""
    low, high = np.array([60, 50, 40]), np.array([220, 200, 190])
    return (low + ramp() / 255.0 * (high - low)).astype(np.uint8)


def in_space(image, gamma, primaries):
    """The values of sRGB colors in another space, by the definition of both."""
    x = image / 255.0
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    other = linear.dot(SRGB_PRIMARIES).dot(np.linalg.inv(primaries))
    return np.rint(255 * np.clip(other, 0, 1) ** (1 / gamma)).astype(np.uint8)


@pytest.mark.parametrize("space", sorted(SPACES))
@pytest.mark.parametrize("extension", ["png", "jpg", "tif", "webp"])
def test_colors_are_those_of_the_embedded_profile(tmp_path, extension, space):
    gamma, primaries = SPACES[space]
    values = in_space(skin_tones(), gamma, primaries)
    assert np.abs(values.astype(int) - skin_tones()).max() > 8  # else ignoring it would do
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}
    path = save(
        tmp_path,
        "a." + extension,
        values,
        icc_profile=icc_profile(gamma, primaries),
        **options.get(extension, {}),
    )
    difference = np.abs(read_photo(path).astype(int) - skin_tones())
    assert difference.mean() < 1 and np.percentile(difference, 99) <= 3


def test_transparency_is_kept_beside_a_profile(tmp_path):
    gamma, primaries = SPACES["Adobe RGB"]
    image = Image.fromarray(in_space(skin_tones(), gamma, primaries))
    image.putalpha(
        Image.fromarray(
            np.where(np.arange(WIDTH) < 30, 255, 0).astype("u1")[None].repeat(HEIGHT, 0)
        )
    )
    path = str(tmp_path / "a.png")
    image.save(path, icc_profile=icc_profile(gamma, primaries))
    photo = read_photo(path).astype(int)
    assert np.abs(photo - skin_tones())[:, :30].max() <= 3 and np.all(photo[:, 30:] == 255)


def test_a_profile_of_srgb_changes_no_pixel(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = save(tmp_path, "a.png", ramp(), icc_profile=profile)
    np.testing.assert_array_equal(read_photo(path), ramp())


@pytest.mark.parametrize("profile", [b"no profile", icc_profile(*SPACES["Adobe RGB"])[:200]])
def test_a_damaged_profile_is_ignored(tmp_path, profile):
    path = save(tmp_path, "a.png", ramp(), icc_profile=profile)
    np.testing.assert_array_equal(read_photo(path), ramp())


def test_a_profile_for_other_channels_is_ignored(tmp_path):
    path = save(tmp_path, "a.png", grey_ramp(), icc_profile=icc_profile(*SPACES["Adobe RGB"]))
    np.testing.assert_array_equal(read_photo(path)[..., 0], grey_ramp())


def test_entries_of_a_folder_that_are_left_out_are_counted_by_kind(tmp_path, capsys):
    touch(tmp_path, "a.jpg", "b.mov", "c.MOV", "d.pdf", "noextension", "e.txt", ".hidden")
    (tmp_path / "more").mkdir()
    find_photos(str(tmp_path))
    assert capsys.readouterr().err == (
        "note: {}: left out, as no photos by their names: 2 .mov, 1 .pdf, 1 folder, "
        "1 file without extension\n".format(tmp_path)
    )
    (tmp_path / "fine").mkdir()
    touch(tmp_path / "fine", "a.jpg", "a.txt", "README.md")
    find_photos(str(tmp_path / "fine"))
    assert capsys.readouterr().err == ""


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
        "a_neutral.jpg",
        "a_head.jpg",
        "a_albedo_map.jpg",
        "a_frames.gif",
        "a_photo_depth.jpg",
        "a_face2_refined.png",
        "b_mesh.jpg",
        "c_face.jpg",
        "c.jpg",
    )
    assert found(tmp_path) == [
        ("a.jpg", "a"),
        ("a_albedo_map.jpg", "a_albedo_map_jpg"),
        ("a_face2.jpg", "a_face2_jpg"),
        ("a_face2_refined.png", "a_face2_refined_png"),
        ("a_frames.gif", "a_frames_gif"),
        ("a_head.jpg", "a_head_jpg"),
        ("a_mesh.png", "a_mesh_png"),
        ("a_neutral.jpg", "a_neutral_jpg"),
        ("a_photo_depth.jpg", "a_photo_depth_jpg"),
        ("a_refined.jpg", "a_refined_jpg"),
        ("b_mesh.jpg", "b_mesh"),
        ("c.jpg", "c"),
        ("c_face.jpg", "c_face"),
    ]


def test_blanks_do_not_make_names_distinct(tmp_path):
    touch(tmp_path, "IMG 1.jpg", "IMG_1.jpg")
    assert found(tmp_path) == [("IMG 1.jpg", "IMG 1"), ("IMG_1.jpg", "IMG_1_jpg")]


def test_names_whose_textures_could_coincide_are_distinct(tmp_path):
    touch(tmp_path, "-a.jpg", "_a.jpg", "b#.jpg", "b_.jpg")
    assert found(tmp_path) == [
        ("-a.jpg", "-a"),
        ("_a.jpg", "_a_jpg"),
        ("b#.jpg", "b#"),
        ("b_.jpg", "b__jpg"),
    ]


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
