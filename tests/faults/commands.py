"""The commands that are disturbed: how they are called, and what their folders must hold."""

import hashlib
import os
import shutil
import sys
from typing import Any, Callable, NamedTuple

import numpy as np
import scipy.io
from PIL import Image

from alignment.five_points import STANDARD_POINTS_3D
from tests.fuzz.originals import picture
from tests.training_data import TOY_MODEL, write_faces

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_FACES, _PHOTOS = 12, 6
_CHANGING = (".mat", ".html", ".tfevents", ".json", ".index", ".lock")  # hold times, or are checked another way


class Command(NamedTuple):
    """A command under test."""

    name: str
    arguments: Callable[[str, str], list]  # (data folder, output folder) -> command line
    seconds: float  # about how long it runs undisturbed: kills fall within
    again: tuple  # flags of the rerun
    repeats: bool  # a rerun gives the same bytes


def write_data(folder, photo_count=_PHOTOS):
    """Write what all commands read, and return its folder."""
    photos = os.path.join(folder, "photos")
    os.makedirs(photos)
    for i in range(photo_count):
        Image.fromarray(np.roll(picture(), 5 * i, axis=1)).save(os.path.join(photos, "photo{}.png".format(i)))
        np.savetxt(os.path.join(photos, "photo{}.txt".format(i)), 80 + STANDARD_POINTS_3D[:, :2] * [70, -70])
    write_faces(os.path.join(folder, "faces"), 4)
    return folder


def _script(name):
    return [sys.executable, os.path.join(ROOT, name + ".py")]


def _preprocess(data, output):
    return _script("preprocess_img") + ["--img_path", os.path.join(data, "photos"), "--save_path", output, "--workers",
                                        "2", "--keep_uncertain", "--quiet"]


def _demo(data, output):
    return _script("demo") + ["--input", os.path.join(data, "photos"), "--output", output, "--face_model", TOY_MODEL,
                              "--method", "fit", "--steps", "2", "--batch_size", "2", "--quiet"]


def _synthesize(data, output):
    return _script("synthesize") + ["--output", output, "--count", str(_FACES), "--face_model", TOY_MODEL, "--workers",
                                    "2", "--quiet"]


def _train(data, output):
    return [sys.executable, "-m", "tests.faults.tiny_training"] + [
        "--data_path", os.path.join(data, "faces"), "--face_model", TOY_MODEL, "--result_path", output, "--model_name",
        "run", "--steps", "60", "--batch_size", "2", "--val_faces", "2", "--checkpoint_interval", "5", "--identity",
        "none", "--init_weights", "none", "--seed", "3", "--deterministic", "--quiet"]


COMMANDS = {command.name: command for command in (
    Command("preprocess", _preprocess, 8, (), True), Command("demo", _demo, 12, (), True),
    Command("synthesize", _synthesize, 6, (), True), Command("train", _train, 9, ("--resume",), True))}


def contents(folder):
    """Return path -> digest of what a folder holds; of files with times in them, of what they mean."""
    found = {}
    for place, _, files in os.walk(folder):
        for name in sorted(files):
            path = os.path.join(place, name)
            relative = os.path.relpath(path, folder)
            if "tfevents" in name or name == ".lock":
                continue
            found[relative] = _digest(path)
    return found


def _digest(path):
    if path.endswith(".mat"):
        fields = scipy.io.loadmat(path)
        parts = [fields[name].tobytes() for name in sorted(fields) if not name.startswith("__")]
    elif path.endswith(".json") or path.endswith(".index"):
        return "read"
    else:
        with open(path, "rb") as file:
            parts = [file.read()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def incomplete(folder, wanted):
    """Return the files that are there and are not what an undisturbed run writes, or are left over.

    Args:
        folder: where a disturbed run wrote.
        wanted: ``contents`` of an undisturbed run's folder.
    """
    wrong = []
    for name, digest in contents(folder).items():
        if ".partial-" in name:
            continue  # of a killed writer: the next run removes it
        if name.startswith("run" + os.sep + "iter_") or name.endswith("skipped.txt"):
            continue  # checkpoints are read, not compared: those of earlier steps are others
        if name not in wanted or wanted[name] != digest:
            wrong.append(name)
    return wrong


def emptied(folder):
    """Return an empty folder of that name."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def describe(process) -> Any:
    """Return the last line of what a finished process said on stderr."""
    lines = (process.stderr or "").strip().splitlines()
    return lines[-1] if lines else ""
