"""Compile the native code for the installed TensorFlow: ``python -m mesh_renderer.build``.

Two libraries are built in ``mesh_renderer/lib``: the TensorFlow operations, and the core alone with
a C interface for callers without TensorFlow. Their names contain the TensorFlow version, the kind
of processor (the core uses all its instructions: ``-march=native``) and a digest of sources and
flags. So a library is rebuilt exactly when it is out of date, and libraries for several versions of
TensorFlow, or for machines that share a folder, do not overwrite each other.

Where there is a CUDA driver and a CUDA compiler (``mesh_renderer.nvcc``), or with ``--gpu``, two
more are built: the GPU kernels of the operations, and a function that counts the CUDA devices.
Without them, they are built when a GPU is first used.
"""

import argparse
import ctypes
import glob
import hashlib
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from concurrent import futures
from typing import Iterable, List, Optional, Sequence, Set, Tuple

from mesh_renderer.nvcc import architecture_flags, find_nvcc
from utils.atomic import atomic_path
from utils.errors import InputError, run_main
from utils.tf_compat import tf

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
SOURCE_DIR = os.path.join(_PACKAGE, "csrc")
LIBRARY_DIR = os.path.join(_PACKAGE, "lib")
_SOURCE_EXTENSIONS = (".cc", ".cu", ".h")

# Sources are relative to SOURCE_DIR, as are their includes.
_CORE_SOURCES = (
    "rasterize/rasterize_triangles.cc",
    "rasterize/rasterize_triangles_grad.cc",
    "rasterize/interpolate_attributes.cc",
    "decode/vertex_normals.cc",
    "decode/posed_surface.cc",
    "decode/linear_model.cc",
)
_C_INTERFACE_SOURCES = (
    "c_interface/rasterize_triangles_c.cc",
    "encode/obj_text.cc",
    "paint/painting.cc",
    "paint/photograph.cc",
    "encode/png.cc",
)
_OPERATION_SOURCES = ("operations.cc",)
_GPU_OPERATION_SOURCES = (
    "rasterize/rasterize_triangles.cu",
    "rasterize/rasterize_triangles_gpu_op.cc",
)
_DEVICE_COUNT_SOURCES = ("c_interface/cuda_device_count.cc",)

# The core is compiled for the processor of this machine. Contracting a * b + c into one rounding
# would change which pixel centers lie on an edge.
_CORE_FLAGS = (
    "-std=c++11",
    "-O3",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp-simd",
    "-fPIC",
    "-pthread",
)
_NATIVE_FLAG = "-march=native"
# Sums of products, for which one rounding less is as good, and twice as fast.
_CONTRACTED_SOURCES = ("decode/linear_model.cc",)
_CONTRACTED_FLAGS = ("-ffp-contract=fast",)
# Without -march=native: vector instructions that TensorFlow itself does not use would change the
# alignment of tensors that Eigen, in TensorFlow's headers, assumes.
_OPERATION_FLAGS = ("-std=c++11", "-O2", "-fPIC", "-pthread", "-Wno-deprecated-declarations")

# The GPU draws identical pictures: no contraction, divisions and roots as exact as the CPU's, no
# flushing of denormals to 0.
_CUDA_FLAGS = (
    "-std=c++14",
    "-O3",
    "--fmad=false",
    "--prec-div=true",
    "--prec-sqrt=true",
    "--ftz=false",
    "-Xcompiler",
    "-fPIC,-ffp-contract=off",
)
_CUDA_HOST_FLAGS = (
    "-std=c++11",
    "-O2",
    "-Xcompiler",
    "-fPIC,-pthread,-Wno-deprecated-declarations",
)
# The CUDA runtime is linked in and hidden: TensorFlow exports a runtime of another version.
_CUDA_LINK_FLAGS = ("-shared", "--cudart=none", "-Xlinker", "--exclude-libs,ALL")
_CUDA_RUNTIME_FLAGS = ("-lcudart_static", "-ldl", "-lrt", "-lpthread")


def build_operation_library(force: bool = False) -> str:
    """Return the path of the TensorFlow operations' library, compiling it first if necessary.

    Args:
        force: compile even if the library is up to date.

    Raises:
        InputError: no C++ compiler, or it failed.
    """
    flags = tuple(tf.sysconfig.get_compile_flags())
    stem = "rasterize_triangles_tf{}".format(tf.VERSION)
    path = _library_path(stem, _without_include_flags(flags))
    if force or not os.path.exists(path):
        # As system headers, TensorFlow's cause no warnings.
        includes = ["-isystem" + flag[2:] if flag.startswith("-I") else flag for flag in flags]
        _build(
            path,
            stem,
            _OPERATION_SOURCES,
            _OPERATION_FLAGS + tuple(includes),
            tuple(tf.sysconfig.get_link_flags()),
        )
    return path


def build_core_library(force: bool = False) -> str:
    """Return the path of the library with the C interface, compiling it first if necessary.

    Needs no TensorFlow. Arguments and errors as :func:`build_operation_library`.
    """
    stem = "rasterize_triangles_core"
    path = _library_path(stem)
    if force or not os.path.exists(path):
        _build(path, stem, _C_INTERFACE_SOURCES, _CORE_FLAGS, ())
    return path


def build_gpu_operation_library(force: bool = False) -> Optional[str]:
    """Return the path of the operations' GPU kernels, or None without a CUDA compiler.

    Load the library of :func:`build_operation_library` first: this one adds kernels to it.
    Arguments and errors as :func:`build_operation_library`.
    """
    return build_cuda_library(
        "rasterize_triangles_gpu_tf{}".format(tf.VERSION),
        _GPU_OPERATION_SOURCES,
        flags=tf.sysconfig.get_compile_flags(),
        link_flags=tf.sysconfig.get_link_flags(),
        force=force,
    )


def build_device_count_library(force: bool = False) -> Optional[str]:
    """Return the path of the library that counts CUDA devices, or None without a CUDA compiler.

    Needs no TensorFlow. Arguments and errors as :func:`build_operation_library`.
    """
    return build_cuda_library("cuda_device_count", _DEVICE_COUNT_SOURCES, force=force)


def build_cuda_library(
    stem: str,
    sources: Sequence[str],
    *,
    flags: Sequence[str] = (),
    link_flags: Sequence[str] = (),
    force: bool = False,
) -> Optional[str]:
    """Return the path of a library with CUDA code, compiling it first if necessary.

    Compiling needs no GPU.

    Args:
        stem: beginning of the library's file name.
        sources: kernels (.cu) and host code (.cc), each relative to ``SOURCE_DIR`` or absolute.
        flags: further flags of the host code.
        link_flags: further flags of the linker.
        force: compile even if the library is up to date.

    Returns:
        The path, or None if the library is missing and there is no CUDA compiler.

    Raises:
        InputError: the compiler failed.
    """
    path = _library_path(stem, _without_include_flags(flags), sources)
    if os.path.exists(path) and not force:
        return path
    nvcc = find_nvcc()
    if nvcc is None:
        return None
    _build_cuda(path, stem, nvcc, sources, flags, link_flags)
    return path


def _without_include_flags(flags: Iterable[str]) -> List[str]:
    """Drop include folders: they differ between environments, for one version of TensorFlow."""
    return [flag for flag in flags if not flag.startswith("-I")]


def _build(
    path: str,
    stem: str,
    sources: Sequence[str],
    flags: Tuple[str, ...],
    link_flags: Sequence[str],
) -> None:
    """Compile ``sources`` with ``flags`` and the core with its own, and link them to ``path``."""
    compiler = shlex.split(os.environ.get("CXX", "g++"))
    core_flags: Tuple[str, ...] = _CORE_FLAGS
    if _accepts_flag(compiler, _NATIVE_FLAG):
        core_flags += (_NATIVE_FLAG,)

    # The flags of each source.
    jobs = [
        (source, core_flags + (_CONTRACTED_FLAGS if source in _CONTRACTED_SOURCES else ()))
        for source in _CORE_SOURCES
    ]
    jobs += [(source, core_flags if flags is _CORE_FLAGS else flags) for source in sources]

    with tempfile.TemporaryDirectory() as folder:
        objects = [_object_path(folder, source) for source, _ in jobs]
        commands = [
            compiler
            + ["-c", os.path.join(SOURCE_DIR, source), "-o", result, "-I", SOURCE_DIR]
            + list(source_flags)
            for (source, source_flags), result in zip(jobs, objects)
        ]
        _run_all(commands)
        library = os.path.join(folder, "library.so")
        _run(compiler + ["-shared", "-pthread", "-o", library] + objects + list(link_flags))
        _install(library, path, stem)


def _build_cuda(
    path: str,
    stem: str,
    nvcc: str,
    sources: Sequence[str],
    flags: Sequence[str],
    link_flags: Sequence[str],
) -> None:
    """Compile ``sources`` with nvcc, host code also with ``flags``, and link them to ``path``."""
    # nvcc takes one language standard, and folders of system headers as separate arguments.
    host_flags = list(_CUDA_HOST_FLAGS)
    for flag in flags:
        if flag.startswith("--std="):
            host_flags[0] = flag[1:]
        else:
            host_flags += ["-isystem", flag[2:]] if flag.startswith("-I") else [flag]
    kernel_flags = list(_CUDA_FLAGS) + architecture_flags(nvcc)

    with tempfile.TemporaryDirectory() as folder:
        objects = [_object_path(folder, source) for source in sources]
        commands = [
            [nvcc, "-c", os.path.join(SOURCE_DIR, source), "-o", result, "-I", SOURCE_DIR]
            + (kernel_flags if source.endswith(".cu") else host_flags)
            for source, result in zip(sources, objects)
        ]
        _run_all(commands)
        library = os.path.join(folder, "library.so")
        # nvcc from PyPI searches lib64, but its libraries are in lib.
        toolkit = os.path.dirname(os.path.dirname(os.path.realpath(nvcc)))
        _run(
            [nvcc]
            + list(_CUDA_LINK_FLAGS)
            + ["-o", library]
            + objects
            + ["-L" + os.path.join(toolkit, "lib")]
            + list(_CUDA_RUNTIME_FLAGS)
            + list(link_flags)
        )
        _install(library, path, stem)


def _object_path(folder: str, source: str) -> str:
    return os.path.join(folder, os.path.basename(source) + ".o")


def _library_path(stem: str, flags: Iterable[str] = (), sources: Iterable[str] = ()) -> str:
    """Return the path of a library: another digest of sources and flags is another file.

    Args:
        stem: beginning of the file name.
        flags: flags in addition to those of this module.
        sources: sources of the library; those outside of ``SOURCE_DIR`` count with their folders.
    """
    digest = hashlib.sha256()
    for source in _source_files(sources):
        with open(source, "rb") as file:
            digest.update(file.read())
    for text in (
        _CORE_SOURCES
        + _C_INTERFACE_SOURCES
        + _OPERATION_SOURCES
        + _CORE_FLAGS
        + _CONTRACTED_FLAGS
        + _OPERATION_FLAGS
        + _CUDA_FLAGS
        + _CUDA_HOST_FLAGS
        + _CUDA_LINK_FLAGS
        + _CUDA_RUNTIME_FLAGS
        + tuple(flags)
        + tuple(map(os.path.basename, sources))
    ):
        digest.update(text.encode() + b"\0")
    name = "{}_{}_{}.so".format(stem, _processor(), digest.hexdigest()[:12])
    return os.path.join(LIBRARY_DIR, name)


def _source_files(sources: Iterable[str]) -> List[str]:
    """Return all source files in ``SOURCE_DIR`` and in the folders of absolute ``sources``."""
    folders: Set[str] = {folder for folder, _, _ in os.walk(SOURCE_DIR)}
    folders.update(os.path.dirname(source) for source in sources if os.path.isabs(source))
    return [
        os.path.join(folder, name)
        for folder in sorted(folders)
        for name in sorted(os.listdir(folder))
        if name.endswith(_SOURCE_EXTENSIONS)
    ]


def _processor() -> str:
    """Return a name of this processor: its architecture and a digest of its instruction sets."""
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = platform.processor()
    return "{}-{}".format(platform.machine(), hashlib.sha256(flags.encode()).hexdigest()[:6])


def _accepts_flag(compiler: List[str], flag: str) -> bool:
    """Return True if the compiler accepts ``flag``.

    Raises:
        InputError: there is no compiler.
    """
    try:
        status = subprocess.call(
            compiler + [flag, "-fsyntax-only", "-x", "c++", os.devnull],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        raise InputError(
            "The rasterizer must be compiled, but there is no C++ compiler {!r}: install one "
            "(Debian, Ubuntu: apt install g++) or set the variable CXX to its name.".format(
                " ".join(compiler)
            )
        ) from None
    return status == 0


def has_cuda_driver() -> bool:
    """Return True if this machine has the driver that every use of a CUDA device needs."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _run_all(commands: Sequence[List[str]]) -> None:
    """Run compiler commands, as many at once as there are processors; see :func:`_run`."""
    with futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as executor:
        for _ in executor.map(_run, commands):
            pass


def _run(command: List[str]) -> None:
    """Run a compiler command; if it fails, keep its output in a file."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    output = process.communicate()[0]
    if process.returncode:
        log = os.path.join(LIBRARY_DIR, "build.log")
        with atomic_path(log) as temporary, open(temporary, "w") as file:
            file.write("{}\n{}".format(" ".join(command), output))
        raise InputError(
            "The rasterizer did not compile; the output of the compiler {!r} is in {}.".format(
                command[0], log
            )
        )


def _install(library: str, path: str, stem: str) -> None:
    """Move the finished library to ``path``, and remove the libraries that it replaces."""
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as target:
            with open(library, "rb") as source:
                target.write(source.read())
    except OSError as error:
        raise InputError(
            "The compiled rasterizer cannot be written to {}: {}.".format(
                os.path.dirname(path), error.strerror
            )
        ) from None
    for other in glob.glob(os.path.join(LIBRARY_DIR, "{}_{}_*.so".format(stem, _processor()))):
        if other != path:
            os.remove(other)


def main(argv: Optional[List[str]] = None) -> None:
    """Build the libraries and print their paths."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--force", action="store_true", help="compile even libraries that are up to date"
    )
    parser.add_argument(
        "--gpu",
        action="store_true",
        help="compile the GPU kernels too where there is no GPU, as for a container's image",
    )
    arguments = parser.parse_args(argv)
    for build in (build_core_library, build_operation_library):
        print(os.path.relpath(build(force=arguments.force)))  # noqa: T201
    if not arguments.gpu and not has_cuda_driver():
        return
    try:
        for build_gpu in (build_device_count_library, build_gpu_operation_library):
            path = build_gpu(force=arguments.force)
            if path is not None:
                print(os.path.relpath(path))  # noqa: T201
    except InputError as error:  # an unsuitable CUDA compiler must not prevent the use of the CPU
        print("{} The GPU will not be used.".format(error), file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    run_main(main)
