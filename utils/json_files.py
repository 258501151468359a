"""JSON files; those that are read may have been changed by anybody."""

import json
import os
from typing import Any, Dict, Optional

from utils.atomic import atomic_path

MAX_BYTES = 1 << 20  # a record or a manifest has a few thousand


def read_json_object(path: str) -> Optional[Dict[str, Any]]:
    """Return the dict of a JSON file; None if it is missing, damaged, or not an object."""
    if not os.path.isfile(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            content = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def write_json(path: str, content: Dict[str, Any]) -> None:
    """Write ``content`` as JSON, atomically and durably."""
    with atomic_path(path) as temporary:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
