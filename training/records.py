"""The record beside each checkpoint: what it is, and for which face model.

``iter_N.json`` lies beside ``iter_N.ckpt.*`` and is written last: a checkpoint without it was
never finished.
"""

import hashlib
import json
import os
import subprocess

from face_decoder import IMAGE_SIZE, coefficient_sizes
from face_model.sketch import fits_sketch, model_sketch
from tf_runtime import tf
from training.options import IMAGE_SIZES
from workspace.atomic import atomic_path
from workspace.errors import InputError
from workspace.json_files import read_json_object
from workspace.paths import REPO_ROOT

BFM09_VERTICES = 35709  # of the front of the head, which the published networks are for
CHECKPOINT_EXTENSION = ".ckpt"
RECORD_EXTENSION = ".json"
_PARTS = ("options", "loss_weights", "face_model", "coefficient_sizes", "data", "files")  # objects in the record
_GIT_TIMEOUT = 10  # seconds
_INCONSEQUENTIAL = ("resume", "quiet", "threads")  # options that results do not depend on


def run_record(options, model):
    """Describe a run: everything that its results depend on but the data.

    Args:
        options: ``training.options.TrainingOptions``.
        model: the ``FaceModel``.

    Returns:
        A dict for JSON.
    """
    settings = options._asdict()
    weights = settings.pop("loss_weights")
    return {
        "options": dict(settings),
        "loss_weights": dict(weights._asdict()),
        "face_model": {"name": model.name, "fingerprint": model.fingerprint(), "sketch": model_sketch(model)},
        "coefficient_sizes": dict(coefficient_sizes(model)._asdict()),
        "git_revision": git_revision(),
        "tensorflow": tf.VERSION,
    }


def data_record(folder):
    """Identify the training faces: their number and names decide their order.

    Args:
        folder: ``training.faces.FaceFolder``.

    Returns:
        A dict for JSON.
    """
    names = "\n".join(face.name for face in folder.faces)
    return {"faces": len(folder.faces), "names_digest": hashlib.sha256(names.encode("utf-8", "replace")).hexdigest()}


def changes(before, now):
    """Say what makes a resumed run differ from the one that wrote its checkpoint.

    Args:
        before: record of the checkpoint.
        now: record of the run that resumes.

    Returns:
        A list of sentences; empty if it will continue as if it had never stopped.
    """
    old, new = _settings(before), _settings(now)
    differing = ["{} {!r} instead of {!r}".format(name, new[name], old[name])
                 for name in sorted(new) if name in old and old[name] != new[name]]
    sentences = ["resuming with other options: " + ", ".join(differing)] if differing else []
    if before.get("data", now["data"]) != now["data"]:
        sentences.append("the training folder has changed since: {} faces, whose order is another from here on".format(
            now["data"]["faces"]))
    return sentences


def _settings(record):
    """Return name -> value of the options and loss weights that bear on the results."""
    settings = {name: value for name, value in record.get("options", {}).items() if name not in _INCONSEQUENTIAL}
    settings.update(("loss weight of " + name, value) for name, value in record.get("loss_weights", {}).items())
    return settings


def git_revision():
    """Return the code's git commit, with ``-dirty`` if it was changed since, or None without git."""
    try:
        output = subprocess.check_output(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"], cwd=REPO_ROOT,
            stderr=subprocess.DEVNULL, timeout=_GIT_TIMEOUT)
    except (OSError, subprocess.SubprocessError):
        return None
    return output.decode("ascii", "replace").strip() or None


def record_path(prefix):
    """Return where the record of the checkpoint ``prefix`` (``.../iter_N.ckpt``) lies."""
    stem = prefix[:-len(CHECKPOINT_EXTENSION)] if prefix.endswith(CHECKPOINT_EXTENSION) else prefix
    return stem + RECORD_EXTENSION


def write_json(path, content):
    """Write ``content`` as JSON, atomically and durably."""
    with atomic_path(path) as temporary:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())


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
    return size if size in IMAGE_SIZES else IMAGE_SIZE


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
    return trained.get("fingerprint") == model.fingerprint() or fits_sketch(model, trained.get("sketch"))


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
