"""Reading of untrusted numpy files: nothing is unpickled, and headers may claim no false sizes."""

import functools
import operator
import os
import warnings
import zipfile
from typing import IO, Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np

from utils.errors import InputError, first_line

MAX_BYTES = 1 << 30  # of an array
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # flag of an archive's member


def read_npy(path: str) -> np.ndarray:
    """Return the array of a ``.npy`` file.

    Raises:
        InputError: the file is missing, damaged, holds Python objects, or claims more than it
            holds.
    """
    if not os.path.isfile(path):
        raise InputError("{}: no such file".format(path))
    return _guard(path, "a plain .npy array", lambda: _read_npy(path))


def npy_header(path: str) -> Tuple[Tuple[int, ...], np.dtype]:
    """Return (shape, dtype) of a complete ``.npy`` file of any size, without reading its numbers.

    Raises:
        InputError: the file is missing, damaged, holds Python objects, or claims more than it
            holds.
    """
    if not os.path.isfile(path):
        raise InputError("{}: no such file".format(path))

    def read() -> Tuple[Tuple[int, ...], np.dtype]:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            shape, _, dtype = _read_header(file, size, size)
            if _count(shape) * dtype.itemsize > size - file.tell():
                raise ValueError("it is cut off")
            return shape, dtype

    return _guard(path, "a plain .npy array", read)


def read_npz(path: str, names: Optional[Sequence[str]] = None) -> Dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file.

    Args:
        path: the file.
        names: arrays to read, absent ones are left out; None for all.

    Returns:
        A dict of name -> array.

    Raises:
        InputError: the file is missing, damaged, holds Python objects, or claims more than it
            holds.
    """
    if not os.path.isfile(path):
        raise InputError("{}: no such file".format(path))
    return _guard(path, "an .npz of plain arrays", lambda: _read_npz(path, names))


def all_within(values: Any, limit: float) -> bool:
    """Return True if all values are finite and within [-limit, limit]."""
    with np.errstate(invalid="ignore"):  # older numpy warns when it compares NaN
        return bool(np.all(np.abs(np.asarray(values, np.float64)) <= limit))


def _guard(path: str, kind: str, read: Callable[[], Any]) -> Any:
    """Return ``read()``, its errors turned into an InputError: the file is not ``kind``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns of odd headers
            return read()
    except MemoryError:
        raise InputError(
            "{}: needs more memory than there is; it is damaged".format(path)
        ) from None
    except Exception as error:  # parsers raise all kinds of errors on damaged headers
        raise InputError("{}: not {} ({})".format(path, kind, first_line(error))) from None


def _read_npy(path: str) -> np.ndarray:
    with open(path, "rb") as file:
        return _read_array(file, os.path.getsize(path))


def _read_npz(path: str, names: Optional[Sequence[str]]) -> Dict[str, np.ndarray]:
    found = {}
    with zipfile.ZipFile(path) as archive:
        members = {
            info.filename[:-4]: info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }
        for name in members if names is None else [name for name in names if name in members]:
            info = members[name]
            if info.compress_type not in _METHODS or info.flag_bits & _ENCRYPTED:
                raise ValueError("it is compressed or encrypted as numpy never does")
            with archive.open(info) as file:
                found[name] = _read_array(file, info.file_size)
    return found


def _read_array(file: IO[bytes], size: int) -> np.ndarray:
    """Read an array from a file of ``size`` bytes."""
    shape, fortran_order, dtype = _read_header(file, size)
    count = _count(shape)
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise ValueError("it is cut off")
    values = np.frombuffer(data, dtype, count)
    return values.reshape(shape, order="F" if fortran_order else "C").copy()


def _read_header(
    file: IO[bytes], size: int, largest: int = MAX_BYTES
) -> Tuple[Tuple[int, ...], bool, np.dtype]:
    """Return (shape, whether columns are stored first, dtype), checked against the file's size."""
    version = np.lib.format.read_magic(file)
    readers: Dict[Tuple[int, int], Callable[..., Any]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError("unknown version {}".format(version))
    shape, fortran_order, dtype = readers[version](file)
    if min(shape + (0,)) < 0:
        raise ValueError("a dimension is negative")
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    claimed = _count(shape) * dtype.itemsize
    if claimed > min(size, largest):
        raise ValueError("its header claims {} bytes, it has {}".format(claimed, size))
    return shape, fortran_order, dtype


def _count(shape: Tuple[int, ...]) -> int:
    """Return the number of elements of an array, in integers of any size."""
    return functools.reduce(operator.mul, shape, 1)
