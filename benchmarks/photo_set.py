"""Photos for timing: different views of one public-domain portrait."""

import os

import numpy as np
from PIL import Image

from utils.photos import example_photo

LONGEST_SIDE = 500  # pixels
# The portrait's five points: left eye, right eye, nose tip, left and right mouth corner; pixels, y
# down.
_FIVE_POINTS = np.array(
    [[203.5, 99.7], [246.4, 102.8], [223.6, 127.7], [201.5, 138.4], [244.5, 141.2]]
)


def write_photos(folder, count, with_points=True, seed=0):
    """Write ``count`` JPEGs of about 500 pixels, and NAME.txt with five points beside each.

    Each shows the portrait cut, turned and lit a little differently, mirrored or not.

    Args:
        folder: an existing folder.
        count: number of photos.
        with_points: also write the five points, so that they need not be detected.
        seed: seed of the random numbers.
    """
    random = np.random.RandomState(seed)
    with Image.open(example_photo().path) as file:
        portrait = file.convert("RGB")
    for index in range(count):
        picture, points = _view(portrait, random)
        stem = os.path.join(folder, "photo{:05d}".format(index))
        picture.save(stem + ".jpg", quality=92)
        if with_points:
            np.savetxt(stem + ".txt", points, fmt="%.2f")


def _view(portrait, random):
    """Return a picture of 500 pixels and its five points."""
    side = random.uniform(300, 430)
    left, top = random.uniform(0, [min(512 - side, 90), 30])
    scale, angle = LONGEST_SIDE / side, random.uniform(-0.15, 0.15)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    center = np.array([left, top]) + side / 2
    middle = LONGEST_SIDE / 2
    # Map of the picture to the portrait, around the center of both.
    matrix = np.array([[cos, -sin], [sin, cos]])
    offset = center - matrix.dot([middle, middle])
    coefficients = (matrix[0, 0], matrix[0, 1], offset[0], matrix[1, 0], matrix[1, 1], offset[1])
    picture = portrait.transform(
        (LONGEST_SIDE, LONGEST_SIDE), Image.AFFINE, coefficients, Image.BICUBIC
    )
    picture = picture.point(
        [
            min(255, int(level * gain))
            for gain in random.uniform(0.8, 1.2, 3)
            for level in range(256)
        ]
    )
    points = (_FIVE_POINTS - offset).dot(np.linalg.inv(matrix).T)
    if random.uniform() < 0.5:
        picture = picture.transpose(Image.FLIP_LEFT_RIGHT)
        points = points[[1, 0, 2, 4, 3]] * [-1, 1] + [LONGEST_SIDE - 1, 0]
    return picture, points
