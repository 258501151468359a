"""Tiny processed folders for the tests of training."""

import os

import numpy as np
from PIL import Image

from benchmarks.random_faces import sample_coefficients
from dataset.processed_faces import find_faces
from face_model.model import FaceModel

SIZE = 224


def write_faces(folder: object, count: int, seed: int = 0) -> str:
    """Write ``count`` smooth pictures with plausible landmarks and a disc as mask.

    Returns:
        The folder as str.
    """
    random = np.random.RandomState(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for kind in ("lm", "lm_bin", "mask"):
        os.makedirs(os.path.join(str(folder), kind), exist_ok=True)
    for index in range(count):
        phase, tint = random.uniform(0, 6, 2), random.uniform(0.4, 1, 3)
        waves = 128 + 100 * np.sin(rows / 30.0 + phase[0]) * np.cos(columns / 40.0 + phase[1])
        angle = np.linspace(0, 2 * np.pi, 68)
        landmarks = (
            112 + 50 * np.stack([np.cos(angle), np.sin(angle)], 1) + random.uniform(-5, 5, (68, 2))
        )
        write_face(
            folder, "face_{:02d}".format(index), np.uint8(waves[..., None] * tint), landmarks
        )
    return str(folder)


def write_labeled_faces(folder: object, count: int, model: FaceModel) -> None:
    """Write faces as :func:`write_faces`, and random true coefficients of a face model."""
    write_faces(folder, count)
    write_coefficients(folder, model)


def write_coefficients(folder: object, model: FaceModel) -> None:
    """Write random true coefficients of a face model beside processed faces."""
    faces = find_faces(str(folder)).faces
    os.makedirs(os.path.join(str(folder), "coeff"))
    for face, coefficients in zip(faces, sample_coefficients(model, len(faces), 0)):
        path = os.path.join(str(folder), "coeff", face.name + ".bin")
        coefficients.astype("<f4").tofile(path)


def write_face(folder: object, name: str, image: np.ndarray, landmarks: np.ndarray) -> None:
    """Write one face in the processed format."""
    path = os.path.join(str(folder), "{}", name)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    disc = np.uint8(255 * ((rows - 112) ** 2 + (columns - 112) ** 2 < 90**2))
    Image.fromarray(image).save(os.path.join(str(folder), name + ".png"))
    Image.fromarray(np.repeat(disc[..., None], 3, axis=2)).save(path.format("mask") + ".png")
    np.asarray(landmarks, np.float64).tofile(path.format("lm_bin") + ".bin")
    np.savetxt(path.format("lm") + ".txt", landmarks)
