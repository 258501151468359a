"""Data folders: beside the code, whatever the working directory."""

import os
import re

REPO_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

BFM_DIR = os.path.join(REPO_ROOT, "BFM")
NETWORK_DIR = os.path.join(REPO_ROOT, "network")
WEIGHTS_DIR = os.path.join(REPO_ROOT, "weights")
INPUT_DIR = os.path.join(REPO_ROOT, "input")
OUTPUT_DIR = os.path.join(REPO_ROOT, "output")
PROCESSED_DATA_DIR = os.path.join(REPO_ROOT, "processed_data")
RESULT_DIR = os.path.join(REPO_ROOT, "result")
CACHE_DIR = os.path.join(REPO_ROOT, ".cache")


def texture_stem(stem: str) -> str:
    """Return a name with "_" for what readers of OBJ and MTL files take for something else.

    They take blanks for separators, "#" for the start of a comment, and a name that begins with
    "-" for an option.
    """
    return re.sub(r"^-|#", "_", "_".join(stem.split()))


def key_of_name(stem: str) -> str:
    """Return a key that is equal for stems of photos whose files could coincide."""
    return texture_stem(stem).casefold()


def from_root(path: str) -> str:
    """Return a path relative to the repository's root if it lies within, as messages show it."""
    inside = os.path.abspath(path).startswith(REPO_ROOT + os.sep)
    return os.path.relpath(path, REPO_ROOT) if inside else path
