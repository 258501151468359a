"""The core under AddressSanitizer and UBSan, and the operations on invalid inputs."""

import glob
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mesh_renderer import build
from mesh_renderer.build import SOURCE_DIR
from mesh_renderer.operations import load_operations
from mesh_renderer.rasterize_triangles import interpolate_attributes, rasterize_triangles
from utils.paths import REPO_ROOT
from utils.tf_compat import tf

FLAGS = [
    "-std=c++11",
    "-g",
    "-O1",
    "-fsanitize=address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    "-ffp-contract=off",
    "-pthread",
    "-Wno-unknown-pragmas",
    "-Wno-psabi",
]
ADVERSARIES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sanitizer")
ROUNDS = os.environ.get("ROUNDS", "60")
TRIANGLE = np.int32([[0, 1, 2]])
VERTICES = np.float32([[[-1, -1, 0, 1], [1, -1, 0, 1], [0, 1, 0, 1]]])


@pytest.mark.slow
@pytest.mark.any_tensorflow
def test_core_is_clean_on_odd_numbers(tmp_path):
    compiler = os.environ.get("CXX", "g++").split()
    program = str(tmp_path / "adversary")
    (tmp_path / "empty.cc").write_text("int main() { return 0; }\n")
    if not shutil.which(compiler[0]) or subprocess.call(
        compiler + FLAGS + [str(tmp_path / "empty.cc"), "-o", program], stderr=subprocess.DEVNULL
    ):
        pytest.skip("the compiler has no sanitizers")
    sources = glob.glob(os.path.join(ADVERSARIES, "*.cc")) + [
        os.path.join(SOURCE_DIR, name) for name in build._CORE_SOURCES + build._C_INTERFACE_SOURCES
    ]
    subprocess.check_call(compiler + FLAGS + ["-I", SOURCE_DIR] + sources + ["-o", program])
    for seed in ("1", "2"):
        process = subprocess.run(
            [program, ROUNDS, seed],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
            timeout=600,
        )
        assert process.returncode == 0, process.stdout[-3000:]
        assert process.stdout == "{} rounds\n".format(ROUNDS)


def run(vertices, triangles, width=8, height=8, layers=None):
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(
            rasterize_triangles(
                tf.constant(vertices), tf.constant(triangles), width, height, layers=layers
            )
        )


@pytest.mark.parametrize("index", [-1, 3, 2**31 - 1, -(2**31)])
def test_vertex_indices_out_of_range_are_an_error(index):
    with pytest.raises(tf.errors.InvalidArgumentError, match="must index vertices"):
        run(VERTICES, np.int32([[0, 1, index]]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_a_triangle_with_a_vertex_that_is_not_finite_is_skipped(value):
    vertices = VERTICES.copy()
    vertices[0, 0, 0] = value
    found = run(vertices, TRIANGLE)
    assert np.isfinite(found.barycentric_coordinates).all() and np.isfinite(found.z_buffer).all()
    if not np.isfinite(value):
        assert not found.mask.any()


@pytest.mark.parametrize("batch, vertices, triangles", [(0, 3, 1), (2, 0, 0), (1, 3, 0), (0, 0, 0)])
def test_empty_meshes_give_empty_images(batch, vertices, triangles):
    found = run(np.zeros((batch, vertices, 4), np.float32), np.zeros((triangles, 3), np.int32))
    assert found.barycentric_coordinates.shape == (batch, 8, 8, 3) and not found.mask.any()


@pytest.mark.parametrize("width, height", [(0, 8), (8, -1), (32769, 1), (2**31 - 1, 2**31 - 1)])
def test_image_sizes_out_of_range_are_an_error(width, height):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="must be"):
        run(VERTICES, TRIANGLE, width, height)


@pytest.mark.slow
def test_more_pixels_than_memory_are_an_error():
    with pytest.raises((tf.errors.ResourceExhaustedError, tf.errors.InvalidArgumentError)):
        run(np.zeros((1 << 12, 3, 4), np.float32), TRIANGLE, 32768, 32768)  # 50 terabytes


@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 3), (1, 3, 4, 1)])
def test_vertices_of_another_shape_are_an_error(shape):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        run(np.zeros(shape, np.float32), TRIANGLE)


def test_triangle_ids_out_of_range_are_an_error():
    with tf.Graph().as_default(), tf.Session() as session:
        drawn = rasterize_triangles(tf.constant(VERTICES), tf.constant(TRIANGLE), 8, 8)
        for ids in (np.full((1, 8, 8), 1, np.int32), np.full((1, 8, 8), -1, np.int32)):
            forged = drawn._replace(triangle_ids=tf.constant(ids))
            with pytest.raises(tf.errors.InvalidArgumentError, match="triangle_ids must lie in"):
                session.run(
                    interpolate_attributes(tf.ones([1, 3, 2]), tf.constant(TRIANGLE), forged)
                )


def test_vertex_triangles_out_of_range_are_an_error():
    with tf.Graph().as_default(), tf.Session() as session:
        for around in (np.full((3, 8), 2, np.int32), np.full((3, 8), -1, np.int32)):
            with pytest.raises(tf.errors.InvalidArgumentError, match="must lie in"):
                session.run(
                    load_operations().mesh_renderer_vertex_normals(
                        vertices=np.zeros((1, 3, 3), np.float32),
                        triangles=TRIANGLE,
                        vertex_triangles=around,
                    )
                )


def valid_inputs():
    """Return operation -> valid inputs: 2 images of 4 vertices, 2 triangles and 5 x 6 pixels."""
    random = np.random.RandomState(0)

    def reals(*shape):
        return random.standard_normal(shape).astype(np.float32)

    triangles, around = np.int32([[0, 1, 2], [1, 2, 3]]), np.full((4, 8), 2, np.int32)
    ids = np.zeros((2, 5, 6), np.int32)
    surfaces = [
        reals(2, 4, 3),
        reals(2, 4, 3),
        reals(2, 3, 3),
        reals(2, 3),
        reals(2, 3, 9),
        triangles,
        around,
    ]
    panels = reals(2, 7, 16)
    return {
        "rasterize_triangles": [reals(2, 4, 4), triangles, np.ones(2, np.uint8)],
        "rasterize_triangles_grad": [
            reals(2, 4, 4),
            triangles,
            ids,
            reals(2, 5, 6, 3),
            reals(2, 5, 6, 3),
        ],
        "interpolate_attributes": [reals(2, 4, 5), triangles, ids, reals(2, 5, 6, 3)],
        "interpolate_attributes_grad": [
            reals(2, 4, 5),
            triangles,
            ids,
            reals(2, 5, 6, 3),
            reals(2, 5, 6, 5),
        ],
        "vertex_normals": [reals(2, 4, 3), triangles, around],
        "vertex_normals_grad": [reals(2, 4, 3), triangles, around, reals(2, 4, 3)],
        "posed_surface": surfaces,
        "posed_surface_grad": surfaces + [reals(2, 4, 3) for _ in range(3)],
        "linear_model": [reals(2, 7), panels, reals(20)],
        "linear_model_grad": [reals(2, 20), panels],
    }


def array_variants(array):
    """Yield replacements of an input: other shapes, empty, odd numbers, indices out of range."""
    yield array[:0]
    yield array[..., :0]
    yield array[:1]
    yield np.concatenate([array, array])
    yield array[..., np.newaxis]
    yield array[0]
    yield np.concatenate([array] * 3, axis=-1)
    odd = (
        (np.nan, np.inf, -np.inf, 3e38, -1e-45)
        if array.dtype.kind == "f"
        else (-1, 3, 99, 2**31 - 1, -(2**31))
    )
    for value in odd:
        changed = array.copy()
        changed.reshape(-1)[-1] = np.array(value).astype(array.dtype)
        yield changed
        yield np.full_like(array, changed.reshape(-1)[-1])


@pytest.mark.parametrize("name", sorted(valid_inputs()))
def test_every_operation_accepts_or_rejects_any_input(name):
    inputs = valid_inputs()[name]
    sizes = dict(image_width=6, image_height=5) if name == "rasterize_triangles" else {}
    with tf.Graph().as_default(), tf.Session() as session:
        fed = [tf.placeholder(array.dtype) for array in inputs]
        outputs = getattr(load_operations(), "mesh_renderer_" + name)(*fed, **sizes)
        session.run(outputs, dict(zip(fed, inputs)))
        rejected = 0
        for place, array in enumerate(inputs):
            for other in array_variants(array):
                given = inputs[:place] + [other] + inputs[place + 1 :]
                try:
                    session.run(outputs, dict(zip(fed, given)))
                except tf.errors.InvalidArgumentError:
                    rejected += 1
    assert rejected >= 4 * len(inputs)  # at least the other shapes


def test_every_operation_is_covered():
    registered = {name for name in dir(load_operations()) if name.startswith("mesh_renderer_")}
    assert registered - {name + "_eager_fallback" for name in registered} == {
        "mesh_renderer_" + name for name in valid_inputs()
    }


def test_command_of_the_operations_has_a_help_text():
    output = subprocess.check_output(
        [sys.executable, "-m", "tests.mesh_renderer.sanitizer.operations", "--help"],
        cwd=REPO_ROOT,
        universal_newlines=True,
    )
    assert output.startswith("usage: python -m tests.mesh_renderer.sanitizer.operations")
