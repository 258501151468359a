"""MATLAB 5 files: deterministic writing, and reading of untrusted files.

Before a file is read, the sizes in its headers are compared with its content, so that a forged
header allocates nothing.
"""

import os
import struct
import zlib
from typing import Any, BinaryIO, Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import scipy.io

from utils.errors import InputError, first_line

# Size of all variables together, unpacked: twice BFM09's largest file in double precision.
MAX_BYTES = 1 << 30

_HEADER_SIZE = 128
_TAG_SIZE = 8
_DESCRIPTION = b"MATLAB 5.0 MAT-file".ljust(116)  # scipy's would contain the time of day
_MATRIX, _COMPRESSED = 14, 15  # types of an element
_FLAG_TYPE, _DIMENSION_TYPE, _NAME_TYPE = 6, 5, 1  # types of the first three elements of an array
_CELLS, _CHARACTERS, _NUMBERS = 1, 4, range(6, 16)  # classes of an array
# Class of an array -> allowed types of its elements; scipy indexes its tables with any type.
_STORED_AS = dict.fromkeys(_NUMBERS, {1, 2, 3, 4, 5, 6, 7, 9, 12, 13})
_STORED_AS[_CHARACTERS] = {1, 2, 4, 16, 17, 18}
_COMPLEX = 0x0800  # bit of an array's flags
_READ_SIZE = 1 << 16
_INSPECTED = 1 << 20  # bytes inspected of a variable; a cell array must fit (ours hold a few names)


class _Variable(NamedTuple):
    """Header of an array."""

    name: str
    kind: int  # class
    is_complex: bool
    dimensions: Tuple[int, ...]
    start: bytes  # first bytes of the array, unpacked
    at: int  # position in ``start`` behind the name


def write_mat(file: BinaryIO, fields: Mapping[str, Any], compressed: bool = False) -> None:
    """Write a MATLAB 5 file that depends on its content alone.

    Args:
        file: seekable binary file, at its beginning.
        fields: name -> array, string, or object array of strings.
        compressed: whether to pack the variables.
    """
    scipy.io.savemat(file, fields, do_compression=compressed)
    file.seek(0)
    file.write(_DESCRIPTION)


def read_mat(path: str) -> Dict[str, np.ndarray]:
    """Read the variables of a MATLAB 5 file that are real numbers, characters, or cells of such.

    Args:
        path: file written by ``save -v7`` or ``scipy.io.savemat``; its structures, objects and
            complex numbers are skipped.

    Returns:
        A dict of name -> array.

    Raises:
        InputError: the file is missing, damaged, of another version, or too large when unpacked.
    """
    if not os.path.isfile(path):
        raise InputError("{}: no such file; give an existing .mat file".format(path))
    try:
        names = [variable.name for variable in _readable_variables(path)]
        fields = scipy.io.loadmat(path, variable_names=names)
    except MemoryError:
        raise InputError(
            "{}: needs more memory than there is; it is damaged".format(path)
        ) from None
    except Exception as error:  # scipy's parser raises all kinds of errors on damaged files
        raise InputError(
            "{}: not a readable MATLAB 5 file ({})".format(path, first_line(error))
        ) from None
    return {name: value for name, value in fields.items() if not name.startswith("__")}


def _readable_variables(path: str) -> List[_Variable]:
    """List the headers of the variables that :func:`read_mat` reads.

    Raises:
        ValueError: the file claims more than it can hold.
    """
    size, found, total = os.path.getsize(path), [], 0
    with open(path, "rb") as file:
        order = _byte_order(file.read(_HEADER_SIZE))
        at = _HEADER_SIZE
        while at + _TAG_SIZE <= size:
            # The element must lie within the file, and unpack to a tolerable size.
            file.seek(at)
            kind, count = struct.unpack(order + "II", file.read(_TAG_SIZE))
            if kind not in (_MATRIX, _COMPRESSED) or at + _TAG_SIZE + count > size:
                raise ValueError("it is cut off or damaged at byte {}".format(at))
            start, unpacked = _element_start(file, kind, count)
            total += unpacked
            if total > MAX_BYTES:
                raise ValueError(
                    "its variables would take more than {} MiB".format(MAX_BYTES >> 20)
                )

            # The unpacked element must be one whole array.
            kind, claimed = struct.unpack_from(order + "II", start)
            if kind != _MATRIX or claimed + _TAG_SIZE > unpacked:
                raise ValueError("a variable is incomplete")
            variable = _array_header(start[_TAG_SIZE:], order)
            if _is_readable(variable, unpacked, order):
                found.append(variable)
            at += _TAG_SIZE + count
    return found


def _byte_order(header: bytes) -> str:
    """Return the ``struct`` code for the byte order of a MATLAB 5 file."""
    if len(header) < _HEADER_SIZE or header[126:128] not in (b"IM", b"MI"):
        raise ValueError("its header is of another format")
    order = "<" if header[126:128] == b"IM" else ">"
    if struct.unpack(order + "H", header[124:126])[0] != 0x0100:
        raise ValueError("it is of version 7.3; save it again with -v7")
    return order


def _element_start(file: BinaryIO, kind: int, count: int) -> Tuple[bytes, int]:
    """Return (first bytes of an element with its tag, its size), both unpacked.

    Args:
        file: positioned behind the element's tag.
        kind: ``_MATRIX`` or ``_COMPRESSED``.
        count: bytes of the element behind the tag.
    """
    if kind == _MATRIX:
        file.seek(-_TAG_SIZE, os.SEEK_CUR)
        return file.read(min(_TAG_SIZE + count, _INSPECTED)), _TAG_SIZE + count

    unpacker, start, unpacked, left = zlib.decompressobj(), b"", 0, count
    while left and unpacked <= MAX_BYTES:
        packed = file.read(min(left, _READ_SIZE))
        left -= len(packed)
        while packed and unpacked <= MAX_BYTES:
            piece = unpacker.decompress(packed, 16 * _READ_SIZE)
            unpacked += len(piece)
            start += piece[: _INSPECTED - len(start)]
            packed = unpacker.unconsumed_tail
    return start, unpacked


def _array_header(body: bytes, order: str) -> _Variable:
    """Parse the flags, dimensions and name at the start of an array.

    Raises:
        ValueError: they violate the format; scipy does not check all of them.
    """
    flag_bytes, at = _element(body, 0, order, _FLAG_TYPE)
    dimensions, at = _element(body, at, order, _DIMENSION_TYPE)
    name, at = _element(body, at, order, _NAME_TYPE)
    if len(flag_bytes) != 8 or len(dimensions) < 8 or len(dimensions) % 4:
        raise ValueError("the header of a variable is damaged")
    (flags,) = struct.unpack_from(order + "I", flag_bytes)
    return _Variable(
        name=name.decode("ascii"),
        kind=flags & 0xFF,
        is_complex=bool(flags & _COMPLEX),
        dimensions=struct.unpack(order + "{}i".format(len(dimensions) // 4), dimensions),
        start=body,
        at=at,
    )


def _element(body: bytes, at: int, order: str, required: Optional[int] = None) -> Tuple[bytes, int]:
    """Return (content, position behind it) of the element at ``at``, of any or a required type."""
    kind, short_count, count = _tag(body, at, order)
    if required not in (None, kind):
        raise ValueError("the header of a variable is damaged")
    if short_count:
        return body[at + 4 : at + 4 + short_count], at + _TAG_SIZE
    if at + _TAG_SIZE + count > len(body):
        raise ValueError("a variable is cut off")
    return body[at + _TAG_SIZE : at + _TAG_SIZE + count], at + _TAG_SIZE + count + -count % 8


def _tag(body: bytes, at: int, order: str) -> Tuple[int, int, int]:
    """Return (type, short size, long size) of an element.

    An element of up to four bytes is packed into its tag; its long size is 0. For any other
    element, the short size is 0.
    """
    kind, count = struct.unpack_from(order + "II", body, at)
    return (kind & 0xFFFF, kind >> 16, 0) if kind >> 16 else (kind, 0, count)


def _is_readable(variable: _Variable, size: int, order: str) -> bool:
    """Return True if a variable is real numbers, characters, or complete cells of such.

    Args:
        variable: header of the array.
        size: bytes of the array, unpacked.
        order: ``struct`` code for the byte order.

    Raises:
        ValueError: it has more cells than content, or its values are stored in an unknown way.
    """
    if variable.kind != _CELLS:
        return _holds_values(variable, order)
    if size > _INSPECTED:
        return False

    cell_count = 1
    for length in variable.dimensions:
        cell_count *= length
    if not 0 <= cell_count <= size // _TAG_SIZE:
        raise ValueError("{} has more cells than content".format(variable.name))

    at = variable.at
    while at + _TAG_SIZE <= len(variable.start):
        content, at = _element(variable.start, at, order)
        if not _holds_values(_array_header(content, order), order):
            return False
    return True


def _holds_values(variable: _Variable, order: str) -> bool:
    """Return True if an array is real numbers or characters.

    Raises:
        ValueError: their type of storage is unknown.
    """
    if variable.kind not in _STORED_AS:
        return False
    if _tag(variable.start, variable.at, order)[0] not in _STORED_AS[variable.kind]:
        raise ValueError("{} is stored in an unknown way".format(variable.name))
    return not variable.is_complex
