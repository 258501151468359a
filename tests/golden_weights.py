"""The weights under which the published networks were measured, derived from variable names."""

import json
import os
import zlib
from typing import Any, Dict, List, Sequence

import numpy as np

from tests.paths import GOLDEN


def golden_variables(network: str) -> Dict[str, List[int]]:
    """Return published variable name -> shape of r_net, facenet or gcn_mesh_generator."""
    with open(os.path.join(GOLDEN, "variables.json")) as file:
        return json.load(file)[network]


def golden_values(shapes: Dict[str, List[int]]) -> Dict[str, np.ndarray]:
    """Return the array of each variable of ``shapes`` (name -> shape)."""
    return {name: golden_value(name, shape) for name, shape in shapes.items()}


def golden_value(name: str, shape: Sequence[int]) -> np.ndarray:
    """Return a variable's value: normal noise seeded by its name, scaled by its role."""
    noise = np.random.RandomState(zlib.crc32(name.encode()) & 0xFFFFFFFF).standard_normal(shape)
    role = name.split("/")[-1]
    if role == "weights":
        return np.float32(noise * _weight_scale(name, shape))
    if role == "gamma":
        return np.float32(1.0 + 0.1 * noise)
    if role == "moving_variance":
        return np.float32(1.0 + 0.2 * np.abs(noise))
    return np.float32(0.1 * noise)


def load_golden_variables(variables: Sequence[Any], session: Any) -> None:
    """Set ``variables`` of the session's graph."""
    for variable in variables:
        variable.load(golden_value(variable.op.name, variable.shape.as_list()), session)


def relative_error(ours: np.ndarray, published: np.ndarray) -> float:
    """Return the largest difference over the largest magnitude."""
    ours, published = np.asarray(ours, np.float64), np.asarray(published, np.float64)
    assert ours.shape == published.shape
    return np.abs(ours - published).max() / np.abs(published).max()


def _weight_scale(name, shape):
    if name.startswith("fc-"):
        return 0.01
    if name.startswith("gcn"):
        return 0.1
    gain = 1.0 if name.startswith("resnet") else 2.0
    return np.sqrt(gain / np.prod(shape[:-1]))
