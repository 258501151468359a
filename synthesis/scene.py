"""A rendered face put into a scene: background, body, hair, occluders."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from alignment.align import CROP_SIZE
from synthesis.backgrounds import draw_background, draw_colour
from synthesis.complexion import add_complexion
from synthesis.head import head_geometry, intersect
from synthesis.lighting import light_on
from synthesis.occluders import Layer, draw_occluders
from synthesis.strands import draw_fringe, draw_locks

_HAIR_PROBABILITY, _CAP_PROBABILITY, _LONG_HAIR = 0.93, 0.08, 0.45
_HAIR_COLOURS = ((28, 22, 20), (45, 32, 26), (70, 48, 34), (105, 72, 46), (160, 120, 75), (200, 170, 120),
                 (120, 60, 35), (150, 148, 146), (215, 212, 208))
_HAIR_WEIGHTS = (0.28, 0.2, 0.16, 0.1, 0.07, 0.05, 0.05, 0.06, 0.03)
_STREAKS = 512  # texture of hair, pixels
# Where hair begins: height of the hairline over the depth of the head, in radii of the skull.
_HAIRLINE_DEPTHS = (-1.0, -0.35, -0.12, 0.1, 0.45, 1.0)
_FRONT_HAIRLINE = (0.3, 0.78)
_OPAQUE = 128


class SceneOptions(NamedTuple):
    """How much is drawn around and before the faces."""

    hair: float = 1.0  # multiplies the probability of hair and caps
    occluders: float = 1.0  # multiplies those of glasses, hands and bars


class Scene(NamedTuple):
    """A picture before the camera spoils it."""

    image: Image.Image  # RGB
    hidden: np.ndarray  # [S, S] bool, where something lies before the face


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
        A :class:`Scene`.
    """
    size = rgba.shape[0]
    geometry = head_geometry(head_landmarks)
    rgba = add_complexion(random, rgba, pose, head_landmarks)
    skin = _skin_colour(rgba)
    image = draw_background(random, size, photos)
    hair, cap = random.uniform() < options.hair * _HAIR_PROBABILITY, random.uniform() < options.hair * _CAP_PROBABILITY
    style = _HairStyle(random)
    if hair and style.length:
        _paste(image, _long_hair(style, geometry, pose, gamma, size))
    _draw_body(random, image, geometry, pose, skin)
    _paste(image, _skull(geometry, pose, skin, gamma, size))
    _paste(image, Layer(Image.fromarray(rgba[..., :3]), _soft_edge(rgba[..., 3])))
    front = _hair_before(random, style, geometry, pose, gamma, size) if hair else []
    if cap:
        front += _cap(random, geometry, pose, gamma, size)
    front += draw_occluders(random, size, pose, head_landmarks, skin, options.occluders)
    hidden = np.zeros((size, size), bool)
    for layer in front:
        _paste(image, layer)
        hidden |= np.asarray(layer.opacity) >= _OPAQUE
    return Scene(image, hidden)


def _hair_before(random, style, geometry, pose, gamma, size):
    layers = [_front_hair(style, geometry, pose, gamma, size)]
    layers += draw_fringe(random, style.colour, geometry, pose, gamma, size)
    if style.length:
        layers += draw_locks(random, style.colour, geometry, pose, gamma, size)
    return layers


class _HairStyle:
    """What one person's hair is like."""

    def __init__(self, random):
        base = np.array(_HAIR_COLOURS[random.choice(len(_HAIR_COLOURS), p=_HAIR_WEIGHTS)], np.float32)
        self.colour = base * random.uniform(0.7, 1.3)
        self.volume = random.uniform(1.0, 1.16)
        self.length = random.uniform(0.2, 1.4) if random.uniform() < _LONG_HAIR else 0.0
        self.hairline = (-1.0, random.uniform(-0.7, -0.4), random.uniform(-0.25, 0.05), random.uniform(0.1, 0.4),
                         random.uniform(*_FRONT_HAIRLINE), 0.8)
        self.raggedness = random.uniform(0.02, 0.25)
        self.contrast = random.uniform(0.2, 0.9)
        coarse = random.uniform(0, 1, (4, 40)).astype(np.float32)
        self._streaks = np.asarray(Image.fromarray(coarse).resize((_STREAKS, _STREAKS), Image.BILINEAR))
        fine = random.uniform(0, 1, _STREAKS).astype(np.float32)
        self._streaks = 0.5 * (self._streaks + fine)

    def streaks(self, points):
        """Return the texture, 0..1, at points of the unit sphere: streaks that run from the crown down."""
        column = (np.arctan2(points[..., 0], points[..., 2]) * (_STREAKS / (2 * np.pi))).astype(np.int32)
        row = (points[..., 1] * (_STREAKS / 2)).astype(np.int32)
        return self._streaks[row % _STREAKS, column % _STREAKS]


def _front_hair(style, geometry, pose, gamma, size):
    """Return the hair on the skull, from the hairline backwards."""
    surface = intersect(pose, geometry.centre, geometry.radii * style.volume, size // 2)
    texture = style.streaks(surface.points)
    hairline = np.interp(surface.points[..., 2], _HAIRLINE_DEPTHS, style.hairline)
    covered = surface.hit & (surface.points[..., 1] > hairline + style.raggedness * (texture - 0.5))
    return _lit_layer(surface, covered, _streaked(style, texture), pose, gamma, size)


def _long_hair(style, geometry, pose, gamma, size):
    """Return the hair that hangs behind the face."""
    radii = geometry.radii * (style.volume * 1.08, 1.0 + 0.6 * style.length, 0.9)
    centre = geometry.centre - (0, 0.6 * style.length * geometry.radii[1], 0.35 * geometry.radii[2])
    surface = intersect(pose, centre, radii, size // 2)
    return _lit_layer(surface, surface.hit, 0.8 * _streaked(style, style.streaks(surface.points)), pose, gamma, size)


def _streaked(style, texture):
    return style.colour * (1 + style.contrast * (texture[..., np.newaxis] - 0.5))


def _skull(geometry, pose, skin, gamma, size):
    """Return the bald back of the head."""
    surface = intersect(pose, geometry.centre - (0, 0, 0.04), geometry.radii * 0.97, size // 2)
    covered = surface.hit & (surface.points[..., 1] > -0.75)
    # The skin's colour is that of the lit face, on which the light is about 0.75.
    return _lit_layer(surface, covered, np.asarray(skin, np.float32) / 0.75, pose, gamma, size)


def _cap(random, geometry, pose, gamma, size):
    """Return a cap, and its visor or none."""
    colour = np.array(draw_colour(random), np.float32)
    edge, tilt = random.uniform(0.3, 0.6), random.uniform(-0.1, 0.35)
    surface = intersect(pose, geometry.centre, geometry.radii * random.uniform(1.08, 1.2), size // 2)
    covered = surface.hit & (surface.points[..., 1] > edge + tilt * surface.points[..., 2] - 0.15)
    layers = [_lit_layer(surface, covered, colour, pose, gamma, size)]
    if random.uniform() < 0.5:
        turn = np.linspace(0, np.pi, 20)
        rx, ry, rz = geometry.radii * 1.1
        outer = np.stack([rx * np.cos(turn), np.full(20, edge * ry), 0.5 * rz + rz * np.sin(turn)], axis=1)
        inner = outer[::-1] * (1, 1, 0) + np.stack([np.zeros(20), np.full(20, 0.12), 0.8 * rz * np.sin(turn)], axis=1)
        outline = pose.project(np.concatenate([outer, inner]) + geometry.centre)
        opacity = _polygon(outline, size)
        underside = tuple(int(c) for c in np.clip(colour * 0.6, 0, 255))
        layers.append(Layer(Image.new("RGB", (size, size), underside), opacity))
    return layers


def _lit_layer(surface, covered, colour, pose, gamma, size):
    light = light_on(surface.normals.dot(pose.rotation.astype(np.float32)), gamma)
    pixels = np.minimum(colour * light, 255).astype(np.uint8)
    opacity = Image.fromarray(np.where(covered, 255, 0).astype(np.uint8))
    return Layer(Image.fromarray(pixels).resize((size, size), Image.BILINEAR),
                 opacity.resize((size, size), Image.BILINEAR))


def _draw_body(random, image, geometry, pose, skin):
    """Draw neck and shoulders below the head; both stay upright, whatever the head does."""
    x, y = pose.project(np.array([0, geometry.chin_height + 0.15, geometry.centre[2]]))
    chin = pose.project(np.array([0, geometry.chin_height, geometry.centre[2]]))[1]
    half_neck = random.uniform(32, 50) * np.linalg.norm(geometry.radii) / 1.5
    shoulder, reach = chin - random.uniform(25, 60), random.uniform(90, 140)
    size, zoom = image.size[0], image.size[0] / CROP_SIZE
    neck, clothes = (Image.new("L", (size, size)) for _ in range(2))
    top = min((CROP_SIZE - y) * zoom, size)  # a chin may be below the picture
    ImageDraw.Draw(neck).rectangle([(x - half_neck) * zoom, top, (x + half_neck) * zoom, size + 1], fill=255)
    ImageDraw.Draw(clothes).ellipse([(x - reach) * zoom, (CROP_SIZE - shoulder) * zoom, (x + reach) * zoom,
                                     (CROP_SIZE - shoulder) * zoom + 2 * size], fill=255)
    blur = ImageFilter.BoxBlur(0.01 * size)
    image.paste(tuple(int(0.8 * c) for c in skin), mask=neck.filter(blur))
    image.paste(draw_colour(random), mask=clothes.filter(blur))


def _soft_edge(alpha):
    """Return an opacity that fades within the outermost pixel of the face, which is not anti-aliased."""
    image = Image.fromarray(alpha)
    blurred = image.filter(ImageFilter.BoxBlur(1))
    return ImageChops.multiply(image, blurred.point([max(0, min(255, 2 * i - 255)) for i in range(256)]))


def _skin_colour(rgba):
    """Return the median colour of a face, three ints, from a few hundred of its pixels."""
    sample = rgba[::7, ::7].reshape(-1, 4)
    sample = sample[sample[:, 3] > 0, :3]
    return tuple(int(value) for value in np.median(sample, axis=0)) if len(sample) else (180, 140, 120)


def _paste(image, layer):
    image.paste(layer.colour, mask=layer.opacity)


def _polygon(points, size):
    opacity, zoom = Image.new("L", (size, size)), size / CROP_SIZE
    ImageDraw.Draw(opacity).polygon([(x * zoom, (CROP_SIZE - y) * zoom) for x, y in points], fill=255)
    return opacity.filter(ImageFilter.BoxBlur(0.7))
