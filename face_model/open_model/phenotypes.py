"""Plausible random heads: weights of MakeHuman's macro targets and of 170 local traits.

A macro target belongs to one combination of categories of race, gender, age and build (say asian,
female, old); a head uses each with the product of its shares in them, as in MakeHuman. The local
targets form opposite pairs (nose-base-down, nose-base-up) on one or two sides (l-eye-...,
r-eye-...); a slider is one such pair on all its sides.
"""

import re
from typing import Dict, List, NamedTuple, Sequence, Tuple, Union

import numpy as np

from face_model.open_model.assets import Assets

RACES = ("african", "asian", "caucasian")
GENDERS = ("female", "male")
AGES = ("child", "young", "old")
AMOUNTS = ("min", "average", "max")

# The mean face, about 35 years old: equal shares of race and gender, these of the ages.
NEUTRAL_AGE = (0.0, 0.8, 0.2)

# Standard deviation of the sliders of a folder, in full targets. Full targets are caricatures.
SLIDER_DEVIATION = {
    "head": 0.20,
    "nose": 0.24,
    "mouth": 0.22,
    "eyes": 0.22,
    "chin": 0.22,
    "cheek": 0.24,
    "forehead": 0.24,
    "eyebrows": 0.24,
    "ears": 0.20,
    "neck": 0.12,
    "asym": 0.12,
}
# MakeHuman's average differs from BFM's in these traits; with them the five standard points fit to
# 1-2 px.
SLIDER_MEAN = {
    ("nose", "nose-scale-depth-decr-incr"): 0.42,
    ("head", "head-scale-vert-decr-incr"): -0.18,
    ("mouth", "mouth-scale-horiz-decr-incr"): 0.22,
    ("mouth", "mouth-trans-down-up"): 0.1,
    ("eyes", "eye-trans-down-up"): -0.13,
}
SIDE_DEVIATION = 0.05  # of the difference between left and right
MAXIMUM = 0.75  # sliders are clipped here

_OPPOSITES = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)
_NOT_OF_THE_HEAD = re.compile(r"asymm-|neck-height|neck-circ")

_Shares = Dict[str, np.ndarray]  # category -> [count] shares of the heads in it


class Slider(NamedTuple):
    """A trait with two directions; each side lists the columns of -1 and of +1 (-1: no column)."""

    mean: float
    deviation: float
    sides: Tuple[Tuple[int, int], ...]


class TargetSet(NamedTuple):
    """Displacement targets and the structure of their weights. T targets, macro targets first."""

    displacements: np.ndarray  # [T, V, 3] float32, dm
    macros: Tuple[Tuple[str, ...], ...]  # the categories of each macro target
    sliders: Tuple[Slider, ...]


def load_targets(
    assets: Assets, vertices: Union[slice, np.ndarray], vertex_count: int
) -> TargetSet:
    """Read every target of the head.

    Args:
        assets: an ``Assets``.
        vertices: the vertices to keep, a slice or [V] indices.
        vertex_count: number of vertices of the base mesh.

    Returns:
        A :class:`TargetSet`.
    """
    macros = _macro_categories()
    local = [
        (folder, name)
        for folder in sorted(SLIDER_DEVIATION)
        for name in assets.targets(folder)
        if not _NOT_OF_THE_HEAD.search(name)
    ]
    files = [("macrodetails", "-".join(categories)) for categories in macros] + local
    displacements = np.stack(
        [assets.target(folder, name, vertex_count)[vertices] for folder, name in files]
    )
    return TargetSet(displacements, tuple(macros), tuple(_make_sliders(local, len(macros))))


def neutral_weights(targets: TargetSet) -> np.ndarray:
    """Return the weights [T] of the average head."""
    average = np.array([[0.0, 1.0, 0.0]])
    shares = _shares(
        np.full((1, 3), 1 / 3.0), np.full(1, 0.5), np.array([NEUTRAL_AGE]), average, average
    )
    weights = _macro_weights(targets, shares, 1)
    for slider in targets.sliders:
        for side in slider.sides:
            _set_slider(weights, side, np.array([slider.mean]))
    return weights[0]


def sample_weights(targets: TargetSet, count: int, random: np.random.RandomState) -> np.ndarray:
    """Sample the weights [count, T] of random heads, balanced over race, gender and age.

    Args:
        targets: a :class:`TargetSet`.
        count: number of heads.
        random: a ``numpy.random.RandomState``.
    """
    # 1. macro targets
    race = random.dirichlet((0.45, 0.45, 0.45), count)  # mostly one, often a mixture of two
    male = np.clip(random.beta(0.5, 0.5, count), 0.02, 0.98)
    ages = _sample_ages(count, random)
    muscle = _sample_amounts(count, random)
    weight = _sample_amounts(count, random)
    weights = _macro_weights(targets, _shares(race, male, ages, muscle, weight), count)

    # 2. local traits, slightly different on the two sides
    for slider in targets.sliders:
        value = random.normal(slider.mean, slider.deviation, count)
        for side in slider.sides:
            difference: Union[float, np.ndarray] = 0.0
            if len(slider.sides) > 1:
                difference = random.normal(0.0, SIDE_DEVIATION, count)
            _set_slider(weights, side, np.clip(value + difference, -MAXIMUM, MAXIMUM))
    return weights


def _set_slider(weights: np.ndarray, side: Tuple[int, int], value: np.ndarray) -> None:
    minus, plus = side
    if minus >= 0:
        weights[:, minus] += np.maximum(-value, 0.0)
    if plus >= 0:
        weights[:, plus] += np.maximum(value, 0.0)


def _macro_categories() -> List[Tuple[str, ...]]:
    heads: List[Tuple[str, ...]] = [
        (race, gender, age) for race in RACES for gender in GENDERS for age in AGES
    ]
    bodies: List[Tuple[str, ...]] = [
        ("universal", gender, age, muscle + "muscle", weight + "weight")
        for gender in GENDERS
        for age in AGES
        for muscle in AMOUNTS
        for weight in AMOUNTS
    ]
    return heads + bodies


def _sample_ages(count: int, random: np.random.RandomState) -> np.ndarray:
    """Return shares of child, young and old, [count, 3].

    Ages range from teenagers (one in eight) to very old.
    """
    old = random.beta(0.8, 1.5, count)
    child = np.where(random.uniform(size=count) < 0.125, random.uniform(0.0, 0.4, count), 0.0)
    old = np.where(child > 0, 0.0, old)
    return np.stack([child, 1.0 - child - old, old], axis=1)


def _sample_amounts(count: int, random: np.random.RandomState) -> np.ndarray:
    """Return shares of little, average and much (of muscle or weight), [count, 3]."""
    value = np.clip(random.normal(0.0, 0.4, count), -1.0, 1.0)
    return np.stack([np.maximum(-value, 0.0), 1.0 - np.abs(value), np.maximum(value, 0.0)], axis=1)


def _shares(
    race: np.ndarray, male: np.ndarray, age: np.ndarray, muscle: np.ndarray, weight: np.ndarray
) -> _Shares:
    shares = {"universal": np.ones(len(male)), "male": male, "female": 1.0 - male}
    shares.update(zip(RACES, race.T))
    shares.update(zip(AGES, age.T))
    shares.update(("{}muscle".format(name), column) for name, column in zip(AMOUNTS, muscle.T))
    shares.update(("{}weight".format(name), column) for name, column in zip(AMOUNTS, weight.T))
    return shares


def _macro_weights(targets: TargetSet, shares: _Shares, count: int) -> np.ndarray:
    """Return weights [count, T], set for the macro targets and zero for the local ones."""
    weights = np.zeros((count, len(targets.displacements)), np.float64)
    for column, categories in enumerate(targets.macros):
        weights[:, column] = np.prod([shares[category] for category in categories], axis=0)
    return weights


def _make_sliders(local: Sequence[Tuple[str, str]], first_column: int) -> List[Slider]:
    """Group the (folder, name) of local targets into sliders."""
    column = {name: first_column + k for k, (_, name) in enumerate(local)}
    groups: Dict[Tuple[str, str], Dict[str, List[int]]] = {}
    for folder, name in local:
        trait, direction = _split_direction(folder, name)
        side, trait = (trait[0], trait[2:]) if re.match("[lr]-", trait) else ("", trait)
        sides = groups.setdefault((folder, trait), {})
        sides.setdefault(side, [-1, -1])[direction] = column[name]
    return [
        Slider(
            SLIDER_MEAN.get(trait, 0.0),
            SLIDER_DEVIATION[trait[0]],
            tuple((minus, plus) for _, (minus, plus) in sorted(sides.items())),
        )
        for trait, sides in sorted(groups.items())
    ]


def _split_direction(folder: str, name: str) -> Tuple[str, int]:
    """Split the direction from the name of a target.

    ``nose-base-up`` becomes ``("nose-base-down-up", 1)``; a target without an opposite has
    direction 1.
    """
    stem, _, last = name.rpartition("-")
    if folder == "asym":
        return stem, "lr".index(last)
    for minus, plus in _OPPOSITES:
        if last in (minus, plus):
            return "-".join((stem, minus, plus)), int(last == plus)
    return name, 1
