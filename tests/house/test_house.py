"""Rules that hold for the whole code base."""

import ast
import os
import subprocess
import sys

import pytest

from utils.paths import REPO_ROOT

COMMANDS = [
    name
    for name in ("demo.py", "nme.py", "obj.py", "preprocess_img.py", "renderer.py", "train.py")
    if os.path.isfile(os.path.join(REPO_ROOT, name))
]


def python_files():
    for folder, folders, files in os.walk(REPO_ROOT):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "__pycache__"]
        for name in files:
            if name.endswith(".py"):
                yield os.path.relpath(os.path.join(folder, name), REPO_ROOT)


def source(path):
    with open(os.path.join(REPO_ROOT, path), encoding="utf-8") as file:
        return file.read()


@pytest.mark.skipif(
    sys.version_info < (3, 8), reason="ast learned to parse as an older Python in 3.8"
)
@pytest.mark.parametrize("path", sorted(python_files()))
def test_no_syntax_newer_than_python_3_6(path):
    ast.parse(source(path), path, feature_version=(3, 6))


@pytest.mark.parametrize("path", sorted(python_files()))
def test_no_library_that_python_3_6_lacks(path):
    imported = set()
    for node in ast.walk(ast.parse(source(path))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert not imported & {"dataclasses", "contextvars", "graphlib", "zoneinfo", "tomllib"}


@pytest.mark.parametrize(
    "path", sorted(p for p in python_files() if not p.startswith("tests" + os.sep))
)
def test_tensorflow_comes_through_the_shim_only(path):
    if path == os.path.join("utils", "tf_compat.py"):
        return
    names = [
        node.names[0].name if isinstance(node, ast.Import) else node.module or ""
        for node in ast.walk(ast.parse(source(path)))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert not [name for name in names if name.split(".")[0] == "tensorflow"]


def run(arguments, **options):
    return subprocess.run(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=120,
        **options,
    )


def test_importing_everything_imports_no_tensorflow_and_prints_nothing(tmp_path):
    modules = [name[:-3] for name in os.listdir(REPO_ROOT) if name.endswith(".py")]
    modules += ["face_model", "mesh_renderer.render", "alignment", "utils.report"]
    code = "import sys; sys.path.insert(0, {!r}); import {}\n".format(
        REPO_ROOT, ", ".join(sorted(modules))
    )
    code += "assert 'tensorflow' not in sys.modules"
    process = run([sys.executable, "-c", code], cwd=str(tmp_path))
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    assert not os.listdir(str(tmp_path))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_flag(command, tmp_path):
    process = run([sys.executable, os.path.join(REPO_ROOT, command), "--help"], cwd=str(tmp_path))
    assert process.returncode == 0 and process.stderr == ""
    assert "usage: " + command in process.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_flag_is_refused_with_status_2(command):
    process = run([sys.executable, os.path.join(REPO_ROOT, command), "--no-such-flag"])
    assert process.returncode == 2 and process.stderr.startswith("usage: " + command)
    assert "Traceback" not in process.stderr


def test_graphs_are_quiet_and_in_graph_mode():
    code = (
        "import sys; sys.path.insert(0, {!r})\nfrom utils.tf_compat import tf, session_config\n"
        "with tf.Graph().as_default():\n"
        "    v = tf.get_variable('v', [2], initializer=tf.ones_initializer())\n"
        "    with tf.Session(config=session_config()) as s:\n"
        "        s.run(tf.global_variables_initializer()); print(s.run(v * 2))\n"
    ).format(REPO_ROOT)
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    process = run([sys.executable, "-c", code], env=environment)
    assert process.stdout.strip() == "[2. 2.]" and process.returncode == 0
    if sys.version_info >= (3, 10):  # numpy and TensorFlow 1.12 warn about each other
        assert process.stderr == ""


def unannotated(path):
    """Return the public functions of a module that lack the annotation of an argument or result."""
    found = []
    for node in ast.walk(ast.parse(source(path))):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if node.name.startswith("_") and node.name != "__init__":
            continue
        arguments = node.args.args + node.args.kwonlyargs
        arguments += [extra for extra in (node.args.vararg, node.args.kwarg) if extra]
        bare = [one.arg for one in arguments if one.annotation is None]
        if set(bare) - {"self", "cls"} or node.returns is None:
            found.append("{}:{} {}".format(path, node.lineno, node.name))
    return found


def test_public_functions_are_annotated():
    rooms = [
        path for path in python_files() if path.split(os.sep)[0] not in ("tests", "benchmarks")
    ]
    assert [name for path in sorted(rooms) for name in unannotated(path)] == []
