"""Compile the rasteriser for the TensorFlow that is installed: ``python -m mesh_renderer.build``.

Two libraries are made in ``mesh_renderer/lib``: the TensorFlow operation, and the core alone
with a C interface for callers without TensorFlow. Their names carry the TensorFlow version and
the kind of processor they are for (the core uses all its instructions: ``-march=native``) and a
digest of sources and flags. So a library is rebuilt exactly when it is out of date, and builds
for several versions of TensorFlow, or machines that share a folder, live side by side.
"""

import argparse
import glob
import hashlib
import os
import platform
import shlex
import subprocess
import tempfile

from tf_runtime import tf
from workspace.atomic import atomic_path
from workspace.errors import InputError, run_main

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


def _library_path(stem, flags):
    """Return the file name that content and machine decide: another digest is another file."""
    digest = hashlib.sha256()
    for source in sorted(glob.glob(os.path.join(SOURCE_DIR, "*"))):
        with open(source, "rb") as file:
            digest.update(file.read())
    for text in (_CORE_SOURCES + _C_INTERFACE_SOURCES + _OPERATION_SOURCES + _CORE_FLAGS + _CONTRACTED_FLAGS
                 + _OPERATION_FLAGS + tuple(flags)):
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
    """Build both libraries and print where they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--force", action="store_true", help="compile even what is up to date")
    arguments = parser.parse_args(argv)
    for build in (core_library, operation_library):
        print(os.path.relpath(build(force=arguments.force)))  # noqa: T201


if __name__ == "__main__":
    run_main(main)
