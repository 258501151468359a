"""Growth of time and memory with photos: ``python -m benchmarks.growth_photos``.

Whole commands on photos of 500 pixels, detection and start-up included: ``preprocess_img.py``, and
``demo.py --steps 0`` with the bundled network. Their memory is sampled every half second. Curves
as PNG. 10,000 photos take half an hour on two idle cores. A run that takes more than half of the
remaining ``--seconds`` is stopped, and counts for the photos it has finished.
"""

import argparse
import glob
import os
import resource
import sys
import tempfile
import time

import numpy as np

from benchmarks.curves import write_figure
from benchmarks.growth import fit_exponent
from benchmarks.measuring import Row, row_command
from benchmarks.memory import watch
from benchmarks.photo_set import write_photos
from utils.errors import run_main
from utils.paths import RESULT_DIR

COUNTS = (1, 10, 100, 1000)
COMMANDS = ("preprocess_img.py", "demo.py")
_VIEWS = 100  # different photos; more are links to these under other names
_KEPT = 15  # seconds until results are removed: those of 10,000 photos would fill 40 GB
_MEBIBYTE = 2.0**20


def measure(arguments: argparse.Namespace) -> Row:
    """Draw the growth of time and memory of each command, and return its figures."""
    os.makedirs(arguments.output, exist_ok=True)
    report, end = {"name": "growth over photos"}, time.monotonic() + arguments.seconds
    waiting = [(command, count) for command in arguments.only for count in sorted(arguments.counts)]
    runs = {command: [] for command in arguments.only}
    for i, (command, count) in enumerate(waiting):
        left = max(end - time.monotonic(), 1)
        run = _run(command, count, left / 2 if i + 1 < len(waiting) else left)
        runs[command] += [run] if run else []
    for command, (series, spent) in (
        (command, tuple(zip(*found))) for command, found in runs.items() if found
    ):
        report[command] = _growth(series, spent)
        path = os.path.join(
            arguments.output, "growth_photos_{}.png".format(os.path.splitext(command)[0])
        )
        _draw(command, report[command], series[-1], path)
    return report


def _run(command, count, limit):
    """Run a command on ``count`` photos.

    Returns:
        (samples, processor seconds), or None if no photo was finished within the limit. Samples,
        [n, 3], are seconds, MiB and finished photos; the last one is of the end.
    """
    with tempfile.TemporaryDirectory() as folder:
        photos, output = os.path.join(folder, "photos"), os.path.join(folder, "output")
        _write_links(folder, photos, count)
        flags = {
            "preprocess_img.py": ["--img_path", photos, "--save_path", output],
            "demo.py": ["--input", photos, "--output", output, "--steps", "0"],
        }[command]
        results = _Results(
            output, ".png" if command == "preprocess_img.py" else ".mat", command == "demo.py"
        )
        begin, spent_before = time.monotonic(), _processor_seconds()
        samples = watch([sys.executable, command, "--quiet"] + flags, limit, results.look)
        seconds, spent = time.monotonic() - begin, _processor_seconds() - spent_before
        results.look()
    if not results.counts[-1]:
        print(
            "{}: not one of {} photos in {:.0f} s".format(command, count, seconds),
            file=sys.stderr,
            flush=True,
        )
        return None
    done = results.counts[: len(samples)] + [results.counts[-1]]
    print(
        "{}: {} of {} photos in {:.0f} s, {:.0f} s of processor time, at most {:.0f} MiB".format(
            command, done[-1], count, seconds, spent, samples[:, 1].max() / _MEBIBYTE
        ),
        file=sys.stderr,
        flush=True,
    )
    ended = np.concatenate([samples, [[seconds, samples[-1, 1]]]]) / [1, _MEBIBYTE]
    return np.column_stack([ended, done]), spent


def _processor_seconds():
    """Return user and system time of all finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Results:
    """Counts results while they are written, and removes old ones."""

    def __init__(self, folder, extension, removes):
        self._folder, self._extension, self._removes = folder, extension, removes
        self._removed = 0
        self.counts = []

    def look(self):
        """Count the photos finished so far."""
        present, old = 0, time.time() - _KEPT
        for path in glob.glob(os.path.join(glob.escape(self._folder), "photo*.*")):
            counted = path.endswith(self._extension)
            if self._removes and os.path.getmtime(path) < old:
                os.remove(path)
                self._removed += counted
            else:
                present += counted
        self.counts.append(self._removed + present)


def _write_links(folder, photos, count):
    views = os.path.join(folder, "views")
    os.mkdir(views)
    os.mkdir(photos)
    write_photos(views, min(count, _VIEWS), with_points=False)
    names = sorted(os.listdir(views))
    for i in range(count):
        # Hard links: of symbolic ones to one photo only the first counts.
        os.link(
            os.path.join(views, names[i % len(names)]),
            os.path.join(photos, "photo{:05d}.jpg".format(i)),
        )


def _growth(runs, spent):
    done, seconds = [int(run[-1, 2]) for run in runs], [float(run[-1, 0]) for run in runs]
    longest = runs[-1]
    # Without the first quarter, in which pools and caches fill, and the end, when memory is freed.
    later = longest[(longest[:, 2] >= longest[-1, 2] / 4) & (longest[:, 2] < longest[-1, 2])]
    moved = len(later) and later[-1, 2] > later[0, 2]
    result = {
        "photos": done,
        "seconds": seconds,
        "processor_seconds": list(spent),
        "peak_mib": [float(run[:, 1].max()) for run in runs],
        "mib_per_thousand_photos": 1000 * float(np.polyfit(later[:, 2], later[:, 1], 1)[0])
        if moved
        else None,
    }
    if len(done) > 1 and done[-1] > done[-2]:
        result["exponent"] = fit_exponent(done, seconds)
        # Between the two largest runs: start-up outweighs few photos.
        result["exponent_at_the_end"] = fit_exponent(done[-2:], seconds[-2:])
        result["processor_exponent"] = fit_exponent(done, spent)
        result["processor_milliseconds_per_photo"] = (
            1e3 * (spent[-1] - spent[-2]) / (done[-1] - done[-2])
        )
        result["photos_per_second"] = (done[-1] - done[-2]) / (seconds[-1] - seconds[-2])
    return result


def _draw(command, growth, longest, path):
    with write_figure(path, (10, 3.6), columns=2) as (left, right):
        powers = (
            [
                ", power {:.2f}, at the end {:.2f}".format(
                    growth["exponent"], growth["exponent_at_the_end"]
                ),
                ", power {:.2f}".format(growth["processor_exponent"]),
            ]
            if "exponent" in growth
            else ["", ""]
        )
        left.loglog(growth["photos"], growth["seconds"], "o-", label="time" + powers[0])
        left.loglog(
            growth["photos"], growth["processor_seconds"], "s--", label="processor time" + powers[1]
        )
        left.set_xlabel("photos")
        left.set_ylabel("seconds")
        left.set_title("{}: growth of time".format(command))
        left.legend()
        left.grid(True, which="both", alpha=0.3)
        right.plot(longest[:, 2], longest[:, 1])
        right.set_ylim(bottom=0)
        right.set_xlabel("photos done")
        right.set_ylabel("MiB held, all processes")
        slope = growth["mib_per_thousand_photos"]
        right.set_title(
            "memory over {} photos{}".format(
                growth["photos"][-1],
                "" if slope is None else ": {:+.1f} MiB per thousand".format(slope),
            )
        )
        right.grid(True, alpha=0.3)


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        default=os.path.join(RESULT_DIR, "benchmarks"),
        metavar="DIR",
        help="folder for the curves",
    )
    parser.add_argument(
        "--counts", nargs="+", type=int, default=COUNTS, metavar="N", help="numbers of photos"
    )
    parser.add_argument("--seconds", type=float, default=7200, help="limit for all runs together")
    parser.add_argument(
        "--only", nargs="+", choices=COMMANDS, default=COMMANDS, help="commands to run"
    )


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
