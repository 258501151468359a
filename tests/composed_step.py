"""The losses of a training step, composed by the code and by hand; a suite of ``tests/parity.py``.

The formulas below are those of Deng et al. (CVPRW 2019) in numpy, written to be read. They get the
decoded face and its image, which other suites compare with published numbers, and FaceNet's
features of images that are prepared here: BGR, clipped to 0..255, 224x224.
"""

import os
from typing import Any, Dict, Iterator, Tuple

import numpy as np

import losses as loss_terms
import networks
from dataset.face_stream import Batch
from face_decoder import decode_face, render_face
from face_model import read_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from identity.features import FaceNetIdentity, face_net_shapes
from tests.golden_weights import golden_values
from training.r_net_step import _losses
from utils.tf_compat import tf

WEIGHTS = dict(
    photometric=1.92,
    landmark=1.6e-3,
    perceptual=0.2,
    regularization=3e-4,
    reflectance=5.0,
    gamma=10.0,
)
_HEAVY_LANDMARKS = list(range(28, 31)) + list(range(60, 68))  # counted from 0


class GoldenFaceNet(FaceNetIdentity):
    """FaceNet with weights that follow from the names of its variables."""

    def __init__(self) -> None:
        super(FaceNetIdentity, self).__init__("golden")
        self._values = golden_values(face_net_shapes())


def composed_step(golden: str) -> Iterator[Tuple[str, float, float]]:
    """Yield (loss, value of the code, value by hand) for the six losses and their total."""
    # 1. the step's losses, and the face and image that they are made of
    model = read_face_model(os.path.join(golden, "toy_model.mat"))
    skin_mask = np.random.RandomState(8).uniform(0, 1, model.vertex_count).astype(np.float32)
    model = model._replace(skin_mask=skin_mask)
    published = np.load(os.path.join(golden, "decoder_and_losses.npz"), allow_pickle=False)
    photo = published["photo"].astype(np.float32)
    attention = published["attention"].astype(np.float32)
    labels = published["landmark_labels"].astype(np.float32)
    identity = GoldenFaceNet()
    with tf.Graph().as_default(), tf.Session() as session:
        coefficients = tf.constant(published["coeff"])
        face = decode_face(coefficients, model)
        rendering = render_face(face, model)
        batch = Batch(tf.constant(photo), tf.constant(attention), tf.constant(labels), None)
        weights = loss_terms.LossWeights()
        mask = rendering.front_mask * batch.attention
        step = _losses(batch, coefficients, face, rendering, mask, None, model, weights, identity)
        total = loss_terms.total_loss(step, weights)
        step, total, face, rendering = session.run([step, total, face, rendering])

    # 2. by hand
    by_hand = {
        "photometric": photometric_by_hand(
            photo, rendering.image, rendering.front_mask * attention
        ),
        "landmark": landmark_by_hand(face.landmarks, labels),
        "perceptual": perceptual_by_hand(
            _face_net_features(photo), _face_net_features(rendering.image)
        ),
        "regularization": regularization_by_hand(published["coeff"], coefficient_sizes(model)),
        "reflectance": reflectance_by_hand(face.albedo, skin_mask),
        "gamma": gamma_by_hand(published["coeff"], coefficient_sizes(model)),
    }
    for name, value in by_hand.items():
        yield name, getattr(step, name), value
    yield "total", total, sum(WEIGHTS[name] * value for name, value in by_hand.items())


def _face_net_features(images_bgr: np.ndarray) -> np.ndarray:
    """Return FaceNet's 128 features of BGR images, clipped as bytes would be."""
    clipped = np.minimum(np.maximum(images_bgr, 0), 255).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        network = networks.face_net(
            tf.constant(clipped),
            frozen=networks.frozen_parameters(golden_values(face_net_shapes())),
        )
        return session.run(network.bottleneck)


def photometric_by_hand(photo: np.ndarray, rendered: np.ndarray, mask: np.ndarray) -> float:
    """Sum of the color distances of all pixels, in the mask, over the size of the mask."""
    distances = np.sqrt(np.sum((np.float64(photo) - rendered) ** 2, axis=3, keepdims=True)) / 255
    return float(np.sum(distances * mask) / max(np.sum(mask), 1))


def landmark_by_hand(landmarks: np.ndarray, labels: np.ndarray) -> float:
    """Weighted squared distances of 68 landmarks, over 68 and the batch."""
    weights = np.ones(68)
    weights[_HEAVY_LANDMARKS] = 20
    squared = np.sum((np.float64(landmarks) - labels) ** 2, axis=2)
    return float(np.sum(squared * weights) / (68 * len(landmarks)))


def perceptual_by_hand(first: np.ndarray, second: np.ndarray) -> float:
    """One minus the cosine of the features, averaged over the batch."""
    values = []
    for one, other in zip(np.float64(first), np.float64(second)):
        cosine = one.dot(other) / np.linalg.norm(one) / np.linalg.norm(other)
        values.append(max(0.0, 1 - cosine))
    return float(np.mean(values))


def regularization_by_hand(coefficients: np.ndarray, sizes: Any) -> float:
    """Squared identity, expression (0.8) and albedo (0.017) coefficients, over the batch."""
    parts = _parts(coefficients, sizes)
    factors = (("identity", 1.0), ("expression", 0.8), ("albedo", 0.017))
    return float(sum(f * np.sum(parts[name] ** 2) for name, f in factors) / len(coefficients))


def reflectance_by_hand(albedo: np.ndarray, skin_mask: np.ndarray) -> float:
    """Squared deviations from the mean over the skin, times the squared mask."""
    values = []
    for colors in np.float64(albedo) / 255:
        mean = sum(m * color for m, color in zip(skin_mask, colors)) / np.sum(np.float64(skin_mask))
        deviations = (colors - mean) * np.float64(skin_mask)[:, np.newaxis]
        values.append(np.sum(deviations**2) / np.sum(np.float64(skin_mask)))
    return float(np.mean(values))


def gamma_by_hand(coefficients: np.ndarray, sizes: Any) -> float:
    """Mean square of the light minus its mean over red, green and blue."""
    light = _parts(coefficients, sizes)["gamma"].reshape(-1, 3, 9)
    return float(np.mean((light - light.mean(axis=1, keepdims=True)) ** 2))


def _parts(coefficients: np.ndarray, sizes: Any) -> Dict[str, np.ndarray]:
    return dict(split_coefficients(np.float64(coefficients), sizes)._asdict())
