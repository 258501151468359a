"""Compile the rasteriser for the TensorFlow that is installed: ``python -m mesh_renderer.build``.

Two libraries are made in ``mesh_renderer/lib``: the TensorFlow operation, and the core alone
with a C interface for callers without TensorFlow. Their names carry the TensorFlow version and
the kind of processor they are for (the core uses all its instructions: ``-march=native``) and a
digest of sources and flags. So a library is rebuilt exactly when it is out of date, and builds
for several versions of TensorFlow, or machines that share a folder, live side by side.

Where there is a CUDA compiler (``mesh_renderer.nvcc``), two more are made: the operation's kernels for
GPUs, and these with a C interface. Where there is none, nothing is missing on the CPU.
"""

import argparse
import glob
import hashlib
import os
import platform
import shlex
import subprocess
import sys
import tempfile

from mesh_renderer.nvcc import architecture_flags, find_nvcc
from utils.atomic import atomic_path
from utils.errors import InputError, run_main
from utils.tf_compat import tf

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
SOURCE_DIR = os.path.join(_PACKAGE, "csrc")
LIBRARY_DIR = os.path.join(_PACKAGE, "lib")

# The core is compiled on the machine that runs it, hence for its own processor. Contracting
# a * b + c into one rounding would change which pixel centres lie on an edge.
_CORE_FLAGS = ("-std=c++11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
               "-fopenmp-simd",
               "-fPIC", "-pthread")
_NATIVE_FLAG = "-march=native"
# Kept apart from the core: vector instructions beyond TensorFlow's own would change the
# alignment that Eigen, in TensorFlow's headers, expects of its tensors.
_OPERATION_FLAGS = ("-std=c++11", "-O2", "-fPIC", "-pthread", "-Wno-deprecated-declarations")
_CORE_SOURCES = ("rasterize_triangles.cc", "rasterize_triangles_grad.cc", "interpolate_attributes.cc",
                 "vertex_normals.cc", "posed_surface.cc", "linear_model.cc")
# Sums of products, in which one rounding less is as good, and twice as fast.
_CONTRACTED_SOURCES = ("linear_model.cc",)
_CONTRACTED_FLAGS = ("-ffp-contract=fast",)
_C_INTERFACE_SOURCES = ("rasterize_triangles_c.cc", "obj_text.cc", "painting.cc", "photograph.cc", "png.cc")
_OPERATION_SOURCES = ("rasterize_triangles_op.cc", "interpolate_attributes_op.cc", "vertex_normals_op.cc",
                      "posed_surface_op.cc", "linear_model_op.cc")
# The GPU draws the same picture: no contraction, divisions as exact as the processor's, no flushing to 0.
_CUDA_FLAGS = ("-std=c++14", "-O3", "--fmad=false", "--prec-div=true", "--prec-sqrt=true", "--ftz=false",
               "-Xcompiler", "-fPIC,-ffp-contract=off")
_CUDA_HOST_FLAGS = ("-std=c++11", "-O2", "-Xcompiler", "-fPIC,-pthread,-Wno-deprecated-declarations")
# CUDA's runtime comes along in the library, for itself alone: TensorFlow exports one of another version.
_CUDA_LINK_FLAGS = ("-shared", "--cudart=none", "-Xlinker", "--exclude-libs,ALL")
_CUDA_RUNTIME_FLAGS = ("-lcudart_static", "-ldl", "-lrt", "-lpthread")
_CUDA_SOURCES = ("rasterize_triangles.cu",)
_CUDA_C_INTERFACE_SOURCES = ("rasterize_triangles_cuda_c.cu",)
_GPU_OPERATION_SOURCES = ("rasterize_triangles_gpu_op.cc",)


def operation_library(force=False):
    """Return the path of the TensorFlow operation's library, compiling it first if need be.

    Args:
        force: compile even if the library is up to date.

    Raises:
        InputError: no C++ compiler, or it failed.
    """
    flags = tuple(tf.sysconfig.get_compile_flags())
    stem = "rasterize_triangles_tf{}".format(tf.VERSION)
    # Folders differ between environments; what they hold does not, for one version.
    portable = [flag for flag in flags if not flag.startswith("-I")]
    path = _library_path(stem, portable)
    if force or not os.path.exists(path):
        # As system headers, TensorFlow's own warnings stay out of the log.
        includes = ["-isystem" + flag[2:] if flag.startswith("-I") else flag for flag in flags]
        _build(path, stem, _OPERATION_SOURCES, _OPERATION_FLAGS + tuple(includes),
               tuple(tf.sysconfig.get_link_flags()))
    return path


def core_library(force=False):
    """Return the path of the library with the C interface, compiling it first if need be.

    Needs no TensorFlow. Arguments and errors as :func:`operation_library`.
    """
    stem = "rasterize_triangles_core"
    path = _library_path(stem, ())
    if force or not os.path.exists(path):
        _build(path, stem, _C_INTERFACE_SOURCES, _CORE_FLAGS, ())
    return path


def cuda_library(force=False):
    """Return the path of the CUDA kernels with a C interface, or None where there is no CUDA compiler.

    Needs no TensorFlow and, to be compiled, no GPU. Arguments and errors as :func:`operation_library`.
    """
    return _cuda_library("rasterize_triangles_cuda", _CUDA_C_INTERFACE_SOURCES, (), (), force)


def gpu_operation_library(force=False):
    """Return the path of the TensorFlow operation's kernels for GPUs, or None where there is no CUDA compiler.

    The library adds to that of :func:`operation_library`, which is to be loaded first. Arguments and
    errors as there.
    """
    # TensorFlow's flags name folders, which differ between environments, and a standard of their own.
    flags = tuple(tf.sysconfig.get_compile_flags())
    return _cuda_library("rasterize_triangles_gpu_tf{}".format(tf.VERSION), _GPU_OPERATION_SOURCES, flags,
                         tuple(tf.sysconfig.get_link_flags()), force)


def _cuda_library(stem, sources, flags, link_flags, force):
    path = _library_path(stem, [flag for flag in flags if not flag.startswith("-I")])
    if os.path.exists(path) and not force:
        return path
    nvcc = find_nvcc()
    if nvcc is None:
        return None
    _build_cuda(path, stem, nvcc, sources, flags, link_flags)
    return path


def _build_cuda(path, stem, nvcc, sources, flags, link_flags):
    """Compile the kernels and ``sources`` with nvcc, and link them to ``path``."""
    host_flags = list(_CUDA_HOST_FLAGS)
    for flag in flags:
        # nvcc takes one standard, and folders of system headers as an argument of their own.
        if flag.startswith("--std="):
            host_flags[0] = flag[1:]
        else:
            host_flags += ["-isystem", flag[2:]] if flag.startswith("-I") else [flag]
    jobs = [(source, list(_CUDA_FLAGS) + architecture_flags(nvcc)) for source in _CUDA_SOURCES]
    jobs += [(source, host_flags) for source in sources]
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for source, source_flags in jobs:
            objects.append(os.path.join(folder, source + ".o"))
            _run([nvcc, "-c", os.path.join(SOURCE_DIR, source), "-o", objects[-1]] + source_flags)
        library = os.path.join(folder, "library.so")
        # Where it comes from PyPI, nvcc looks in lib64 for what is in lib.
        folder_of_runtime = "-L" + os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(nvcc))), "lib")
        _run([nvcc] + list(_CUDA_LINK_FLAGS) + ["-o", library] + objects
             + [folder_of_runtime] + list(_CUDA_RUNTIME_FLAGS + link_flags))
        _install(library, path, stem)


def _library_path(stem, flags):
    """Return the file name that content and machine decide: another digest is another file."""
    digest = hashlib.sha256()
    for source in sorted(glob.glob(os.path.join(SOURCE_DIR, "*"))):
        with open(source, "rb") as file:
            digest.update(file.read())
    for text in (_CORE_SOURCES + _C_INTERFACE_SOURCES + _OPERATION_SOURCES + _CORE_FLAGS + _CONTRACTED_FLAGS
                 + _OPERATION_FLAGS + _CUDA_FLAGS + _CUDA_HOST_FLAGS + _CUDA_LINK_FLAGS + _CUDA_RUNTIME_FLAGS
                 + tuple(flags)):
        digest.update(text.encode() + b"\0")
    name = "{}_{}_{}.so".format(stem, _processor(), digest.hexdigest()[:12])
    return os.path.join(LIBRARY_DIR, name)


def _processor():
    """Name what ``-march=native`` compiles for: the machine and a digest of its instruction sets."""
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = platform.processor()
    return "{}-{}".format(platform.machine(), hashlib.sha256(flags.encode()).hexdigest()[:6])


def _build(path, stem, sources, flags, link_flags):
    """Compile ``sources`` with ``flags`` and the core with its own, and link them to ``path``."""
    compiler = shlex.split(os.environ.get("CXX", "g++"))
    core_flags = _CORE_FLAGS
    if _accepts(compiler, _NATIVE_FLAG):
        core_flags += (_NATIVE_FLAG,)
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        jobs = [(s, core_flags + (_CONTRACTED_FLAGS if s in _CONTRACTED_SOURCES else ())) for s in _CORE_SOURCES]
        jobs += [(s, core_flags if flags is _CORE_FLAGS else flags) for s in sources]
        for source, source_flags in jobs:
            objects.append(os.path.join(folder, source + ".o"))
            _run(compiler + ["-c", os.path.join(SOURCE_DIR, source), "-o", objects[-1]]
                 + list(source_flags))
        library = os.path.join(folder, "library.so")
        _run(compiler + ["-shared", "-pthread", "-o", library] + objects + list(link_flags))
        _install(library, path, stem)


def _accepts(compiler, flag):
    """Tell whether the compiler knows ``flag``; a missing compiler is reported here."""
    try:
        return subprocess.call(compiler + [flag, "-fsyntax-only", "-x", "c++", os.devnull],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        raise InputError(
            "The rasteriser must be compiled, and there is no C++ compiler {!r}: install one "
            "(Debian, Ubuntu: apt install g++) or name it in the variable CXX.".format(
                " ".join(compiler))) from None


def _run(command):
    """Run a compiler command; if it fails, keep what it said in a file."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               universal_newlines=True)
    output = process.communicate()[0]
    if process.returncode:
        log = os.path.join(LIBRARY_DIR, "build.log")
        with atomic_path(log) as temporary, open(temporary, "w") as file:
            file.write("{}\n{}".format(" ".join(command), output))
        raise InputError("The rasteriser did not compile; the compiler {!r} says why in {}.".format(
            command[0], log))


def _install(library, path, stem):
    """Put the finished library in its place, and remove those that it replaces."""
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as target:
            with open(library, "rb") as source:
                target.write(source.read())
    except OSError as error:
        raise InputError("The compiled rasteriser cannot be written to {}: {}.".format(
            os.path.dirname(path), error.strerror)) from None
    for other in glob.glob(os.path.join(LIBRARY_DIR, "{}_{}_*.so".format(stem, _processor()))):
        if other != path:
            os.remove(other)


def main(argv=None):
    """Build the libraries and print where they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--force", action="store_true", help="compile even what is up to date")
    arguments = parser.parse_args(argv)
    for build in (core_library, operation_library):
        print(os.path.relpath(build(force=arguments.force)))  # noqa: T201
    try:
        for path in (cuda_library(arguments.force), gpu_operation_library(arguments.force)):
            if path is not None:
                print(os.path.relpath(path))  # noqa: T201
    except InputError as error:  # a CUDA compiler that does not fit must not keep anyone from the CPU
        print("{} Work goes on without GPU.".format(error), file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    run_main(main)
