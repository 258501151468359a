"""Threads: small linear algebra and worker processes keep to one."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import threadpoolctl

from face_model import load_face_model
from fitting import landmarks as landmark_fitting
from fitting import lighting as light_fitting
from tests.paths import TOY_MODEL
from utils import workers
from utils.paths import REPO_ROOT
from utils.workers import one_blas_thread, single_threaded_children


def threads():
    """Return how many threads each BLAS library here uses."""
    return [
        library["num_threads"]
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas"
    ]


@pytest.fixture(autouse=True)
def two_threads():
    with threadpoolctl.threadpool_limits(2, "blas"):
        if set(threads()) != {2}:
            pytest.skip("numpy and scipy here have no threads to limit")
        yield


def test_one_thread_within_and_as_before_after():
    with one_blas_thread():
        assert set(threads()) == {1}
        np.linalg.svd(np.eye(200))
    assert set(threads()) == {2}


SEARCHES_BESIDE_IMPORTS = """
import importlib, threading
from utils import workers

stop = threading.Event()

def search():
    while not stop.is_set():
        workers._blas_libraries.cache_clear()
        workers._blas_libraries()

thread = threading.Thread(target=search, daemon=True)
thread.start()
for name in ("linalg", "ndimage", "spatial", "interpolate", "optimize", "stats", "signal"):
    importlib.import_module("scipy." + name)
stop.set()
thread.join()
print(sorted(library.filepath for library in workers._blas_libraries().lib_controllers))
"""


def test_libraries_are_found_while_another_thread_imports_modules():
    """Both need the lock of loaded libraries and Python's: whoever waited would wait for ever."""
    found = subprocess.run(
        [sys.executable, "-c", SEARCHES_BESIDE_IMPORTS],
        cwd=REPO_ROOT,
        stdout=subprocess.PIPE,
        universal_newlines=True,
        timeout=120,
        check=True,
    )
    assert found.stdout.count("blas") >= 1


def test_the_same_libraries_are_found_as_by_threadpoolctl():
    ours = workers._LoadedLibraries().info()
    assert sorted(map(str, ours)) == sorted(map(str, threadpoolctl.threadpool_info()))


def test_one_thread_until_the_last_thread_leaves():
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with one_blas_thread():
            entered.set()
            leave.wait()

    other = threading.Thread(target=stay)
    with one_blas_thread():
        other.start()
        entered.wait()
    assert set(threads()) == {1}
    leave.set()
    other.join()
    assert set(threads()) == {2}


def test_landmarks_are_fitted_on_one_thread(monkeypatch):
    seen, linearize = [], landmark_fitting._linearize
    monkeypatch.setattr(
        landmark_fitting, "_linearize", lambda *a: seen.extend(threads()) or linearize(*a)
    )
    fitter = landmark_fitting.LandmarkFitter(load_face_model(TOY_MODEL))
    fitter.fit(np.random.RandomState(0).uniform(60, 160, (68, 2)), np.ones(68))
    assert seen and set(seen) == {1}


def test_light_is_fitted_on_one_thread(monkeypatch):
    seen, solve = [], light_fitting._solve_white_light
    monkeypatch.setattr(
        light_fitting, "_solve_white_light", lambda *a: seen.extend(threads()) or solve(*a)
    )
    model, random = load_face_model(TOY_MODEL), np.random.RandomState(0)
    samples = light_fitting.SkinSamples(
        np.arange(200), random.uniform(0, 255, (200, 3)), np.ones(200)
    )
    light_fitting.solve_light_and_albedo(
        model, samples, random.standard_normal((model.vertex_count, 9))
    )
    assert seen and set(seen) == {1}


def test_children_compute_on_one_thread_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    code = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['TF_NUM_INTRAOP_THREADS'])"
    with single_threaded_children():
        said = subprocess.check_output([sys.executable, "-c", code])
    assert said == b"3 1\n" and "TF_NUM_INTRAOP_THREADS" not in os.environ
