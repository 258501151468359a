"""The record of a training run: all settings that its results depend on."""

import hashlib
from typing import Any, Dict, List, Mapping

from dataset.processed_faces import FaceFolder
from face_model import FaceModel
from face_model.coefficients import coefficient_sizes
from face_model.fingerprint import describe_face_model
from training.options import TrainingOptions
from utils.tf_compat import tf
from utils.version import VERSION, git_revision

# Options that may differ between the workers of a cluster: paths of one machine, and the chief's.
_OWN_OPTIONS = ("data_path", "val_data_path", "result_path", "init_weights", "face_model", "keep")
_INCONSEQUENTIAL = ("resume", "quiet", "threads")  # options that results do not depend on


def describe_run(options: TrainingOptions, model: FaceModel) -> Dict[str, Any]:
    """Return the settings that the results of a run depend on, except the data, for JSON."""
    settings = options._asdict()
    weights = settings.pop("loss_weights")
    return {
        "options": dict(settings),
        "loss_weights": dict(weights._asdict()),
        "face_model": describe_face_model(model),
        "coefficient_sizes": dict(coefficient_sizes(model)._asdict()),
        "version": VERSION,
        "git_revision": git_revision(),
        "tensorflow": tf.VERSION,
    }


def describe_data(folder: FaceFolder) -> Dict[str, Any]:
    """Return number and names' digest of the training faces, which determine their order."""
    names = "\n".join(face.name for face in folder.faces)
    digest = hashlib.sha256(names.encode("utf-8", "replace")).hexdigest()
    return {"faces": len(folder.faces), "names_digest": digest}


def describe_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> List[str]:
    """Describe differences between a resumed run and the run that wrote its checkpoint.

    Args:
        before: record of the checkpoint.
        now: record of the resumed run.

    Returns:
        Sentences; none if the run will continue as if it had never stopped.
    """
    old, new = _settings(before), _settings(now)
    differing = [
        "{} {!r} instead of {!r}".format(name, new[name], old[name])
        for name in sorted(new)
        if name in old and old[name] != new[name]
    ]
    sentences = ["resuming with other options: " + ", ".join(differing)] if differing else []
    if before.get("data", now["data"]) != now["data"]:
        sentences.append(
            "the training folder has changed: it holds {} faces, whose order is another from here "
            "on".format(now["data"]["faces"])
        )
    return sentences


def shared_settings(record: Mapping[str, Any], identity: str) -> Dict[str, Any]:
    """Return the settings that all workers of a cluster must share.

    Args:
        record: record of the run, with its data.
        identity: kind and file of the identity network.
    """
    apart = _INCONSEQUENTIAL + _OWN_OPTIONS + ("batch_norm_decay",)
    options = {name: value for name, value in record["options"].items() if name not in apart}
    return dict(record, options=options, identity=identity)


def _settings(record: Mapping[str, Any]) -> Dict[str, Any]:
    """Return name -> value of the options and loss weights that affect the results."""
    settings = {
        name: value
        for name, value in record.get("options", {}).items()
        if name not in _INCONSEQUENTIAL
    }
    weights = record.get("loss_weights", {})
    settings.update(("loss weight of " + name, value) for name, value in weights.items())
    return settings
