"""train.py with its cache of decoded faces beside its results instead of in the project."""

import functools
import os
import sys

import train
from dataset.face_cache import open_face_cache
from training import tasks
from utils.errors import run_main

if __name__ == "__main__":
    folder = sys.argv[sys.argv.index("--result_path") + 1]
    tasks.open_face_cache = functools.partial(
        open_face_cache, cache_dir=os.path.join(folder + "-cache")
    )
    run_main(train.main)
