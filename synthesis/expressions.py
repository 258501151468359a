"""Random expressions: talking mouths, smiles, blinks, frowns, as faces in photos have them."""

import numpy as np

from face_model.coefficients import expression_bounds

_ACTIONS_AT_ONCE = 5  # a face does a few things at a time
_ASYMMETRY = 0.12  # standard deviation of the ratio of left to right
_STATISTICAL_STRENGTH = (0.2, 1.2)  # range of the standard deviation, where components have no names

# What a face may be doing: (probability, range of the strength of each action). Actions that
# come in pairs are named without Left and Right.
_MOODS = (
    (0.18, {}),
    (0.14, {"mouthSmile": (0.6, 1.0), "mouthUpperUp": (0.2, 0.9), "mouthLowerDown": (0.2, 0.8), "jawOpen": (0.0, 0.3),
            "cheekSquint": (0.2, 0.9), "eyeSquint": (0.0, 0.5)}),  # with teeth
    (0.16, {"mouthSmile": (0.3, 1.0), "cheekSquint": (0.0, 0.7), "mouthDimple": (0.0, 0.4), "mouthUpperUp": (0.0, 0.4),
            "jawOpen": (-0.3, 0.35), "eyeSquint": (0.0, 0.4)}),
    (0.22, {"jawOpen": (0.02, 0.7), "mouthFunnel": (-0.3, 0.5), "mouthPucker": (-0.4, 0.5), "mouthStretch": (-0.3, 0.4),
            "mouthUpperUp": (-0.2, 0.5), "mouthLowerDown": (-0.2, 0.5), "mouthClose": (-0.6, 0.25)}),
    (0.08, {"browInnerUp": (0.3, 1.0), "browOuterUp": (0.2, 1.0), "eyeWide": (0.2, 0.9), "jawOpen": (0.0, 0.9)}),
    (0.10, {"browDown": (0.3, 1.0), "noseSneer": (0.0, 0.6), "mouthPress": (0.0, 0.6), "mouthFrown": (0.0, 0.7),
            "eyeSquint": (0.0, 0.7)}),
    (0.06, {"browInnerUp": (0.2, 0.9), "mouthFrown": (0.2, 0.9), "mouthShrugLower": (0.0, 0.6)}),
    (0.06, {"mouthPucker": (0.2, 1.0), "mouthFunnel": (0.0, 0.4), "cheekPuff": (-0.4, 0.7)}),
)
_BLINK_PROBABILITY, _WINK_PROBABILITY = 0.10, 0.02
_HALF_CLOSED = 0.35  # the most that open eyes are closed by
_GAZE_PROBABILITY = 0.5
_STRAY_PROBABILITY, _STRAY_STRENGTH = 0.08, 0.35  # of any other action
_RARELY_SHOWN = ("tongueOut",)


def draw_actions(model, random):
    """Draw a few actions, all evenly likely; or statistical components where a model has no actions."""
    lower, upper = expression_bounds(model)
    expression = np.zeros(model.expression_count)
    actions = np.flatnonzero(lower == 0)
    if len(actions):
        chosen = random.choice(actions, _ACTIONS_AT_ONCE, replace=False)
        expression[chosen] = random.uniform(0, 0.8, _ACTIONS_AT_ONCE)
        return expression
    return np.clip(random.standard_normal(model.expression_count), lower, upper)


def draw_expression(model, random):
    """Draw one expression, [expressions] float64.

    Where the model names its components: one of eight moods (rest, laughter, smile, talk, surprise,
    anger, sadness, pout), blinks in a tenth of the faces, gaze, and a few stray actions; left and
    right nearly alike. Other models get normal components of a random common strength.

    Args:
        model: a ``FaceModel``.
        random: a ``RandomState``.
    """
    lower, upper = expression_bounds(model)
    names = {name: i for i, name in enumerate(model.expression_names)}
    if not np.any(lower == 0):
        strength = random.uniform(*_STATISTICAL_STRENGTH)
        return np.clip(strength * random.standard_normal(model.expression_count), lower, upper)
    strengths = _stray_actions(names, random)
    mood = _MOODS[random.choice(len(_MOODS), p=[probability for probability, _ in _MOODS])][1]
    for action in sorted(mood):
        strengths[action] = random.uniform(*mood[action])
    if "mouthClose" in strengths:  # closes lips that an open jaw has parted
        strengths["mouthClose"] = min(strengths["mouthClose"], strengths.get("jawOpen", 0))
    expression = np.zeros(model.expression_count)
    for action in sorted(strengths):
        _set(expression, names, action, strengths[action], random)
    _close_eyes(expression, names, random)
    _turn_eyes(expression, names, random)
    return np.clip(expression, np.maximum(lower, 0), upper)


def _stray_actions(names, random):
    """Return name -> strength of a few weak actions, pairs under one name."""
    strengths = {}
    for action in sorted({_without_side(name) for name in names}):
        chosen, strength = random.uniform() < _STRAY_PROBABILITY, random.uniform(0, _STRAY_STRENGTH)
        if chosen and not action.startswith(("eyeLook", "eyeBlink")) and action not in _RARELY_SHOWN:
            strengths[action] = strength
    return strengths


def _without_side(name):
    for side in ("Left", "Right"):
        if name.endswith(side) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            return name[:-len(side)]
    return name


def _set(expression, names, action, strength, random):
    """Set an action, or both actions of a pair with a little asymmetry."""
    ratio = 1 + _ASYMMETRY * random.standard_normal()
    for name, value in ((action, strength), (action + "Left", strength * ratio), (action + "Right", strength / ratio)):
        if name in names:
            expression[names[name]] = value


def _close_eyes(expression, names, random):
    closed, kind = random.uniform(0.8, 1.0), random.uniform()
    lids = random.uniform(0, _HALF_CLOSED) * np.ones(2)
    if kind < _BLINK_PROBABILITY:
        lids[:] = closed
    elif kind < _BLINK_PROBABILITY + _WINK_PROBABILITY:
        lids[random.randint(2)] = closed
    for name, lid in zip(("eyeBlinkLeft", "eyeBlinkRight"), lids):
        if name in names:
            expression[names[name]] = lid


def _turn_eyes(expression, names, random):
    """Look to a side and up or down, with both eyes together."""
    sideways, upwards = random.uniform(-0.7, 0.7), random.uniform(-0.5, 0.4)
    if random.uniform() >= _GAZE_PROBABILITY:
        return
    inner, outer = ("Right", "Left") if sideways > 0 else ("Left", "Right")
    for name, value in (("eyeLookIn" + inner, abs(sideways)), ("eyeLookOut" + outer, abs(sideways)),
                        ("eyeLookUpLeft", upwards), ("eyeLookUpRight", upwards),
                        ("eyeLookDownLeft", -upwards), ("eyeLookDownRight", -upwards)):
        if name in names:
            expression[names[name]] = value
