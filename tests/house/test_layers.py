"""The layers of the code: a room imports only rooms below it, and nobody imports a script.

A room is a folder or a module of the root. ``python -m tests.house.test_layers`` prints the longest
chain of imports from each script.
"""

import ast
import functools
import os

import pytest

from utils.paths import REPO_ROOT

SCRIPTS = ("demo", "nme", "obj", "preprocess_img", "renderer", "train")
# From the ground to the roof.
LAYERS = (
    ("utils",),
    ("geometry",),
    ("mesh_renderer", "networks", "losses"),
    ("face_model",),
    ("face_decoder", "checkpoints", "evaluation"),
    ("alignment", "identity"),
    ("fitting",),
    ("gcn", "dataset", "mesh"),
    ("reconstruction", "training", "synthesis"),
    ("video", "web"),
    SCRIPTS,
)
LONGEST_CHAIN = 12
HEIGHTS = {room: height for height, layer in enumerate(LAYERS) for room in layer}


@functools.lru_cache(maxsize=None)
def modules():
    """Return module name -> path, of all code but tests and benchmarks."""
    found = {}
    for room in HEIGHTS:
        path = os.path.join(REPO_ROOT, room)
        if os.path.isfile(path + ".py"):
            found[room] = path + ".py"
        for folder, _, files in os.walk(path):
            for name in files:
                if name.endswith(".py"):
                    inside = os.path.relpath(os.path.join(folder, name), REPO_ROOT)[: -len(".py")]
                    parts = [part for part in inside.split(os.sep) if part != "__init__"]
                    found[".".join(parts)] = os.path.join(folder, name)
    return found


@functools.lru_cache(maxsize=None)
def imports(module):
    """Return the modules of ours that a module imports, those inside of functions included."""
    found = set()
    with open(modules()[module], encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = {"{}.{}".format(node.module, alias.name) for alias in node.names}
            found |= (names & set(modules())) or {node.module}
    return sorted(found & set(modules()) - {module})


@functools.lru_cache(maxsize=None)
def longest_chain(module):
    """Return the longest chain of imports that begins with a module, as a tuple of modules."""
    return (module,) + max((longest_chain(name) for name in imports(module)), key=len, default=())


def room(module):
    return module.split(".")[0]


def test_every_room_has_its_layer():
    rooms = {
        name[: -len(".py")] if name.endswith(".py") else name
        for name in os.listdir(REPO_ROOT)
        if name.endswith(".py") or os.path.isfile(os.path.join(REPO_ROOT, name, "__init__.py"))
    }
    assert rooms - {"tests", "benchmarks"} == set(HEIGHTS)


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_room_imports_only_rooms_below_it(module):
    height = HEIGHTS[room(module)]
    others = [name for name in imports(module) if room(name) != room(module)]
    assert [name for name in others if HEIGHTS[room(name)] >= height] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_chains_of_imports_are_short(script):
    chain = longest_chain(script)
    print("{} modules: {}".format(len(chain), " > ".join(chain)))
    assert len(chain) <= LONGEST_CHAIN


def test_the_root_holds_the_scripts_and_the_shared_modules_of_the_method():
    here = {name[: -len(".py")] for name in os.listdir(REPO_ROOT) if name.endswith(".py")}
    assert here == set(SCRIPTS) | {"face_decoder", "losses", "networks"}


if __name__ == "__main__":
    for name in SCRIPTS:
        print("{}: {}".format(len(longest_chain(name)), " > ".join(longest_chain(name))))
