"""Accidental damage to the bytes of a file of any kind."""

_HEADER = 64  # bytes that identify most formats


def _truncated(tenths):
    return lambda random, data: data[: len(data) * tenths // 10]


def _flipped(count, header_only=False):
    def flip(random, data):
        damaged = bytearray(data)
        reach = min(len(damaged), _HEADER) if header_only else len(damaged)
        for position in random.randint(0, reach, count) if reach else ():
            damaged[position] ^= 1 << random.randint(8)
        return bytes(damaged)

    return flip


def _last_byte_missing(random, data):
    return data[:-1]


def _zeroed(random, data):
    start, end = _stretch(random, data)
    return data[:start] + bytes(end - start) + data[end:]


def _scrambled(random, data):
    start, end = _stretch(random, data)
    return data[:start] + random.bytes(end - start) + data[end:]


def _removed(random, data):
    start, end = _stretch(random, data)
    return data[:start] + data[end:]


def _repeated(random, data):
    start, end = _stretch(random, data)
    return data[:end] + data[start:end] * random.randint(1, 4) + data[end:]


def _saturated(random, data):
    """Four bytes all ones: a size field becomes the largest, or -1."""
    position = random.randint(max(1, min(len(data), 4 * _HEADER)))
    return data[:position] + b"\xff" * 4 + data[position + 4 :]


def _appended(random, data):
    return data + random.bytes(random.randint(1, 4096))


def _noise(random, data):
    return random.bytes(random.randint(1, 4096))


def _text(random, data):
    return b"this is not the file you wanted\n" * random.randint(1, 50)


def _zeros(random, data):
    return bytes(len(data))


def _line_ends(random, data):
    """The effect of a transfer in text mode."""
    return data.replace(b"\n", b"\r\n")


def _stretch(random, data):
    start = random.randint(max(1, len(data)))
    return start, min(len(data), start + random.randint(1, 512))


ACCIDENTS = {"truncated to {} tenths".format(tenths): _truncated(tenths) for tenths in range(10)}
ACCIDENTS.update(
    {
        "last byte missing": _last_byte_missing,
        "one bit flipped": _flipped(1),
        "8 bits flipped": _flipped(8),
        "64 bits flipped": _flipped(64),
        "1024 bits flipped": _flipped(1024),
        "one bit of the header flipped": _flipped(1, True),
        "8 bits of the header flipped": _flipped(8, True),
        "a stretch zeroed": _zeroed,
        "a stretch scrambled": _scrambled,
        "a stretch removed": _removed,
        "a stretch repeated": _repeated,
        "a field saturated": _saturated,
        "noise appended": _appended,
        "noise instead": _noise,
        "text instead": _text,
        "zeros instead": _zeros,
        "line ends changed": _line_ends,
    }
)
