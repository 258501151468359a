"""Meshes as the text of Wavefront OBJ files, made by the core: a Python loop takes ten times as long."""

import ctypes

import numpy as np

from mesh_renderer.core import library, pointer

_LINE, _NUMBER = 16, 16  # characters: a guess at a line's frame and at a number
_SPARE = 1 << 14  # what the core wants to be left before it begins a line


def format_rows(prefix, values, decimals):
    """Return lines "PREFIX a b c ..." as bytes.

    Args:
        prefix: str, such as ``"v"``.
        values: [rows, columns], finite or not.
        decimals: digits after the point of each column, 0 to 9.
    """
    values = np.ascontiguousarray(values, np.float64)
    rows, columns = values.shape
    digits = (ctypes.c_int * columns)(*decimals)
    return _text(rows, columns, lambda room, out: library().mesh_renderer_format_rows(
        prefix.encode("ascii"), pointer(values), ctypes.c_int64(rows), ctypes.c_int(columns), digits, room, out))


def format_triangles(triangles):
    """Return lines "f a b c" as bytes, counting vertices from 1.

    Args:
        triangles: [F, 3] vertex indices, counted from 0.
    """
    triangles = np.ascontiguousarray(triangles, np.int32)
    return _text(len(triangles), 3, lambda room, out: library().mesh_renderer_format_triangles(
        pointer(triangles), ctypes.c_int64(len(triangles)), room, out))


def _text(rows, columns, write):
    """Call ``write`` with more and more room until it suffices."""
    room = _SPARE + rows * (_LINE + _NUMBER * columns)
    while True:
        memory = np.empty(room, np.uint8)
        length = write(ctypes.c_int64(room), pointer(memory))
        if length >= 0:
            return memory[:length].tobytes()
        room *= 4
