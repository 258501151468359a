"""Expressions: ARKit's 52 facial actions, and twelve more ways to move the mouth and the eyes.

Component k is the displacement of action k at full strength: a coefficient of 1 is the whole action. So that a
coefficient means the same to a person who sets it and to a fit, components are *not* scaled to one standard
deviation; a fit bounds them (0 to about 1.2) and its regulariser |b|^2 then favours few, weak actions.
`mouthClose` is ARKit's: it closes the lips of an open jaw, and is meant to be used with `jawOpen`.
"""

import numpy as np

FACIAL_ACTIONS = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft",
    "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight",
    "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight",
    "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight",
    "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut")

# MakeHuman's own expression units, which differ by race (the mean is taken) and complete ARKit's set.
EXTRA_UNITS = (
    "mouth-compression", "mouth-corner-puller", "mouth-depression", "mouth-depression-retraction",
    "mouth-elevation", "mouth-eversion", "mouth-parling", "mouth-part-later", "mouth-protusion",
    "mouth-retraction", "mouth-upward-retraction", "nose-compression")
EXPRESSION_NAMES = FACIAL_ACTIONS + EXTRA_UNITS

_RACES = ("african", "asian", "caucasian")


def facial_displacements(assets, vertex_count):
    """Return the displacements [64, V, 3] float32 of :data:`EXPRESSION_NAMES` on the base mesh, in dm.

    Args:
        assets: an ``Assets``.
        vertex_count: V.
    """
    actions = [assets.facial_action(name, vertex_count) for name in FACIAL_ACTIONS]
    units = [np.mean([assets.target("expression/units/" + race, name, vertex_count) for race in _RACES], axis=0)
             for name in EXTRA_UNITS]
    return np.stack(actions + units).astype(np.float32)
