"""The cost of several machines, and a model of many: ``python -m benchmarks.scaling``.

1. The commands on a Dask cluster of two workers on this machine, beside the plain commands on the
   same cores, with one worker killed twice: rates, processor time, and whether the bytes agree.
2. The overhead of the scheduler, by units without work.
3. The exchange of the gradients of R-Net among 1, 2 and 4 training workers on the loopback.

Then the model: a million photos through demo.py on 100 machines, and the published training
(200,000 steps of 16, 260,000 photos) on 8 GPUs in 1 and in 4 machines. All its assumptions are
printed. ``--json FILE`` keeps the figures, and ``--model FILE`` prints the model of kept ones.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import resource
import sys
import tempfile
import threading
import time

import numpy as np

from benchmarks.commands import run_command
from benchmarks.measuring import describe_machine
from benchmarks.photo_set import write_photos
from benchmarks.synthetic_model import random_photos, synthetic_face_model
from dataset.face_stream import Batch
from tests.dask_cluster import LocalDask, prepare_squares
from training.cluster import Cluster, LoneWorker, read_membership, start_workers
from training.options import TrainingOptions
from training.r_net_step import build_r_net_step
from utils.errors import run_main
from utils.json_files import write_json
from utils.report import Report
from utils.scheduler import UNIT_SIZE, Workers
from utils.tf_compat import session_config, tf

_WORKERS = 2
_COMMANDS = {  # name -> script, flag of the photos, flag of the output, further flags, a file each
    "demo": ("demo.py", "--input", "--output", ("--steps", "0"), ".mat"),
    "preprocess": ("preprocess_img.py", "--img_path", "--save_path", (), ".bin"),
}
_UNITS = 400  # without work
_EXCHANGES = 20  # of the gradient
_PARTS = ("commands", "overhead", "exchange")
_MACHINES, _PHOTOS = 100, 10**6
_STEPS, _BATCH = 200_000, 16
_STEP_SECONDS = (0.05, 0.1, 0.2)  # assumed, of one GPU with its share of the batch
_NETWORK = 1.25e9  # bytes a second between machines, 10 Gbit/s; assumed
_BUS = 10e9  # bytes a second within a machine; assumed


def parse_arguments(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=300, help="photos of each command")
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=_PARTS, help="parts to run")
    parser.add_argument(
        "--commands", nargs="+", choices=sorted(_COMMANDS), default=sorted(_COMMANDS), help="of 1"
    )
    parser.add_argument("--json", metavar="FILE", help="add the figures to this file")
    parser.add_argument("--model", metavar="FILE", help="measure nothing; figures of this file")
    parser.add_argument("--exchange_member", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv=None):
    """Measure, print, and model."""
    arguments = parse_arguments(argv)
    if arguments.exchange_member:
        _exchange(Cluster(read_membership(os.environ)), arguments.exchange_member)
        return 0
    figures = {}
    kept = arguments.model or arguments.json
    if kept and os.path.isfile(kept):
        with open(kept) as file:
            figures = json.load(file)
    if not arguments.model:
        figures["machine"] = describe_machine()
        if "commands" in arguments.only:
            figures.setdefault("commands", {}).update(
                measure_commands(arguments.photos, arguments.commands)
            )
        if "overhead" in arguments.only:
            figures["overhead"] = measure_overhead()
        if "exchange" in arguments.only:
            figures["exchange"] = measure_exchange()
        if arguments.json:
            write_json(arguments.json, figures)
    print_figures(figures)
    if all(part in figures for part in _PARTS) and "demo" in figures["commands"]:
        print_model(figures)
    return 0


def measure_commands(count, names):
    """Return name of the command -> its figures, plain, on a cluster, and with kills."""
    with contextlib.ExitStack() as stack:
        photos, output, logs = (
            stack.enter_context(tempfile.TemporaryDirectory()) for _ in range(3)
        )
        write_photos(photos, count, with_points=False)
        cluster = stack.enter_context(LocalDask(logs, _WORKERS))
        return {name: _measure_command(name, photos, output, cluster) for name in names}


def _measure_command(name, photos, output, cluster):
    """Return the figures of one command."""
    script, source, target, flags, kind = _COMMANDS[name]
    count = len(_files(photos))

    def run(how, *further):
        folder = os.path.join(output, name, how)
        start = cluster.processor_seconds() + _children_seconds()
        process = run_command(script, source, photos, target, folder, "--quiet", *(flags + further))
        figures = {
            "seconds": process.seconds,
            "processor_seconds": cluster.processor_seconds() + _children_seconds() - start,
            "done": int(re.search(r"^(\d+) (?:face|photo)", process.output, re.M).group(1)),
        }
        print("{}, {}: {}".format(name, how, figures), file=sys.stderr, flush=True)
        return figures, _digests(folder)

    # 1. plain
    plain, wanted = run("plain")

    # 2. with kills, at a third and at two thirds
    folder = os.path.join(output, name, "kills")
    thirds = [count // 3, 2 * count // 3]
    killer = threading.Thread(target=_kill, args=(cluster, folder, kind, thirds), daemon=True)
    killer.start()
    killed, same_with_kills = run("kills", "--scheduler", cluster.file)
    killer.join()

    # 3. undisturbed
    shared, same = run("cluster", "--scheduler", cluster.file)
    return {
        "photos": count,
        "plain": plain,
        "kills": dict(killed, same_bytes=same_with_kills == wanted),
        "cluster": dict(shared, same_bytes=same == wanted),
        "bytes_a_photo": sum(os.path.getsize(path) for path in _files(folder)) / count,
    }


def _kill(cluster, folder, kind, counts):
    """Kill the first worker each time when so many files of a kind are in a folder."""
    for count in counts:
        while sum(path.endswith(kind) for path in _files(folder)) < count:
            time.sleep(0.2)
        cluster.kill_worker()
        print("killed a worker at {} files".format(count), file=sys.stderr, flush=True)


def _files(folder):
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]


def _digests(folder):
    """Return path -> digest of each file of a folder."""
    found = {}
    for path in _files(folder):
        with open(path, "rb") as file:
            found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


def _children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure_overhead():
    """Return the seconds that a unit takes which has no work."""
    with tempfile.TemporaryDirectory() as logs, tempfile.TemporaryDirectory() as output:
        with LocalDask(logs, _WORKERS) as cluster:
            with Workers(cluster.file, output, (), "the toy", prepare_squares) as workers:
                report = Report(None, "number", "squared", quiet=True)
                start = time.perf_counter()
                for _ in workers.run(([number] for number in range(_UNITS)), report):
                    pass
                seconds = time.perf_counter() - start
    return {
        "units": _UNITS,
        "seconds_a_unit": seconds / _UNITS,
        "seconds_a_photo": seconds / _UNITS / UNIT_SIZE,
    }


def measure_exchange():
    """Return the size of R-Net's exchange, and its time by the number of workers."""
    size = _exchanged_numbers()
    found = {"bytes_of_a_worker": 4 * size, "workers": {}}
    for count in (1, 2, 4):
        member = [sys.executable, "-m", "benchmarks.scaling", "--exchange_member", str(size)]
        before = _loopback_bytes()
        with start_workers(count, member) as cluster:
            seconds = _exchange(cluster, size)
        found["workers"][str(count)] = {
            "seconds_a_step": seconds,
            "loopback_bytes_a_step": (_loopback_bytes() - before) / (_EXCHANGES + 1),
        }
    return found


def _exchanged_numbers():
    """Return how many numbers each worker of R-Net's training gives to the others in a step."""
    sizes = []

    def average(tensors):
        sizes.append(sum(int(np.prod(tensor.shape.as_list())) for tensor in tensors))
        return list(tensors)

    with tf.Graph().as_default():
        photos = random_photos(2)
        inputs = [tf.placeholder(tf.float32, (2,) + values.shape[1:]) for values in photos]
        build_r_net_step(
            Batch(*inputs, indices=None), synthetic_face_model(), TrainingOptions(), None, average
        )
    return sum(sizes)


def _exchange(cluster, size):
    """Exchange as the steps of a training do; return the seconds of one."""
    if isinstance(cluster, LoneWorker) and not isinstance(cluster, Cluster):
        return 0.0
    config = session_config()
    with cluster:
        cluster.start(config)
        cluster.join({}, {})
        with tf.Graph().as_default():
            numbers = tf.get_variable("numbers", [size], initializer=tf.zeros_initializer())
            (mean,) = cluster.average([numbers])
            session = tf.Session(cluster.target, config=config)
            session.run(numbers.initializer)
            cluster.run(lambda: session.run(mean.op))  # the first one also connects the workers
            start = time.perf_counter()
            for _ in range(_EXCHANGES):
                cluster.run(lambda: session.run(mean.op))
            seconds = time.perf_counter() - start
            cluster.close(session)
    return seconds / _EXCHANGES


def _loopback_bytes():
    """Return the bytes that this machine has sent to itself so far."""
    with open("/proc/net/dev") as file:
        line = next(line for line in file if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[0])


def print_figures(figures):
    """Print the measured figures."""
    print(
        "machine: {processor}, {cores} cores, TensorFlow {tensorflow}".format(**figures["machine"])
    )
    for name, found in figures.get("commands", {}).items():
        print("{}, {} photos of 500 pixels:".format(_COMMANDS[name][0], found["photos"]))
        for how in ("plain", "cluster", "kills"):
            run = found[how]
            print(
                "  {:8s} {:6.2f} photos/s, {:.2f} s of processor time a photo, {} done{}".format(
                    how,
                    found["photos"] / run["seconds"],
                    run["processor_seconds"] / found["photos"],
                    run["done"],
                    "" if how == "plain" else ", the same bytes" * run["same_bytes"],
                )
            )
    if "overhead" in figures:
        print(
            "scheduler: {:.1f} ms a unit, {:.3f} ms a photo".format(
                1e3 * figures["overhead"]["seconds_a_unit"],
                1e3 * figures["overhead"]["seconds_a_photo"],
            )
        )
    if "exchange" in figures:
        found = figures["exchange"]
        print("R-Net: a worker gives {:.1f} MB a step".format(found["bytes_of_a_worker"] / 1e6))
        for count, row in sorted(found["workers"].items()):
            print(
                "  {} workers: {:.0f} ms a step outside of computing, {:.0f} MB over the "
                "loopback".format(
                    count, 1e3 * row["seconds_a_step"], row["loopback_bytes_a_step"] / 1e6
                )
            )


def print_model(figures):
    """Print the model of many machines, from measured figures and stated assumptions."""
    # 1. Photos.
    demo = figures["commands"]["demo"]
    rate = demo["photos"] / demo["cluster"]["seconds"]
    unit = UNIT_SIZE * _WORKERS / rate
    hours = _PHOTOS / (_MACHINES * rate) / 3600
    handing = figures["overhead"]["seconds_a_unit"] * _PHOTOS / UNIT_SIZE / 3600
    size = demo["bytes_a_photo"]
    print("\nModel, not measured:")
    print(
        "{:,} photos through demo.py --steps 0 on {} machines like this one:\n"
        "  assumed: two workers with the rate of this machine, start included, on each; the file\n"
        "  system keeps up; the scheduler has a core of its own; no machine is lost\n"
        "  computing {:.1f} h; handing out {:.2f} h of the scheduler, at the same time\n"
        "  the end of the last units: up to {:.0f} s; a worker that dies costs as much\n"
        "  files: {:.1f} MB a photo, {:.1f} TB together, {:.0f} MB/s".format(
            _PHOTOS,
            _MACHINES,
            hours,
            handing,
            unit,
            size / 1e6,
            _PHOTOS * size / 1e12,
            _PHOTOS * size / 1e6 / (hours * 3600),
        )
    )

    # 2. The published training.
    bytes_given = figures["exchange"]["bytes_of_a_worker"]
    print(
        "published training, {:,} steps of {}, on 8 GPUs:\n"
        "  assumed: a ring, in which a worker sends 2 (N-1)/N of {:.0f} MB a step; {:.2f} GB/s\n"
        "  between machines, {:.0f} GB/s within one; nothing is sent while it computes; reading\n"
        "  keeps up; and the seconds of a step on one GPU with its 2 faces".format(
            _STEPS, _BATCH, bytes_given / 1e6, _NETWORK / 1e9, _BUS / 1e9
        )
    )
    for step in _STEP_SECONDS:
        hours = []
        for bandwidth in (_BUS, _NETWORK):
            exchange = 2 * 7 / 8 * bytes_given / bandwidth
            hours.append(_STEPS * (step + exchange) / 3600)
        print(
            "  {:.0f} ms of computing a step: {:.1f} h in one machine, {:.1f} h in four".format(
                1e3 * step, *hours
            )
        )


if __name__ == "__main__":
    run_main(main)
