"""A rendered face composed into a scene: background, body, hair, occluders."""

from typing import NamedTuple, Sequence, Tuple

import numpy as np
from PIL import Image

from synthesis.backgrounds import sample_background, sample_color
from synthesis.brows_and_lashes import paint_brows_and_lashes
from synthesis.canvas import Canvas
from synthesis.hair import paint_fringe, paint_locks
from synthesis.head import TEXTURE_SHAPE, HeadGeometry, Surface, head_geometry
from synthesis.occluders import paint_occluders
from synthesis.pose import HeadPose
from synthesis.skin_appearance import paint_skin

_HAIR_PROBABILITY, _CAP_PROBABILITY, _LONG_HAIR_PROBABILITY = 0.93, 0.08, 0.45
_HAIR_COLORS = (
    (28, 22, 20),
    (45, 32, 26),
    (70, 48, 34),
    (105, 72, 46),
    (160, 120, 75),
    (200, 170, 120),
    (120, 60, 35),
    (150, 148, 146),
    (215, 212, 208),
)
_HAIR_WEIGHTS = (0.28, 0.2, 0.16, 0.1, 0.07, 0.05, 0.05, 0.06, 0.03)
# Depths at which the height of the hairline is sampled, in radii of the skull.
_HAIRLINE_DEPTHS = (-1.0, -0.35, -0.12, 0.1, 0.45, 1.0)
_TEMPLE_HAIRLINE = (0.25, 0.72)  # height above the temples
_FOREHEAD = (0.0, 0.2)  # additional height in the middle
_SKULL_END = -0.75  # height where the neck begins
_NECK_RADIUS = (0.44, 0.66)  # dm, of an average head
_AVERAGE_RADIUS = 1.5  # dm, length of the radii of an average skull
_LIGHT_ON_SKIN = 0.75  # mean light: color of a lit face / color of its skin
_DEFAULT_SKIN = (180.0, 140.0, 120.0)  # if no pixel of the face is visible


class SceneOptions(NamedTuple):
    """Frequency of the objects around and in front of the faces."""

    hair: float = 1.0  # multiplies the probability of hair and caps
    occluders: float = 1.0  # multiplies the probabilities of glasses, hands and bars


class _HairStyle(NamedTuple):
    """The hair of one person."""

    color: np.ndarray  # [3]
    volume: float  # radii of the hair, in radii of the skull
    length: float  # of long hair; 0 for short hair
    hairline: Tuple[float, ...]  # heights at _HAIRLINE_DEPTHS
    raggedness: float
    softness: float
    contrast: float
    texture: np.ndarray  # TEXTURE_SHAPE, 0..1

    def scalp_surface(self) -> Surface:
        """Return the surface of the hair on the skull, from the hairline backwards."""
        return Surface(
            self.color,
            self.texture,
            self.contrast,
            _HAIRLINE_DEPTHS,
            self.hairline,
            self.raggedness,
            self.softness,
        )

    def hanging_surface(self) -> Surface:
        """Return the surface of long hair: without a hairline, darker because it is in shadow."""
        return Surface(0.8 * self.color, self.texture, self.contrast)


def compose(
    random: np.random.RandomState,
    rgba: np.ndarray,
    pose: HeadPose,
    head_landmarks: np.ndarray,
    gamma: np.ndarray,
    options: SceneOptions,
    photos: Sequence[np.ndarray] = (),
) -> Canvas:
    """Compose a rendered face into a scene.

    Args:
        random: random number generator.
        rgba: [S, S, 4] uint8, the rendered face.
        pose: head pose.
        head_landmarks: [68, 3] dm, in model space.
        gamma: [27] light of the face.
        options: frequency of objects.
        photos: for backgrounds, see :func:`synthesis.backgrounds.sample_background`.

    Returns:
        The canvas with the picture, not yet degraded, and with the hidden pixels of the face.
    """
    # 1. Background, and decisions about the hair.
    geometry = head_geometry(head_landmarks)
    skin = _median_color(rgba)
    canvas = Canvas(sample_background(random, rgba.shape[0], photos))
    has_hair = random.uniform() < options.hair * _HAIR_PROBABILITY
    has_cap = random.uniform() < options.hair * _CAP_PROBABILITY
    style = _sample_hair_style(random)

    # 2. Layers behind the face, from back to front.
    if has_hair and style.length:
        _paint_long_hair(canvas, style, geometry, pose, gamma)
    _paint_body(random, canvas, geometry, pose, skin, gamma)
    _paint_skull(canvas, geometry, pose, skin, gamma)

    # 3. The face.
    paint_skin(random, canvas, rgba, pose, head_landmarks)
    paint_brows_and_lashes(random, canvas, pose, head_landmarks, style.color)

    # 4. Layers in front of the face.
    if has_hair:
        radii = geometry.radii * style.volume
        canvas.paint_ellipsoid(
            pose, geometry.center, radii, style.scalp_surface(), gamma, hides=True
        )
        paint_fringe(random, canvas, style.color, geometry, pose, gamma)
        if style.length:
            paint_locks(random, canvas, style.color, geometry, pose, gamma)
    if has_cap:
        _paint_cap(random, canvas, geometry, pose, gamma)
    paint_occluders(random, canvas, pose, head_landmarks, skin, options.occluders)
    return canvas


def _sample_hair_style(random: np.random.RandomState) -> _HairStyle:
    # 1. Color and size.
    base = np.array(_HAIR_COLORS[random.choice(len(_HAIR_COLORS), p=_HAIR_WEIGHTS)], np.float32)
    color = base * random.uniform(0.7, 1.3)
    volume = random.uniform(1.02, 1.2)
    length = random.uniform(0.2, 1.4) if random.uniform() < _LONG_HAIR_PROBABILITY else 0.0

    # 2. Hairline, from the back to the front.
    temples = random.uniform(*_TEMPLE_HAIRLINE)
    hairline = (
        -1.0,
        random.uniform(-0.7, -0.4),
        random.uniform(-0.25, 0.05),
        random.uniform(0.1, 0.4),
        temples,
        temples + random.uniform(*_FOREHEAD),
    )
    raggedness = random.uniform(0.02, 0.25)
    softness = np.exp(random.uniform(np.log(6), np.log(60)))

    # 3. Texture: coarse shades, and single hairs around the head.
    contrast = random.uniform(0.2, 0.9)
    coarse = Image.fromarray(random.uniform(0, 1, (4, 40)).astype(np.float32))
    fine = random.uniform(0, 1, TEXTURE_SHAPE[1]).astype(np.float32)
    shades = np.asarray(coarse.resize(TEXTURE_SHAPE[::-1], Image.BILINEAR))
    texture = 0.5 * (shades + fine)
    return _HairStyle(color, volume, length, hairline, raggedness, softness, contrast, texture)


def _paint_long_hair(
    canvas: Canvas, style: _HairStyle, geometry: HeadGeometry, pose: HeadPose, gamma: np.ndarray
) -> None:
    """Paint the hair that hangs behind the face."""
    radii = geometry.radii * (style.volume * 1.08, 1.0 + 0.6 * style.length, 0.9)
    drop = 0.6 * style.length * geometry.radii[1]
    center = geometry.center - (0, drop, 0.35 * geometry.radii[2])
    canvas.paint_ellipsoid(pose, center, radii, style.hanging_surface(), gamma)


def _paint_skull(
    canvas: Canvas, geometry: HeadGeometry, pose: HeadPose, skin: np.ndarray, gamma: np.ndarray
) -> None:
    """Paint the bare skull behind the face, down to the neck."""
    surface = Surface(skin / _LIGHT_ON_SKIN, heights=(_SKULL_END,) * 2)
    center = geometry.center - (0, 0, 0.04)
    canvas.paint_ellipsoid(pose, center, geometry.radii * 0.97, surface, gamma)


def _paint_cap(
    random: np.random.RandomState,
    canvas: Canvas,
    geometry: HeadGeometry,
    pose: HeadPose,
    gamma: np.ndarray,
) -> None:
    """Paint a cap, half of the time with a visor."""
    color = np.array(sample_color(random), np.float32)
    edge = random.uniform(0.3, 0.6)
    tilt = random.uniform(-0.1, 0.35)
    surface = Surface(color, heights=(edge - tilt - 0.15, edge + tilt - 0.15))
    radii = geometry.radii * random.uniform(1.08, 1.2)
    canvas.paint_ellipsoid(pose, geometry.center, radii, surface, gamma, hides=True)
    if random.uniform() < 0.5:
        outline = _visor_outline(geometry, edge)
        canvas.paint_polygon(pose.project(outline), color * 0.6, hides=True)


def _visor_outline(geometry: HeadGeometry, edge: float) -> np.ndarray:
    """Return the outline of a cap's visor, [40, 3] dm, in model space.

    Args:
        geometry: measures of the head.
        edge: height of the cap's edge, in radii.
    """
    turn = np.linspace(0, np.pi, 20)
    rx, ry, rz = geometry.radii * 1.1
    depth = 0.5 * rz + rz * np.sin(turn)
    outer = np.stack([rx * np.cos(turn), np.full(20, edge * ry), depth], axis=1)
    bend = np.stack([np.zeros(20), np.full(20, 0.12), 0.8 * rz * np.sin(turn)], axis=1)
    inner = outer[::-1] * (1, 1, 0) + bend
    return np.concatenate([outer, inner]) + geometry.center


def _paint_body(
    random: np.random.RandomState,
    canvas: Canvas,
    geometry: HeadGeometry,
    pose: HeadPose,
    skin: np.ndarray,
    gamma: np.ndarray,
) -> None:
    """Paint neck and shoulders below the head; both stay upright at any head pose."""
    chin = np.array([0, geometry.chin_height, geometry.center[2]])
    upright = HeadPose(np.eye(3), chin.dot(pose.rotation) + pose.translation)

    # Neck, mostly in the shadow of the chin.
    radius = random.uniform(*_NECK_RADIUS) * np.linalg.norm(geometry.radii) / _AVERAGE_RADIUS
    neck = Surface(random.uniform(0.7, 0.95) * skin / _LIGHT_ON_SKIN)
    neck_radii = np.array([radius, 2.0, radius])
    canvas.paint_ellipsoid(upright, np.array([0, -0.6, 0]), neck_radii, neck, gamma)

    # Shoulders.
    radii = np.array([random.uniform(1.5, 2.6), random.uniform(0.6, 1.2), 0.8])
    top = random.uniform(-0.45, -0.05)
    center = np.array([0, top - radii[1], -0.1])
    clothes = Surface(np.array(sample_color(random)))
    canvas.paint_ellipsoid(upright, center, radii, clothes, gamma)


def _median_color(rgba: np.ndarray) -> np.ndarray:
    """Return the median color [3] of a face [S, S, 4], from a few hundred of its pixels."""
    sample = rgba[::7, ::7].reshape(-1, 4)
    colors = sample[sample[:, 3] > 0, :3]
    return np.median(colors, axis=0) if len(colors) else np.array(_DEFAULT_SKIN)
