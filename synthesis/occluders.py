"""What may lie before a face: glasses, hands, bars."""

import numpy as np

from synthesis.backgrounds import draw_colour

_GLASSES, _HAND, _BAR = 0.16, 0.14, 0.10  # probabilities at strength 1
_SUNGLASSES = 0.3  # of the glasses
_LENS_DISTANCE = 0.14  # dm, before the eyes
_LENS_POINTS = 28
_LENS_COLOUR = np.array([225.0, 230.0, 235.0])
_SKIN_TONES = ((240, 200, 175), (220, 170, 140), (190, 135, 105), (140, 95, 70), (90, 60, 45))
_ROUNDNESS = 0.35  # how much darker fingers and bars are at their outline


def paint_occluders(random, canvas, pose, head_landmarks, skin_colour, strength):
    """Paint what lies before one face; often nothing.

    Args:
        random: a ``RandomState``.
        canvas: ``synthesis.canvas.Canvas``.
        pose: ``synthesis.sampling.HeadPose``.
        head_landmarks: [68, 3] dm, in model space.
        skin_colour: [3] of this face, which its own hand shares.
        strength: multiplies the probabilities of glasses 16%, hands 14%, bars 10%.
    """
    chances = random.uniform(0, 1, 3)
    if chances[0] < strength * _GLASSES:
        _paint_glasses(random, canvas, pose, head_landmarks)
    if chances[1] < strength * _HAND:
        _paint_hand(random, canvas, pose.project(head_landmarks), skin_colour)
    if chances[2] < strength * _BAR:
        _paint_bar(random, canvas, pose.project(head_landmarks))


def _paint_glasses(random, canvas, pose, landmarks):
    """Paint the lenses and the frame of a pair of glasses."""
    rims = _rims(random, landmarks)
    outlines = [pose.project(rim) for rim in rims]
    dark = random.uniform() < _SUNGLASSES
    opacity = random.uniform(0.75, 0.98) if dark else random.uniform(0.0, 0.25)
    tint = np.array(draw_colour(random)) / 6 if dark else _LENS_COLOUR
    for outline in outlines:
        canvas.polygon(outline, tint, hides=True, opacity=opacity)
    lines = [np.concatenate([outline, outline[:1]]) for outline in outlines]
    lines.append(pose.project(np.stack([rims[0][0], rims[1][_LENS_POINTS // 2]])))
    for side, ear, hinge in ((-1, 0, rims[0][_LENS_POINTS // 2]), (1, 16, rims[1][0])):
        if side * pose.rotation[0, 2] > -0.05:  # this temple is on the side that the camera sees
            lines.append(pose.project(np.stack([hinge, landmarks[ear] + (0.06 * side, 0.05, -0.1)])))
    radius, colour = random.uniform(0.5, 2.0), np.array(draw_colour(random)) / random.randint(1, 6)
    for line in lines:
        canvas.strokes(line[np.newaxis], [radius, radius], colour, hides=True)


def _rims(random, landmarks):
    """Return the outlines of two lenses, [28, 3] each, before the eyes."""
    half_width, half_height = random.uniform(0.25, 0.34), random.uniform(0.16, 0.28)
    roundness = random.uniform(0.4, 1.0)  # exponent of a superellipse: 1 is an ellipse, less is squarer
    turn = np.linspace(0, 2 * np.pi, _LENS_POINTS, endpoint=False)
    rim = np.stack([half_width * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** roundness,
                    half_height * np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** roundness,
                    -0.1 * np.cos(turn) ** 2], axis=1)
    return [rim + landmarks[eye].mean(axis=0) + (0, -0.03, _LENS_DISTANCE) for eye in (slice(36, 42), slice(42, 48))]


def _paint_hand(random, canvas, landmarks, skin_colour):
    """Paint a hand that comes from an edge of the picture to the lower face, or anything as round."""
    target = landmarks[random.randint(2, 15)] * 0.7 + landmarks[33] * 0.3 + 12 * random.standard_normal(2)
    angle = random.uniform(-np.pi, 0) if random.uniform() < 0.8 else random.uniform(0, np.pi)
    outwards = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-outwards[1], outwards[0]])
    width = random.uniform(11, 17)
    palm = target + outwards * random.uniform(35, 60)
    tones = [np.array(tone, np.float64) for tone in _SKIN_TONES] + [skin_colour] * 6
    colour = tones[random.randint(len(tones))] if random.uniform() < 0.85 else np.array(draw_colour(random))
    wrist = np.stack([palm + outwards * 12, palm + outwards * 160])
    radius = width * random.uniform(1.6, 2.2)
    canvas.strokes(wrist[np.newaxis], [radius, radius], colour, hides=True, roundness=_ROUNDNESS)
    fingers = []
    for finger in range(random.randint(1, 5)):
        offset = across * width * 1.05 * (finger - 1.5)
        tip = target + offset + outwards * 8 * random.standard_normal()
        fingers.append([palm + 0.9 * offset, (palm + tip) / 2 + offset * 0.1 + 3 * random.standard_normal(2), tip])
    canvas.strokes(np.array(fingers), [width / 2, 0.42 * width], colour, hides=True, roundness=_ROUNDNESS)


def _paint_bar(random, canvas, landmarks):
    """Paint a straight bar across the picture: a cup, a phone, a microphone, a post."""
    through = landmarks[random.randint(68)] + 25 * random.standard_normal(2)
    angle = random.uniform(0, np.pi)
    reach = random.uniform(20, 60) if random.uniform() < 0.6 else 300
    along, radius = reach * np.array([np.cos(angle), np.sin(angle)]), random.uniform(4, 22)
    canvas.strokes(np.stack([through, through + along])[np.newaxis], [radius, radius], draw_colour(random),
                   hides=True, roundness=_ROUNDNESS)
