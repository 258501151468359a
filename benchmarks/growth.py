"""Growth of cost with size: ``python -m benchmarks.growth [--output DIR] [--json]``.

Curves as PNG, each with the exponent of the best power law: the rasterizer over triangles,
resolution and batch; decoding and rendering over the batch. The processor time of all cores is
also shown, which is more reliable on a busy machine. ``benchmarks.growth_photos`` draws curves
over photos.
"""

import argparse
import os
import time

import numpy as np

from benchmarks.curves import write_figure
from benchmarks.measuring import Row, alternate, measure_seconds, row_command
from benchmarks.rasterizer import clip_vertices_of
from benchmarks.synthetic_mesh import GRID, posed_batch
from benchmarks.synthetic_model import random_coefficients, synthetic_face_model
from face_decoder import FaceDecoder
from mesh_renderer import core
from utils.errors import run_main
from utils.paths import RESULT_DIR

_BATCH, _SIZE = 4, 224
TRIANGLES = (5000, 10000, 20000, 40000, 80000, 150000, 300000)
RESOLUTIONS = (64, 128, 224, 448, 1024)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


def measure(arguments: argparse.Namespace) -> Row:
    """Draw the curves; return name -> sizes, milliseconds and exponent."""
    curves = {
        "triangles": _curve(
            TRIANGLES,
            lambda count: _rasterize(_BATCH, int((count / 2) ** 0.5) + 1, _SIZE),
            arguments,
        ),
        "resolution": _curve(RESOLUTIONS, lambda size: _rasterize(_BATCH, GRID, size), arguments),
        "batch": _curve(BATCHES, lambda batch: _rasterize(batch, GRID, _SIZE), arguments),
        "decode and render, batch": _curve(BATCHES, _Decoder().run, arguments),
    }
    os.makedirs(arguments.output, exist_ok=True)
    for name, curve in curves.items():
        file = "growth_{}.png".format(name.replace(",", "").replace(" ", "_"))
        _draw(name, curve, os.path.join(arguments.output, file))
    return dict(curves, name="growth")


def fit_exponent(sizes, seconds):
    """Return the exponent of the power law through points: the slope of their logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _curve(sizes, work_of, arguments):
    """Time work of all sizes alternately."""
    spent = {size: [] for size in sizes}

    def side(size):
        run = work_of(size)

        def timed():
            begin = time.process_time()
            seconds = measure_seconds(run)
            spent[size].append(time.process_time() - begin)
            return seconds

        return timed

    seconds = alternate({size: side(size) for size in sizes}, arguments.repetitions)
    values = [seconds[size] for size in sizes]
    # the first does not count, as in alternate()
    processor = [float(np.median(spent[size][1:])) for size in sizes]
    return {
        "sizes": list(sizes),
        "milliseconds": [1e3 * value for value in values],
        "exponent": fit_exponent(sizes, values),
        "processor_milliseconds": [1e3 * value for value in processor],
        "processor_exponent": fit_exponent(sizes, processor),
    }


def _rasterize(batch, grid, size):
    world, triangles = posed_batch(batch, grid)
    scene = (clip_vertices_of(world, size), triangles, size, size)
    out = core.rasterize(*scene, masks=False)
    return lambda: core.rasterize(*scene, threads=os.cpu_count(), masks=False, out=out)


class _Decoder:
    def __init__(self):
        self._model = synthetic_face_model()
        self._graph = FaceDecoder(self._model)

    def run(self, batch):
        coefficients = random_coefficients(self._model, batch)
        return lambda: self._graph.render(coefficients, _SIZE)


def _draw(name, curve, path):
    from matplotlib.ticker import NullLocator, ScalarFormatter

    with write_figure(path, (5.6, 3.8)) as axes:
        axes.loglog(
            curve["sizes"],
            curve["milliseconds"],
            "o-",
            label="time, power {:.2f}".format(curve["exponent"]),
        )
        axes.loglog(
            curve["sizes"],
            curve["processor_milliseconds"],
            "s--",
            label="processor time, power {:.2f}".format(curve["processor_exponent"]),
        )
        axes.set_xticks(curve["sizes"])
        axes.set_xticklabels(
            ["{:g}k".format(size / 1000) if size >= 5000 else str(size) for size in curve["sizes"]]
        )
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.set_xlabel(name)
        axes.set_ylabel("milliseconds")
        axes.set_title("{}: growth of time".format(name))
        axes.legend()
        axes.grid(True, which="both", alpha=0.3)


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        default=os.path.join(RESULT_DIR, "benchmarks"),
        metavar="DIR",
        help="folder for the curves",
    )
    parser.set_defaults(repetitions=7)


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
