"""The TensorFlow operations under the sanitizers: ``python -m tests.mesh_renderer.sanitizer.operations``, which takes minutes.

The operations are compiled with AddressSanitizer, their core with UndefinedBehaviorSanitizer besides, and are given
everything that ``tests/test_sanitizer.py`` gives them. TensorFlow itself is not instrumented, so the sanitizers'
libraries are loaded before it.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile

from mesh_renderer import build
from tests import test_sanitizer
from utils.paths import REPO_ROOT
from utils.tf_compat import tf

_FLAGS = ["-std=c++11", "-g", "-O1", "-fsanitize=address", "-fno-omit-frame-pointer", "-fPIC", "-pthread",
          "-ffp-contract=off", "-Wno-psabi", "-Wno-unknown-pragmas", "-Wno-deprecated-declarations"]
_UNDEFINED = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
_LIBRARIES = ("libasan.so", "libubsan.so")
# TensorFlow's own leaks, and its pairs of new and free, are not looked at.
_OPTIONS = "detect_leaks=0:alloc_dealloc_mismatch=0:detect_odr_violation=0:allocator_may_return_null=1"


def compile_operations(path):
    """Compile all operations, with the sanitizers, into a library."""
    compiler = shlex.split(os.environ.get("CXX", "g++"))
    of_tensorflow = ["-isystem" + flag[2:] if flag.startswith("-I") else flag
                     for flag in tf.sysconfig.get_compile_flags()]
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for names, flags in ((build._CORE_SOURCES, _UNDEFINED), (build._OPERATION_SOURCES, of_tensorflow)):
            for name in names:
                objects.append(os.path.join(folder, name + ".o"))
                subprocess.check_call(compiler + _FLAGS + flags + [
                    "-c", os.path.join(build.SOURCE_DIR, name), "-o", objects[-1]])
        subprocess.check_call(compiler + _FLAGS + _UNDEFINED + ["-shared"] + objects + [
            "-o", path] + tf.sysconfig.get_link_flags())


def give_them_everything(path):
    """Run the operations of a library on all that is adversarial; a fault ends the process."""
    library = tf.load_op_library(path)
    test_sanitizer.operations = lambda: library
    for name in sorted(test_sanitizer.honest_inputs()):
        test_sanitizer.test_every_operation_takes_or_refuses_whatever_it_is_given(name)
        print("{}: clean".format(name), flush=True)


def main():
    """Compile, and run in a process that has the sanitizers' libraries."""
    parser = argparse.ArgumentParser(prog="python -m tests.mesh_renderer.sanitizer.operations", description=__doc__.splitlines()[0])
    parser.add_argument("library", nargs="?", help="operations to run in this process; none: they are compiled first")
    library = parser.parse_args().library
    if library:
        give_them_everything(library)
        return 0
    compiler = shlex.split(os.environ.get("CXX", "g++"))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "operations.so")
        compile_operations(path)
        libraries = [subprocess.check_output(compiler + ["-print-file-name=" + name], universal_newlines=True).strip()
                     for name in _LIBRARIES]
        environment = dict(os.environ, LD_PRELOAD=" ".join(libraries), ASAN_OPTIONS=_OPTIONS, TF_CPP_MIN_LOG_LEVEL="3",
                           CUDA_VISIBLE_DEVICES="-1")
        return subprocess.call([sys.executable, "-m", "tests.mesh_renderer.sanitizer.operations", path], cwd=REPO_ROOT,
                               env=environment)


if __name__ == "__main__":
    sys.exit(main())
