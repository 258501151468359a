"""Which case a number stands for."""

import os
from typing import Any, NamedTuple

import numpy as np

from tests.fuzz.damage import ACCIDENTS
from tests.fuzz.forgeries import LARGEST_PHOTOS
from tests.fuzz.kinds import KINDS, Stage, prepare
from tests.fuzz.places import NAMES, PLACES

_PLAIN_STEM = "photo"
_LARGEST_EVERY = 1250  # cases; each costs seconds


class Case(NamedTuple):
    """What is done in a case."""

    kind: str
    damage: str
    command: Any  # stage -> (module, arguments)
    random: Any  # a RandomState


def make_case(seed, number):
    """Return case ``number``: kinds take turns, and each kind goes through its damages in turn."""
    random = np.random.RandomState([seed, number])
    if number % _LARGEST_EVERY == _LARGEST_EVERY - 1:
        damages, kind, turn = sorted(LARGEST_PHOTOS), "png photo", number // _LARGEST_EVERY
    else:
        names = sorted(KINDS)
        kind, turn = names[number % len(names)], number // len(names)
        damages = damages_of(kind)
    commands = KINDS[kind].commands
    # The start is drawn, so that short runs with other seeds see other damages.
    start = np.random.RandomState([seed]).randint(10 ** 6)
    return Case(kind, damages[(start + turn) % len(damages)], commands[turn % len(commands)], random)


def damages_of(kind):
    """Return the names of all damages of a kind."""
    names = sorted(ACCIDENTS) + sorted(KINDS[kind].forgeries) + sorted(PLACES)
    return names + (sorted(NAMES) if "{stem}" in KINDS[kind].place else [])


def stage_case(case, root, originals):
    """Fill a case's folders, and do the damage.

    Returns:
        (module name, arguments).
    """
    stage = Stage(root, NAMES.get(case.damage, _PLAIN_STEM))
    with open(os.path.join(stage.outside, "bystander"), "w") as file:
        file.write("not to be touched\n")
    victim = prepare(KINDS[case.kind], stage, originals)
    module, arguments = case.command(stage)
    if case.damage in PLACES:
        PLACES[case.damage](victim, stage.outside)
    elif case.damage not in NAMES:
        with open(victim, "rb") as file:
            data = file.read()
        done = dict(ACCIDENTS, **dict(KINDS[case.kind].forgeries, **LARGEST_PHOTOS))[case.damage]
        # an accident and a forgery may share a name: the forgery is the more particular
        with open(victim, "wb") as file:
            file.write(done(case.random, data))
    return module, arguments
