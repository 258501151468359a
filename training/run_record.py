"""The record of a training run: everything that its results depend on."""

import hashlib
import subprocess

from face_model.coefficients import coefficient_sizes
from face_model.fingerprint import approximate_fingerprint
from utils.paths import REPO_ROOT
from utils.tf_compat import tf

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
        "face_model": {"name": model.name, "fingerprint": model.fingerprint(), "sketch": approximate_fingerprint(model)},
        "coefficient_sizes": dict(coefficient_sizes(model)._asdict()),
        "git_revision": git_revision(),
        "tensorflow": tf.VERSION,
    }


def data_record(folder):
    """Identify the training faces: their number and names decide their order.

    Args:
        folder: ``dataset.processed_faces.FaceFolder``.

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
