"""Whether memory stays flat: ``python -m benchmarks.memory --photos 10000 --minutes 60``.

Runs demo.py and preprocess_img.py over links to one photo (reconstructed by a narrow random network, five points
given), and train.py with the real network on a small face model, and fits a line through what their processes
hold, the first quarter, in which they fill their pools, left out.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

from workspace.paths import REPO_ROOT

_INTERVAL = 0.5  # seconds between looks
_PAGE = os.sysconf("SC_PAGE_SIZE")


def parse_arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--photos", type=int, default=10000, help="through demo.py and preprocess_img.py each")
    parser.add_argument("--minutes", type=float, default=60, help="of training")
    parser.add_argument("--only", nargs="+", choices=("demo", "preprocess", "train"),
                        default=("preprocess", "demo", "train"))
    return parser.parse_args(argv)


def main(argv=None):
    """Measure and print one line for each command."""
    arguments = parse_arguments(argv)
    with tempfile.TemporaryDirectory() as folder:
        if set(arguments.only) & {"demo", "preprocess"}:
            _write_photos(folder, arguments.photos)
        for name in arguments.only:
            command, limit = _command(name, folder, arguments)
            _report(name, *_watch(command, limit, os.path.join(folder, name)))


def _write_photos(folder, count):
    """Write one photo with its five points, and links to it under other names."""
    from PIL import Image

    from alignment.five_points import STANDARD_POINTS_3D
    from tests.fuzz.originals import picture

    photos = os.path.join(folder, "photos")
    os.makedirs(photos)
    Image.fromarray(picture(480)).save(os.path.join(folder, "photo.jpg"))
    np.savetxt(os.path.join(folder, "photo.txt"), 240 + STANDARD_POINTS_3D[:, :2] * [210, -210])
    for i in range(count):
        for extension in ("jpg", "txt"):
            # Hard links: of symbolic ones to one photo only the first counts.
            os.link(os.path.join(folder, "photo." + extension), os.path.join(photos, "{:06d}.{}".format(i, extension)))


def _command(name, folder, arguments):
    """Return a command line, and after how many seconds it is stopped."""
    from tests.training_data import TOY_MODEL, write_faces

    output = os.path.join(folder, name)
    if name == "train":
        faces = write_faces(os.path.join(folder, "faces"), 16)
        return [sys.executable, "train.py", "--data_path", faces, "--face_model", TOY_MODEL, "--result_path", output,
                "--model_name", "run", "--batch_size", "2", "--identity", "none", "--init_weights", "none", "--quiet",
                "--checkpoint_interval", "50", "--keep", "2", "--val_interval", "50"], 60 * arguments.minutes
    photos = os.path.join(folder, "photos")
    if name == "preprocess":
        return [sys.executable, "preprocess_img.py", "--img_path", photos, "--save_path", output, "--workers", "1",
                "--keep_uncertain", "--quiet"], None
    return [sys.executable, "demo.py", "--input", photos, "--output", output, "--face_model", TOY_MODEL, "--method",
            "fit", "--steps", "1", "--quiet"], None


def _watch(command, limit, output):
    """Run a command; returns (seconds, bytes of it and its children) of each look."""
    begin, samples = time.monotonic(), []
    process = subprocess.Popen(command, cwd=REPO_ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        time.sleep(_INTERVAL)
        seconds = time.monotonic() - begin
        samples.append((seconds, _family_bytes(process.pid)))
        if limit and seconds > limit:
            process.terminate()
            limit = None
    return np.array(samples[:-2])


def _family_bytes(pid):
    """Return the resident memory of a process and its descendants, without what they share with files."""
    total, waiting = 0, [pid]
    while waiting:
        pid = waiting.pop()
        try:
            with open("/proc/{}/statm".format(pid)) as file:
                _, resident, shared = file.read().split()[:3]
            total += (int(resident) - int(shared)) * _PAGE
            with open("/proc/{0}/task/{0}/children".format(pid)) as file:
                waiting += [int(child) for child in file.read().split()]
        except OSError:
            pass  # it ended meanwhile
    return total


def _report(name, *samples):
    samples = np.array(samples)
    seconds, held = samples[len(samples) // 4:].T
    slope = np.polyfit(seconds, held, 1)[0]
    print("{}: {:.0f} s, {:.0f} MiB at the end, highest {:.0f} MiB; slope {:+.2f} MiB a minute".format(
        name, samples[-1, 0], held[-1] / 2 ** 20, held.max() / 2 ** 20, slope * 60 / 2 ** 20), flush=True)


if __name__ == "__main__":
    main()
