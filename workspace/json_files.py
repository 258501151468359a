"""JSON that other runs wrote, and that may since have been changed by anybody."""

import json
import os

MAX_BYTES = 1 << 20  # a record or a manifest has a few thousand


def read_json_object(path):
    """Return the dict that a JSON file holds, or None if it is missing, damaged, or holds something else."""
    if not os.path.isfile(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            content = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
