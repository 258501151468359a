"""Time R-Net, decoding and rendering: ``python -m benchmarks.regression [--json]``."""

import argparse

import numpy as np

from benchmarks.graphs import measure_graph
from benchmarks.measuring import Row, batch_flag, row_command
from benchmarks.random_network import random_checkpoint
from benchmarks.synthetic_model import published_fields, random_photos, synthetic_face_model
from face_decoder import FaceDecoder
from reconstruction.regressor import CoefficientRegressor
from utils.errors import run_main

GOAL = 2.5


def measure(arguments: argparse.Namespace) -> Row:
    """Return the row."""
    model = synthetic_face_model()
    photos = random_photos(arguments.batch)[0]
    crops = photos[..., ::-1].astype(np.uint8)
    with random_checkpoint(model) as path:
        network, graph = CoefficientRegressor(path, model), FaceDecoder(model)

    def run():
        return {"image": graph.render(network.predict(crops), 224)}

    scene = dict(published_fields(model), photos=photos)
    row = measure_graph(
        "R-Net + decode + render, batch {}".format(arguments.batch),
        GOAL,
        "regression",
        scene,
        run,
        arguments,
    )
    del row["difference"]  # each side has its own random weights
    return row


main = row_command(__doc__, measure, batch_flag(8))


if __name__ == "__main__":
    run_main(main)
