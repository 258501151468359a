"""A rendered face put into a scene: background, body, hair, occluders."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from synthesis.backgrounds import draw_background, draw_colour
from synthesis.brows_and_lashes import paint_features
from synthesis.canvas import TEXTURE_SHAPE, Canvas
from synthesis.hair import paint_fringe, paint_locks
from synthesis.head import Surface, head_geometry
from synthesis.occluders import paint_occluders
from synthesis.sampling import HeadPose
from synthesis.skin_appearance import paint_face

_HAIR_PROBABILITY, _CAP_PROBABILITY, _LONG_HAIR = 0.93, 0.08, 0.45
_HAIR_COLOURS = ((28, 22, 20), (45, 32, 26), (70, 48, 34), (105, 72, 46), (160, 120, 75), (200, 170, 120),
                 (120, 60, 35), (150, 148, 146), (215, 212, 208))
_HAIR_WEIGHTS = (0.28, 0.2, 0.16, 0.1, 0.07, 0.05, 0.05, 0.06, 0.03)
# Where hair begins: height of the hairline over the depth of the head, in radii of the skull.
_HAIRLINE_DEPTHS = (-1.0, -0.35, -0.12, 0.1, 0.45, 1.0)
_FRONT_HAIRLINE, _FOREHEAD = (0.25, 0.72), (0.0, 0.2)  # above the temples, and how much higher in the middle
_SKULL_END = -0.75  # height where the neck begins
_NECK_RADIUS = (0.44, 0.66)  # dm, of an average head
_AVERAGE_RADIUS = 1.5  # dm, length of the radii of an average skull
_LIGHT_ON_SKIN = 0.75  # on average: what the colour of a lit face is divided by to get that of its skin


class SceneOptions(NamedTuple):
    """How much is drawn around and before the faces."""

    hair: float = 1.0  # multiplies the probability of hair and caps
    occluders: float = 1.0  # multiplies those of glasses, hands and bars


def compose(random, rgba, pose, head_landmarks, gamma, options, photos=()):
    """Put a rendered face into a scene.

    Args:
        random: a ``RandomState``.
        rgba: [S, S, 4] uint8, the rendered face.
        pose: ``synthesis.sampling.HeadPose``.
        head_landmarks: [68, 3] dm, in model space.
        gamma: [27] light of the face.
        options: :class:`SceneOptions`.
        photos: backgrounds, see :func:`synthesis.backgrounds.draw_background`.

    Returns:
        A ``synthesis.canvas.Canvas``: the picture before the camera spoils it, and where something
        lies before the face.
    """
    geometry, skin = head_geometry(head_landmarks), _skin_colour(rgba)
    canvas = Canvas(draw_background(random, rgba.shape[0], photos))
    hair, cap = random.uniform() < options.hair * _HAIR_PROBABILITY, random.uniform() < options.hair * _CAP_PROBABILITY
    style = _HairStyle(random)
    if hair and style.length:
        _paint_long_hair(canvas, style, geometry, pose, gamma)
    _paint_body(random, canvas, geometry, pose, skin, gamma)
    canvas.ellipsoid(pose, geometry.centre - (0, 0, 0.04), geometry.radii * 0.97,
                     Surface(skin / _LIGHT_ON_SKIN, heights=(_SKULL_END,) * 2), gamma)
    paint_face(random, canvas, rgba, pose, head_landmarks)
    paint_features(random, canvas, pose, head_landmarks, style.colour)
    if hair:
        canvas.ellipsoid(pose, geometry.centre, geometry.radii * style.volume, style.surface(), gamma, hides=True)
        paint_fringe(random, canvas, style.colour, geometry, pose, gamma)
        if style.length:
            paint_locks(random, canvas, style.colour, geometry, pose, gamma)
    if cap:
        _paint_cap(random, canvas, geometry, pose, gamma)
    paint_occluders(random, canvas, pose, head_landmarks, skin, options.occluders)
    return canvas


class _HairStyle:
    """What one person's hair is like."""

    def __init__(self, random):
        base = np.array(_HAIR_COLOURS[random.choice(len(_HAIR_COLOURS), p=_HAIR_WEIGHTS)], np.float32)
        self.colour = base * random.uniform(0.7, 1.3)
        self.volume = random.uniform(1.02, 1.2)
        self.length = random.uniform(0.2, 1.4) if random.uniform() < _LONG_HAIR else 0.0
        temples = random.uniform(*_FRONT_HAIRLINE)
        self._hairline = (-1.0, random.uniform(-0.7, -0.4), random.uniform(-0.25, 0.05), random.uniform(0.1, 0.4),
                          temples, temples + random.uniform(*_FOREHEAD))
        self._raggedness, self._softness = random.uniform(0.02, 0.25), np.exp(random.uniform(np.log(6), np.log(60)))
        self._contrast = random.uniform(0.2, 0.9)
        coarse = Image.fromarray(random.uniform(0, 1, (4, 40)).astype(np.float32))
        fine = random.uniform(0, 1, TEXTURE_SHAPE[1]).astype(np.float32)
        self._texture = 0.5 * (np.asarray(coarse.resize(TEXTURE_SHAPE[::-1], Image.BILINEAR)) + fine)

    def surface(self):
        """Return the hair on the skull, from the hairline backwards."""
        return Surface(self.colour, self._texture, self._contrast, _HAIRLINE_DEPTHS, self._hairline,
                       self._raggedness, self._softness)

    def hanging_surface(self):
        """Return long hair, which nothing ends and which lies in shadow."""
        return Surface(0.8 * self.colour, self._texture, self._contrast)


def _paint_long_hair(canvas, style, geometry, pose, gamma):
    """Paint the hair that hangs behind the face."""
    radii = geometry.radii * (style.volume * 1.08, 1.0 + 0.6 * style.length, 0.9)
    centre = geometry.centre - (0, 0.6 * style.length * geometry.radii[1], 0.35 * geometry.radii[2])
    canvas.ellipsoid(pose, centre, radii, style.hanging_surface(), gamma)


def _paint_cap(random, canvas, geometry, pose, gamma):
    """Paint a cap, and its visor or none."""
    colour = np.array(draw_colour(random), np.float32)
    edge, tilt = random.uniform(0.3, 0.6), random.uniform(-0.1, 0.35)
    surface = Surface(colour, heights=(edge - tilt - 0.15, edge + tilt - 0.15))
    canvas.ellipsoid(pose, geometry.centre, geometry.radii * random.uniform(1.08, 1.2), surface, gamma, hides=True)
    if random.uniform() < 0.5:
        turn = np.linspace(0, np.pi, 20)
        rx, ry, rz = geometry.radii * 1.1
        outer = np.stack([rx * np.cos(turn), np.full(20, edge * ry), 0.5 * rz + rz * np.sin(turn)], axis=1)
        inner = outer[::-1] * (1, 1, 0) + np.stack([np.zeros(20), np.full(20, 0.12), 0.8 * rz * np.sin(turn)], axis=1)
        outline = pose.project(np.concatenate([outer, inner]) + geometry.centre)
        canvas.polygon(outline, colour * 0.6, hides=True)


def _paint_body(random, canvas, geometry, pose, skin, gamma):
    """Paint neck and shoulders below the head; both stay upright, whatever the head does."""
    chin = np.array([0, geometry.chin_height, geometry.centre[2]]).dot(pose.rotation) + pose.translation
    upright = HeadPose(np.eye(3), chin)
    radius = random.uniform(*_NECK_RADIUS) * np.linalg.norm(geometry.radii) / _AVERAGE_RADIUS
    neck = Surface(random.uniform(0.7, 0.95) * skin / _LIGHT_ON_SKIN)  # mostly in the shadow of the chin
    canvas.ellipsoid(upright, np.array([0, -0.6, 0]), np.array([radius, 2.0, radius]), neck, gamma)
    radii = np.array([random.uniform(1.5, 2.6), random.uniform(0.6, 1.2), 0.8])
    top = random.uniform(-0.45, -0.05)
    canvas.ellipsoid(upright, np.array([0, top - radii[1], -0.1]), radii, Surface(draw_colour(random)), gamma)


def _skin_colour(rgba):
    """Return the median colour of a face, [3], from a few hundred of its pixels."""
    sample = rgba[::7, ::7].reshape(-1, 4)
    sample = sample[sample[:, 3] > 0, :3]
    return np.median(sample, axis=0) if len(sample) else np.array([180.0, 140.0, 120.0])
