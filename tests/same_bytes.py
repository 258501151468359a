"""Run the same commands in two checkouts, and compare every file they write byte by byte.

    python tests/same_bytes.py A B                       # on the portrait that comes along
    python tests/same_bytes.py A B --photos photos/      # and on photos with five points each
    python tests/same_bytes.py A B --only demo train_truth --keep outputs/

A and B are checkouts of this project that `make setup` has set up; each runs its own commands with
its own `.venv/bin/python`. Both write to the same path, one after the other, because some files
hold paths. Ignored are TensorBoard's event files, which hold times, lock files, and in JSON files
the revision and version of the code. Exit status: 0 if all files are identical, 1 if some differ
or a command failed, 2 if a checkout is not set up.
"""

import argparse
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import numpy as np
import scipy.io

STEPS = (
    "demo",
    "obj",
    "renderer",
    "preprocess",
    "synthesis",
    "train_photo",
    "train_truth",
    "train_generator",
)
NETWORK = os.path.join("network", "open_face_model_r_net.pb")
OP = os.path.join("mesh_renderer", "lib", "rasterize_triangles_*.so")
FACE_MODEL = os.path.join("BFM", "open_face_model.mat")
# A key of the outermost object, as our JSON files have it: a line, and one space before the key.
IGNORED_KEYS = re.compile(r',?\n "(git_revision|version)": (null|"[^"\n]*")')
CHUNK = 1 << 20  # bytes read at once
LAST_LINES = 15  # shown of a command that failed
DIFFERENT, TROUBLE = 1, 2  # exit status


class Checkout(NamedTuple):
    """One of the two sides."""

    name: str  # "A" or "B"
    path: str
    python: str  # its interpreter


def parse_arguments(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", metavar="A", help="a checkout, set up")
    parser.add_argument("second", metavar="B", help="another one")
    parser.add_argument("--photos", metavar="DIR", help="photos (.jpg), each with NAME.txt")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=STEPS,
        metavar="STEP",
        help="some of " + ", ".join(STEPS) + "; preprocess needs --photos",
    )
    parser.add_argument(
        "--python",
        nargs=2,
        metavar=("A_PY", "B_PY"),
        help="interpreters; by default .venv/bin/python of each checkout",
    )
    parser.add_argument("--keep", metavar="DIR", help="a new folder that keeps all outputs")
    arguments = parser.parse_args(argv)
    if arguments.photos and not jpg_files(arguments.photos):
        parser.error("--photos {}: no .jpg files here".format(arguments.photos))
    if arguments.only and "preprocess" in arguments.only and not arguments.photos:
        parser.error("--only preprocess needs --photos")
    if arguments.keep and os.path.isdir(arguments.keep) and os.listdir(arguments.keep):
        parser.error("--keep {}: holds files already; give a new folder".format(arguments.keep))
    return arguments


def main(argv=None):
    """Compare two checkouts; return the exit status."""
    arguments = parse_arguments(argv)

    # Both sides must be whole before anything runs.
    paths = [os.path.abspath(path) for path in (arguments.first, arguments.second)]
    pythons = [
        os.path.abspath(shutil.which(python) or python)
        for python in (
            arguments.python or [os.path.join(path, ".venv", "bin", "python") for path in paths]
        )
    ]
    sides = [Checkout(*side) for side in zip("AB", paths, pythons)]
    complaints = [complaint for complaint in map(shortfall, sides) if complaint]
    if complaints:
        sys.stderr.write("error: {}\n".format("; ".join(complaints)))
        return TROUBLE

    # One folder holds all that is written.
    work = os.path.abspath(arguments.keep or tempfile.mkdtemp(prefix="same-bytes-"))
    photos = arguments.photos and os.path.abspath(arguments.photos)
    steps = [step for step in STEPS if step in (arguments.only or STEPS)]
    if not photos and "preprocess" in steps:
        steps.remove("preprocess")
        print("preprocess: left out, needs --photos")
    try:
        return compare_checkouts(sides, steps, photos, work, bool(arguments.keep))
    finally:
        if not arguments.keep:
            shutil.rmtree(work)


def shortfall(checkout):
    """Return what a checkout lacks, as a sentence, or None."""
    needed = [checkout.python] + [os.path.join(checkout.path, name) for name in (OP, FACE_MODEL)]
    missing = [path for path in needed if not glob.glob(path)]
    return (
        "{} is not set up ({} missing), run make setup in it".format(
            checkout.path, ", ".join(missing)
        )
        if missing
        else None
    )


def jpg_files(folder):
    """Return the absolute paths of the .jpg files in a folder, sorted."""
    return sorted(glob.glob(os.path.join(os.path.abspath(folder), "*.jpg")))


def synthesis(checkout, *arguments):
    """Return the command that synthesizes faces, which has another name in older checkouts."""
    older = os.path.isfile(os.path.join(checkout.path, "synthesize.py"))
    return (["synthesize.py"] if older else ["-m", "synthesis"]) + list(arguments) + ["--quiet"]


def step_commands(step, checkout, photos, work):
    """Return the commands of a step, each a list of arguments for the interpreter."""
    output = os.path.join(work, "output")
    check = ["--check", os.path.join(output, "check.png")]
    if step == "demo":
        runs = [["portrait"]] + ([["photos", "--input", photos]] if photos else [])
        return [
            ["demo.py", "--quiet", "--output", os.path.join(output, name)] + rest
            for name, *rest in runs
        ]
    if step in ("obj", "renderer"):
        some = ["--input"] + jpg_files(photos)[:3] if photos else []
        return [[step + ".py", "--quiet", "--output", output] + some]
    if step == "preprocess":
        return [
            ["preprocess_img.py", "--quiet", "--img_path", photos, "--save_path", output] + check
        ]
    if step == "synthesis":
        return [synthesis(checkout, "--count", "200", "--output", output, "--seed", "1", *check)]
    training = {
        "train_photo": ["--supervision", "photo"],
        "train_truth": ["--supervision", "truth"],
        "train_generator": [
            "--model",
            "gcn",
            "--coefficient_weights",
            os.path.join(work, os.path.basename(NETWORK)),
        ],
    }
    return [
        [
            "train.py",
            "--deterministic",
            "--augment",
            "--quiet",
            "--steps",
            "3",
            "--checkpoint_interval",
            "3",
            "--batch_size",
            "4",
            "--val_faces",
            "4",
            "--init_weights",
            "none",
            "--data_path",
            os.path.join(work, "faces"),
            "--result_path",
            output,
            "--model_name",
            "run",
        ]
        + training[step]
    ]


def compare_checkouts(sides, steps, photos, work, keep):
    """Run steps in both checkouts, compare after each, print how; return the exit status."""
    same_count, count, succeeded = 0, 0, True

    # Both train on A's faces, and on A's network because records hold its path.
    if any(step.startswith("train") for step in steps):
        succeeded = run(
            sides[0],
            synthesis(sides[0], "--count", "24", "--output", os.path.join(work, "faces")),
            work,
        )
        for suffix in ("", ".json"):
            shutil.copy(os.path.join(sides[0].path, NETWORK + suffix), work)

    for step in steps:
        # Both write to the same path; what they wrote is moved away.
        folders = [os.path.join(work, side.name, step) for side in sides]
        for side, folder in zip(sides, folders):
            os.makedirs(os.path.join(work, "output"))
            for command in step_commands(step, side, photos, work):
                succeeded = run(side, command, work) and succeeded
            take_face_caches(side, work)
            shutil.move(os.path.join(work, "output"), folder)

        # Compare them, and make room for the next step.
        names, differences = compare_folders(*folders)
        same_count, count = same_count + len(names) - len(differences), count + len(names)
        print(
            "{}: {} of {} files are identical".format(
                step, len(names) - len(differences), len(names)
            )
        )
        for name in sorted(differences):
            print("  {}: {}".format(name, differences[name]), flush=True)
        for folder in folders if not keep else []:
            shutil.rmtree(folder)

    print("{} of {} files are identical".format(same_count, count))
    return 0 if succeeded and same_count == count > 0 else DIFFERENT


def run(checkout, command, work):
    """Run a command of a checkout with a line of progress; return whether it succeeded."""
    line = "{}: {}".format(checkout.name, " ".join(command))
    print(line.replace(work + os.sep, ""), end="", flush=True)
    start = time.time()
    process = subprocess.run(
        [checkout.python] + command,
        cwd=checkout.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    print(", {:.0f} s".format(time.time() - start), flush=True)
    if process.returncode:
        said = process.stdout.decode("utf-8", "replace").splitlines()[-LAST_LINES:]
        sys.stderr.write(
            "error: the command ended with status {}:\n{}\n".format(
                process.returncode, "\n".join("  " + text for text in said)
            )
        )
    return process.returncode == 0


def take_face_caches(checkout, work):
    """Move the decoded faces that train_truth left in .cache of a checkout to the outputs.

    Their folder is called after a digest of the path of the faces, and one of their times.
    """
    place = hashlib.sha256(os.path.realpath(os.path.join(work, "faces")).encode()).hexdigest()[:8]
    found = sorted(glob.glob(os.path.join(checkout.path, ".cache", "faces-" + place + "-*")))
    for number, folder in enumerate(found):
        shutil.move(folder, os.path.join(work, "output", "face_cache_{}".format(number)))


def compare_folders(first, second):
    """Compare two folders; return (sorted names of all files, name -> how that file differs)."""
    sides, differences = (file_names(first), file_names(second)), {}
    names = sorted(sides[0] | sides[1])
    for name in names:
        if name in sides[0] & sides[1]:
            difference = compare_files(os.path.join(first, name), os.path.join(second, name))
        else:
            difference = "only {} has it".format("A" if name in sides[0] else "B")
        if difference:
            differences[name] = difference
    return names, differences


def file_names(folder):
    """Return the relative paths of the files to compare in a folder, a set."""
    return {
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, names in os.walk(folder)
        for name in names
        if not name.startswith("events.out.") and not name.endswith(".lock")
    }


def compare_files(first, second):
    """Return how two files differ, as a phrase, or None if they are identical."""
    at = first_different_byte(first, second)
    if at is None:
        return None

    # Say it in the words of the format, if it can be read.
    what = []
    try:
        if first.endswith(".mat"):
            what = different_fields(scipy.io.loadmat(first), scipy.io.loadmat(second))
        elif first.endswith(".json"):
            texts = [read_text(path) for path in (first, second)]
            if len({IGNORED_KEYS.sub("", text) for text in texts}) == 1:
                return None
            what = set(different_keys(*map(json.loads, texts))) - {"git_revision", "version"}
    except Exception as error:  # whatever a reader stumbles over; the bytes differ all the same
        what = ["unreadable: {}".format(error)]
    told = " ({})".format(", ".join(sorted(what))) if what else ""
    return "differs from byte {} on{}".format(at, told)


def read_text(path):
    """Return the text of a file, with its line ends as they are."""
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def first_different_byte(first, second):
    """Return the position of the first byte that differs between two files, or None."""
    at = 0
    with open(first, "rb") as one, open(second, "rb") as other:
        while True:
            pair = one.read(CHUNK), other.read(CHUNK)
            if pair[0] != pair[1]:
                unequal = (i for i, (a, b) in enumerate(zip(*pair)) if a != b)
                return at + next(unequal, min(map(len, pair)))
            if not pair[0]:
                return None
            at += len(pair[0])


def different_fields(first, second):
    """Return the names of the variables that differ between two MATLAB files."""
    names = {name for name in set(first) | set(second) if not name.startswith("__")}
    return [
        name
        for name in names
        if name not in first or name not in second or not same_array(first[name], second[name])
    ]


def same_array(first, second):
    """Tell whether two arrays, perhaps of arrays, have the same type, shape and bytes."""
    first, second = np.asarray(first), np.asarray(second)
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    if first.dtype == object:
        return all(same_array(*pair) for pair in zip(first.flat, second.flat))
    return first.tobytes() == second.tobytes()


def different_keys(first, second, prefix=""):
    """Return the keys whose values differ between two JSON objects; "a.b" is b of object a."""
    different = []
    for key in set(first) | set(second):
        values = first.get(key), second.get(key)
        if all(isinstance(value, dict) for value in values):
            different += different_keys(values[0], values[1], prefix + key + ".")
        elif (key in first) != (key in second) or json.dumps(values[0]) != json.dumps(values[1]):
            different.append(prefix + key)
    return different


if __name__ == "__main__":
    sys.exit(main())
