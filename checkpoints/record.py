"""The JSON record beside each checkpoint: training options, data, face model and file list.

``iter_N.json`` lies beside ``iter_N.ckpt.*`` and is written last: a checkpoint without it was
never finished.
"""

import os
from typing import Any, Dict, List, Optional

from face_model.fingerprint import matches_fingerprint
from face_model.model import FaceModel
from geometry.camera import IMAGE_SIZE
from networks import R_NET_INPUT_SIZES
from utils.errors import InputError
from utils.json_files import read_json_object

BFM09_VERTICES = 35709  # the front of the head, which the published networks predict
CHECKPOINT_EXTENSION = ".ckpt"
RECORD_EXTENSION = ".json"
# The entries of a record that are objects.
_OBJECTS = ("options", "loss_weights", "face_model", "coefficient_sizes", "data", "files")


def record_path(prefix: str) -> str:
    """Return the path of the record of the checkpoint ``prefix`` (``.../iter_N.ckpt``)."""
    stem = prefix
    if prefix.endswith(CHECKPOINT_EXTENSION):
        stem = prefix[: -len(CHECKPOINT_EXTENSION)]
    return stem + RECORD_EXTENSION


def read_record(prefix: str) -> Optional[Dict[str, Any]]:
    """Return the record of a checkpoint, or None if it has none.

    Raises:
        InputError: it is damaged.
    """
    path = record_path(prefix)
    if not os.path.isfile(path):
        return None
    record = read_json_object(path)
    if record is not None and all(isinstance(record.get(entry, {}), dict) for entry in _OBJECTS):
        return record
    raise InputError(
        "{}: damaged; copy it again, or remove it to use the checkpoint unchecked".format(path)
    )


def trained_image_size(prefix: str) -> int:
    """Return the width and height of the photos that a checkpoint's R-Net was trained on, pixels.

    Args:
        prefix: path prefix of the checkpoint; 224 if it has no record (published checkpoints
            have none).
    """
    size = recorded_option(prefix, "image_size")
    return size if size in R_NET_INPUT_SIZES else IMAGE_SIZE


def recorded_option(prefix: str, name: str) -> Any:
    """Return an option of the training run that wrote a checkpoint; None if it is not recorded."""
    return ((read_record(prefix) or {}).get("options") or {}).get(name)


def image_size_notices(prefix: str, image_size: int) -> List[str]:
    """Return a warning, in a list, if the initial weights were trained at another image size.

    Args:
        prefix: path prefix of the checkpoint, or path of the frozen graph; without a record the
            list is empty.
        image_size: width and height of the photos of the new run, pixels.
    """
    trained = trained_image_size(prefix)
    if read_record(prefix) is None or trained == image_size:
        return []
    return [
        "{0} was trained on photos of {1}x{1} pixels and now gets {2}x{2}: until it has adapted, "
        "it is worse than it was; --supervision truth --image_size {1} continues at its "
        "size".format(prefix, trained, image_size)
    ]


def matches_face_model(record: Optional[Dict[str, Any]], model: FaceModel) -> bool:
    """Return True if a record names ``model``, or a face model that differs by rounding only.

    Args:
        record: the record of a checkpoint, or None if it has none.
        model: the face model in use.
    """
    trained = (record or {}).get("face_model")
    if not isinstance(trained, dict):
        return False
    return trained.get("fingerprint") == model.fingerprint() or matches_fingerprint(
        model, trained.get("sketch")
    )


def is_presumed_for_bfm09(record: Optional[Dict[str, Any]], model: FaceModel) -> bool:
    """Return True if a network must be presumed to predict BFM09, and ``model`` is not BFM09.

    A network whose record names no face model is most likely a published one, trained for BFM09.
    The numbers of coefficients do not show it: the open face model has as many.

    Args:
        record: the record of a checkpoint, or None if it has none.
        model: the face model in use.
    """
    recorded = isinstance((record or {}).get("face_model"), dict)
    return not recorded and model.vertex_count != BFM09_VERTICES


def require_face_model(prefix: str, model: FaceModel) -> None:
    """Raise an InputError if a checkpoint's record names another face model than ``model``.

    Args:
        prefix: path prefix of the checkpoint; one without a record (published checkpoints have
            none) passes, see :func:`is_presumed_for_bfm09`.
        model: the face model in use.
    """
    record = read_record(prefix)
    trained = (record or {}).get("face_model")
    if not isinstance(trained, dict) or matches_face_model(record, model):
        return
    raise InputError(
        "{}: was trained for the face model {} with the fingerprint {}, but this one is {} with "
        "{}; give the file it was trained for as --face_model".format(
            prefix,
            trained.get("name"),
            trained.get("fingerprint"),
            model.name,
            model.fingerprint(),
        )
    )
