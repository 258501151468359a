"""Convergence of fitting: every run begins at the same loss, and all figures are written."""

import json
import os

import numpy as np
import pytest

from benchmarks import convergence
from benchmarks.adam import Adam
from benchmarks.convergence import ADAM, LANDMARKS, NETWORK, QUASI_NEWTON, Curve, Run
from benchmarks.random_faces import sample_coefficients
from face_decoder import FaceDecoder
from fitting.descent import minimize
from fitting.objective import FaceObservation
from fitting.photometric import FaceFitter, FitSettings
from tests.toy_reconstruction import toy_face_model

RUNS = (
    Run(LANDMARKS, QUASI_NEWTON, 6),
    Run(LANDMARKS, ADAM, 12),
    Run(NETWORK, QUASI_NEWTON, 4),
    Run(NETWORK, ADAM, 8),
)


@pytest.fixture(scope="module")
def decoder():
    decoder = FaceDecoder(toy_face_model())
    yield decoder
    decoder.close()


@pytest.fixture(scope="module")
def truth(decoder):
    return sample_coefficients(decoder.model, 3, 4)


@pytest.fixture(scope="module")
def observations(decoder, truth):
    drawn = decoder.decode(truth)
    return [
        FaceObservation(rgba[..., :3], rgba[..., 3] / 255.0, landmarks, np.ones(68))
        for rgba, landmarks in zip(drawn.rendered, drawn.landmarks)
    ]


@pytest.fixture(scope="module")
def measurement(decoder, truth, observations):
    batch = convergence._BATCH
    convergence._BATCH = 2  # two batches
    try:
        return convergence.measure(decoder, observations, truth + 0.05, RUNS)
    finally:
        convergence._BATCH = batch


def test_methods_begin_at_the_same_loss_and_reduce_it(measurement):
    assert [curve.run for curve in measurement.curves] == list(RUNS)
    for ours, adam in (measurement.curves[:2], measurement.curves[2:]):
        assert ours.loss[0] == pytest.approx(adam.loss[0], rel=1e-5)
        assert ours.loss[-1] < 0.9 * ours.loss[0] and adam.loss[-1] < adam.loss[0]
    for curve in measurement.curves:
        assert len(curve.loss) == len(curve.seconds) == curve.run.steps + 1
        assert curve.seconds[0] == 0 and (np.diff(curve.seconds) >= 0).all()


def test_a_curve_ends_at_the_loss_of_the_fit(decoder, observations, measurement):
    fit = FaceFitter(decoder, FitSettings(RUNS[0].steps)).fit(observations)
    assert measurement.curves[0].loss[-1] == pytest.approx(fit.loss.mean(), rel=1e-3)


def test_all_figures_are_written(measurement, truth, observations, tmp_path, monkeypatch, capsys):
    class Network:
        def __init__(self, path, model):
            assert path == "network.pb"

        def predict(self, crops):
            return truth[: len(crops)]

    monkeypatch.setattr(convergence, "CoefficientRegressor", Network)
    monkeypatch.setattr(convergence, "load_face_model", lambda _: toy_face_model())
    monkeypatch.setattr(convergence, "draw_photos", lambda *_: observations)
    monkeypatch.setattr(convergence, "measure", lambda *_: measurement)
    flags = ["--output", str(tmp_path / "a"), "--json", str(tmp_path / "figures.json")]
    assert convergence.main(flags + ["--network", "network.pb"]) == 0

    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["photos"] == 3 and 0 <= figures["begun_at_landmarks"] <= 3
    assert {"face_model", "machine", "curves", "near_the_end"} < set(figures)
    for curve, run in zip(figures["curves"], RUNS):
        assert (curve["start"], curve["method"], curve["steps"]) == run
        assert len(curve["loss"]) == len(curve["processor_seconds"]) == run.steps + 1
        assert len(curve["loss_after"]) == len(convergence.MOMENTS)
    assert [(row["start"], row["end_of"]) for row in figures["near_the_end"]] == [
        (start, method) for start in (LANDMARKS, NETWORK) for method in (QUASI_NEWTON, ADAM)
    ]
    assert os.path.getsize(str(tmp_path / "a" / "convergence.png")) > 20000
    printed = capsys.readouterr().out
    assert "from the network, Adam, 8 steps" in printed and "of 3 photos" in printed


def test_losses_are_read_from_a_curve():
    curve = Curve(RUNS[0], np.array([0, 1.0, 2.0, 4.0]), np.array([8, 4.0, 2.0, 3.0]))
    losses = [convergence.loss_after(curve, seconds) for seconds in (0.5, 1.0, 3.9, 100)]
    assert losses == [8, 4, 2, 3]
    assert [convergence.seconds_to(curve, loss) for loss in (9, 4, 3, 1)] == [0, 1, 2, None]


def test_a_method_that_never_comes_near_has_no_ratio():
    seconds = np.array([0, 1.0, 2.0])
    curves = [
        Curve(Run(LANDMARKS, QUASI_NEWTON, 2), 0.5 * seconds, np.array([4, 2.0, 2.0])),
        Curve(Run(LANDMARKS, ADAM, 2), seconds, np.array([4, 2.01, 1.0])),
    ]
    to_adam = convergence._compare(curves, LANDMARKS, ADAM)
    assert to_adam["loss"] == pytest.approx(1.02) and to_adam["ratio"] is None
    assert to_adam["processor_seconds"] == {QUASI_NEWTON: None, ADAM: 2}
    assert convergence._compare(curves, LANDMARKS, QUASI_NEWTON)["ratio"] == 2


class Bowl:
    """The sum of squares of the distance from a point."""

    def __init__(self, bottom):
        self._bottom = bottom

    def differentiate(self, x, _fraction):
        return np.square(x - self._bottom).sum(axis=1), 2 * (x - self._bottom)

    def total(self, losses):
        return losses

    def dot(self, a, b):
        return np.sum(a * b, axis=1, keepdims=True)

    def curvature(self, _x):
        return lambda gradient, free: 0.1 * gradient * free


@pytest.mark.parametrize("method", ["quasi-Newton", "Adam"])
def test_methods_stay_in_bounds_and_show_every_step(method):
    model = toy_face_model()
    adam = Adam(model)
    count = len(adam._step_sizes)
    bottom = np.linspace(-0.1, 0.1, count)
    path = []
    found = (minimize if method == "quasi-Newton" else adam.minimize)(
        Bowl(bottom),
        np.zeros((1, count), np.float32),
        np.full(count, -0.05),
        np.full(count, 0.05),
        60,
        watch=lambda x: path.append(x.copy()),
    )
    assert len(path) == len(found.history) == 60
    np.testing.assert_array_equal(path[-1], found.x)
    np.testing.assert_allclose(found.x[0], np.clip(bottom, -0.05, 0.05), atol=0.01)
