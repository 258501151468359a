"""Occluders of a face: glasses, hands, bars."""

from typing import List

import numpy as np

from synthesis.backgrounds import sample_color
from synthesis.canvas import Canvas
from synthesis.pose import HeadPose

_GLASSES, _HAND, _BAR = 0.16, 0.14, 0.10  # probabilities at strength 1
_SUNGLASSES = 0.3  # fraction of all glasses
_LENS_DISTANCE = 0.14  # dm, in front of the eyes
_LENS_POINTS = 28
_LENS_COLOR = np.array([225.0, 230.0, 235.0])
_EYES = (slice(36, 42), slice(42, 48))  # landmarks, at the left and the right of the picture
_SKIN_TONES = ((240, 200, 175), (220, 170, 140), (190, 135, 105), (140, 95, 70), (90, 60, 45))
_OWN_TONE_WEIGHT = 6  # the face's own skin tone counts as many of the tones above
_ROUNDNESS = 0.35  # darkening of fingers and bars towards their outline


def paint_occluders(
    random: np.random.RandomState,
    canvas: Canvas,
    pose: HeadPose,
    head_landmarks: np.ndarray,
    skin_color: np.ndarray,
    strength: float,
) -> None:
    """Paint the occluders of one face; most faces have none.

    Args:
        random: random number generator.
        canvas: canvas to paint on.
        pose: head pose.
        head_landmarks: [68, 3] dm, in model space.
        skin_color: [3] color of this face, for the person's own hand.
        strength: multiplies the probabilities of glasses 16%, hands 14%, bars 10%.
    """
    chances = random.uniform(0, 1, 3)
    if chances[0] < strength * _GLASSES:
        _paint_glasses(random, canvas, pose, head_landmarks)
    if chances[1] < strength * _HAND:
        _paint_hand(random, canvas, pose.project(head_landmarks), skin_color)
    if chances[2] < strength * _BAR:
        _paint_bar(random, canvas, pose.project(head_landmarks))


def _paint_glasses(
    random: np.random.RandomState, canvas: Canvas, pose: HeadPose, landmarks: np.ndarray
) -> None:
    """Paint the lenses and the frame of a pair of glasses."""
    # 1. Lenses.
    rims = _sample_rims(random, landmarks)
    outlines = [pose.project(rim) for rim in rims]
    dark = random.uniform() < _SUNGLASSES
    opacity = random.uniform(0.75, 0.98) if dark else random.uniform(0.0, 0.25)
    tint = np.array(sample_color(random)) / 6 if dark else _LENS_COLOR
    for outline in outlines:
        canvas.paint_polygon(outline, tint, hides=True, opacity=opacity)

    # 2. Frame: rims, bridge, and the temple on the side that the camera sees.
    lines = [np.concatenate([outline, outline[:1]]) for outline in outlines]
    bridge = np.stack([rims[0][0], rims[1][_LENS_POINTS // 2]])
    lines.append(pose.project(bridge))
    for side, ear, hinge in ((-1, 0, rims[0][_LENS_POINTS // 2]), (1, 16, rims[1][0])):
        if side * pose.rotation[0, 2] > -0.05:
            temple = np.stack([hinge, landmarks[ear] + (0.06 * side, 0.05, -0.1)])
            lines.append(pose.project(temple))
    radius = random.uniform(0.5, 2.0)
    color = np.array(sample_color(random)) / random.randint(1, 6)
    for line in lines:
        canvas.paint_strokes(line[np.newaxis], [radius, radius], color, hides=True)


def _sample_rims(random: np.random.RandomState, landmarks: np.ndarray) -> List[np.ndarray]:
    """Sample the outlines of two equal lenses in front of the eyes, [28, 3] dm each."""
    half_width = random.uniform(0.25, 0.34)
    half_height = random.uniform(0.16, 0.28)
    roundness = random.uniform(0.4, 1.0)  # superellipse exponent: 1 is an ellipse, less is squarer
    turn = np.linspace(0, 2 * np.pi, _LENS_POINTS, endpoint=False)
    x = half_width * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** roundness
    y = half_height * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** roundness
    z = -0.1 * np.cos(turn) ** 2
    rim = np.stack([x, y, z], axis=1)
    return [rim + landmarks[eye].mean(axis=0) + (0, -0.03, _LENS_DISTANCE) for eye in _EYES]


def _paint_hand(
    random: np.random.RandomState, canvas: Canvas, landmarks: np.ndarray, skin_color: np.ndarray
) -> None:
    """Paint a hand, or a similar object, reaching from the picture's edge to the lower face.

    Args:
        random: random number generator.
        canvas: canvas to paint on.
        landmarks: [68, 2] crop pixels, y up.
        skin_color: [3] color of the person's own hand.
    """
    # 1. Where it points to, and where it comes from: mostly from below.
    target = landmarks[random.randint(2, 15)] * 0.7 + landmarks[33] * 0.3
    target = target + 12 * random.standard_normal(2)
    angle = random.uniform(-np.pi, 0) if random.uniform() < 0.8 else random.uniform(0, np.pi)
    outwards = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-outwards[1], outwards[0]])
    width = random.uniform(11, 17)
    palm = target + outwards * random.uniform(35, 60)

    # 2. Color.
    tones = [np.array(tone, np.float64) for tone in _SKIN_TONES] + [skin_color] * _OWN_TONE_WEIGHT
    if random.uniform() < 0.85:
        color = tones[random.randint(len(tones))]
    else:
        color = np.array(sample_color(random))

    # 3. Wrist, then one to four fingers.
    wrist = np.stack([palm + outwards * 12, palm + outwards * 160])
    radius = width * random.uniform(1.6, 2.2)
    canvas.paint_strokes(
        wrist[np.newaxis], [radius, radius], color, hides=True, roundness=_ROUNDNESS
    )
    fingers = []
    for finger in range(random.randint(1, 5)):
        offset = across * width * 1.05 * (finger - 1.5)
        tip = target + offset + outwards * 8 * random.standard_normal()
        knuckle = (palm + tip) / 2 + offset * 0.1 + 3 * random.standard_normal(2)
        fingers.append([palm + 0.9 * offset, knuckle, tip])
    radii = [width / 2, 0.42 * width]
    canvas.paint_strokes(np.array(fingers), radii, color, hides=True, roundness=_ROUNDNESS)


def _paint_bar(random: np.random.RandomState, canvas: Canvas, landmarks: np.ndarray) -> None:
    """Paint a straight bar across the picture: a cup, a phone, a microphone, a post.

    Args:
        random: random number generator.
        canvas: canvas to paint on.
        landmarks: [68, 2] crop pixels, y up.
    """
    start = landmarks[random.randint(68)] + 25 * random.standard_normal(2)
    angle = random.uniform(0, np.pi)
    length = random.uniform(20, 60) if random.uniform() < 0.6 else 300
    end = start + length * np.array([np.cos(angle), np.sin(angle)])
    radius = random.uniform(4, 22)
    line = np.stack([start, end])[np.newaxis]
    canvas.paint_strokes(
        line, [radius, radius], sample_color(random), hides=True, roundness=_ROUNDNESS
    )
