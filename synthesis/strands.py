"""Strands of hair before a face: fringes and locks beside the cheeks."""

import numpy as np
from PIL import Image, ImageDraw

from alignment.align import CROP_SIZE
from synthesis.lighting import light_on
from synthesis.occluders import Layer

_FRINGE, _LOCKS = 0.3, 0.4  # probabilities, of faces with hair; locks: of long hair on each side
_POINTS = 6  # of a strand
_SUPERSAMPLING = 2
_VISIBLE = 0.1  # cosine between the line of sight and the normal where strands are still drawn


def draw_fringe(random, colour, geometry, pose, gamma, size):
    """Return hair that falls over the forehead, as a list of :class:`Layer`; often empty.

    Args:
        random: a ``RandomState``.
        colour: [3] of the hair.
        geometry: ``synthesis.head.HeadGeometry``.
        pose: ``synthesis.sampling.HeadPose``.
        gamma: [27] light of the face.
        size: width and height of the picture.
    """
    if random.uniform() > _FRINGE:
        return []
    count, reach = random.randint(20, 110), random.uniform(0.2, 0.6)
    middle, spread, sweep = random.uniform(-0.6, 0.6), random.uniform(0.3, 1.1), random.uniform(-0.7, 0.7)
    azimuth = middle + spread * random.uniform(-1, 1, (count, 1)) + sweep * np.linspace(0, 1, _POINTS)
    end = reach + 0.12 * random.standard_normal((count, 1))
    height = 1.15 + (end - 1.15) * np.linspace(0, 1, _POINTS)
    normals = np.stack([np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)], axis=-1)
    return _strands(random, colour, geometry.centre + 1.05 * geometry.radii * normals, normals, pose, gamma, size)


def draw_locks(random, colour, geometry, pose, gamma, size):
    """Return long hair that hangs before ears, cheeks and neck; arguments and result as of :func:`draw_fringe`."""
    layers = []
    for side in (-1.0, 1.0):
        if random.uniform() > _LOCKS:
            continue
        count, inwards, down = random.randint(25, 90), random.uniform(0.0, 0.35), np.linspace(0, 1, _POINTS)
        top, bottom = random.uniform(0.3, 0.8), random.uniform(-1.6, -0.6)
        depth = random.uniform(0.0, 0.7, (count, 1)) + 0.1 * down
        across = 1.08 - inwards * np.sin(np.pi * down) * random.uniform(0.3, 1, (count, 1))
        across += 0.04 * np.cumsum(random.standard_normal((count, _POINTS)), axis=1)
        across *= np.sqrt(np.clip(1.15 - depth ** 2, 0.1, 1))
        height = top + (bottom - top) * down + np.zeros((count, 1))
        points = geometry.centre + geometry.radii * np.stack([side * across, height, depth], axis=-1)
        normals = np.tile([side * 0.9, 0.0, 0.44], points.shape[:2] + (1,))
        layers += _strands(random, colour, points, normals, pose, gamma, size)
    return layers


def _strands(random, colour, points, normals, pose, gamma, size):
    """Draw strands [n, P, 3] whose side of the head is seen."""
    turned = normals.dot(pose.rotation)
    seen = np.flatnonzero(turned[..., 2].mean(axis=1) > _VISIBLE)
    if not len(seen):
        return []
    zoom = _SUPERSAMPLING * size / CROP_SIZE
    pixels = pose.project(points[seen])
    pixels = np.stack([pixels[..., 0], CROP_SIZE - pixels[..., 1]], axis=-1) * zoom
    shades = light_on(turned[seen].mean(axis=1), gamma) * random.uniform(0.55, 1.3, (len(seen), 1)) * colour
    side = _SUPERSAMPLING * size
    picture, opacity = Image.new("RGB", (side, side), tuple(int(c) for c in np.clip(colour, 0, 255))), \
        Image.new("L", (side, side))
    draw, cover = ImageDraw.Draw(picture), ImageDraw.Draw(opacity)
    width = int(round(random.uniform(1.0, 4.5) * zoom / _SUPERSAMPLING)) or 1
    for line, shade in zip(pixels, np.clip(shades, 0, 255).astype(int)):
        path = [tuple(point) for point in line]
        draw.line(path, fill=tuple(shade), width=width + 1)
        cover.line(path, fill=255, width=width)
    return [Layer(picture.resize((size, size), Image.BOX), opacity.resize((size, size), Image.BOX))]
