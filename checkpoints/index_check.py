"""A check of a checkpoint's index before TensorFlow reads it: a forged one aborts the process.

``PREFIX.index`` is a sorted table in LevelDB's format: blocks of keys and values (each key without
the prefix that it shares with the key before), then a block with the places of those blocks, and a
footer with the place of that one. A key is a variable's name, its value a protocol buffer
``BundleEntryProto``: type, shape, part, offset, size.
"""

import os
import struct
from typing import Any, Dict, Iterator, Tuple

from utils.errors import InputError

MAX_INDEX_BYTES = 1 << 26
MAX_VARIABLE_BYTES = 1 << 32
_FOOTER_SIZE = 48
_MAGIC = 0xDB4775248B80FB57
_MAX_DIMENSIONS = 8
_MAX_PARTS = 1000
_MAX_VARINT_BYTES = 10
_TYPES = set(range(1, 11)) | {14, 17, 18, 19}  # TensorFlow's numbers of numeric types and strings
_TYPE, _SHAPE, _PART, _OFFSET, _SIZE, _CHECKSUM = range(1, 7)  # fields of an entry
_KNOWN_FIELDS = {_TYPE, _SHAPE, _PART, _OFFSET, _SIZE, _CHECKSUM}
# Fields of the header of the bundle, and of a dimension.
_PART_COUNT = 1
_LENGTH = 1


def require_sound_index(prefix: str) -> None:
    """Raise an InputError if a checkpoint's index is damaged or exceeds the data it describes.

    Args:
        prefix: path prefix of the checkpoint; one without an index (of version 1) passes.
    """
    path = prefix + ".index"
    if not os.path.isfile(path):
        return
    try:
        if os.path.getsize(path) > MAX_INDEX_BYTES:
            raise ValueError("larger than any index")
        with open(path, "rb") as file:
            data = file.read()
        for key, value in _iterate_table(data):
            if key.decode("utf-8"):
                _check_entry(value)
            else:  # the empty key has the header of the bundle
                _check_parts(prefix, _read_fields(value).get(_PART_COUNT, 1))
    except OSError as error:
        raise InputError(
            "{}: cannot be read ({}); check its permissions".format(path, error.strerror)
        ) from None
    except (ValueError, TypeError, IndexError, struct.error):
        raise InputError(
            "{}: not a TensorFlow checkpoint, or a damaged one; copy or download it again".format(
                prefix
            )
        ) from None


def _iterate_table(data: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """Yield the keys and values of a table."""
    if len(data) < _FOOTER_SIZE or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ValueError("no table")

    # The footer: handle (offset, size) of a block without use here, handle of the block of handles.
    footer = data[-_FOOTER_SIZE:]
    _, position = _read_varint(footer, 0)
    _, position = _read_varint(footer, position)
    for _, handle in _iterate_block(data, footer, position):
        yield from _iterate_block(data, handle, 0)


def _iterate_block(data: bytes, handle: bytes, position: int) -> Iterator[Tuple[bytes, bytes]]:
    """Yield the keys and values of a block.

    Args:
        data: the whole file.
        handle: bytes that contain offset and size of the block, as varints.
        position: where these begin in ``handle``.
    """
    # 1. the block, which ends in a list of restart points and their number
    start, position = _read_varint(handle, position)
    size, _ = _read_varint(handle, position)
    is_plain = data[start + size : start + size + 1] == b"\0"  # not compressed
    if start + size + 1 > len(data) or size < 4 or not is_plain:
        raise ValueError("a block is missing, or compressed")
    block = data[start : start + size]
    end = size - 4 * (struct.unpack("<I", block[-4:])[0] + 1)
    if end < 0:
        raise ValueError("a block is damaged")

    # 2. its entries
    position, key = 0, b""
    while position < end:
        shared, position = _read_varint(block, position)
        added, position = _read_varint(block, position)
        length, position = _read_varint(block, position)
        if shared > len(key) or position + added + length > end:
            raise ValueError("an entry is damaged")
        key = key[:shared] + block[position : position + added]
        position += added
        yield key, block[position : position + length]
        position += length


def _check_parts(prefix: str, count: Any) -> None:
    """Raise a ValueError unless all parts of the data are files: TensorFlow waits on a pipe."""
    paths = [
        "{}.data-{:05d}-of-{:05d}".format(prefix, part, count)
        for part in range(min(count, _MAX_PARTS + 1))
    ]
    if not 0 < count <= _MAX_PARTS or not all(os.path.isfile(path) for path in paths):
        raise ValueError("its data is missing")


def _check_entry(value: bytes) -> None:
    """Raise a ValueError if an entry is not that of a variable of plausible type and size."""
    fields = _read_fields(value)
    if not set(fields) <= _KNOWN_FIELDS:
        raise ValueError("a variable in slices, or an unknown field")

    # 1. all numbers are integers in range
    dimensions = [_read_fields(field) for _, field in _iterate_fields(fields.get(_SHAPE, b""))]
    lengths = [dimension.get(_LENGTH, 0) for dimension in dimensions]
    numbers = [fields.get(name, 0) for name in (_TYPE, _PART, _OFFSET, _SIZE)]
    if not all(isinstance(number, int) and 0 <= number < 1 << 62 for number in numbers + lengths):
        raise ValueError("a number is out of range")

    # 2. no variable is too large
    count = 1
    for length in lengths:
        count *= length
    if (
        len(lengths) > _MAX_DIMENSIONS
        or count > MAX_VARIABLE_BYTES
        or fields.get(_SIZE, 0) > MAX_VARIABLE_BYTES
    ):
        raise ValueError("a variable is too large")
    if fields.get(_TYPE) not in _TYPES:
        raise ValueError("a variable is of unknown type")


def _read_fields(message: bytes) -> Dict[int, Any]:
    """Return number -> value of the fields of a protocol buffer; the last one of a number."""
    return dict(_iterate_fields(message))


def _iterate_fields(message: bytes) -> Iterator[Tuple[int, Any]]:
    """Yield (number, value) of the fields of a protocol buffer; an int or bytes."""
    position = 0
    value: Any = None
    while position < len(message):
        tag, position = _read_varint(message, position)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("no field")
        if kind == 0:  # an integer
            value, position = _read_varint(message, position)
        elif kind in (1, 2, 5):  # 8 bytes, a number of bytes, 4 bytes
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                size, position = _read_varint(message, position)
            value, position = message[position : position + size], position + size
        else:
            raise ValueError("a field of unknown kind")
        if position > len(message):
            raise ValueError("a field is cut off")
        yield number, value


def _read_varint(data: bytes, position: int) -> Tuple[int, int]:
    """Return an integer of up to ten bytes and the position after it."""
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        byte = data[position]
        position += 1
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value, position
    raise ValueError("an integer without end")
