"""R-Net's coefficients of crops; test_tensorflow_exchange.py runs this under two TensorFlows.

Arguments: crops (.npy, [B, 224, 224, 3] uint8), the face model, then pairs of weights and the .npy
to write.
"""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from face_model import read_face_model  # noqa: E402
from reconstruction.regressor import CoefficientRegressor


def main(crops, face_model, *pairs):
    """Predict with each of the weights."""
    model, images = read_face_model(face_model), np.load(crops)
    for weights, output in zip(pairs[::2], pairs[1::2]):
        regressor = CoefficientRegressor(weights, model)
        np.save(output, regressor.predict(images))
        regressor.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
