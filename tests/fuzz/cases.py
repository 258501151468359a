"""Cases by number: kind of file, damage, command."""

import os
from typing import Any, List, NamedTuple, Tuple

import numpy as np

from tests.fuzz.damage import ACCIDENTS
from tests.fuzz.forgeries import LARGEST_PHOTOS
from tests.fuzz.kinds import KINDS, Stage, found, prepare
from tests.fuzz.places import FOLDERS, NAMES, PLACES

_PLAIN_STEM = "photo"
_LARGEST_EVERY = 1250  # cases; each costs seconds
# Cases that start a process of their own, which costs seconds as well; the interval is a prime.
_WHOLE_EVERY, _WHOLE_FIRST = 101, 7
# Kinds that are read without stand-ins, or refused before.
_WHOLE_KINDS = (
    "png photo",
    "jpg photo",
    "five points",
    "face model",
    "frozen network",
    "predictions",
    "annotation",
    "stored face",
    "manifest",
)


# The order of the kinds in a round: each occurs ``turns`` times, its turns spread over the round
# from each other.
_ROUND = [
    name
    for _, name in sorted(
        ((turn + 0.5) / kind.turns, name)
        for name, kind in KINDS.items()
        for turn in range(kind.turns)
    )
]


# Each kind of file with each command that reads it; case -1 - N is number N of these, with nothing
# damaged.
WHOLE = [
    (name, command)
    for name, kind in sorted(KINDS.items())
    for command in sorted(set(kind.commands), key=kind.commands.index)
]
NOTHING = "no damage"


class Case(NamedTuple):
    """A damage to a file of a kind, and the command that reads it."""

    kind: str
    damage: str
    command: Any  # stage -> (module, arguments)
    random: Any  # a RandomState
    whole: (
        bool  # run as ``python demo.py`` is, instead of in a fork of what has imported everything
    )


def make_case(seed: int, number: int) -> Case:
    """Return case ``number``: kinds take turns, and each kind goes through its damages in turn."""
    if number < 0:
        return Case(WHOLE[-1 - number][0], NOTHING, WHOLE[-1 - number][1], None, False)
    random = np.random.RandomState([seed, number])
    whole = number % _WHOLE_EVERY == _WHOLE_FIRST
    if number % _LARGEST_EVERY == _LARGEST_EVERY - 1:
        damages, kind, turn = sorted(LARGEST_PHOTOS), "png photo", number // _LARGEST_EVERY
    else:
        names = _WHOLE_KINDS if whole else _ROUND
        position = number // _WHOLE_EVERY if whole else number
        kind, turn = names[position % len(names)], position // len(names)
        turn = turn * names.count(kind) + names[: position % len(names)].count(kind)
        damages = damages_of(kind)
    commands = KINDS[kind].commands[:1] if whole else KINDS[kind].commands
    # The start is drawn, so that short runs with other seeds see other damages.
    start = np.random.RandomState([seed]).randint(10**6)
    return Case(
        kind, damages[(start + turn) % len(damages)], commands[turn % len(commands)], random, whole
    )


def damages_of(kind: str) -> List[str]:
    """Return the names of all damages of a kind."""
    names = sorted(ACCIDENTS) + sorted(KINDS[kind].forgeries) + sorted(PLACES)
    return names + (sorted(NAMES) if "{stem}" in KINDS[kind].place else [])


def stage_case(case: Case, root: str, originals: str) -> Tuple[str, List[str]]:
    """Fill a case's folders, and do the damage.

    Returns:
        (module name, arguments).
    """
    stage = Stage(root, NAMES.get(case.damage, _PLAIN_STEM))
    with open(os.path.join(stage.outside, "bystander"), "w") as file:
        file.write("not to be touched\n")
    victim = prepare(KINDS[case.kind], stage, originals)
    module, arguments = case.command(stage)
    victim = found(victim)
    places = dict(PLACES, **FOLDERS)
    if case.damage in places:
        places[case.damage](victim, stage.outside)
    elif case.damage not in NAMES and case.damage != NOTHING:
        with open(victim, "rb") as file:
            data = file.read()
        done = dict(ACCIDENTS, **dict(KINDS[case.kind].forgeries, **LARGEST_PHOTOS))[case.damage]
        # an accident and a forgery may share a name: the forgery is the more particular
        with open(victim, "wb") as file:
            file.write(done(case.random, data))
    return module, arguments
