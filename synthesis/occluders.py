"""What may lie before a face: glasses, hands, bars. Each as a colour layer with an opacity."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from alignment.align import CROP_SIZE
from synthesis.backgrounds import draw_colour

_SUPERSAMPLING = 2
_GLASSES, _HAND, _BAR = 0.16, 0.14, 0.10  # probabilities at strength 1
_SUNGLASSES = 0.3  # of the glasses
_LENS_DISTANCE = 0.14  # dm, before the eyes
_LENS_POINTS = 28
_SKIN_TONES = ((240, 200, 175), (220, 170, 140), (190, 135, 105), (140, 95, 70), (90, 60, 45))


class Layer(NamedTuple):
    """A layer over a picture."""

    colour: Image.Image  # RGB
    opacity: Image.Image  # L, 255 hides what lies below


def draw_occluders(random, size, pose, head_landmarks, skin_colour, strength):
    """Draw what lies before one face.

    Args:
        random: a ``RandomState``.
        size: width and height of the picture.
        pose: ``synthesis.sampling.HeadPose``.
        head_landmarks: [68, 3] dm, in model space.
        skin_colour: [3] of this face, which its own hand shares.
        strength: multiplies the probabilities of glasses 16%, hands 14%, bars 10%.

    Returns:
        A list of :class:`Layer`, the lowest first; often empty.
    """
    chances = random.uniform(0, 1, 3)
    layers = []
    if chances[0] < strength * _GLASSES:
        layers.extend(_glasses(random, size, pose, head_landmarks))
    if chances[1] < strength * _HAND:
        layers.append(_hand(random, size, pose.project(head_landmarks), skin_colour))
    if chances[2] < strength * _BAR:
        layers.append(_bar(random, size, pose.project(head_landmarks)))
    return layers


class _Canvas:
    """An opacity drawn in crop coordinates, y up, larger than needed and then shrunk: smooth edges."""

    def __init__(self, size):
        self._size, self._zoom = size, _SUPERSAMPLING * size / CROP_SIZE
        self._image = Image.new("L", (_SUPERSAMPLING * size,) * 2)
        self._draw = ImageDraw.Draw(self._image)

    def _pixels(self, points):
        return [(float(x) * self._zoom, (CROP_SIZE - float(y)) * self._zoom) for x, y in points]

    def polygon(self, points, value=255):
        self._draw.polygon(self._pixels(points), fill=value)

    def line(self, points, width, value=255):
        """Draw a line with round ends and joints."""
        pixels, radius = self._pixels(points), width * self._zoom / 2
        self._draw.line(pixels, fill=value, width=max(1, int(round(2 * radius))))
        for x, y in pixels:
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value)

    def opacity(self):
        return self._image.resize((self._size, self._size), Image.BOX)


def _glasses(random, size, pose, landmarks):
    """Return the lenses and the frame of a pair of glasses."""
    half_width, half_height = random.uniform(0.25, 0.34), random.uniform(0.16, 0.28)
    roundness = random.uniform(0.4, 1.0)  # exponent of a superellipse: 1 is an ellipse, less is squarer
    turn = np.linspace(0, 2 * np.pi, _LENS_POINTS, endpoint=False)
    rim = np.stack([half_width * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** roundness,
                    half_height * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** roundness,
                    -0.1 * np.cos(turn) ** 2], axis=1)
    centres = [landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)]
    rims = [rim + centre + (0, -0.03, _LENS_DISTANCE) for centre in centres]
    lenses, frame, thickness = _Canvas(size), _Canvas(size), random.uniform(1.0, 4.0)
    for points in rims:
        outline = pose.project(points)
        lenses.polygon(outline)
        frame.line(np.concatenate([outline, outline[:2]]), thickness)
    bridge = pose.project(np.stack([rims[0][0], rims[1][_LENS_POINTS // 2]]))
    frame.line(bridge, thickness)
    for side, ear, hinge in ((-1, 0, rims[0][_LENS_POINTS // 2]), (1, 16, rims[1][0])):
        if side * pose.rotation[0, 2] > -0.05:  # this temple is on the side that the camera sees
            frame.line(pose.project(np.stack([hinge, landmarks[ear] + (0.06 * side, 0.05, -0.1)])), thickness)
    dark = random.uniform() < _SUNGLASSES
    opacity = random.uniform(0.75, 0.98) if dark else random.uniform(0.0, 0.25)
    tint = tuple(np.array(draw_colour(random)) // 6) if dark else (225, 230, 235)
    return [Layer(_flat(tint, size), lenses.opacity().point([int(i * opacity) for i in range(256)])),
            Layer(_flat(tuple(np.array(draw_colour(random)) // random.randint(1, 6)), size), frame.opacity())]


def _hand(random, size, landmarks, skin_colour):
    """Return a hand that comes from an edge of the picture to the lower face, or anything as round."""
    target = landmarks[random.randint(2, 15)] * 0.7 + landmarks[33] * 0.3 + 12 * random.standard_normal(2)
    angle = random.uniform(-np.pi, 0) if random.uniform() < 0.8 else random.uniform(0, np.pi)
    outwards = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-outwards[1], outwards[0]])
    canvas, width = _Canvas(size), random.uniform(11, 17)
    palm = target + outwards * random.uniform(35, 60)
    for finger in range(random.randint(1, 5)):
        offset = across * width * 1.05 * (finger - 1.5)
        tip = target + offset + outwards * 8 * random.standard_normal()
        canvas.line([palm + 0.9 * offset, (palm + tip) / 2 + offset * 0.1 + 3 * random.standard_normal(2), tip], width)
    canvas.line([palm + outwards * 12, palm + outwards * 160], width * random.uniform(3.2, 4.5))
    tones = list(_SKIN_TONES) + [tuple(skin_colour)] * 6
    colour = tones[random.randint(len(tones))] if random.uniform() < 0.85 else draw_colour(random)
    return _shaded(canvas.opacity(), colour, size)


def _bar(random, size, landmarks):
    """Return a straight bar across the picture: a cup, a phone, a microphone, a post."""
    through = landmarks[random.randint(68)] + 25 * random.standard_normal(2)
    angle = random.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    canvas = _Canvas(size)
    reach = random.uniform(20, 60) if random.uniform() < 0.6 else 300
    canvas.line([through, through + along * reach], random.uniform(8, 45))
    return _shaded(canvas.opacity(), draw_colour(random), size)


def _shaded(opacity, colour, size):
    """Return a layer whose colour darkens towards its outline, as round things do."""
    inside = np.asarray(opacity.filter(ImageFilter.BoxBlur(size * 0.02)), np.float32)[..., np.newaxis] / 255
    pixels = np.asarray(colour, np.float32) * (0.45 + 0.6 * inside)
    return Layer(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), opacity)


def _flat(colour, size):
    return Image.new("RGB", (size, size), tuple(int(value) for value in colour))
