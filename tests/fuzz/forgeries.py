"""Well-formed but invalid photos, numbers and JSON.

A forgery is a function of a random state and the bytes of the whole file that returns other bytes.
"""

import io
import json
import struct
import zlib

import numpy as np
from PIL import Image

_HUGE = 2**31 - 1


# Photos


def png(
    width: int, height: int, rows: bytes = b"", mode: int = 2, depth: int = 8, extra: bytes = b""
) -> bytes:
    """Return a PNG with any header."""
    header = struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, depth, mode, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + extra
        + _chunk(b"IDAT", zlib.compress(rows, 1))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _zeros_deflated(count):
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    return b"".join([packer.compress(block) for _ in range(count >> 20)] + [packer.flush()])


def _bomb_png(random, data):
    """Twenty thousand pixels square in a few kilobytes."""
    side = 20000
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", _zeros_deflated(side * (side // 8 + 1)))
        + _chunk(b"IEND", b"")
    )


def _text_bomb(random, data):
    packed = zlib.compress(bytes(64 << 20), 9)
    extra = b"".join(
        _chunk(kind, b"key\0" + middle + packed)
        for kind, middle in ((b"zTXt", b"\0"), (b"iTXt", b"\1\0\0\0"), (b"iCCP", b"\0"))
    )
    return png(64, 64, bytes(64 * 193), extra=extra)


def _saved(extension, array_of, **options):
    def save(random, data):
        stream = io.BytesIO()
        image = array_of(random)
        (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
            stream, extension, **options
        )
        return stream.getvalue()

    return save


def _bmp(width, height, bits=24):
    header = struct.pack(
        "<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, bits, 0, 0, 0, 0, 0, 0
    )
    return lambda random, data: b"BM" + header + bytes(99)


def _gif(width, height):
    return lambda random, data: (
        b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + data[13:]
    )


def _tiff_of(entries):
    """A TIFF with these (tag, type, count, value) and nothing else."""
    body = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    return lambda random, data: (
        body + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4 + 999)
    )


def _floats(value):
    def array(random):
        values = random.standard_normal((64, 64)).astype(np.float32)
        values[random.randint(64), :] = value
        return values

    return array


PHOTOS = {
    "a header of 2^31 pixels": lambda random, data: png(_HUGE, _HUGE),
    "a header of negative size": lambda random, data: png(-5, 100, bytes(99)),
    "a header of no size": lambda random, data: png(0, 0),
    "a bomb of 400 megapixels": _bomb_png,
    "a bomb of text": _text_bomb,
    "pixels missing": lambda random, data: png(500, 500, bytes(7)),
    "a palette image without palette": lambda random, data: png(64, 64, bytes(65 * 64), mode=3),
    "an impossible depth": lambda random, data: png(64, 64, bytes(9999), depth=7),
    "a BMP of 2^31 pixels": _bmp(_HUGE, -_HUGE),
    "a BMP of odd bits": _bmp(64, 64, 13),
    "a GIF of 65535 pixels square": _gif(65535, 65535),
    "a TIFF of 2^31 pixels": _tiff_of(
        [
            (256, 4, 1, _HUGE),
            (257, 4, 1, _HUGE),
            (258, 3, 1, 8),
            (273, 4, 1, 99),
            (277, 3, 1, 3),
            (278, 4, 1, _HUGE),
            (279, 4, 1, _HUGE),
        ]
    ),
    "a TIFF that refers to itself": _tiff_of(
        [(256, 4, 1, 64), (257, 4, 1, 64), (330, 4, 1, 8), (34665, 4, 1, 8)]
    ),
    "floats with NaN": _saved("TIFF", _floats(np.nan)),
    "floats with infinity": _saved("TIFF", _floats(np.inf)),
    "floats below zero": _saved("TIFF", lambda random: -np.ones((64, 64), np.float32)),
    "only zeros, 32 bits": _saved("TIFF", lambda random: np.zeros((64, 64), np.int32)),
    "one pixel": _saved("PNG", lambda random: np.zeros((1, 1, 3), np.uint8)),
    "one row": _saved("PNG", lambda random: np.zeros((1, 60000, 3), np.uint8)),
    "a long strip": _saved(
        "PNG", lambda random: np.zeros((33, 60000, 3), np.uint8), compress_level=1
    ),
    "one bit a pixel": _saved("PNG", lambda random: random.uniform(size=(160, 160)) > 0.5),
    "an icon": _saved("ICO", lambda random: np.zeros((64, 64, 4), np.uint8)),
    "PostScript": lambda random, data: (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 160 160\n(/etc/passwd) run\n"
    ),
    "SVG": lambda random, data: (
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    ),
}


def _frames(extension):
    """Several frames, as animations and multi-page scans have."""

    def save(random, data):
        frames = [
            Image.fromarray(random.randint(0, 255, (96, 96, 3)).astype(np.uint8)) for _ in range(3)
        ]
        stream = io.BytesIO()
        frames[0].save(stream, extension, save_all=True, append_images=frames[1:])
        return stream.getvalue()

    return save


def _noisy(mode):
    shape = (96, 96) + ((len(mode),) if len(mode) > 1 else ())
    return lambda random: Image.frombytes(
        mode, (96, 96), random.randint(0, 256, shape).astype(np.uint8).tobytes()
    )


def _cut(save):
    def cut(random, data):
        whole = save(random, data)
        return whole[: random.randint(len(whole))]

    return cut


def _oriented(random):
    """EXIF with all orientations, valid and invalid."""
    exif = Image.Exif()
    exif[0x0112] = int(random.choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 65535]))
    exif[0x9286] = b"\0" * 99
    return exif.tobytes()


def _jpeg_with_exif(make):
    def save(random, data):
        stream = io.BytesIO()
        _noisy("RGB")(random).save(stream, "JPEG", exif=make(random))
        return stream.getvalue()

    return save


_PROGRESSIVE = _saved("JPEG", _noisy("RGB"), progressive=True)
_JPEGS = {
    "progressive": _PROGRESSIVE,
    "progressive, cut off": _cut(_PROGRESSIVE),
    "CMYK": _saved("JPEG", _noisy("CMYK")),
    "grey": _saved("JPEG", _noisy("L")),
    "turned": _jpeg_with_exif(_oriented),
    "EXIF of noise": _jpeg_with_exif(lambda random: b"Exif\0\0" + random.bytes(500)),
    "EXIF that refers to itself": _jpeg_with_exif(
        lambda random: b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0"
    ),
    "a colour profile of noise": _saved(
        "JPEG", _noisy("RGB"), icc_profile=b"\0" * 36 + b"acsp" + b"noise" * 99
    ),
    "a colour profile of a megabyte": _saved("JPEG", _noisy("RGB"), icc_profile=bytes(1 << 20)),
    "a second picture": _frames("MPO"),
    "no end": lambda random, data: data[:-2],
    "a thousand ends": lambda random, data: data + b"\xff\xd9" * 1000,
    "a size of 65535 pixels": lambda random, data: data.replace(
        struct.pack(">HH", 160, 160), struct.pack(">HH", 65535, 65535), 1
    ),
}
PHOTOS_OF = {
    "png": dict(
        PHOTOS,
        **{
            "animated": _frames("PNG"),
            "16 bits": _saved(
                "PNG", lambda random: random.randint(0, 65536, (96, 96)).astype(np.uint16)
            ),
            "a palette with transparency": _saved(
                "PNG", lambda random: _noisy("L")(random).convert("P"), transparency=0
            ),
            "grey with transparency": _saved("PNG", _noisy("LA")),
        },
    ),
    "jpg": _JPEGS,
    "gif": {
        "animated": _frames("GIF"),
        "animated, cut off": _cut(_frames("GIF")),
        "a GIF of 65535 pixels square": _gif(65535, 65535),
    },
    "webp": {
        "animated": _frames("WEBP"),
        "animated, cut off": _cut(_frames("WEBP")),
        "transparent": _saved("WEBP", _noisy("RGBA")),
    },
    "tif": {
        "pages": _frames("TIFF"),
        "pages, cut off": _cut(_frames("TIFF")),
        "CMYK": _saved("TIFF", _noisy("CMYK")),
        "Lab": _saved("TIFF", _noisy("LAB")),
        "16 bits": _saved(
            "TIFF", lambda random: random.randint(0, 65536, (96, 96)).astype(np.uint16)
        ),
        "32-bit floats": _saved(
            "TIFF", lambda random: random.uniform(-9, 9, (96, 96)).astype(np.float32)
        ),
        "packed by deflate, cut off": _cut(
            _saved("TIFF", _noisy("RGB"), compression="tiff_deflate")
        ),
        "packed as JPEG": _saved("TIFF", _noisy("RGB"), compression="jpeg"),
        "two colours, by fax": _saved(
            "TIFF", lambda random: _noisy("L")(random).convert("1"), compression="group4"
        ),
    },
    "ppm": {
        "16 bits": lambda random, data: b"P6 96 96 65535\n" + random.bytes(96 * 96 * 6),
        "a size of 2^31 pixels": lambda random, data: b"P6 2147483647 2147483647 255\n",
        "as text": lambda random, data: b"P3 64 64 255\n" + b"12 99 200 " * 64 * 64,
        "floats": lambda random, data: b"PF 64 64 -1\n" + random.bytes(64 * 64 * 12),
        "endless digits": lambda random, data: b"P6 " + b"9" * 100000,
    },
    "jp2": {
        "a size of 2^32 pixels": lambda random, data: data.replace(
            struct.pack(">II", 160, 160), b"\xff" * 8
        )
    },
    "tga": {"a size of 65535 pixels": lambda random, data: data[:12] + b"\xff" * 4 + data[16:]},
}

LARGEST_PHOTOS = {
    "the largest photo": _saved(
        "PNG",
        lambda random: Image.new("RGBA", (12240, 12240), (90, 100, 110, 99)),
        compress_level=1,
    ),
    "the largest 32-bit image": _saved(
        "TIFF", lambda random: Image.new("I", (12240, 12240), 70000), compression="tiff_deflate"
    ),
}


# Numbers as text


def _lines(*values):
    return lambda random, data: "\n".join(values).encode("utf-8", "surrogateescape")


NUMBERS_AS_TEXT = {
    "NaN": _lines(*["nan nan"] * 5),
    "infinity": _lines(*["inf -inf"] * 5),
    "overflow": _lines(*["1e999 -1e999"] * 5),
    "huge numbers": _lines(*["1e300 -1e300"] * 5),
    "one spot": _lines(*["80 80"] * 5),
    "a line": _lines("10 10", "20 20", "30 30", "40 40", "50 50"),
    "too many": _lines(*["1 2"] * 68000),
    "too few": _lines("1 2"),
    "negative": _lines(*["-50 -60"] * 5),
    "words": _lines(*["left eye"] * 5),
    "a long number": _lines("9" * 100000),
    "a long line": _lines("1 " * 10**6),
    "not UTF-8": _lines("\udcff\udcfe 1"),
    "wide digits": _lines(*["\uff11\uff10 \uff12\uff10"] * 5),
    "a byte order mark": lambda random, data: b"\xef\xbb\xbf" + data,
    "UTF-16 without a mark": lambda random, data: data.decode("utf-8", "replace").encode(
        "utf-16-be"
    ),
    "UTF-32": lambda random, data: data.decode("utf-8", "replace").encode("utf-32"),
    "Latin-1 spaces": lambda random, data: data.replace(b" ", b"\xa0"),
    "wide spaces": lambda random, data: data.replace(b" ", "\u3000".encode()),
    "old Macintosh": lambda random, data: data.replace(b"\n", b"\r"),
    "decimal commas": lambda random, data: data.replace(b".", b","),
    "a comment": lambda random, data: b"# x y\n" + data,
    "hexadecimal": _lines(*["0x1p3 0x10"] * 5),
    "underscores": _lines(*["1_0 2_0"] * 5),
    "complex": _lines(*["1j 2j"] * 5),
    "UTF-16": lambda random, data: data.decode("utf-8", "replace").encode("utf-16"),
    "zero bytes between": lambda random, data: data.replace(b" ", b"\0"),
    "semicolons": lambda random, data: data.replace(b" ", b";"),
    "exchanged": lambda random, data: b"\n".join(data.split(b"\n")[::-1]),
}


# Numbers as bytes


def _reals(values):
    return lambda random, data: np.resize(np.asarray(values, "<f8"), len(data) // 8 or 1).tobytes()


NUMBERS_AS_BYTES = {
    "NaN": _reals([np.nan]),
    "infinity": _reals([np.inf, 1]),
    "huge numbers": _reals([1e300, -1e300]),
    "zeros of the right number": _reals([0.0]),
    "float32 instead": lambda random, data: data[: len(data) // 2],
    "one number too many": lambda random, data: data + bytes(8),
    "twice as many": lambda random, data: data + data,
    "a count of 2^31": lambda random, data: struct.pack("<i", _HUGE) + data[4:],
    "a count below zero": lambda random, data: struct.pack("<i", -1) + data[4:],
}


# Training pictures

TRAINING_PICTURES = dict(
    PHOTOS,
    **{
        "225 pixels": _saved("PNG", lambda random: np.zeros((225, 225, 3), np.uint8)),
        "grey with alpha": _saved("PNG", lambda random: Image.new("LA", (224, 224))),
        "16 bits": _saved("PNG", lambda random: np.zeros((224, 224), np.uint16)),
        "CMYK": _saved("JPEG", lambda random: Image.new("CMYK", (224, 224))),
    },
)


# JSON


def _json(change):
    def forge(random, data):
        content = json.loads(data.decode())
        keys = sorted(content)
        content[keys[random.randint(len(keys))]] = change(random)
        return json.dumps(content).encode()

    return forge


JSON_FILES = {
    "a list": lambda random, data: b"[1, 2]",
    "null": lambda random, data: b"null",
    "empty": lambda random, data: b"{}",
    "deep": lambda random, data: b'{"a":' * 100000,
    "deep lists": lambda random, data: b"[" * 100000,
    "a value null": _json(lambda random: None),
    "a value a number": _json(lambda random: -1),
    "a value text": _json(lambda random: "../../etc/passwd"),
    "a value a list": _json(lambda random: [[1], None]),
    "a value an object": _json(lambda random: {"../../x": 1, "name": {"a": []}}),
    "a value NaN": _json(lambda random: float("nan")),
    "a huge number": _json(lambda random: 10**400),
    "half a character": _json(lambda random: "\ud800"),
    "a long number": lambda random, data: b'{"count": ' + b"9" * 10000 + b"}",
}
