"""The CUDA compiler: where it is, and which GPUs it is to compile for."""

import glob
import os
import shutil
import subprocess
import sysconfig

# Of each generation the oldest, whose instructions its successors run as well; newer GPUs than the
# compiler knows, or than these, translate the newest one's PTX when the kernels are first used.
_GENERATIONS = ((70, 75), (80,), (90,))


def find_nvcc():
    """Return the path of nvcc, or None.

    It is looked for in the folders that the variables CUDA_HOME and CUDA_PATH name, on PATH, in
    /usr/local/cuda, and among Python's packages, of which ``pip install nvidia-cuda-nvcc`` is one.
    """
    folders = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    candidates = [os.path.join(folder, "bin", "nvcc") for folder in folders if folder]
    candidates += [shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc"]
    packages = sysconfig.get_paths()["purelib"]
    candidates += sorted(glob.glob(os.path.join(glob.escape(packages), "nvidia", "*", "bin", "nvcc")), reverse=True)
    return next((path for path in candidates if path and os.access(path, os.X_OK)), None)


def architecture_flags(nvcc):
    """Return the flags that name the GPUs to compile for, as far as this nvcc knows them."""
    process = subprocess.Popen([nvcc, "--list-gpu-arch"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               universal_newlines=True)
    known = {int(word[len("compute_"):]) for word in process.communicate()[0].split()
             if word[len("compute_"):].isdigit()}
    chosen = [min(known.intersection(generation)) for generation in _GENERATIONS if known.intersection(generation)]
    if not chosen:
        return []  # before CUDA 11, which cannot be asked: its own choice
    flags = []
    for number in chosen:
        flags += ["-gencode", "arch=compute_{0},code=sm_{0}".format(number)]
    return flags + ["-gencode", "arch=compute_{0},code=compute_{0}".format(chosen[-1])]
