"""train.py with several workers: real processes on this machine, with small networks."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from checkpoints.variables import read_variables, variable_shapes
from dataset.face_stream import FaceStream, build_batch_queue
from dataset.processed_faces import find_faces
from tests.faults.processes import workers_of
from tests.paths import TOY_MODEL
from tests.training.cluster_training import VARIABLE
from tests.training_data import write_faces
from training.cluster import (
    Cluster,
    Membership,
    format_membership,
    read_membership,
    workers_per_machine,
)
from utils.errors import InputError
from utils.paths import REPO_ROOT
from utils.tf_compat import tf

PATIENCE = 120  # seconds for a run: the start of two processes takes most of them
SCRIPT = os.path.join(REPO_ROOT, "tests", "training", "cluster_training.py")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    write_faces(folder / "faces", 6)
    yield folder
    shutil.rmtree(str(folder))


def start(workshop, name, network, *flags, membership=None):
    """Start train.py; returns the process, whose stderr goes into a file."""
    words = (
        "--batch_size 4 --val_faces 2 --checkpoint_interval 10 --identity none --init_weights none "
        "--seed 3 --deterministic --quiet --threads 1"
    ).split()
    words += ["--data_path", str(workshop / "faces"), "--face_model", TOY_MODEL]
    words += ["--result_path", str(workshop), "--model_name", name] + list(flags)
    if network == "gcn":
        words += ["--model", "gcn", "--coefficient_weights", "none.ckpt"]
    environment = dict(os.environ, PYTHONPATH=REPO_ROOT, CUDA_VISIBLE_DEVICES="-1")
    environment[VARIABLE] = network
    number = 0
    if membership is not None:
        environment["TF_CONFIG"] = format_membership(membership)
        number = membership.rank
    log = str(workshop / "{}-{}.log".format(name, number))
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, SCRIPT] + words, env=environment, stdout=file, stderr=file
        )
    process.log = log
    return process


def finish(process):
    """Wait for a process; returns its status and all it said."""
    try:
        process.wait(PATIENCE)
    finally:
        with contextlib.suppress(OSError):
            process.kill()
    with open(process.log, encoding="utf-8") as file:
        said = file.read()
    assert "Traceback" not in said, said
    return process.returncode, said


def run(workshop, name, network, *flags):
    status, said = finish(start(workshop, name, network, *flags))
    assert status == 0, said
    return said


def variables(workshop, name, step):
    prefix = str(workshop / name / "iter_{}.ckpt".format(step))
    return read_variables(prefix, variable_shapes(prefix))


def wait_for_file(process, path):
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(str(path)):
        assert process.poll() is None and time.monotonic() < deadline, open(process.log).read()
        time.sleep(0.05)


def two_hosts():
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return ["127.0.0.1:{}".format(each.getsockname()[1]) for each in sockets]


@pytest.mark.slow
@pytest.mark.parametrize("network, steps, tolerance", [("r_net", 2, 1e-3), ("gcn", 20, 1e-5)])
def test_two_workers_equal_one_with_the_whole_batch(workshop, network, steps, tolerance):
    """The weights of the mesh generator, and the sums of R-Net's gradients.

    Adam moves a weight whose gradient is rounding noise as far as any other one, so weights below
    the zero heads of an untrained R-Net differ by some steps of noise. The heads differ so after
    the first step, and with them the gradients below at the second: by up to 1e-4 of the largest,
    their squares by 2.3e-4, depending on the processor.
    """
    found = {}
    for workers in ("1", "2"):
        name = "{}_{}".format(network, workers)
        said = run(workshop, name, network, "--steps", str(steps), "--workers", workers)
        assert said.count("step {0} of {0} reached".format(steps)) == 1
        found[workers] = variables(workshop, name, steps)
    one, two = found["1"], found["2"]
    assert set(one) == set(two) and one["global_step"] == two["global_step"] == steps
    compared = [name for name in one if network == "gcn" or "/Adam" in name]
    for variable in compared:
        largest = np.abs(one[variable]).max()
        atol = tolerance * (1 + largest)
        np.testing.assert_allclose(two[variable], one[variable], rtol=0, atol=atol)
    moments = [name for name in one if name.endswith("/Adam")]
    assert moments and max(np.abs(one[name]).max() for name in moments) > 1e-3


@pytest.mark.slow
def test_lost_worker_is_named_and_a_restart_ends_with_the_same_bits(workshop):
    endless = ("--steps", "100000", "--workers", "2", "--checkpoint_interval", "100")

    # 1. A worker that hangs, one that is killed, then the chief killed.
    for number, kind in ((signal.SIGSTOP, "hangs"), (signal.SIGKILL, "was killed by signal 9")):
        process = start(workshop, "disturbed", "one_weight", "--resume", *endless)
        wait_for_file(process, workshop / "disturbed" / "iter_100.json")
        while not workers_of(process.pid):  # the second time, the file is there already
            time.sleep(0.05)
        (worker,) = workers_of(process.pid)
        since = time.monotonic()
        os.kill(worker, number)
        status, said = finish(process)
        assert status == 1 and time.monotonic() - since < 60
        # TensorFlow may write lines of its own before and after
        last = [line for line in said.splitlines() if line.startswith("error: ")][-1]
        assert re.search(r"error: worker 1 \(127.0.0.1:\d+\) .*" + kind, last)
        assert "the last checkpoint is {}".format(workshop / "disturbed" / "iter_") in last
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    process = start(workshop, "disturbed", "one_weight", "--resume", *endless)
    time.sleep(3)
    process.kill()
    process.wait()

    # 2. The restart, and a run without disturbance.
    names = os.listdir(str(workshop / "disturbed"))
    newest = max(
        int(found.group(1)) for found in map(re.compile(r"iter_(\d+)").match, names) if found
    )
    flags = ("--steps", str(newest + 50)) + endless[2:]
    assert "resumed from" in run(workshop, "disturbed", "one_weight", "--resume", *flags)
    run(workshop, "undisturbed", "one_weight", *flags)
    found, expected = (
        variables(workshop, each, newest + 50) for each in ("disturbed", "undisturbed")
    )
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_lost_chief_is_named_by_the_other_worker(workshop):
    hosts = two_hosts()
    flags = ("--steps", "100000", "--checkpoint_interval", "50")
    worker = start(workshop, "headless", "one_weight", *flags, membership=Membership(hosts, 1))
    time.sleep(2)  # the worker is the first to start
    chief = start(workshop, "headless", "one_weight", *flags, membership=Membership(hosts, 0))
    wait_for_file(chief, workshop / "headless" / "iter_50.json")
    time.sleep(3)  # the others read of the checkpoint within a second or two
    chief.kill()
    chief.wait()
    since = time.monotonic()
    status, said = finish(worker)
    assert status == 1 and time.monotonic() - since < 60
    assert "worker 0 ({}) has given no sign of life for 6 s".format(hosts[0]) in said
    assert "the last checkpoint is {}".format(workshop / "headless" / "iter_") in said


@pytest.mark.slow
def test_differing_worker_is_refused_by_name(workshop):
    hosts = two_hosts()
    chief = start(workshop, "differing", "one_weight", membership=Membership(hosts, 0))
    flags = ("--learning_rate", "0.5")
    worker = start(workshop, "differing", "one_weight", *flags, membership=Membership(hosts, 1))
    for process in (chief, worker):
        status, said = finish(process)
        assert status == 1
        assert (
            "worker 1 ({}) differs from worker 0 ({}): options.learning_rate 0.5 instead of "
            "0.0001;".format(hosts[1], hosts[0])
        ) in said
    assert not [name for name in os.listdir(str(workshop / "differing")) if "iter_" in name]


def test_signal_to_one_worker_stops_all_after_the_same_step(workshop):
    flags = ("--steps", "100000", "--workers", "2")
    process = start(workshop, "signaled", "one_weight", *flags)
    wait_for_file(process, workshop / "signaled" / "iter_10.json")
    (worker,) = workers_of(process.pid)
    os.kill(worker, signal.SIGTERM)
    status, said = finish(process)
    assert status == 143
    step = int(re.search(r"stopped by SIGTERM after step (\d+) of 100000", said).group(1))
    assert variables(workshop, "signaled", step)["global_step"] == step


@pytest.mark.slow
def test_diverged_loss_stops_all_workers_and_names_the_faces_of_the_whole_batch(workshop):
    flags = ("--steps", "50", "--workers", "2", "--learning_rate", "1e30")
    status, said = finish(start(workshop, "diverged", "one_weight", *flags))
    assert status == 1
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(lines) == 2 and lines[0] == lines[1]
    faces = re.search(r"not finite, training stopped; the batch was ([^;]*);", lines[0]).group(1)
    assert len(set(faces.split(", "))) == 4


def test_shares_are_parts_of_the_batches(workshop):
    stream = FaceStream(find_faces(str(workshop / "faces")), 5, False)

    def read(size, offset, stride):
        with tf.Graph().as_default(), tf.Session() as session:
            queue = build_batch_queue(stream, size, 1, offset, stride)
            session.run(queue.initializer, {queue.first: 4})
            return [session.run(queue.batch.indices) for _ in range(3)]

    whole = read(4, 0, None)
    shares = [read(2, offset, 4) for offset in (0, 2)]
    for batch, first, second in zip(whole, *shares):
        assert batch.tolist() == first.tolist() + second.tolist()


def test_batch_must_be_shared_equally():
    cluster = Cluster(Membership(["a:1", "b:1", "c:1"], 2))
    assert cluster.share(12) == (4, 8, 12)
    with pytest.raises(InputError, match="--batch_size 16: .* 3 workers; choose a multiple of 3"):
        cluster.share(16)


def config(jobs, kind, index):
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})}


def test_membership_is_that_of_tf_config():
    jobs = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
    assert read_membership(config(jobs, "chief", 0)) == (["a:1", "b:1", "c:1"], 0)
    assert read_membership(config(jobs, "worker", 1)) == (["a:1", "b:1", "c:1"], 2)
    assert read_membership(config({"worker": ["a:1", "b:1"]}, "worker", 0)) == (["a:1", "b:1"], 0)
    assert read_membership({}) is None and read_membership({"TF_CONFIG": "{}"}) is None
    assert read_membership(config({"worker": ["a:1"]}, "worker", 0)) is None
    assert workers_per_machine(["a:1", "b:1", "a:2"], 2) == 2


@pytest.mark.parametrize(
    "environment, reason",
    [
        ({"TF_CONFIG": "{"}, "must be JSON"),
        ({"TF_CONFIG": "[]"}, "must be JSON"),
        (config({"worker": ["a:1", "b:1"], "ps": ["c:1"]}, "worker", 0), "kind ps"),
        (config({"worker": ["a:1", "b:1"]}, "worker", 2), "no worker 2"),
        (config({"worker": ["a:1", "b:1"]}, "chief", 0), "no chief 0"),
    ],
)
def test_unfit_tf_config_is_refused(environment, reason):
    with pytest.raises(InputError, match="TF_CONFIG: .*" + reason):
        read_membership(environment)
