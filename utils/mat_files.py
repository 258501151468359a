"""MATLAB files: those we write, and those we read.

The latter may come from strangers: what they claim is compared with what they hold before it is allocated.
"""

import os
import struct
import zlib
from typing import NamedTuple

import scipy.io

from utils.errors import InputError

# Of all variables, unpacked: twice BFM09's largest file in double precision.
MAX_BYTES = 1 << 30

_HEADER_SIZE, _TAG_SIZE = 128, 8
_DESCRIPTION = b"MATLAB 5.0 MAT-file".ljust(116)  # scipy's has the time of day in it
_MATRIX, _COMPRESSED = 14, 15  # types of an element
_FLAG_TYPE, _DIMENSION_TYPE, _NAME_TYPE = 6, 5, 1  # the same, of what an array begins with
_CELLS, _CHARACTERS, _NUMBERS = 1, 4, range(6, 16)  # classes of an array
# Class of an array -> types of elements that it may be stored as; scipy looks up others outside of its tables.
_STORED_AS = dict.fromkeys(_NUMBERS, {1, 2, 3, 4, 5, 6, 7, 9, 12, 13})
_STORED_AS[_CHARACTERS] = {1, 2, 4, 16, 17, 18}
_COMPLEX = 0x0800  # of the flags of an array
_READ_SIZE = 1 << 16
_LARGEST_CELLS = 1 << 20  # bytes of a cell array, ours hold a few names; and what is looked at of any variable


class _Variable(NamedTuple):
    name: str
    kind: int  # class
    is_complex: bool
    dimensions: tuple
    start: bytes  # its first bytes, unpacked
    at: int  # position of what follows the name in these


def write_mat(file, fields, compressed=False):
    """Write a MATLAB 5 file that depends on its content alone.

    Args:
        file: a seekable binary file, at its beginning.
        fields: name -> array, string, or object array of strings.
        compressed: whether to pack the variables.
    """
    scipy.io.savemat(file, fields, do_compression=compressed)
    file.seek(0)
    file.write(_DESCRIPTION)


def read_mat(path):
    """Return the variables of a MATLAB 5 file that are real numbers, characters, or cells of such.

    Args:
        path: a file as ``save -v7`` or ``scipy.io.savemat`` write it; structures, objects and complex numbers in it
            are passed over.

    Returns:
        A dict of name -> array.

    Raises:
        InputError: the file is missing, damaged, of another version, or too large when unpacked.
    """
    if not os.path.isfile(path):
        raise InputError("{}: no such file; give an existing .mat file".format(path))
    try:
        names = [variable.name for variable in _variables(path)]
        fields = scipy.io.loadmat(path, variable_names=names)
    except MemoryError:
        raise InputError("{}: the file asks for more memory than there is; it is damaged".format(path)) from None
    except Exception as error:  # scipy raises whatever its parser stumbles over
        raise InputError("{}: not a readable MATLAB 5 file ({})".format(path, _first_line(error))) from None
    return {name: value for name, value in fields.items() if not name.startswith("__")}


def _variables(path):
    """List the variables that may be read; raises a ValueError if the file claims more than it can hold."""
    size, found, total = os.path.getsize(path), [], 0
    with open(path, "rb") as file:
        order = _byte_order(file.read(_HEADER_SIZE))
        at = _HEADER_SIZE
        while at + _TAG_SIZE <= size:
            file.seek(at)
            kind, count = struct.unpack(order + "II", file.read(_TAG_SIZE))
            if kind not in (_MATRIX, _COMPRESSED) or at + _TAG_SIZE + count > size:
                raise ValueError("it is cut off or damaged at byte {}".format(at))
            start, unpacked = _beginning(file, kind, count)
            total += unpacked
            if total > MAX_BYTES:
                raise ValueError("its variables would take more than {} MiB".format(MAX_BYTES >> 20))
            kind, claimed = struct.unpack_from(order + "II", start)
            if kind != _MATRIX or claimed + _TAG_SIZE > unpacked:
                raise ValueError("a variable is not whole")
            variable = _variable(start[_TAG_SIZE:], order)
            if _may_be_read(variable, unpacked, order):
                found.append(variable)
            at += _TAG_SIZE + count
    return found


def _byte_order(header):
    """Return struct's sign for the byte order of a MATLAB 5 file."""
    if len(header) < _HEADER_SIZE or header[126:128] not in (b"IM", b"MI"):
        raise ValueError("its header is of another format")
    order = "<" if header[126:128] == b"IM" else ">"
    if struct.unpack(order + "H", header[124:126])[0] != 0x0100:
        raise ValueError("it is of version 7.3; save it again with -v7")
    return order


def _beginning(file, kind, count):
    """Return (the first bytes of the element with its tag, its size when unpacked); the file is after its tag."""
    if kind == _MATRIX:
        file.seek(-_TAG_SIZE, os.SEEK_CUR)
        return file.read(min(_TAG_SIZE + count, _LARGEST_CELLS)), _TAG_SIZE + count
    unpacker, start, unpacked, left = zlib.decompressobj(), b"", 0, count
    while left and unpacked <= MAX_BYTES:
        packed = file.read(min(left, _READ_SIZE))
        left -= len(packed)
        while packed and unpacked <= MAX_BYTES:
            piece = unpacker.decompress(packed, 16 * _READ_SIZE)
            unpacked += len(piece)
            start += piece[:_LARGEST_CELLS - len(start)]
            packed = unpacker.unconsumed_tail
    return start, unpacked


def _variable(body, order):
    """Return the variable whose array begins with ``body``: flags, dimensions, name.

    Raises:
        ValueError: they are not as the format has them; scipy does not look in all of these places.
    """
    flags, at = _element(body, 0, order, _FLAG_TYPE)
    dimensions, at = _element(body, at, order, _DIMENSION_TYPE)
    name, at = _element(body, at, order, _NAME_TYPE)
    if len(flags) != 8 or len(dimensions) < 8 or len(dimensions) % 4:
        raise ValueError("a variable begins as none does")
    flags, = struct.unpack_from(order + "I", flags)
    return _Variable(name.decode("ascii"), flags & 0xff, bool(flags & _COMPLEX),
                     struct.unpack(order + "{}i".format(len(dimensions) // 4), dimensions), body, at)


def _element(body, at, order, wanted=None):
    """Return (content, position after it) of an element, which may be a short one, of a type that may be wanted."""
    kind, short_count, count = _tag(body, at, order)
    if wanted not in (None, kind):
        raise ValueError("a variable begins as none does")
    if short_count:
        return body[at + 4:at + 4 + short_count], at + _TAG_SIZE
    if at + _TAG_SIZE + count > len(body):
        raise ValueError("a variable is cut off")
    return body[at + _TAG_SIZE:at + _TAG_SIZE + count], at + _TAG_SIZE + count + -count % 8


def _tag(body, at, order):
    """Return (type, size of an element of four bytes or less packed into its tag or else 0, size of any other)."""
    kind, count = struct.unpack_from(order + "II", body, at)
    return (kind & 0xffff, kind >> 16, 0) if kind >> 16 else (kind, 0, count)


def _may_be_read(variable, size, order):
    """Tell whether a variable is numbers, characters, or cells of such that are all there."""
    if variable.kind != _CELLS:
        return _holds_values(variable, order)
    if size > _LARGEST_CELLS:
        return False
    body, at, wanted = variable.start, variable.at, 1
    for length in variable.dimensions:
        wanted *= length
    if not 0 <= wanted <= size // _TAG_SIZE:
        raise ValueError("{} has more cells than content".format(variable.name))
    while at + _TAG_SIZE <= len(body):
        content, at = _element(body, at, order)
        if not _holds_values(_variable(content, order), order):
            return False
    return True


def _holds_values(variable, order):
    """Tell whether an array is real numbers or characters; raises a ValueError if they are stored as none are."""
    if variable.kind not in _STORED_AS:
        return False
    if _tag(variable.start, variable.at, order)[0] not in _STORED_AS[variable.kind]:
        raise ValueError("{} is stored in an unknown way".format(variable.name))
    return not variable.is_complex


def _first_line(error):
    return (str(error) or type(error).__name__).splitlines()[0]
