"""Reading of untrusted pickle files that hold arrays: nothing that they name is imported or called.

A pickle is a program that calls what it names. Here every name stands for an object that only
records its arguments and its state; arrays of numpy, sparse matrices of scipy and arrays of chumpy
(which models of bodies and faces are stored with) are then put together from these records. A file
that names anything else is refused.
"""

import os
import pickle
from typing import Any, Dict

import numpy as np
import scipy.sparse

from utils.errors import InputError, first_line

_LARGEST_FILE = 1 << 30  # bytes
_PACKAGES = {"numpy", "scipy", "chumpy"}  # whose objects are recorded
_HELPERS = {  # of Python, in the files of both of its versions
    ("copy_reg", "_reconstructor"),
    ("copyreg", "_reconstructor"),
    ("_codecs", "encode"),
    ("__builtin__", "object"),
    ("builtins", "object"),
    ("collections", "OrderedDict"),
}


class _Record:
    """An object of a pickle: where it was defined, its arguments, and its state."""

    path = ""
    arguments: Any = ()
    state: Any = None

    def __new__(cls, *arguments: Any) -> "_Record":
        record = object.__new__(cls)
        record.arguments = arguments
        return record

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a class of records instead of what a pickle names."""
        if module.split(".")[0] not in _PACKAGES and (module, name) not in _HELPERS:
            raise pickle.UnpicklingError("it names {}.{}, which is no array".format(module, name))
        return type(str(name), (_Record,), {"path": "{}.{}".format(module, name)})


def read_pickled_arrays(path: str) -> Dict[str, np.ndarray]:
    """Return the arrays of a pickled dict: its other values are left out.

    Args:
        path: a .pkl file, of Python 2 or 3.

    Raises:
        InputError: the file is missing, damaged, too large, no dict, or names something that is no
            array.
    """
    if not os.path.isfile(path):
        raise InputError("{}: no such file; give an existing one".format(path))
    if os.path.getsize(path) > _LARGEST_FILE:
        raise InputError("{}: larger than {} MiB".format(path, _LARGEST_FILE >> 20))
    try:
        with open(path, "rb") as file:
            content = _Unpickler(file, encoding="latin1").load()
        if not isinstance(content, dict):
            raise ValueError("it holds no dict")
        found = {str(name): _array(value) for name, value in content.items()}
    except MemoryError:
        raise InputError(
            "{}: needs more memory than there is; it is damaged".format(path)
        ) from None
    except Exception as error:  # a damaged pickle raises all kinds of errors
        raise InputError(
            "{}: not a pickle of plain arrays ({})".format(path, first_line(error))
        ) from None
    return {name: value for name, value in found.items() if value is not None}


def _array(value: Any) -> Any:
    """Return a value of a pickle as an array; None if it is none."""
    if not isinstance(value, _Record):
        numbers = isinstance(value, (int, float, list)) and np.asarray(value).dtype.kind in "iuf"
        return np.asarray(value) if numbers else None
    kind = value.path.split(".")[-1]
    if value.path.startswith("chumpy") or kind == "_reconstructor":
        inner = value.state.get("x") if isinstance(value.state, dict) else None
        return _sparse(value.state) if inner is None else _array(inner)
    if value.path.startswith("scipy"):
        return _sparse(value.state)
    if kind == "_reconstruct":  # (version, shape, dtype, whether columns come first, bytes)
        _, shape, dtype, columns_first, data = value.state
        return _plain(data, dtype, shape, "F" if columns_first else "C")
    if kind == "_frombuffer":
        data, dtype, shape, order = value.arguments
        return _plain(data, dtype, shape, order)
    return None


def _sparse(state: Any) -> Any:
    """Return the matrix of a recorded ``csc_matrix``, dense; None if it is none."""
    if not isinstance(state, dict) or not {"data", "indices", "indptr"} <= set(state):
        return None
    parts = tuple(_array(state[name]) for name in ("data", "indices", "indptr"))
    shape = state.get("_shape", state.get("shape"))
    return scipy.sparse.csc_matrix(parts, shape=shape).toarray()


def _plain(data: Any, dtype: _Record, shape: Any, order: str) -> Any:
    """Return the array of recorded bytes; None if it holds no numbers."""
    # 1. the dtype: its code is an argument, its byte order a part of its state
    code = str(dtype.arguments[0])
    if code[:1] not in "iufb":
        return None
    byte_order = str(dtype.state[1]) if dtype.state else "<"
    kind = np.dtype(("<" if byte_order not in "<>" else byte_order) + code)

    # 2. the bytes: text in files of Python 2, or encoded by a call
    if isinstance(data, _Record):
        data = data.arguments[0]
    if isinstance(data, str):
        data = data.encode("latin1")
    values: Any = np.frombuffer(data, kind)
    return values.reshape(tuple(int(length) for length in shape), order=order).copy()
