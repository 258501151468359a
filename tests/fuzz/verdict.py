"""How a case ended, and whether it may end so."""

import json
import os
import pickle
import re
import stat
import zipfile
from typing import Any, Optional, Tuple

import numpy as np
import scipy.io
from PIL import Image

from tests.fuzz.sandbox import MEMORY_GROWTH, snapshot

RESULT, REFUSED = "result", "refused"  # the two good ends
_SENTENCE = re.compile(r"(error|skipped|[\w.]+: error): \S")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PARTIAL = ".partial-"
BEFORE = "before"  # file: folder name -> its content before the command


def judge(
    root: str, status: Optional[int], signal: Optional[int], usage: Any, timed_out: bool
) -> Tuple[str, str]:
    """Judge a case.

    Args:
        root: the case's folder.
        status: of exit, or None if a signal ended it.
        signal: its number, or None.
        usage: resource usage from ``os.wait4``.
        timed_out: whether it was killed for taking too long.

    Returns:
        (:data:`RESULT`, :data:`REFUSED` or the name of a fault, one line of detail).
    """
    error = _read(root, "stderr")
    last = error.strip().splitlines()[-1] if error.strip() else ""
    if timed_out:
        return "hang", last
    if signal is not None:
        return "crash", "signal {}: {}".format(signal, last)
    if "Traceback (most recent call last)" in error or status == 99:
        return "traceback", last
    fault = _fault_of_acts(root, usage) or _fault_of_output(error + _read(root, "stdout"), last)
    if fault or status == 0:
        return fault or (RESULT, last)
    if status not in (1, 2):
        return "status", str(status)
    return (REFUSED, last) if _SENTENCE.match(last) else ("no sentence", last)


def _fault_of_acts(root, usage):
    """Return a forbidden act of a command, or None."""
    acts = _read(root, "acts")
    if acts:
        return "forbidden act", acts.splitlines()[0]
    if usage.ru_maxrss << 10 > MEMORY_GROWTH:
        return "memory", "{:.1f} GiB".format(usage.ru_maxrss / 2.0**20)
    with open(os.path.join(root, BEFORE), "rb") as file:
        before = pickle.load(file)
    for name in ("in", "outside", "cwd"):
        if snapshot(os.path.join(root, name)) != before[name]:
            return "changed outside", name
    problem = _unfinished(root, before)
    return ("half-written", problem) if problem else None


def _fault_of_output(text, last):
    """Return a fault in the output of a command, or None."""
    if _UNPRINTABLE.search(text):
        return "unprintable", repr(last)
    return ("python warning", last) if "Warning: " in text else None


def _read(root, name):
    try:
        with open(os.path.join(root, name), encoding="utf-8", errors="replace", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _unfinished(root, before):
    """Name a file that was left half-written, or return None."""
    if os.listdir(os.path.join(root, "tmp")):
        return "left in the temporary folder: {}".format(os.listdir(os.path.join(root, "tmp")))
    folder = os.path.join(root, "out")
    for name, state in sorted(snapshot(folder).items()):
        if os.path.basename(name).startswith(_PARTIAL):
            return name
        if before["out"].get(name) == state or not stat.S_ISREG(state[0]):
            continue
        try:
            _require_whole(os.path.join(folder, name))
        except Exception as error:  # readers raise all kinds of errors
            return "{}: {!r}".format(name, error)
    return None


def _require_whole(path):
    extension = os.path.splitext(path)[1].lower()
    if extension in (".png", ".jpg", ".gif"):
        with Image.open(path) as image:
            image.load()
    elif extension == ".mat":
        scipy.io.loadmat(path)
    elif extension == ".npz":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
    elif extension == ".json":
        with open(path) as file:
            json.load(file)
    elif extension == ".bin":
        assert os.path.getsize(path) in (8 * 136, 4 * 257), "an odd size"
    elif extension in (".html", ".obj", ".txt", ".csv", ".mtl"):
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
        assert text.endswith("</html>\n" if extension == ".html" else "\n"), "its end is missing"
        assert "nan" not in text or extension != ".obj", "NaN"
    elif extension == ".ply":
        _require_whole_ply(path)
    elif extension == ".glb":
        with open(path, "rb") as file:
            data = file.read()
        assert int.from_bytes(data[8:12], "little") == len(data), "its length is another"
    elif extension == ".npy":
        np.load(path, allow_pickle=False)
    else:
        assert os.path.getsize(path) or os.path.basename(path) == ".lock", "empty"


def _require_whole_ply(path):
    with open(path, "rb") as file:
        header, _, body = file.read().partition(b"end_header\n")
    counts = [int(count) for count in re.findall(rb"element \w+ (\d+)", header)]
    assert len(counts) == 2 and len(body) == 15 * counts[0] + 13 * counts[1], (
        "its length is another"
    )
