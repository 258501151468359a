"""Run the TensorFlow operations under the sanitizers, which takes minutes.

``python -m tests.mesh_renderer.sanitizer.operations`` compiles the operations with
AddressSanitizer, and their core also with UndefinedBehaviorSanitizer, and runs them on the inputs
of ``tests/mesh_renderer/test_sanitizer.py``. TensorFlow itself is not instrumented, so the
sanitizers' libraries are loaded before it.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile

from mesh_renderer import build
from tests.mesh_renderer import test_sanitizer
from utils.paths import REPO_ROOT
from utils.tf_compat import tf

_COMMAND = "tests.mesh_renderer.sanitizer.operations"
_FLAGS = [
    "-std=c++11",
    "-g",
    "-O1",
    "-fsanitize=address",
    "-fno-omit-frame-pointer",
    "-fPIC",
    "-pthread",
    "-ffp-contract=off",
    "-Wno-psabi",
    "-Wno-unknown-pragmas",
    "-Wno-deprecated-declarations",
    "-I",
    build.SOURCE_DIR,
]
_UNDEFINED = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
_LIBRARIES = ("libasan.so", "libubsan.so")
# Ignore TensorFlow's own leaks, and its pairs of new and free.
_OPTIONS = ":".join(
    [
        "detect_leaks=0",
        "alloc_dealloc_mismatch=0",
        "detect_odr_violation=0",
        "allocator_may_return_null=1",
    ]
)


def compile_operations(path):
    """Compile all operations, with the sanitizers, into a library."""
    compiler = shlex.split(os.environ.get("CXX", "g++"))
    tensorflow_flags = [
        "-isystem" + flag[2:] if flag.startswith("-I") else flag
        for flag in tf.sysconfig.get_compile_flags()
    ]
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for names, flags in (
            (build._CORE_SOURCES, _UNDEFINED),
            (build._OPERATION_SOURCES, tensorflow_flags),
        ):
            for name in names:
                objects.append(os.path.join(folder, os.path.basename(name) + ".o"))
                source = os.path.join(build.SOURCE_DIR, name)
                subprocess.check_call(compiler + _FLAGS + flags + ["-c", source, "-o", objects[-1]])
        subprocess.check_call(
            compiler
            + _FLAGS
            + _UNDEFINED
            + ["-shared"]
            + objects
            + ["-o", path]
            + tf.sysconfig.get_link_flags()
        )


def run_operations(path):
    """Run the operations of a library on valid and invalid inputs; a fault ends the process."""
    library = tf.load_op_library(path)
    test_sanitizer.load_operations = lambda: library
    for name in sorted(test_sanitizer.valid_inputs()):
        test_sanitizer.test_every_operation_accepts_or_rejects_any_input(name)
        print("{}: clean".format(name), flush=True)


def main():
    """Compile, and run in a process that has loaded the sanitizers' libraries."""
    parser = argparse.ArgumentParser(
        prog="python -m " + _COMMAND, description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "library", nargs="?", help="compiled operations to run in this process; default: compile"
    )
    library = parser.parse_args().library
    if library:
        run_operations(library)
        return 0

    compiler = shlex.split(os.environ.get("CXX", "g++"))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "operations.so")
        compile_operations(path)
        libraries = [
            subprocess.check_output(
                compiler + ["-print-file-name=" + name], universal_newlines=True
            ).strip()
            for name in _LIBRARIES
        ]
        environment = dict(
            os.environ,
            LD_PRELOAD=" ".join(libraries),
            ASAN_OPTIONS=_OPTIONS,
            TF_CPP_MIN_LOG_LEVEL="3",
            CUDA_VISIBLE_DEVICES="-1",
        )
        return subprocess.call(
            [sys.executable, "-m", _COMMAND, path], cwd=REPO_ROOT, env=environment
        )


if __name__ == "__main__":
    sys.exit(main())
