"""Memory over time: ``python -m benchmarks.memory --photos 10000 --minutes 60``.

Runs preprocess_img.py and demo.py on links to one photo (five points given), and train.py with the
real network on a small face model, under both supervisions; or, with ``--pid``, watches a running
process. For each it writes the memory of its processes (``memory_NAME.csv``) and a diagram
(``memory_NAME.png``), and prints the slope of a line through it after a warm-up.

Anonymous memory is allocated by programs: a leak shows there. File-backed memory is code and pages
of mapped files, such as the arrays of training faces, which the system drops when it needs the
room.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from typing import List, NamedTuple, Optional

import numpy as np

from benchmarks.curves import write_figure
from face_model import read_face_model
from utils.atomic import atomic_path
from utils.paths import REPO_ROOT

_INTERVAL = 0.5  # seconds between samples
_LONG_INTERVAL = 5.0  # the same, for runs of an hour
_NAMES = ("preprocess", "demo", "train", "train_truth")
_MEBIBYTE = 2.0**20
_COLUMNS = ("seconds", "anonymous_mib", "file_backed_mib")
_WARM_UP_SHARE = 0.25  # of the time, if --warm_up would leave less than half of it


class Trend(NamedTuple):
    """A line through samples after the warm-up."""

    begin: float  # seconds, end of the warm-up
    slope: float  # MiB a minute
    least: float  # MiB after the warm-up
    most: float  # MiB after the warm-up


def parse_arguments(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--photos", type=int, default=10000, help="photos for demo.py and preprocess_img.py each"
    )
    parser.add_argument(
        "--minutes", type=float, default=60, help="minutes of training, or of watching"
    )
    parser.add_argument("--warm_up", type=float, default=10, help="minutes that do not count")
    parser.add_argument("--only", nargs="+", choices=_NAMES, default=_NAMES)
    parser.add_argument("--pid", type=int, help="watch this process instead")
    parser.add_argument(
        "--output", default=os.path.join(REPO_ROOT, "result", "benchmarks"), help="folder"
    )
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> None:
    """Measure, draw, and print a line for each command."""
    arguments = parse_arguments(argv)
    os.makedirs(arguments.output, exist_ok=True)
    if arguments.pid:
        report(
            "pid_{}".format(arguments.pid), follow(arguments.pid, 60 * arguments.minutes), arguments
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        if set(arguments.only) & {"demo", "preprocess"}:
            _write_photos(folder, arguments.photos)
        for name in arguments.only:
            command, limit = _command(name, folder, arguments)
            process = subprocess.Popen(command, cwd=REPO_ROOT, stdout=subprocess.DEVNULL)
            samples = follow(process.pid, limit)
            process.terminate()
            process.wait()
            report(name, samples, arguments)


def _write_photos(folder, count):
    """Write a photo with its five points, and links to it under other names."""
    from PIL import Image

    from geometry.landmark_layout import STANDARD_POINTS_3D
    from tests.fuzz.originals import picture

    photos = os.path.join(folder, "photos")
    os.makedirs(photos)
    Image.fromarray(picture(480)).save(os.path.join(folder, "photo.jpg"))
    np.savetxt(os.path.join(folder, "photo.txt"), 240 + STANDARD_POINTS_3D[:, :2] * [210, -210])
    for i in range(count):
        for extension in ("jpg", "txt"):
            # Hard links: of symbolic ones to one photo only the first counts.
            os.link(
                os.path.join(folder, "photo." + extension),
                os.path.join(photos, "{:06d}.{}".format(i, extension)),
            )


def _command(name, folder, arguments):
    """Return a command line and the seconds after which it is stopped, or None."""
    from tests.paths import TOY_MODEL
    from tests.training_data import write_labeled_faces

    output, python = os.path.join(folder, name), [sys.executable]
    if name.startswith("train"):
        faces = os.path.join(folder, name + "_faces")
        write_labeled_faces(faces, 16, read_face_model(TOY_MODEL))
        return python + [
            "train.py",
            "--data_path",
            faces,
            "--face_model",
            TOY_MODEL,
            "--result_path",
            output,
            "--model_name",
            "run",
            "--identity",
            "none",
            "--init_weights",
            "none",
            "--quiet",
            "--augment",
            "--checkpoint_interval",
            "50",
            "--keep",
            "2",
            "--val_interval",
            "50",
        ] + (
            ["--supervision", "truth", "--image_size", "56", "--batch_size", "16"]
            if name == "train_truth"
            else ["--batch_size", "2"]
        ), 60 * arguments.minutes
    photos = os.path.join(folder, "photos")
    if name == "preprocess":
        return python + [
            "preprocess_img.py",
            "--img_path",
            photos,
            "--save_path",
            output,
            "--workers",
            "1",
            "--keep_uncertain",
            "--quiet",
        ], None
    return python + [
        "demo.py",
        "--input",
        photos,
        "--output",
        output,
        "--face_model",
        TOY_MODEL,
        "--method",
        "fit",
        "--steps",
        "1",
        "--quiet",
    ], None


def watch(command, limit=None, on_look=None):
    """Run a command of this project to its end or to a time limit, sampling its memory.

    Args:
        command: command line.
        limit: seconds after which it is stopped, or None.
        on_look: callable run at each sample, or None.

    Returns:
        [n, 2] samples: seconds, and bytes of anonymous memory of the command and its workers.
    """
    process = subprocess.Popen(command, cwd=REPO_ROOT, stdout=subprocess.DEVNULL)
    samples = follow(process.pid, limit, _INTERVAL, on_look)
    process.terminate()
    process.wait()
    return samples[:, :2] * [1, _MEBIBYTE]


def follow(pid, limit=None, interval=_LONG_INTERVAL, on_look=None):
    """Sample the memory of a process and its descendants until it ends.

    Args:
        pid: process id.
        limit: seconds after which to stop, or None.
        interval: seconds between samples.
        on_look: callable run at each sample, or None.

    Returns:
        [n, 3] samples: seconds, and MiB of anonymous and of file-backed memory.
    """
    begin, samples = time.monotonic(), []
    while not (limit and time.monotonic() - begin > limit):
        anonymous, file_backed = family_memory(pid)
        if not anonymous:
            break
        samples.append((time.monotonic() - begin, anonymous / _MEBIBYTE, file_backed / _MEBIBYTE))
        if on_look:
            on_look()
        time.sleep(interval)
    return np.array(samples[:-1]).reshape(-1, 3)  # the last one may be of an ending process


def family_memory(pid):
    """Return (anonymous, file-backed) resident memory of a process and its descendants, bytes."""
    anonymous, file_backed, waiting = 0, 0, [str(pid)]
    while waiting:
        pid = waiting.pop()
        try:
            with open("/proc/{}/status".format(pid)) as file:
                fields = dict(line.split(":", 1) for line in file if ":" in line)
            for thread in os.listdir("/proc/{}/task".format(pid)):
                with open("/proc/{}/task/{}/children".format(pid, thread)) as file:
                    waiting += file.read().split()
        except OSError:
            continue  # it has ended
        if "RssAnon" in fields:  # zombies have none
            anonymous += _bytes(fields["RssAnon"]) + _bytes(fields["RssShmem"])
            file_backed += _bytes(fields["RssFile"])
    return anonymous, file_backed


def _bytes(text):
    return int(text.split()[0]) << 10


def trend(seconds, held, warm_up):
    """Fit a line through memory after a warm-up.

    Args:
        seconds: [n] times of the samples.
        held: [n] MiB.
        warm_up: seconds that do not count; a quarter of the time if they would leave less than
            half of it.
    """
    begin = warm_up if 2 * warm_up <= seconds[-1] else _WARM_UP_SHARE * seconds[-1]
    counted = seconds >= begin
    slope = np.polyfit(seconds[counted], held[counted], 1)[0] * 60
    return Trend(begin, slope, held[counted].min(), held[counted].max())


def report(name, samples, arguments):
    """Write samples and their diagram, and print a summary."""
    if len(samples) < 4:
        print("{}: ended too soon for a trend".format(name))
        return
    path = os.path.join(arguments.output, "memory_" + name)
    with atomic_path(path + ".csv") as temporary, open(temporary, "w", newline="") as file:
        csv.writer(file).writerows([_COLUMNS] + samples.round(2).tolist())
    trends = [trend(samples[:, 0], samples[:, column], 60 * arguments.warm_up) for column in (1, 2)]
    _draw(name, samples, trends, path + ".png")
    print(
        "{}: {:.0f} min; from minute {:.0f} on: {}; {}.csv, .png".format(
            name,
            samples[-1, 0] / 60,
            trends[0].begin / 60,
            ", ".join(
                "{} {:.0f} to {:.0f} MiB, slope {:+.2f} MiB a minute".format(
                    kind, found.least, found.most, found.slope
                )
                for kind, found in zip(("anonymous", "file-backed"), trends)
            ),
            path,
        ),
        flush=True,
    )


def _draw(name, samples, trends, path):
    with write_figure(path, (7, 3.6)) as axes:
        minutes = samples[:, 0] / 60
        for column, kind, found in ((1, "anonymous", trends[0]), (2, "file-backed", trends[1])):
            (line,) = axes.plot(
                minutes,
                samples[:, column],
                label="{}: {:+.2f} MiB a minute".format(kind, found.slope),
            )
            counted = samples[:, 0] >= found.begin
            fit = np.poly1d(np.polyfit(minutes[counted], samples[counted, column], 1))
            axes.plot(
                minutes[counted], fit(minutes[counted]), "--", color=line.get_color(), alpha=0.6
            )
        axes.axvspan(0, trends[0].begin / 60, color="0.93", label="warm-up")
        axes.set(xlabel="minutes", ylabel="MiB", title=name, ylim=(0, None), xlim=(0, minutes[-1]))
        axes.legend(loc="lower right")
        axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
