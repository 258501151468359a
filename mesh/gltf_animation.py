"""Animations of binary glTF: weights of morph targets, rotation and translation of one node.

Follows the Khronos specification "glTF 2.0" (2021), section 3.11.
"""

from typing import Any, Dict, NamedTuple, Optional

import numpy as np

_FLOAT = 5126  # component type


class Animation(NamedTuple):
    """Keys of an animation at T times."""

    seconds: np.ndarray  # [T] rising, from 0
    weights: np.ndarray  # [T, targets]; no columns: the weights stay
    quaternions: np.ndarray  # [T, 4] x, y, z, w, unit length
    translations: np.ndarray  # [T, 3] meters
    name: str = "clip"
    vertical_fov: Optional[float] = None  # radians, of the camera at the origin; None: no camera
    aspect: float = 1.0  # width by height of the camera's picture


def add_animation(document: Dict[str, Any], buffer: Any, animation: Animation) -> None:
    """Add an animation of the first node to a glTF document, and the camera that filmed it.

    Args:
        document: the JSON object of the file, changed in place.
        buffer: ``mesh.gltf.GltfBuffer``, which gets the keys.
        animation: the keys.
    """
    # 1. keys
    times = buffer.keys(animation.seconds[:, np.newaxis], "SCALAR", bounds=True)
    channels = [
        ("rotation", buffer.keys(animation.quaternions, "VEC4")),
        ("translation", buffer.keys(animation.translations, "VEC3")),
    ]
    if animation.weights.shape[1]:
        channels.append(("weights", buffer.keys(animation.weights.reshape(-1, 1), "SCALAR")))

    # 2. the node's pose before the animation starts, its samplers and channels
    document["nodes"][0].update(
        rotation=animation.quaternions[0].tolist(), translation=animation.translations[0].tolist()
    )
    document["animations"] = [
        {
            "name": animation.name,
            "samplers": [
                {"input": times, "output": output, "interpolation": "LINEAR"}
                for _, output in channels
            ],
            "channels": [
                {"sampler": sampler, "target": {"node": 0, "path": path}}
                for sampler, (path, _) in enumerate(channels)
            ],
        }
    ]

    # 3. the camera
    if animation.vertical_fov is not None:
        lens = {
            "yfov": animation.vertical_fov,
            "aspectRatio": animation.aspect,
            "znear": 0.01,
        }
        document["cameras"] = [{"name": "clip", "type": "perspective", "perspective": lens}]
        document["nodes"].append({"name": "camera", "camera": 0})
        document["scenes"][0]["nodes"].append(len(document["nodes"]) - 1)
