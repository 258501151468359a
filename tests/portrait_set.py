"""Photos of one person, made from the public-domain portrait, and a drawn face of somebody else."""

import os
import shutil

import numpy as np
from PIL import Image

from synthesis.dataset import DatasetOptions, SyntheticDataset
from utils.report import Report

CHANGED = ("turned", "lit", "half_covered", "small")


def portrait():
    """Return the head of the portrait, 300x300."""
    import skimage.data

    return Image.fromarray(skimage.data.astronaut()[0:300, 80:380])


def write_portrait_set(folder):
    """Write the portrait and four changed copies: turned, lit, half covered, and small."""
    photo = portrait()
    photo.save(os.path.join(folder, "plain.png"))
    turned = photo.transpose(Image.FLIP_LEFT_RIGHT).rotate(
        20, Image.BICUBIC, fillcolor=(90, 90, 90)
    )
    turned.save(os.path.join(folder, "turned.png"))

    # a lamp from the left, and a warm one
    lamp = np.linspace(1.35, 0.45, 300)[np.newaxis, :, np.newaxis] * [1.05, 1.0, 0.9]
    lit = np.clip(np.asarray(photo) * lamp, 0, 255)
    Image.fromarray(lit.astype(np.uint8)).save(os.path.join(folder, "lit.png"))

    covered = np.array(photo)
    covered[125:215, 150:230] = (70, 95, 120)  # nose and mouth
    Image.fromarray(covered).save(os.path.join(folder, "half_covered.png"))
    photo.resize((110, 110), Image.LANCZOS).save(os.path.join(folder, "small.png"))


def write_somebody_else(path, model):
    """Write a drawn face of a face model."""
    folder = os.path.join(os.path.dirname(path), ".drawn")
    options = DatasetOptions(
        kind="aflw2000",
        seed=3,
        size=450,
        max_yaw=5,
        max_pitch=5,
        max_roll=5,
        occluders=0.0,
        hair=0.0,
    )
    SyntheticDataset(folder, model, options).generate(1, 1, Report(0, "face", "made", quiet=True))
    os.rename(os.path.join(folder, "0000000.jpg"), path)
    shutil.rmtree(folder)
