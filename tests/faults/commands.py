"""The disturbed commands: their command lines, and the required content of their folders."""

import hashlib
import os
import re
import shutil
from typing import Callable, Dict, List, NamedTuple

import numpy as np
from PIL import Image

from geometry.landmark_layout import STANDARD_POINTS_3D
from tests.fuzz.originals import picture
from tests.paths import TOY_MODEL
from tests.training_data import write_faces
from utils.paths import REPO_ROOT

_SIDE = 64  # of photos, pixels
_FACES, _PHOTOS, _STEPS, _CHECKPOINT_INTERVAL = 12, 4, 30, 5
_UNCOMPARED = (".json", ".index", ".lock")  # hold options and sizes, or nothing
_CHECKPOINT = re.compile(r"run/iter_(\d+)\.ckpt")
_STATE_FILE = "run/checkpoint"  # lists the checkpoints of the steps that were reached


class Command(NamedTuple):
    """A command under test."""

    name: str
    # (data folder, output folder) -> script, or -m and package, and its command line
    arguments: Callable[[str, str], List[str]]
    rewrites: bool = False  # whether a second run writes existing files again
    workers: str = ""  # "dask" or "own", where one of them can be killed alone


def write_data(folder: str, photo_count: int = _PHOTOS) -> str:
    """Write the input of all commands, and return its folder."""
    photos = os.path.join(folder, "photos")
    os.makedirs(photos)
    points = _SIDE / 2.0 + STANDARD_POINTS_3D[:, :2] * [_SIDE * 0.44, -_SIDE * 0.44]
    for i in range(photo_count):
        Image.fromarray(np.roll(picture(_SIDE), 3 * i, axis=1)).save(
            os.path.join(photos, "photo{}.png".format(i))
        )
        np.savetxt(os.path.join(photos, "photo{}.txt".format(i)), points)
    write_faces(os.path.join(folder, "faces"), 4)
    return folder


def _script(*parts):
    return [os.path.join(REPO_ROOT, *parts)]


def _preprocess(data, output):
    return _script("preprocess_img.py") + [
        "--img_path",
        os.path.join(data, "photos"),
        "--save_path",
        output,
        "--workers",
        "2",
        "--keep_uncertain",
        "--quiet",
    ]


def _demo(data, output):
    return _script("tests", "faults", "tiny_demo.py") + [
        "--input",
        os.path.join(data, "photos"),
        "--output",
        output,
        "--face_model",
        TOY_MODEL,
        "--method",
        "fit",
        "--steps",
        "2",
        "--batch_size",
        "2",
        "--quiet",
    ]


def _synthesize(data, output):
    return ["-m", "synthesis"] + [
        "--output",
        output,
        "--count",
        str(_FACES),
        "--face_model",
        TOY_MODEL,
        "--workers",
        "2",
        "--quiet",
    ]


def _train(data, output):
    return _script("tests", "faults", "tiny_training.py") + [
        "--data_path",
        os.path.join(data, "faces"),
        "--face_model",
        TOY_MODEL,
        "--result_path",
        output,
        "--model_name",
        "run",
        "--steps",
        str(_STEPS),
        "--batch_size",
        "2",
        "--val_faces",
        "2",
        "--checkpoint_interval",
        str(_CHECKPOINT_INTERVAL),
        "--identity",
        "none",
        "--init_weights",
        "none",
        "--seed",
        "3",
        "--deterministic",
        "--resume",
        "--quiet",
    ]


def scheduler_file(data: str) -> str:
    """Return the path of the Dask cluster's scheduler file."""
    return os.path.join(data, "scheduler.json")


def _preprocess_on_cluster(data, output):
    return _preprocess(data, output) + ["--scheduler", scheduler_file(data)]


def _demo_on_cluster(data, output):
    return _demo(data, output) + ["--scheduler", scheduler_file(data)]


def _train_with_workers(data, output):
    return _train(data, output) + ["--workers", "2"]


COMMANDS = {
    command.name: command
    for command in (
        Command("preprocess", _preprocess),
        Command("demo", _demo, rewrites=True),
        Command("synthesize", _synthesize),
        Command("train", _train),
        Command("preprocess_cluster", _preprocess_on_cluster, workers="dask"),
        Command("demo_cluster", _demo_on_cluster, rewrites=True, workers="dask"),
        Command("train_workers", _train_with_workers, workers="own"),
    )
}


def contents(folder: str) -> Dict[str, str]:
    """Return path -> digest of each file in a folder."""
    found = {}
    for place, _, files in os.walk(folder):
        for name in sorted(files):
            path = os.path.join(place, name)
            if "tfevents" not in name and name != ".lock":
                found[os.path.relpath(path, folder)] = _digest(path)
    return found


def _digest(path):
    if path.endswith(_UNCOMPARED):
        return "read"
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def incomplete(folder: str, wanted: Dict[str, str]) -> List[str]:
    """Return existing files that differ from an undisturbed run's, or are left over.

    A checkpoint without its record was never finished; one of a step at which the undisturbed run
    has none is only looked for in pairs. What a killed writer left is for the next run to remove.

    Args:
        folder: where a disturbed run wrote.
        wanted: ``contents`` of an undisturbed run's folder.
    """
    found = contents(folder)
    return sorted(
        name
        for name, digest in found.items()
        if not (
            wanted.get(name) == digest
            or ".partial-" in name
            or name.endswith("skipped.txt")
            or (name == _STATE_FILE and _lists_finished(os.path.join(folder, name), found))
            or _is_of_unfinished_or_other_step(name, found, wanted)
        )
    )


def _lists_finished(path, found):
    with open(path) as file:
        steps = re.findall(r'"iter_(\d+)\.ckpt"', file.read())
    return steps and all("run/iter_{}.json".format(step) in found for step in steps)


def _is_of_unfinished_or_other_step(name, found, wanted):
    match = _CHECKPOINT.match(name) or re.match(r"run/iter_(\d+)\.json", name)
    if not match:
        return False
    record = "run/iter_{}.json".format(match.group(1))
    if record not in found:
        return True
    parts = [part for part in found if part.startswith("run/iter_{}.ckpt.".format(match.group(1)))]
    return record not in wanted and len(parts) == 2


def unfinished(folder: str, wanted: Dict[str, str]) -> List[str]:
    """Return missing and surplus files of a finished folder, by an undisturbed run's."""
    found = contents(folder)
    return (
        sorted(name for name in wanted if name not in found)
        + incomplete(folder, wanted)
        + [name for name in found if ".partial-" in name]
    )


def emptied(folder: str) -> str:
    """Return an empty folder of that name."""
    trash = folder + ".trash"
    if os.path.isdir(folder):  # moved at once: workers of a killed command may still write there
        os.rename(folder, trash)
        shutil.rmtree(trash)
    os.makedirs(folder)
    return folder
