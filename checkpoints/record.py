"""The record beside each checkpoint: what it is, and for which face model.

``iter_N.json`` lies beside ``iter_N.ckpt.*`` and is written last: a checkpoint without it was
never finished.
"""

import os

from face_model.fingerprint import matches_fingerprint
from geometry.camera import IMAGE_SIZE
from networks import R_NET_INPUT_SIZES
from utils.errors import InputError
from utils.json_files import read_json_object

BFM09_VERTICES = 35709  # of the front of the head, which the published networks are for
CHECKPOINT_EXTENSION = ".ckpt"
RECORD_EXTENSION = ".json"
_PARTS = ("options", "loss_weights", "face_model", "coefficient_sizes", "data", "files")  # objects in the record


def record_path(prefix):
    """Return where the record of the checkpoint ``prefix`` (``.../iter_N.ckpt``) lies."""
    stem = prefix[:-len(CHECKPOINT_EXTENSION)] if prefix.endswith(CHECKPOINT_EXTENSION) else prefix
    return stem + RECORD_EXTENSION


def read_record(prefix):
    """Return the record of a checkpoint, or None if it has none.

    Raises:
        InputError: it is damaged.
    """
    path = record_path(prefix)
    if not os.path.isfile(path):
        return None
    record = read_json_object(path)
    if record is not None and all(isinstance(record.get(part, {}), dict) for part in _PARTS):
        return record
    raise InputError("{}: damaged; copy it again, or remove it to use the checkpoint unchecked".format(path))


def trained_image_size(prefix):
    """Return the width and height of the photos that a checkpoint's R-Net was trained on, pixels.

    Args:
        prefix: of the checkpoint; without a record (published checkpoints have none) it is 224.
    """
    size = ((read_record(prefix) or {}).get("options") or {}).get("image_size", IMAGE_SIZE)
    return size if size in R_NET_INPUT_SIZES else IMAGE_SIZE


def other_image_size(prefix, image_size):
    """Return what there is to say where training starts from weights that know faces in another size: a list.

    Args:
        prefix: of the checkpoint, or path of the frozen graph; without a record nothing is said.
        image_size: width and height of the photos of the run that starts, pixels.
    """
    trained = trained_image_size(prefix)
    if read_record(prefix) is None or trained == image_size:
        return []
    return ["{0} was trained on photos of {1}x{1} pixels and now gets {2}x{2}: until it has adapted, it is worse than "
            "it was; --supervision truth --image_size {1} goes on at its size".format(prefix, trained, image_size)]


def is_for_face_model(prefix, model):
    """Say whether a checkpoint's record names ``model``, or one that differs from it by rounding only.

    Args:
        prefix: of the checkpoint.
        model: a ``FaceModel``.
    """
    trained = (read_record(prefix) or {}).get("face_model")
    if not isinstance(trained, dict):
        return False
    return trained.get("fingerprint") == model.fingerprint() or matches_fingerprint(model, trained.get("sketch"))


def counts_as_bfm09s(prefix, model):
    """Say whether a network is to be taken for BFM09's although ``model`` is another.

    A network without a record of its face model is most likely a published one, and those are for
    BFM09. Numbers of coefficients do not tell: the open face model has as many.

    Args:
        prefix: of the checkpoint, or path of the frozen graph.
        model: a ``FaceModel``.
    """
    recorded = isinstance((read_record(prefix) or {}).get("face_model"), dict)
    return not recorded and model.vertex_count != BFM09_VERTICES


def require_face_model(prefix, model):
    """Raise an InputError if a checkpoint's record names another face model than ``model``.

    Args:
        prefix: of the checkpoint; without a record (published checkpoints have none) nothing is said here,
            see :func:`counts_as_bfm09s`.
        model: a ``FaceModel``.
    """
    trained = (read_record(prefix) or {}).get("face_model")
    if not isinstance(trained, dict) or is_for_face_model(prefix, model):
        return
    raise InputError("{}: was trained for the face model {} with the fingerprint {}, but here is {} with {}; give the "
                     "file it was trained for as --face_model".format(
                         prefix, trained.get("name"), trained.get("fingerprint"), model.name, model.fingerprint()))
