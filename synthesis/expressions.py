"""Random expressions with the frequencies of photos: talking mouths, smiles, blinks, frowns."""

from typing import Dict, Tuple

import numpy as np

from face_model import FaceModel
from face_model.coefficients import expression_bounds

_ASYMMETRY = 0.12  # standard deviation of the ratio of left to right
_STATISTICAL_STRENGTH = (0.2, 1.2)  # range of the standard deviation of unnamed components

# Moods: (probability, range of the strength of each action). Actions that come in pairs are named
# without Left and Right.
_MOODS: Tuple[Tuple[float, Dict[str, Tuple[float, float]]], ...] = (
    (0.18, {}),  # rest
    (
        0.14,  # laughter, with teeth
        {
            "mouthSmile": (0.6, 1.0),
            "mouthUpperUp": (0.2, 0.9),
            "mouthLowerDown": (0.2, 0.8),
            "jawOpen": (0.0, 0.3),
            "cheekSquint": (0.2, 0.9),
            "eyeSquint": (0.0, 0.5),
        },
    ),
    (
        0.16,  # smile
        {
            "mouthSmile": (0.3, 1.0),
            "cheekSquint": (0.0, 0.7),
            "mouthDimple": (0.0, 0.4),
            "mouthUpperUp": (0.0, 0.4),
            "jawOpen": (-0.3, 0.35),
            "eyeSquint": (0.0, 0.4),
        },
    ),
    (
        0.22,  # talk
        {
            "jawOpen": (0.02, 0.7),
            "mouthFunnel": (-0.3, 0.5),
            "mouthPucker": (-0.4, 0.5),
            "mouthStretch": (-0.3, 0.4),
            "mouthUpperUp": (-0.2, 0.5),
            "mouthLowerDown": (-0.2, 0.5),
            "mouthClose": (-0.6, 0.25),
        },
    ),
    (
        0.08,  # surprise
        {
            "browInnerUp": (0.3, 1.0),
            "browOuterUp": (0.2, 1.0),
            "eyeWide": (0.2, 0.9),
            "jawOpen": (0.0, 0.9),
        },
    ),
    (
        0.10,  # anger
        {
            "browDown": (0.3, 1.0),
            "noseSneer": (0.0, 0.6),
            "mouthPress": (0.0, 0.6),
            "mouthFrown": (0.0, 0.7),
            "eyeSquint": (0.0, 0.7),
        },
    ),
    (
        0.06,  # sadness
        {"browInnerUp": (0.2, 0.9), "mouthFrown": (0.2, 0.9), "mouthShrugLower": (0.0, 0.6)},
    ),
    (
        0.06,  # pout
        {"mouthPucker": (0.2, 1.0), "mouthFunnel": (0.0, 0.4), "cheekPuff": (-0.4, 0.7)},
    ),
)
_BLINK_PROBABILITY, _WINK_PROBABILITY = 0.10, 0.02
_HALF_CLOSED = 0.35  # upper limit of the closure of open eyes
_GAZE_PROBABILITY = 0.5
_STRAY_PROBABILITY, _STRAY_STRENGTH = 0.08, 0.35  # of any other action
_NOT_STRAY = ("eyeLook", "eyeBlink", "tongueOut")  # prefixes of actions sampled otherwise, or not


def sample_expression(model: FaceModel, random: np.random.RandomState) -> np.ndarray:
    """Sample one expression, [expressions] float64.

    Models with named components: one of eight moods (rest, laughter, smile, talk, surprise, anger,
    sadness, pout), blinks in a tenth of the faces, gaze, and a few stray actions; left and right
    are nearly alike. Other models: normal components of a random common strength.

    Args:
        model: face model.
        random: random number generator.
    """
    lower, upper = expression_bounds(model)
    if not np.any(lower == 0):
        strength = random.uniform(*_STATISTICAL_STRENGTH)
        values = strength * random.standard_normal(model.expression_count)
        return np.clip(values, lower, upper)

    # 1. Strengths of the actions, pairs under one name.
    names = {name: i for i, name in enumerate(model.expression_names)}
    strengths = _sample_stray_actions(names, random)
    probabilities = [probability for probability, _ in _MOODS]
    mood = _MOODS[random.choice(len(_MOODS), p=probabilities)][1]
    for action in sorted(mood):
        strengths[action] = random.uniform(*mood[action])
    if "mouthClose" in strengths:  # closes only lips that an open jaw has parted
        strengths["mouthClose"] = min(strengths["mouthClose"], strengths.get("jawOpen", 0))

    # 2. Components of the model.
    expression = np.zeros(model.expression_count)
    for action in sorted(strengths):
        _set_action(expression, names, action, strengths[action], random)
    _close_eyes(expression, names, random)
    _turn_eyes(expression, names, random)
    return np.clip(expression, np.maximum(lower, 0), upper)


def _sample_stray_actions(names: Dict[str, int], random: np.random.RandomState) -> Dict[str, float]:
    """Sample a few weak actions: name -> strength, pairs under one name."""
    strengths = {}
    for action in sorted({_without_side(name) for name in names}):
        chosen = random.uniform() < _STRAY_PROBABILITY
        strength = random.uniform(0, _STRAY_STRENGTH)
        if chosen and not action.startswith(_NOT_STRAY):
            strengths[action] = strength
    return strengths


def _without_side(name: str) -> str:
    """Return the common name of a pair of actions, or the name of a single action."""
    for side in ("Left", "Right"):
        if name.endswith(side) and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            return name[: -len(side)]
    return name


def _set_action(
    expression: np.ndarray,
    names: Dict[str, int],
    action: str,
    strength: float,
    random: np.random.RandomState,
) -> None:
    """Set an action, or both actions of a pair with a little asymmetry, in place."""
    ratio = 1 + _ASYMMETRY * random.standard_normal()
    _set_components(
        expression,
        names,
        {action: strength, action + "Left": strength * ratio, action + "Right": strength / ratio},
    )


def _close_eyes(
    expression: np.ndarray, names: Dict[str, int], random: np.random.RandomState
) -> None:
    """Set the eyelids in place: both half open at most, a blink, or a wink."""
    closed = random.uniform(0.8, 1.0)
    kind = random.uniform()
    lids = random.uniform(0, _HALF_CLOSED) * np.ones(2)
    if kind < _BLINK_PROBABILITY:
        lids[:] = closed
    elif kind < _BLINK_PROBABILITY + _WINK_PROBABILITY:
        lids[random.randint(2)] = closed
    _set_components(expression, names, {"eyeBlinkLeft": lids[0], "eyeBlinkRight": lids[1]})


def _turn_eyes(
    expression: np.ndarray, names: Dict[str, int], random: np.random.RandomState
) -> None:
    """Turn both eyes sideways and up or down, in place, in half of the calls."""
    sideways = random.uniform(-0.7, 0.7)
    upwards = random.uniform(-0.5, 0.4)
    if random.uniform() >= _GAZE_PROBABILITY:
        return
    inner, outer = ("Right", "Left") if sideways > 0 else ("Left", "Right")
    _set_components(
        expression,
        names,
        {
            "eyeLookIn" + inner: abs(sideways),
            "eyeLookOut" + outer: abs(sideways),
            "eyeLookUpLeft": upwards,
            "eyeLookUpRight": upwards,
            "eyeLookDownLeft": -upwards,
            "eyeLookDownRight": -upwards,
        },
    )


def _set_components(
    expression: np.ndarray, names: Dict[str, int], values: Dict[str, float]
) -> None:
    """Set components by name, in place; names that the model lacks are ignored."""
    for name, value in values.items():
        if name in names:
            expression[names[name]] = value
