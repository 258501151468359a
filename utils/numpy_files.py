"""numpy's files, which may come from strangers: never unpickled, and no larger than they say."""

import functools
import operator
import os
import warnings
import zipfile

import numpy as np

from utils.errors import InputError

MAX_BYTES = 1 << 30  # of an array
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # flag of a member


def read_npy(path):
    """Return the array of a ``.npy`` file.

    Raises:
        InputError: the file is missing, damaged, holds Python objects, or claims more than it holds.
    """
    if not os.path.isfile(path):
        raise InputError("{}: no such file".format(path))
    return _guarded(path, "a plain .npy array", lambda: _read_npy(path))


def npy_header(path):
    """Return (shape, dtype) of a ``.npy`` file of any size that is whole, without reading its numbers.

    Raises:
        InputError: as :func:`read_npy`.
    """
    if not os.path.isfile(path):
        raise InputError("{}: no such file".format(path))

    def read():
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            shape, _, dtype = _read_header(file, size, size)
            if _count(shape) * dtype.itemsize > size - file.tell():
                raise ValueError("it is cut off")
            return shape, dtype
    return _guarded(path, "a plain .npy array", read)


def read_npz(path, names=None):
    """Return the arrays of an ``.npz`` file.

    Args:
        path: the file.
        names: of the arrays to read, absent ones are left out; None for all.

    Returns:
        A dict of name -> array.

    Raises:
        InputError: as :func:`read_npy`.
    """
    if not os.path.isfile(path):
        raise InputError("{}: no such file".format(path))
    return _guarded(path, "an .npz of plain arrays", lambda: _read_npz(path, names))


def _guarded(path, kind, read):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's, of odd headers
            return read()
    except MemoryError:
        raise InputError("{}: asks for more memory than there is; it is damaged".format(path)) from None
    except Exception as error:  # what a broken header makes the parsers raise has no common kind
        raise InputError("{}: not {} ({})".format(
            path, kind, (str(error) or type(error).__name__).splitlines()[0])) from None


def _read_npy(path):
    with open(path, "rb") as file:
        return _read_array(file, os.path.getsize(path))


def _read_npz(path, names):
    found = {}
    with zipfile.ZipFile(path) as archive:
        members = {info.filename[:-4]: info for info in archive.infolist() if info.filename.endswith(".npy")}
        for name in members if names is None else [name for name in names if name in members]:
            info = members[name]
            if info.compress_type not in _METHODS or info.flag_bits & _ENCRYPTED:
                raise ValueError("packed in a way that numpy does not write")
            with archive.open(info) as file:
                found[name] = _read_array(file, info.file_size)
    return found


def _read_array(file, size):
    """Read an array off a file of ``size`` bytes."""
    shape, fortran_order, dtype = _read_header(file, size)
    count = _count(shape)
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise ValueError("it is cut off")
    return np.frombuffer(data, dtype, count).reshape(shape, order="F" if fortran_order else "C").copy()


def _read_header(file, size, largest=MAX_BYTES):
    """Return (shape, whether columns come first, dtype), after comparing them with the size of the file."""
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0,
                   (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read_header is None:
        raise ValueError("of version {}".format(version))
    shape, fortran_order, dtype = read_header(file)
    if min(shape + (0,)) < 0:
        raise ValueError("a negative size")
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    claimed = _count(shape) * dtype.itemsize
    if claimed > min(size, largest):
        raise ValueError("its header claims {} bytes, it has {}".format(claimed, size))
    return shape, fortran_order, dtype


def _count(shape):
    """Return how many numbers an array of a shape has, however many."""
    return functools.reduce(operator.mul, shape, 1)


def all_within(values, limit):
    """Tell whether all values are numbers between -limit and limit; NaN is none."""
    with np.errstate(invalid="ignore"):  # older numpy warns when it compares NaN
        return bool(np.all(np.abs(np.asarray(values, np.float64)) <= limit))
