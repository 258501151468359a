"""A model's fingerprint follows its numbers, whichever model was asked before."""

import hashlib

import numpy as np

from face_model import read_face_model
from tests.paths import TOY_MODEL


def digest(model):
    """The definition, without any memory."""
    total = hashlib.sha256()
    for value in model:
        if isinstance(value, np.ndarray):
            total.update("{}{}".format(value.dtype.str, value.shape).encode())
            total.update(value.tobytes())
    return total.hexdigest()[:16]


def test_fingerprints_follow_the_numbers():
    model = read_face_model(TOY_MODEL)
    changed = model._replace(skin_mask=model.skin_mask * 0.5)
    for _ in range(2):
        assert model.fingerprint() == digest(model)
        assert changed.fingerprint() == digest(changed) != digest(model)
        assert read_face_model(TOY_MODEL).fingerprint() == digest(model)


def test_names_do_not_count():
    model = read_face_model(TOY_MODEL)
    assert model._replace(name="renamed", expression_names=("a",)).fingerprint() == digest(model)


def test_a_model_that_is_gone_is_not_remembered():
    """Arrays at the same place in memory are other arrays."""
    model = read_face_model(TOY_MODEL)
    for value in range(3):
        other = model._replace(skin_mask=np.full_like(model.skin_mask, value))
        assert other.fingerprint() == digest(other)
        del other
