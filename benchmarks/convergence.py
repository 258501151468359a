"""Convergence of fitting: loss over processor time.

    python -m benchmarks.convergence [--input FOLDER] [--output DIR] [--json FILE]

Photos are fitted from their landmarks and from the start that a network's prediction gives, by the
quasi-Newton steps of ``fitting.descent`` and by Adam, which made these fits before. A picture shows
the mean loss of the photos after each step over the processor time of all threads. Printed: the
loss after some seconds, and the seconds to within 2% of the loss at which each method ends.

The loss is the same function everywhere: that at the last robust scale, with the weights of the
fit. The clock runs from the start coefficients to the last step, and the losses are evaluated
afterwards. The photos are faces drawn by the synthesis, each of another person, or a folder's.
"""

import argparse
import functools
import os
import tempfile
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from alignment.skin import skin_mask
from benchmarks.adam import ADAM_REFINING_STEPS, ADAM_STEPS, Adam
from benchmarks.curves import write_figure
from benchmarks.measuring import describe_machine
from benchmarks.network_start import find_network, locate_faces
from dataset.processed_faces import find_faces, read_face
from face_decoder import FaceDecoder
from face_model import FACE_MODEL_HELP, load_face_model
from face_model.model import FaceModel
from fitting.descent import Result, minimize
from fitting.landmarks import LANDMARK_NOISE
from fitting.objective import FaceObservation, Objective, PhotoObjective
from fitting.photometric import DEFAULT_STEPS, REFINING_STEPS, FaceFitter, FitSettings
from fitting.robustness import LAST_ROBUST_SCALE
from reconstruction.pipeline import make_observation
from reconstruction.regressor import CoefficientRegressor
from synthesis.dataset import DatasetOptions, SyntheticDataset
from utils.arguments import positive_int, seed
from utils.errors import run_main
from utils.json_files import write_json
from utils.paths import RESULT_DIR
from utils.report import Report

QUASI_NEWTON, ADAM = "quasi-Newton", "Adam"
LANDMARKS, NETWORK = "landmarks", "network"
MOMENTS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # processor seconds a photo
NEAR = 1.02  # of the loss at which a method ends
_BATCH = 8  # photos fitted together, at most
_MAX_YAW = 75.0  # degrees, of drawn faces
_TITLES = {
    LANDMARKS: "from the landmarks",
    NETWORK: "from the better of prediction and landmarks",
}
_LINES = {QUASI_NEWTON: ("C0", "o-"), ADAM: ("C1", "s--")}  # color, and form


class Run(NamedTuple):
    """A way of fitting."""

    start: str  # LANDMARKS or NETWORK
    method: str  # QUASI_NEWTON or ADAM
    steps: int


RUNS = (
    Run(LANDMARKS, QUASI_NEWTON, DEFAULT_STEPS),
    Run(LANDMARKS, ADAM, ADAM_STEPS),
    Run(NETWORK, QUASI_NEWTON, REFINING_STEPS),
    Run(NETWORK, ADAM, ADAM_REFINING_STEPS),
)


class Curve(NamedTuple):
    """The losses of a run."""

    run: Run
    seconds: np.ndarray  # [steps + 1] processor time a photo, at the start and after each step
    loss: np.ndarray  # [steps + 1] mean of the photos


class Measurement(NamedTuple):
    """The losses of all runs."""

    curves: List[Curve]
    photos: int
    begun_at_landmarks: int  # photos whose landmarks are a better start than the prediction


def measure(
    decoder: FaceDecoder,
    observations: Sequence[FaceObservation],
    predicted: np.ndarray,
    runs: Sequence[Run] = RUNS,
) -> Measurement:
    """Fit photos in every way.

    Args:
        decoder: decoder of the face model.
        observations: N photos.
        predicted: [N, 257] coefficients predicted by a network.
        runs: the ways of fitting.

    Returns:
        A :class:`Measurement` with a curve for each run.
    """
    # 1. batches, which begin alike in all runs of a start
    tracer = _Tracer(decoder)
    batches = np.array_split(np.arange(len(observations)), -(-len(observations) // _BATCH))
    traces: Dict[Run, List[Tuple[np.ndarray, np.ndarray]]] = {run: [] for run in runs}
    begun_at_landmarks = 0
    for rows in batches:
        photos = [observations[row] for row in rows]
        starts = {
            LANDMARKS: tracer.fitter.choose_start(photos),
            NETWORK: tracer.fitter.choose_start(photos, predicted[rows]),
        }
        same = np.all(starts[NETWORK] == starts[LANDMARKS], axis=1)
        begun_at_landmarks += int(same.sum())
        for run in runs:
            if rows is batches[0]:
                tracer.trace(photos, starts[run.start], run._replace(steps=1))  # a warm-up
            traces[run].append(tracer.trace(photos, starts[run.start], run))

    # 2. means
    curves = [
        Curve(
            run,
            np.sum([seconds for seconds, _ in parts], axis=0) / len(observations),
            np.concatenate([losses for _, losses in parts], axis=1).mean(axis=1),
        )
        for run, parts in traces.items()
    ]
    return Measurement(curves, len(observations), begun_at_landmarks)


class _Tracer:
    """Fits batches of photos and follows their losses.

    Attributes:
        fitter: a ``FaceFitter``.
    """

    def __init__(self, decoder: FaceDecoder) -> None:
        self.fitter = FaceFitter(decoder)
        self._decoder = decoder
        self._objective = Objective(decoder, self.fitter.settings.weights)
        self._methods: Dict[str, Callable[..., Result]] = {
            QUASI_NEWTON: minimize,
            ADAM: Adam(decoder.model).minimize,
        }

    def trace(
        self, observations: Sequence[FaceObservation], start: np.ndarray, run: Run
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Fit a batch.

        Args:
            observations: B photos.
            start: [B, 257] coefficients.
            run: the way of fitting.

        Returns:
            Processor seconds [steps + 1] of the batch and losses [steps + 1, B], at the start and
            after each step.
        """
        # 1. the fit; coefficients are kept, so that the clock need not stop
        path, moments = [start], []

        def watch(coefficients: np.ndarray) -> None:
            moments.append(time.process_time())
            path.append(coefficients.copy())

        method = functools.partial(self._methods[run.method], watch=watch)
        self.fitter.settings = FitSettings(run.steps, method=method)
        moments.append(time.process_time())
        self.fitter.fit(observations, start)

        # 2. the losses
        photos = PhotoObjective(self._objective, self._decoder, observations)
        losses = [photos.losses(coefficients, LAST_ROBUST_SCALE) for coefficients in path]
        return np.array(moments) - moments[0], np.array(losses)


def loss_after(curve: Curve, seconds: float) -> float:
    """Return the loss of the last step that ended within processor seconds a photo."""
    return float(curve.loss[np.searchsorted(curve.seconds, seconds, side="right") - 1])


def seconds_to(curve: Curve, loss: float) -> Optional[float]:
    """Return the processor seconds a photo until a loss is reached; None if it never is."""
    reached = np.flatnonzero(curve.loss <= loss)
    return float(curve.seconds[reached[0]]) if len(reached) else None


def summarize(measurement: Measurement) -> Dict[str, Any]:
    """Return figures, for JSON."""
    return {
        "photos": measurement.photos,
        "begun_at_landmarks": measurement.begun_at_landmarks,
        "curves": [
            dict(
                curve.run._asdict(),
                processor_seconds=curve.seconds.tolist(),
                loss=curve.loss.tolist(),
                loss_after={"{:g}".format(moment): loss_after(curve, moment) for moment in MOMENTS},
            )
            for curve in measurement.curves
        ],
        "near_the_end": [
            _compare(measurement.curves, start, method)
            for start in (LANDMARKS, NETWORK)
            for method in (QUASI_NEWTON, ADAM)
        ],
    }


def _compare(curves: Sequence[Curve], start: str, end_of: str) -> Dict[str, Any]:
    """Return the seconds of both methods to nearly the loss at which one ends, and their ratio."""
    methods = {curve.run.method: curve for curve in curves if curve.run.start == start}
    goal = NEAR * float(methods[end_of].loss[-1])
    seconds = {method: seconds_to(curve, goal) for method, curve in methods.items()}
    ours, adam = seconds[QUASI_NEWTON], seconds[ADAM]
    return {
        "start": start,
        "end_of": end_of,
        "loss": goal,
        "processor_seconds": seconds,
        "ratio": adam / ours if ours and adam else None,
    }


def describe(summary: Dict[str, Any]) -> str:
    """Return figures as text."""
    # 1. losses
    head = "{:<42}" + "{:>8}" * (len(MOMENTS) + 3)
    moments = ["{:g} s".format(moment) for moment in MOMENTS]
    lines = [
        "of {photos} photos, {begun_at_landmarks} begin at the landmarks although there is a "
        "prediction".format(**summary),
        "mean loss after processor seconds a photo",
        head.format("", "start", *moments, "end", "at"),
    ]
    for curve in summary["curves"]:
        losses = [curve["loss"][0], *curve["loss_after"].values(), curve["loss"][-1]]
        lines.append(
            head.format(
                "from the {start}, {method}, {steps} steps".format(**curve),
                *["{:.4f}".format(loss) for loss in losses],
                "{:.2f} s".format(curve["processor_seconds"][-1]),
            )
        )

    # 2. seconds
    lines.append("processor seconds a photo to {:.0%} above the loss at the end".format(NEAR - 1))
    for row in summary["near_the_end"]:
        times = [
            "{} {}".format(method, "never" if seconds is None else "{:.3f} s".format(seconds))
            for method, seconds in row["processor_seconds"].items()
        ]
        if row["ratio"] is not None:
            times.append("ratio {:.1f}".format(row["ratio"]))
        text = "from the {start}, end of {end_of}, loss {loss:.4f}: ".format(**row)
        lines.append(text + ", ".join(times))
    return "\n".join(lines)


def draw(curves: Sequence[Curve], path: str) -> None:
    """Draw the losses over processor time, one diagram for each start."""
    # 1. ranges of both diagrams, with room for the legend
    seconds = [curve.seconds[1:] for curve in curves]
    losses = [curve.loss for curve in curves]
    time_range = 0.8 * np.min(np.concatenate(seconds)), 1.25 * np.max(np.concatenate(seconds))
    loss_range = 0.95 * np.min(np.concatenate(losses)), 1.4 * np.max(np.concatenate(losses))

    # 2. diagrams
    with write_figure(path, (10, 4.2), 2) as diagrams:
        for axes, (start, title) in zip(diagrams, _TITLES.items()):
            for curve in curves:
                if curve.run.start == start:
                    _draw_curve(axes, curve)
            axes.set(
                xscale="log",
                yscale="log",
                xlim=time_range,
                ylim=loss_range,
                xlabel="processor time of a photo, all threads (s)",
                ylabel="mean loss",
                title=title,
            )
            _label(axes.xaxis, (1, 2, 5))
            _label(axes.yaxis, (1, 1.2, 1.5, 2, 3, 5))
            axes.legend(loc="upper right")
            axes.grid(True, which="both", alpha=0.3)


def _label(axis: Any, digits: Sequence[float]) -> None:
    """Label the powers of ten times digits on a logarithmic axis."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=digits))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())


def _draw_curve(axes: Any, curve: Curve) -> None:
    """Draw a curve without its start, whose time is 0; Adam's also with the loss at its end."""
    color, form = _LINES[curve.run.method]
    axes.plot(
        curve.seconds[1:],
        curve.loss[1:],
        form,
        color=color,
        markersize=3,
        label="{}, {} steps".format(curve.run.method, curve.run.steps),
    )
    if curve.run.method == ADAM:
        label = "at the start, {:.3f}".format(curve.loss[0])
        axes.axhline(curve.loss[0], color="0.5", linestyle="-.", label=label)
        goal = NEAR * curve.loss[-1]
        label = "{:.0%} above Adam's end, {:.3f}".format(NEAR - 1, goal)
        axes.axhline(goal, color="0.5", linestyle=":", label=label)


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--input", metavar="DIR", help="photos, or a folder; None: drawn faces")
    parser.add_argument("--faces", type=positive_int, default=16, help="number of drawn faces")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the drawn faces")
    parser.add_argument(
        "--network", metavar="FILE", help="graph or checkpoint; by default the bundled one"
    )
    parser.add_argument("--face_model", default=None, help=FACE_MODEL_HELP)
    parser.add_argument(
        "--output",
        default=os.path.join(RESULT_DIR, "benchmarks"),
        metavar="DIR",
        help="folder for convergence.png",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    return parser.parse_args(argv)


def draw_photos(model: FaceModel, count: int, seed: int) -> List[FaceObservation]:
    """Draw photos by the synthesis: crops, and landmarks with the noise of a good detector.

    Args:
        model: face model.
        count: number of faces.
        seed: seed of the random numbers.
    """
    random = np.random.RandomState(seed)
    with tempfile.TemporaryDirectory() as folder:
        report = Report(0, "face", "made", quiet=True)
        options = DatasetOptions(seed=seed, max_yaw=_MAX_YAW)
        SyntheticDataset(folder, model, options).generate(count, 2, report)
        report.close()
        photos = []
        for face in find_faces(folder).faces:
            sample = read_face(face)
            noise = random.normal(0, LANDMARK_NOISE, sample.landmarks.shape)
            attention = skin_mask(sample.image).astype(np.float32) / 255
            landmarks, confidence = sample.landmarks + noise, np.ones(len(noise))
            photos.append(FaceObservation(sample.image, attention, landmarks, confidence))
    return photos


def _observe(arguments: argparse.Namespace, model: FaceModel) -> List[FaceObservation]:
    """Return the photos."""
    if arguments.input is None:
        return draw_photos(model, arguments.faces, arguments.seed)
    return [make_observation(face) for face in locate_faces(arguments.input, model)]


def main(argv: Optional[List[str]] = None) -> int:
    """Measure, print and draw."""
    # 1. photos and predictions
    arguments = parse_arguments(argv)
    model = load_face_model(arguments.face_model)
    path = find_network(arguments.network, model)
    observations = _observe(arguments, model)
    predicted = CoefficientRegressor(path, model).predict([photo.crop for photo in observations])

    # 2. curves
    measurement = measure(FaceDecoder(model), observations, predicted)
    summary = dict(summarize(measurement), face_model=model.name, machine=describe_machine())
    print(describe(summary))
    os.makedirs(arguments.output, exist_ok=True)
    draw(measurement.curves, os.path.join(arguments.output, "convergence.png"))
    if arguments.json:
        write_json(arguments.json, summary)
    return 0


if __name__ == "__main__":
    run_main(main)
