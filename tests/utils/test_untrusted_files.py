"""Untrusted files: sizes are checked before memory is allocated, and no content is run."""

import ast
import contextlib
import functools
import io
import os
import struct
import time

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from tests.fuzz.forged_arrays import MATLAB_FILES, NPY_FILES, NPZ_FILES, Trap, npy_claiming
from utils.errors import InputError
from utils.json_files import read_json_object
from utils.mat_files import read_mat, write_mat
from utils.numpy_files import npy_header, read_npy, read_npz
from utils.paths import REPO_ROOT


def written(path, data):
    path.write_bytes(data)
    return str(path)


def one_sentence(error):
    message = str(error.value)
    return "\n" not in message and not message.endswith(".")


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_files_come_back_as_scipy_reads_them(tmp_path, compressed):
    random = np.random.RandomState(0)
    fields = {
        "a": random.standard_normal((30, 40)),
        "b": np.int32([[1, 2]]),
        "c": "text",
        "d": np.zeros((0, 0)),
        "names": np.array(["one", "two"], object),
        "e": np.ones((1, 1), bool),
        "f": np.float32(random.rand(9, 2)),
    }
    path = str(tmp_path / "a.mat")
    scipy.io.savemat(path, fields, do_compression=compressed)
    found, wanted = read_mat(path), scipy.io.loadmat(path)
    assert set(found) == set(fields)
    for name in fields:
        np.testing.assert_array_equal(found[name], wanted[name])


def test_the_time_of_day_is_not_in_a_matlab_file(monkeypatch):
    contents = []
    for now in ("Mon Jan  1 00:00:00 2001", "Tue Jan  1 00:00:00 2002"):
        monkeypatch.setattr(time, "asctime", lambda now=now: now)
        contents.append(io.BytesIO())
        write_mat(contents[-1], {"a": np.ones((2, 3))})
    assert contents[0].getvalue() == contents[1].getvalue()
    np.testing.assert_array_equal(scipy.io.loadmat(contents[0])["a"], np.ones((2, 3)))


def test_structures_nested_cells_and_complex_numbers_are_passed_over(tmp_path):
    nested = np.empty(1, object)
    nested[0] = np.array(["x"], object)
    scipy.io.savemat(
        str(tmp_path / "a.mat"),
        {"a": np.ones(3), "s": {"x": 1}, "nested": nested, "z": 1j * np.ones((2, 2))},
    )
    assert list(read_mat(str(tmp_path / "a.mat"))) == ["a"]


def test_no_field_of_a_matlab_file_ends_the_process(tmp_path):
    """Change every four bytes of a file of every kind of array; scipy alone crashes on some."""
    stream, path = io.BytesIO(), str(tmp_path / "a.mat")
    scipy.io.savemat(
        stream,
        {
            "numbers": np.ones((2, 3)),
            "packed": np.int32([[1, 2]]),
            "text": "text",
            "truth": np.array([[True]]),
            "names": np.array(["one", "another"], object),
            "empty": np.zeros((0, 3)),
            "structure": {"x": 1},
            "complex": 1j * np.ones((2, 2)),
            "sparse": scipy.sparse.eye(3).tocsc(),
        },
    )
    child = os.fork()
    if not child:  # which would crash
        status = 1
        try:
            for start in range(128, len(stream.getvalue()) - 3, 4):
                for value in (0, 1, 4, 14, 16, 0xFFFF, 0x4000E, 0x4FFFF, 0x7FFFFFFF, 0xFFFFFFFF):
                    content = bytearray(stream.getvalue())
                    struct.pack_into("<I", content, start, value)
                    with contextlib.suppress(InputError), open(path, "wb") as file:
                        file.write(content)
                        file.flush()
                        read_mat(path)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    "name",
    [
        "a claim of 2^31 numbers",
        "a claim of four gigabytes",
        "a packed claim of four gigabytes",
        "2^31 cells",
        "version 4",
        "version 7.3",
        "a bomb",
        "a package in a package",
        "numbers of an unknown type",
        "characters of an unknown type",
        "packed numbers of an unknown type",
        "a cell of an unknown type",
    ],
)
def test_matlab_files_that_lie_are_refused(tmp_path, name):
    path = written(tmp_path / "a.mat", MATLAB_FILES[name](np.random.RandomState(0), b""))
    with pytest.raises(InputError, match="a.mat: not a readable MATLAB 5 file") as caught:
        read_mat(path)
    assert one_sentence(caught)


@pytest.mark.parametrize(
    "name",
    [
        "a claim of 2^40 numbers",
        "a claim of 2^62 numbers",
        "a claim beyond 2^64",
        "a negative claim",
        "a pickle",
        "a bare pickle",
        "a header of code",
        "a deep header",
        "a header of four gigabytes",
        "an archive",
    ],
)
def test_arrays_that_lie_are_refused(tmp_path, name, capsys):
    path = tmp_path / "a.npy"
    np.save(str(path), np.zeros((68, 2)))
    written(path, NPY_FILES[name](np.random.RandomState(0), path.read_bytes()))
    for read in (read_npy, npy_header):
        with pytest.raises(InputError, match="a.npy: not a plain .npy array") as caught:
            read(str(path))
        assert one_sentence(caught)
    assert "unpickled" not in capsys.readouterr().out


def test_the_trap_would_have_closed():
    assert Trap().__reduce__()[0] is print


@pytest.mark.parametrize(
    "name", ["a pickle", "a bomb", "encrypted", "another method", "a claim of 2^40 numbers"]
)
def test_archives_that_lie_are_refused(tmp_path, name):
    path = tmp_path / "a.npz"
    np.savez(str(path), image=np.zeros((68, 2)))
    written(path, NPZ_FILES[name](np.random.RandomState(0), path.read_bytes()))
    with pytest.raises(InputError, match="a.npz: not an .npz of plain arrays"):
        read_npz(str(path), ["image"])


def test_arrays_come_back_as_numpy_reads_them(tmp_path):
    arrays = {
        "a": np.asfortranarray(np.random.RandomState(0).rand(5, 7)),
        "b": np.arange(6, dtype=">i2").reshape(2, 3),
        "c": np.array("text"),
        "d": np.zeros((0, 4)),
        "e": np.float32(3),
    }
    for array in arrays.values():
        np.save(str(tmp_path / "a.npy"), array)
        found = read_npy(str(tmp_path / "a.npy"))
        np.testing.assert_array_equal(found, array)
        assert (
            npy_header(str(tmp_path / "a.npy")) == (found.shape, found.dtype)
            and found.flags.writeable
        )
    np.savez_compressed(str(tmp_path / "a.npz"), **arrays)
    found = read_npz(str(tmp_path / "a.npz"))
    assert set(found) == set(arrays) and list(read_npz(str(tmp_path / "a.npz"), ["a", "x"])) == [
        "a"
    ]
    np.testing.assert_array_equal(found["a"], arrays["a"])


def test_the_header_of_an_array_that_is_cut_off_is_refused(tmp_path):
    path = str(tmp_path / "a.npy")
    np.save(path, np.zeros((68, 2)))
    assert npy_header(path) == ((68, 2), np.float64)
    os.truncate(path, os.path.getsize(path) - 1)
    with pytest.raises(InputError, match="a.npy: not a plain .npy array \\(it is cut off"):
        npy_header(path)


def test_the_header_of_a_large_array_is_read(tmp_path):
    path = str(tmp_path / "a.npy")
    with open(path, "wb") as file:
        file.write(npy_claiming((1 << 31,), "|u1"))
        file.truncate(file.tell() + (1 << 31))
    assert npy_header(path) == ((1 << 31,), np.uint8)
    with pytest.raises(InputError, match="its header claims"):
        read_npy(path)


@pytest.mark.parametrize(
    "content",
    [b"[1]", b"null", b"", b"{", b"[" * 100000, b'{"a":' * 100000, b"\xff"],
    ids=["a list", "null", "nothing", "a beginning", "deep lists", "deep objects", "no text"],
)
def test_json_that_is_no_object_counts_as_none(tmp_path, content):
    assert read_json_object(written(tmp_path / "a.json", content)) is None


def test_pipes_and_folders_are_not_waited_for(tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    assert read_json_object(str(tmp_path / "pipe")) is None
    for read in (read_mat, read_npy, read_npz):
        for path in (str(tmp_path / "pipe"), str(tmp_path)):
            with pytest.raises(InputError, match="no such file"):
                read(path)


@functools.lru_cache(maxsize=None)
def all_calls():
    """Return (path, name, call) of every call of a function or method in the code."""
    found = []
    for folder, folders, files in os.walk(REPO_ROOT):
        folders[:] = [
            f for f in folders if not f.startswith((".", "__")) and f not in ("tests", "benchmarks")
        ]
        for path in (os.path.join(folder, file) for file in files if file.endswith(".py")):
            with open(path, encoding="utf-8") as source:
                nodes = [
                    node
                    for node in ast.walk(ast.parse(source.read()))
                    if isinstance(node, ast.Call)
                ]
            found += [
                (
                    os.path.relpath(path, REPO_ROOT),
                    getattr(node.func, "attr", getattr(node.func, "id", None)),
                    node,
                )
                for node in nodes
            ]
    return found


def calls(name):
    """Return (path, call) of every call of a function or method of this name in the code."""
    return [(path, node) for path, called, node in all_calls() if called == name]


def test_numpy_never_unpickles():
    found = [
        (path, node) for path, node in calls("load") if getattr(node.func.value, "id", "") == "np"
    ]
    for path, node in found:
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        assert "allow_pickle" in given and given["allow_pickle"].value is False, path
    assert found


@pytest.mark.parametrize(
    "name", ["loads", "Unpickler", "_Unpickler", "eval", "exec", "system", "yaml", "loadtxt"]
)
def test_nothing_that_runs_what_it_reads(name):
    json_readers = ("utils/json_files.py", "training/cluster.py", "training/board.py")
    # Workers of a Dask cluster run what the command sends them; of files, those with its digest.
    allowed = {"loads": json_readers + ("utils/scheduler.py",), "loadtxt": ("face_model/bfm.py",)}
    allowed["_Unpickler"] = ("utils/pickle_files.py",)  # of records, see there
    assert [path for path, _ in calls(name) if path not in allowed.get(name, ())] == []


def test_every_matlab_file_goes_through_the_checks():
    assert {path for path, _ in calls("loadmat")} == {"utils/mat_files.py"}


def test_a_header_that_promises_less_than_there_is_is_fine(tmp_path):
    path = tmp_path / "a.npy"
    np.save(str(path), np.arange(4.0))
    path.write_bytes(path.read_bytes() + struct.pack("<d", 9))
    np.testing.assert_array_equal(read_npy(str(path)), np.arange(4.0))
