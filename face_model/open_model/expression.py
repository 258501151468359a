"""Expressions: ARKit's 52 blend shapes, and twelve more movements of mouth and nose.

Component k is the displacement of a blend shape at full strength: a coefficient of 1 is the whole
movement. So that coefficients set by hand and fitted ones mean the same, components are *not*
scaled to one standard deviation; a fit bounds them (0 to about 1.2), and its regularizer |b|^2 then
favors few, weak movements. `mouthClose` closes the lips of an open jaw, to be used with `jawOpen`.
"""

import numpy as np

from face_model.open_model.assets import Assets

# fmt: off
ARKIT_BLENDSHAPES = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight",
    "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft",
    "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight",
    "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft",
    "noseSneerRight", "tongueOut",
)

# MakeHuman's own expression units, which differ by race (their mean is used) and complete ARKit's.
EXTRA_UNITS = (
    "mouth-compression", "mouth-corner-puller", "mouth-depression",
    "mouth-depression-retraction", "mouth-elevation", "mouth-eversion", "mouth-parling",
    "mouth-part-later", "mouth-protusion", "mouth-retraction", "mouth-upward-retraction",
    "nose-compression",
)
# fmt: on
EXPRESSION_NAMES = ARKIT_BLENDSHAPES + EXTRA_UNITS

_RACES = ("african", "asian", "caucasian")


def expression_displacements(assets: Assets, vertex_count: int) -> np.ndarray:
    """Return the displacements of :data:`EXPRESSION_NAMES` on the base mesh.

    Args:
        assets: an ``Assets``.
        vertex_count: V.

    Returns:
        [64, V, 3] float32, dm.
    """
    blendshapes = [assets.blendshape(name, vertex_count) for name in ARKIT_BLENDSHAPES]
    units = [
        np.mean(
            [assets.target("expression/units/" + race, name, vertex_count) for race in _RACES],
            axis=0,
        )
        for name in EXTRA_UNITS
    ]
    return np.stack(blendshapes + units).astype(np.float32)
