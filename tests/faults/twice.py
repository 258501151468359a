"""Run commands twice in peace and compare: ``python -m tests.faults.twice``."""

import argparse
import os
import shutil
import sys
import tempfile
from typing import List, Optional

from face_model import read_face_model
from tests.faults.commands import COMMANDS, contents, emptied, write_data
from tests.faults.processes import Process, warm_up
from tests.paths import TOY_MODEL
from tests.training_data import write_coefficients
from utils.paths import REPO_ROOT


def _train(supervision):
    def arguments(data, output):
        return [
            os.path.join(REPO_ROOT, "tests", "faults", "own_cache_training.py"),
            "--data_path",
            os.path.join(data, "faces"),
            "--face_model",
            TOY_MODEL,
            "--result_path",
            output,
            "--model_name",
            "run",
            "--steps",
            "3",
            "--batch_size",
            "2",
            "--val_faces",
            "2",
            "--identity",
            "none",
            "--init_weights",
            "none",
            "--seed",
            "3",
            "--augment",
            "--deterministic",
            "--quiet",
            "--supervision",
            supervision,
        ] + (["--image_size", "56"] if supervision == "truth" else [])

    return arguments


_TRAINING = {"train_photo": _train("photo"), "train_truth": _train("truth")}
_ALONE = {name for name, command in COMMANDS.items() if not command.workers}
NAMES = sorted(_ALONE - {"train"} | set(_TRAINING))


def main(argv: Optional[List[str]] = None) -> int:
    """Run each command twice; print a line for each, and return 1 if any differs."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.twice", description=__doc__.splitlines()[0]
    )
    parser.add_argument("names", nargs="*", help="of commands; by default all: " + ", ".join(NAMES))
    names, folder = parser.parse_args(argv).names or NAMES, tempfile.mkdtemp(prefix="twice-")
    data = write_data(os.path.join(folder, "data"))
    write_coefficients(os.path.join(data, "faces"), read_face_model(TOY_MODEL))
    warm_up()
    different = [name for name in names if not _compare(name, data, os.path.join(folder, name))]
    shutil.rmtree(folder)
    return 1 if different else 0


def _compare(name, data, output):
    """Run a command with two workers and with one; return True if the results agree."""
    arguments, found = _TRAINING.get(name) or COMMANDS[name].arguments, []
    for workers in ("2", "1"):
        line = arguments(data, emptied(output))
        if "--workers" in line:
            line[line.index("--workers") + 1] = workers
        process = Process(line, output + "-process", cold=False).finish()
        if process.returncode:
            print(
                "{}: ended with {}: {}".format(name, process.returncode, process.said()), flush=True
            )
            return False
        found.append(contents(output))
    same = found[0] == found[1]
    print(
        "{}: {} files, {}".format(
            name,
            len(found[0]),
            "the same"
            if same
            else "different: {}".format(
                sorted(
                    path
                    for path in set(found[0]) | set(found[1])
                    if found[0].get(path) != found[1].get(path)
                )
            ),
        ),
        flush=True,
    )
    return same


if __name__ == "__main__":
    sys.exit(main())
