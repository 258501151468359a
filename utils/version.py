"""The version of this code, as records and documents give it."""

import subprocess
from typing import Optional

from utils.paths import REPO_ROOT

VERSION = "1.0.0"
_GIT_TIMEOUT = 10  # seconds


def git_revision() -> Optional[str]:
    """Return the code's git commit, with ``-dirty`` if files have changed; None without git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        output = subprocess.check_output(
            command, cwd=REPO_ROOT, stderr=subprocess.DEVNULL, timeout=_GIT_TIMEOUT
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return output.decode("ascii", "replace").strip() or None
