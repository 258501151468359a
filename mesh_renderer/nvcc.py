"""The CUDA compiler: its path, and the GPUs to compile for."""

import glob
import os
import shutil
import subprocess
import sysconfig
from typing import List, Optional

# The oldest GPU of each generation, whose instructions its successors run too. GPUs that are newer
# than these translate the PTX of the newest one when the kernels are first used.
_GENERATIONS = ((70, 75), (80,), (90,))
_ARCHITECTURE = "compute_"


def find_nvcc() -> Optional[str]:
    """Return the path of nvcc, or None.

    Searched are the folders in the variables CUDA_HOME and CUDA_PATH, PATH, /usr/local/cuda, and
    Python's packages (``pip install nvidia-cuda-nvcc``).
    """
    folders = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    candidates = [os.path.join(folder, "bin", "nvcc") for folder in folders if folder]
    candidates += [shutil.which("nvcc") or "", "/usr/local/cuda/bin/nvcc"]
    packages = glob.escape(sysconfig.get_paths()["purelib"])
    candidates += sorted(
        glob.glob(os.path.join(packages, "nvidia", "*", "bin", "nvcc")), reverse=True
    )
    return next((path for path in candidates if path and os.access(path, os.X_OK)), None)


def architecture_flags(nvcc: str) -> List[str]:
    """Return the flags that name the GPUs to compile for, of those that this nvcc supports."""
    process = subprocess.Popen(
        [nvcc, "--list-gpu-arch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        universal_newlines=True,
    )
    numbers = [word[len(_ARCHITECTURE) :] for word in process.communicate()[0].split()]
    known = {int(number) for number in numbers if number.isdigit()}
    chosen = [
        min(known.intersection(generation))
        for generation in _GENERATIONS
        if known.intersection(generation)
    ]
    if not chosen:
        return []  # before CUDA 11, nvcc cannot list them: its default

    flags = []
    for number in chosen:
        flags += ["-gencode", "arch=compute_{0},code=sm_{0}".format(number)]
    return flags + ["-gencode", "arch=compute_{0},code=compute_{0}".format(chosen[-1])]
