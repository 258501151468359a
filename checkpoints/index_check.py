"""The index of a checkpoint, looked at before TensorFlow does: on one that lies, TensorFlow ends the process.

``PREFIX.index`` is a sorted table as LevelDB writes it: blocks of keys and values, keys without the prefix that they
share with the key before, then a block that says where those blocks are, and a footer that says where that one is.
A key is a variable's name, its value a protocol buffer ``BundleEntryProto``: type, shape, part, offset, size.
"""

import os
import struct

from utils.errors import InputError

MAX_INDEX_BYTES = 1 << 26
MAX_VARIABLE_BYTES = 1 << 32
_FOOTER_SIZE, _MAGIC = 48, 0xdb4775248b80fb57
_MOST_DIMENSIONS = 8
_TYPES = set(range(1, 11)) | {14, 17, 18, 19}  # TensorFlow's numbers of numeric types, and of strings
_MOST_SHARDS = 1000
_TYPE, _SHAPE, _SHARD, _OFFSET, _SIZE, _CHECKSUM = _FIELDS = range(1, 7)  # fields of an entry
_KNOWN = set(_FIELDS)


def require_sound_index(prefix):
    """Raise an InputError if the index of a checkpoint is damaged or claims what its data cannot hold.

    Args:
        prefix: of the checkpoint; one without an index (of version 1) is not looked at.
    """
    path = prefix + ".index"
    if not os.path.isfile(path):
        return
    try:
        if os.path.getsize(path) > MAX_INDEX_BYTES:
            raise ValueError("larger than any index")
        with open(path, "rb") as file:
            data = file.read()
        for key, value in _entries(data):
            if key.decode("utf-8"):  # the empty one is about the whole
                _check_entry(value)
            else:
                _check_parts(prefix, dict(_fields(value)).get(1, 1))
    except OSError as error:
        raise InputError("{}: cannot be read ({}); check its permissions".format(path, error.strerror)) from None
    except (ValueError, TypeError, IndexError, struct.error):
        raise InputError("{}: not a TensorFlow checkpoint, or a damaged one; copy or download it again".format(
            prefix)) from None


def _entries(data):
    """Yield the keys and values of a table."""
    if len(data) < _FOOTER_SIZE or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ValueError("no table")
    footer = data[-_FOOTER_SIZE:]
    _, at = _varint(footer, 0)
    _, at = _varint(footer, at)
    for _, handle in _block(data, footer, at):
        yield from _block(data, handle, 0)


def _block(data, handle, at):
    """Yield the keys and values of the block that a handle points to."""
    start, at = _varint(handle, at)
    size, _ = _varint(handle, at)
    if start + size + 1 > len(data) or size < 4 or data[start + size:start + size + 1] != b"\0":
        raise ValueError("a block is not there, or packed")
    block = data[start:start + size]
    end = size - 4 * (struct.unpack("<I", block[-4:])[0] + 1)
    if end < 0:
        raise ValueError("a block is damaged")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + own + length > end:
            raise ValueError("an entry is damaged")
        key = key[:shared] + block[at:at + own]
        yield key, block[at + own:at + own + length]
        at += own + length


def _check_parts(prefix, count):
    """Raise a ValueError unless all parts of the data are files; on a pipe TensorFlow would wait for ever."""
    paths = ["{}.data-{:05d}-of-{:05d}".format(prefix, part, count) for part in range(min(count, _MOST_SHARDS + 1))]
    if not 0 < count <= _MOST_SHARDS or not all(os.path.isfile(path) for path in paths):
        raise ValueError("its data is not there")


def _check_entry(value):
    fields = dict(_fields(value))
    if not set(fields) <= _KNOWN:
        raise ValueError("a variable in pieces, or a field that no index has")
    dimensions = [dict(_fields(dimension)) for _, dimension in _fields(fields.get(_SHAPE, b""))]
    count = 1
    for dimension in dimensions:
        count *= dimension.get(1, 0)
    numbers = [fields.get(name, 0) for name in (_TYPE, _SHARD, _OFFSET, _SIZE)]
    if not all(isinstance(number, int) and 0 <= number < 1 << 62 for number in numbers):
        raise ValueError("a number is out of range")
    if len(dimensions) > _MOST_DIMENSIONS or count > MAX_VARIABLE_BYTES or fields.get(_TYPE) not in _TYPES:
        raise ValueError("a variable is larger than any")
    if fields.get(_SIZE, 0) > MAX_VARIABLE_BYTES:
        raise ValueError("a variable is larger than any")


def _fields(message):
    """Yield (number, value) of the fields of a protocol buffer: int, or bytes of what has a length."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("no field")
        if kind == 0:
            value, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = message[at:at + size], at + size
        elif kind == 2:
            size, at = _varint(message, at)
            value, at = message[at:at + size], at + size
        else:
            raise ValueError("a field of unknown kind")
        if at > len(message):
            raise ValueError("a field is cut off")
        yield number, value


def _varint(data, at):
    """Return an integer and the position after it; of ten bytes at most."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("an integer without end")
