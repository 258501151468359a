"""Well-formed but invalid files of MATLAB and numpy.

A forgery is a function of a random state and the bytes of the whole file that returns other bytes.
"""

import io
import pickle
import struct
import zipfile
import zlib
from typing import Any, Tuple

import numpy as np
import scipy.io
import scipy.sparse

from utils.mat_files import write_mat

_HUGE = 2**31 - 1


class Trap:
    """Code in a pickle; loading the pickle, a fault, would run it."""

    def __reduce__(self) -> Any:
        return print, ("unpickled",)


# MATLAB files


def _mat(change):
    """Return a forgery that writes a file with changed fields."""

    def forge(random, data):
        fields = {
            name: value
            for name, value in scipy.io.loadmat(io.BytesIO(data)).items()
            if not name.startswith("__")
        }
        name = sorted(fields)[random.randint(len(fields))]
        fields[name] = change(random, fields[name])
        if fields[name] is None:
            del fields[name]
        stream = io.BytesIO()
        write_mat(stream, fields)
        return stream.getvalue()

    return forge


def _with_one(value):
    def change(random, field):
        changed = np.array(field, np.float64 if field.dtype.kind in "iuf" else object)
        changed.reshape(-1)[random.randint(changed.size)] = value
        return changed

    return change


def _element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def _matrix(name, dimensions, data_bytes, claimed=None, kind=6, stored=9):
    """A miMATRIX element, by default of doubles; ``claimed`` is a false size."""
    body = (
        _element(6, struct.pack("<II", kind, 0))
        + _element(5, np.array(dimensions, "<i4").tobytes())
        + _element(1, name.encode())
        + struct.pack("<II", stored, len(data_bytes) if claimed is None else claimed)
        + data_bytes
    )
    return struct.pack("<II", 14, len(body) if claimed is None else claimed) + body


def _cell(name, content):
    """A miMATRIX element of one cell."""
    body = (
        _element(6, struct.pack("<II", 1, 0))
        + _element(5, struct.pack("<II", 1, 1))
        + _element(1, name.encode())
        + content
    )
    return struct.pack("<II", 14, len(body)) + body


_MAT_HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def _mat_of(*elements):
    return lambda random, data: _MAT_HEADER + b"".join(elements)


def _packed(content):
    packed = zlib.compress(content, 9)
    return struct.pack("<II", 15, len(packed)) + packed


def _mat_bomb(random, data):
    """Gigabytes of zeros in megabytes."""
    size = 40 << 24
    packer, block = zlib.compressobj(1), bytes(1 << 24)
    parts = [packer.compress(_matrix("meanshape", (1, size // 8), b"", claimed=size))]
    packed = b"".join(parts + [packer.compress(block) for _ in range(40)] + [packer.flush()])
    return _MAT_HEADER + (struct.pack("<II", 15, len(packed)) + packed) * 8


MATLAB_FILES = {
    "a NaN": _mat(_with_one(np.nan)),
    "an infinity": _mat(_with_one(np.inf)),
    "a huge number": _mat(_with_one(1e300)),
    "a negative index": _mat(_with_one(-7)),
    "a zero index": _mat(_with_one(0)),
    "a fraction": _mat(_with_one(1.5)),
    "a large index": _mat(_with_one(2.0**40)),
    "a field missing": _mat(lambda random, field: None),
    "a field empty": _mat(lambda random, field: np.zeros((0, 0))),
    "a field as text": _mat(lambda random, field: "text"),
    "a field as cells": _mat(lambda random, field: np.array([[1], "x", np.zeros(2)], object)),
    "a field as a structure": _mat(lambda random, field: {"a": 1, "b": "x"}),
    "a field as complex numbers": _mat(
        lambda random, field: np.asarray(field[:1] != 0, complex) * 1j
    ),
    "a field as truth values": _mat(lambda random, field: field == field),
    "a field as bytes": _mat(lambda random, field: np.asarray(field[:1] != 0, np.uint8)),
    "a field as one number": _mat(lambda random, field: 3.0),
    "a field turned": _mat(lambda random, field: field.T),
    "a field with three dimensions": _mat(
        lambda random, field: np.asarray(field)[..., np.newaxis].repeat(2, -1)
    ),
    "a row missing": _mat(lambda random, field: field[:-1]),
    "a column missing": _mat(lambda random, field: field[..., :-1]),
    "a field doubled": _mat(lambda random, field: np.concatenate([field, field])),
    "all fields sparse": _mat(lambda random, field: scipy.sparse.csc_matrix((5, 5))),
    "a claim of 2^31 numbers": _mat_of(_matrix("meanshape", (1, _HUGE), bytes(80))),
    "a claim of 2^62 numbers": _mat_of(_matrix("meanshape", (_HUGE, _HUGE), bytes(80))),
    "a claim of four gigabytes": _mat_of(
        _matrix("meanshape", (1, 1 << 29), bytes(80), claimed=0xFFFFFFF0)
    ),
    "a negative dimension": _mat_of(_matrix("meanshape", (-1, -8), bytes(64))),
    "no dimension": _mat_of(_matrix("meanshape", (), bytes(64))),
    "2^31 cells": _mat_of(_matrix("meanshape", (1, _HUGE), b"", kind=1)),
    "2^31 structures": _mat_of(_matrix("meanshape", (1, _HUGE), bytes(64), kind=2)),
    "an object of MATLAB": _mat_of(_matrix("meanshape", (1, 1), bytes(64), kind=3)),
    "an opaque object": _mat_of(_matrix("meanshape", (1, 1), bytes(64), kind=17)),
    "a function": _mat_of(_matrix("meanshape", (1, 1), bytes(64), kind=16)),
    "numbers of an unknown type": _mat_of(_matrix("meanshape", (1, 8), bytes(64), stored=0xFFFF)),
    "characters of an unknown type": _mat_of(
        _matrix("meanshape", (1, 8), bytes(64), kind=4, stored=0xFFFF)
    ),
    "packed numbers of an unknown type": _mat_of(
        _packed(_matrix("meanshape", (1, 8), bytes(64), stored=0xFFF0))
    ),
    "a cell of an unknown type": _mat_of(
        _cell("meanshape", _matrix("", (1, 8), bytes(64), stored=0xFFFF))
    ),
    "a sparse matrix that lies": _mat_of(_matrix("meanshape", (5, 5), bytes(64), kind=5)),
    "a packed claim of four gigabytes": _mat_of(
        _packed(_matrix("meanshape", (1, 1 << 29), b"", claimed=0xFFFFFFF0))
    ),
    "packed zeros": _mat_of(_packed(bytes(1 << 20))),
    "a package in a package": _mat_of(_packed(_packed(bytes(99)))),
    "a bomb": _mat_bomb,
    "version 4": lambda random, data: (
        struct.pack("<IiiII", 0, 1 << 15, 1 << 15, 0, 2) + b"x\0" + bytes(80)
    ),
    "version 4, negative": lambda random, data: (
        struct.pack("<IiiII", 0, -5, -5, 0, 2) + b"x\0" + bytes(80)
    ),
    "version 7.3": lambda random, data: (
        b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" + bytes(500)
    ),
}


# numpy files


def _npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npy_claiming(shape: Tuple[int, ...], descr: str = "<f8", data: bytes = b"") -> bytes:
    """Return a .npy file with any header."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def _changed_npy(change):
    def forge(random, data):
        with np.errstate(all="ignore"):
            return _npy(change(random, np.load(io.BytesIO(data), allow_pickle=False)))

    return forge


NPY_FILES = {
    "a NaN": _changed_npy(
        lambda random, a: np.where(random.uniform(size=a.shape) < 0.1, np.nan, a)
    ),
    "all NaN": _changed_npy(lambda random, a: a * np.nan),
    "infinity": _changed_npy(lambda random, a: a + np.inf),
    "huge numbers": _changed_npy(lambda random, a: a * 1e300),
    "zeros": _changed_npy(lambda random, a: a * 0),
    "whole numbers": _changed_npy(lambda random, a: a.astype(np.int8)),
    "complex numbers": _changed_npy(lambda random, a: a * 1j),
    "text": _changed_npy(lambda random, a: a.astype(str)),
    "dates": _changed_npy(lambda random, a: np.zeros(a.shape, "datetime64[s]")),
    "truth values": _changed_npy(lambda random, a: a > 0),
    "half floats": _changed_npy(lambda random, a: a.astype("f2")),
    "other byte order": _changed_npy(lambda random, a: a.astype(">f8")),
    "records": _changed_npy(lambda random, a: np.zeros(a.shape, [("x", "f4"), ("y", "i4")])),
    "one axis more": _changed_npy(lambda random, a: a[np.newaxis]),
    "turned": _changed_npy(lambda random, a: a.T.copy()),
    "one axis less": _changed_npy(lambda random, a: a.reshape(-1)),
    "a scalar": _changed_npy(lambda random, a: a.sum()),
    "empty": _changed_npy(lambda random, a: np.atleast_1d(a)[:0]),
    "twice": _changed_npy(lambda random, a: np.concatenate([np.atleast_1d(a)] * 2)),
    "a pickle": lambda random, data: _npy(np.array([Trap()], object), allow_pickle=True),
    "a bare pickle": lambda random, data: pickle.dumps(Trap()),
    "a claim of 2^40 numbers": lambda random, data: npy_claiming((1 << 40,), data=bytes(80)),
    "a claim of 2^62 numbers": lambda random, data: npy_claiming(
        (1 << 31, 1 << 31), data=bytes(80)
    ),
    "a claim beyond 2^64": lambda random, data: npy_claiming((10**30,), data=bytes(80)),
    "a negative claim": lambda random, data: npy_claiming((-4, 3), data=bytes(80)),
    "a header of code": lambda random, data: (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 99) + b"__import__('os').getcwd()".ljust(99)
    ),
    "a deep header": lambda random, data: (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 60000) + (b"(" * 59999 + b"\n")
    ),
    "a header of four gigabytes": lambda random, data: (
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 0xFFFFFFFF) + data[10:]
    ),
    "an archive": lambda random, data: _npz(random, {"a": data}),
}


def _npz(random, members, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name + ".npy", content)
    return stream.getvalue()


def _npz_forgery(forge):
    def wrapped(random, data):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            name = archive.namelist()[0]
            content = archive.read(name)
        return _npz(random, {name[:-4]: forge(random, content)})

    return wrapped


def _npz_bomb(random, data):
    """Four gigabytes of zeros, packed twice over by the archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = archive.namelist()[0]
    stream, block = io.BytesIO(), bytes(1 << 24)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w", force_zip64=True) as member:
            member.write(npy_claiming((1 << 29,)))
            for _ in range(4):
                member.write(block)
    return stream.getvalue()


def _encrypted(random, data):
    """The flag of encryption set in both headers."""
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = bytes(changed).find(mark)
        changed[at + offset] |= 1
    return bytes(changed)


def _other_method(random, data):
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = bytes(changed).find(mark)
        changed[at + offset] = random.choice([1, 9, 12, 14, 97])
    return bytes(changed)


NPZ_FILES = {name: _npz_forgery(forge) for name, forge in NPY_FILES.items()}
NPZ_FILES.update(
    {
        "a bomb": _npz_bomb,
        "encrypted": _encrypted,
        "another method": _other_method,
        "an empty archive": lambda random, data: _npz(random, {}),
        "names that climb": lambda random, data: _npz(
            random, {"../../evil": _npy(np.zeros((68, 2))), "/evil": b""}
        ),
        "a bare array": lambda random, data: _npy(np.zeros((68, 2))),
    }
)
