"""The CUDA rasterizer: its threads emulated on the CPU, and its compilation, if there is nvcc.

The kernels' work is in headers that g++ compiles too. ``python -m benchmarks.rasterizer_cuda``
checks the kernels themselves, on a GPU.
"""

import ctypes
import os
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest

from benchmarks.rasterizer import clip_vertices_of
from benchmarks.synthetic_mesh import posed_batch
from mesh_renderer import build, core, operations
from mesh_renderer.core import pointer
from mesh_renderer.nvcc import architecture_flags, find_nvcc
from mesh_renderer.operations import cuda_device_count, load_operations
from mesh_renderer.rasterize_triangles import Rasterization, interpolate_attributes
from tests.mesh_renderer.cuda import cuda_core
from tests.mesh_renderer.test_rasterize_triangles import KINDS, random_scene, run
from utils.errors import InputError
from utils.paths import REPO_ROOT
from utils.tf_compat import tf

HERE = os.path.dirname(os.path.abspath(__file__))
needs_nvcc = pytest.mark.skipif(find_nvcc() is None, reason="no CUDA compiler")


@pytest.fixture(scope="module")
def emulation(tmp_path_factory):
    library = str(tmp_path_factory.mktemp("emulation") / "emulation.so")
    subprocess.check_call(
        os.environ.get("CXX", "g++").split()
        + [
            "-std=c++11",
            "-O2",
            "-ffp-contract=off",
            "-fPIC",
            "-shared",
            "-I",
            build.SOURCE_DIR,
            os.path.join(HERE, "cuda_emulation", "emulation.cc"),
            "-o",
            library,
        ]
    )
    loaded = ctypes.CDLL(library)
    loaded.emulate_rasterize_triangles.restype = ctypes.c_int64
    loaded.emulate_fixed_point_sum.restype = ctypes.c_float
    return loaded


def sizes(vertices, triangles, width, height):
    return (
        ctypes.c_int64(len(vertices)),
        ctypes.c_int64(vertices.shape[1]),
        ctypes.c_int64(len(triangles)),
        ctypes.c_int(width),
        ctypes.c_int(height),
    )


def emulate(emulation, vertices, triangles, width, height, layers=None, seed=0):
    """Return the arrays of core.rasterize, and the number of queued triangles."""
    shape = (len(vertices), height, width)
    out = [np.full(shape + (3,), 7, np.float32), np.full(shape, 7, np.int32)] + [
        np.full(shape + tail, 7, np.float32) for tail in ((), (1,), (1,))
    ]
    queued = emulation.emulate_rasterize_triangles(
        ctypes.c_uint(seed),
        pointer(vertices),
        pointer(triangles),
        pointer(layers),
        *sizes(vertices, triangles, width, height),
        *map(pointer, out),
    )
    return out, queued


def assert_same_bits(ours, theirs):
    """Compare as integers, which distinguishes -0 from 0 and equates NaN with itself."""
    for one, other in zip(ours, theirs):
        np.testing.assert_array_equal(one.view(np.uint32), other.view(np.uint32))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_random_scenes_are_drawn_as_on_the_cpu(emulation, kind, seed):
    vertices, triangles = random_scene(kind, seed)
    layers = np.random.RandomState(seed).randint(0, 4, len(triangles)).astype(np.uint8)
    for chosen in (None, layers):
        drawn, _ = emulate(emulation, vertices, triangles, 24, 24, chosen, seed)
        assert_same_bits(drawn, core.rasterize(vertices, triangles, 24, 24, layers=chosen))
        assert drawn[3].any()


def test_large_triangles_are_drawn_by_many_threads(emulation):
    vertices, triangles = random_scene("large", seed=7)
    drawn, queued = emulate(emulation, vertices, triangles, 129, 65, seed=3)
    assert queued > 4
    assert_same_bits(drawn, core.rasterize(vertices, triangles, 129, 65))


def test_a_face_of_small_triangles_is_drawn_as_on_the_cpu(emulation):
    world, triangles = posed_batch(2, 60)
    vertices = clip_vertices_of(world, 56)
    drawn, queued = emulate(emulation, vertices, triangles, 56, 56, seed=1)
    assert queued == 0
    assert_same_bits(drawn, core.rasterize(vertices, triangles, 56, 56))


ODD = np.float32(
    [0, -0.0, 1, -1, 1e-45, 1e-38, 1e-20, 1e20, -1e20, 3e38, -3e38, 2**31, np.inf, -np.inf, np.nan]
)


@pytest.mark.parametrize("share", [0.02, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_odd_numbers_are_drawn_as_on_the_cpu(emulation, share, seed):
    random = np.random.RandomState(seed)
    vertices = random.standard_normal((2, 60, 4)).astype(np.float32)
    vertices[..., 3] = np.abs(vertices[..., 3]) + 0.01
    odd = random.uniform(size=vertices.shape) < share
    vertices[odd] = random.choice(ODD, odd.sum())
    triangles = random.randint(0, 60, (150, 3)).astype(np.int32)
    drawn, _ = emulate(emulation, vertices, triangles, 31, 17, seed=seed)
    assert_same_bits(drawn, core.rasterize(vertices, triangles, 31, 17))


def test_equally_near_triangles_show_the_last_in_every_order(emulation):
    corners = np.float32([[-1, -1, -0.0, 1], [1, -1, 0, 1], [0, 1, 0, 1]])
    vertices = np.concatenate([corners, corners * np.float32([1, 1, 0, 1]), 2 * corners])[
        np.newaxis
    ]
    triangles = np.arange(9, dtype=np.int32).reshape(3, 3)
    expected = core.rasterize(vertices, triangles, 9, 9)
    for seed in range(6):
        drawn, _ = emulate(emulation, vertices, triangles, 9, 9, seed=seed)
        assert_same_bits(drawn, expected)
    assert set(drawn[1][drawn[3][..., 0] > 0].tolist()) == {2}


def test_triangles_with_indices_out_of_range_are_skipped(emulation):
    vertices, triangles = random_scene("large", seed=8)
    wrong = triangles.copy()
    wrong[2, 1], wrong[4, 0] = vertices.shape[1], -1
    drawn, _ = emulate(emulation, vertices, wrong, 24, 24)
    kept = np.full(len(triangles), 1, np.uint8)
    kept[[2, 4]] = 0
    assert_same_bits(drawn, core.rasterize(vertices, triangles, 24, 24, layers=kept))


@pytest.mark.parametrize(
    "images, vertices, triangles", [(0, 3, 1), (2, 0, 0), (1, 3, 0), (0, 0, 0)]
)
def test_empty_meshes_give_empty_images(emulation, images, vertices, triangles):
    drawn, _ = emulate(
        emulation,
        np.zeros((images, vertices, 4), np.float32),
        np.zeros((triangles, 3), np.int32),
        8,
        5,
    )
    assert not drawn[0].any() and not drawn[1].any() and (drawn[2] == 1).all()
    assert not drawn[3].any() and not drawn[4].any()


# Gradients -----------------------------------------------------------------------------------


def gradients_of(vertices, triangles, attributes, size, d_image):
    """Return the picture, its interpolation and the gradients of the CPU."""

    def build_graph():
        clip, colors = tf.constant(vertices), tf.constant(attributes)
        drawn = Rasterization(
            *load_operations().mesh_renderer_rasterize_triangles(
                clip_vertices=clip,
                triangles=triangles,
                layers=np.zeros([0], np.uint8),
                image_width=size,
                image_height=size,
            )
        )
        image = interpolate_attributes(colors, triangles, drawn)
        loss = tf.reduce_sum(image * d_image)
        return {
            "barycentrics": drawn.barycentric_coordinates,
            "ids": drawn.triangle_ids,
            "image": image,
            "d_barycentrics": tf.gradients(loss, drawn.barycentric_coordinates)[0],
            "d_attributes": tf.gradients(loss, colors)[0],
            "d_clip": tf.gradients(loss, clip)[0],
        }

    return run(build_graph)


def emulate_gradients(emulation, vertices, triangles, attributes, size, d_image, drawn, seed):
    channels = attributes.shape[-1]
    image, d_attributes = np.full_like(d_image, 7), np.full_like(attributes, 7)
    d_barycentrics, d_clip = np.full_like(drawn["barycentrics"], 7), np.full_like(vertices, 7)
    scene = (pointer(attributes), ctypes.c_int64(channels), pointer(triangles)) + sizes(
        vertices, triangles, size, size
    )
    pixels = (pointer(drawn["barycentrics"]), pointer(drawn["ids"]))
    emulation.emulate_interpolate_attributes(ctypes.c_uint(seed), *scene, *pixels, pointer(image))
    emulation.emulate_interpolate_attributes_grad(
        ctypes.c_uint(seed),
        *scene,
        *pixels,
        pointer(d_image),
        pointer(d_attributes),
        pointer(d_barycentrics),
    )
    emulation.emulate_rasterize_triangles_grad(
        ctypes.c_uint(seed),
        pointer(vertices),
        pointer(triangles),
        *sizes(vertices, triangles, size, size),
        *pixels,
        pointer(d_barycentrics),
        pointer(d_clip),
    )
    return {
        "image": image,
        "d_attributes": d_attributes,
        "d_barycentrics": d_barycentrics,
        "d_clip": d_clip,
    }


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("kind", ["large", "smaller than a pixel"])
def test_gradients_agree_with_the_cpu_and_do_not_depend_on_the_order(emulation, kind, channels):
    size = 24
    vertices, triangles = random_scene(kind, seed=9)
    random = np.random.RandomState(channels)
    attributes = random.standard_normal(vertices.shape[:2] + (channels,)).astype(np.float32)
    d_image = random.standard_normal((len(vertices), size, size, channels)).astype(np.float32)
    d_image[:, ::3] = 0
    expected = gradients_of(vertices, triangles, attributes, size, d_image)
    scene = (emulation, vertices, triangles, attributes, size, d_image, expected)
    ours = emulate_gradients(*scene, seed=0)
    assert_same_bits(
        [ours["image"], ours["d_barycentrics"] + 0],
        [expected["image"], expected["d_barycentrics"] + 0],
    )
    for name in ("d_attributes", "d_clip"):
        scale = np.abs(expected[name]).max()
        assert scale > 0
        np.testing.assert_allclose(ours[name], expected[name], rtol=1e-5, atol=1e-6 * scale)
    for seed in (1, 2, 3):
        shuffled = emulate_gradients(*scene, seed=seed)
        assert_same_bits(shuffled.values(), ours.values())


def test_sums_are_exact_and_do_not_depend_on_the_order(emulation):
    random = np.random.RandomState(0)
    addends = (random.standard_normal(5000) * 10.0 ** random.uniform(-6, 6, 5000)).astype(
        np.float32
    )
    found = {
        emulation.emulate_fixed_point_sum(
            ctypes.c_uint(seed), pointer(addends), ctypes.c_int64(5000)
        )
        for seed in range(8)
    }
    assert found == {np.float32(np.sum(addends, dtype=np.float64))}


@pytest.mark.parametrize(
    "addends, total",
    [
        ([], 0),
        ([0, -0.0], 0),
        ([3e38, -3e38, 1], 0),
        ([1.4e-45, 1.4e-45], 2.8e-45),
        ([3e38, 3e38], np.inf),
        ([1, np.nan], np.nan),
        ([1, np.inf], np.nan),
        ([-1.5], -1.5),
        ([1e-30, -1], -1),
    ],
)
def test_sums_of_odd_numbers(emulation, addends, total):
    addends = np.float32(addends)
    found = emulation.emulate_fixed_point_sum(
        ctypes.c_uint(1), pointer(addends), ctypes.c_int64(len(addends))
    )
    np.testing.assert_array_equal(np.float32(found), np.float32(total))


# Compiling -----------------------------------------------------------------------------------


@needs_nvcc
def test_kernels_compile_and_contract_nothing(tmp_path):
    ptx = str(tmp_path / "kernels.ptx")
    newest = architecture_flags(find_nvcc())[-1].split(",")[0]
    subprocess.check_call(
        [
            find_nvcc(),
            "--ptx",
            os.path.join(build.SOURCE_DIR, "rasterize", "rasterize_triangles.cu"),
            "-o",
            ptx,
            "-I",
            build.SOURCE_DIR,
            "-gencode",
            newest + "," + newest.replace("arch", "code"),
        ]
        + list(build._CUDA_FLAGS)
    )
    with open(ptx) as file:
        code = file.read()
    assert code.count(".visible .entry") + code.count(".entry") >= 10
    assert "div.rn.f32" in code and "div.rn.f64" in code
    assert not re.search(r"\bfma\.|\bmad\.rn\.f|div\.(approx|full)|\.ftz", code)


@needs_nvcc
def test_c_interface_reports_a_missing_gpu():
    if cuda_device_count():
        pytest.skip("there is a GPU: python -m benchmarks.rasterizer_cuda checks it")
    vertices, triangles = random_scene("large", seed=0)
    with pytest.raises(RuntimeError, match="CUDA"):
        cuda_core.rasterize(vertices, triangles, 24, 24)


@needs_nvcc
def test_operations_have_gpu_kernels_and_run_without_a_gpu():
    code = (
        "import sys; sys.path.insert(0, {!r})\n"
        "import numpy as np\n"
        "from utils.tf_compat import tf\n"
        "from mesh_renderer.build import build_gpu_operation_library\n"
        "from mesh_renderer.operations import load_operations\n"
        "from mesh_renderer.rasterize_triangles import rasterize_triangles\n"
        "from tensorflow.python.framework import kernels\n"
        "load_operations(); tf.load_op_library(build_gpu_operation_library())\n"
        "for name in ('RasterizeTriangles', 'InterpolateAttributes'):\n"
        "    for grad in ('', 'Grad'):\n"
        "        op = 'MeshRenderer' + name + grad\n"
        "        found = kernels.get_registered_kernels_for_op(op).kernel\n"
        "        print(*sorted({{kernel.device_type for kernel in found}}))\n"
        "vertices = np.float32([[[-1, -1, 0, 1], [1, -1, 0, 1], [0, 1, 0, 1]]])\n"
        "with tf.Graph().as_default(), tf.Session() as session:\n"
        "    print(int(session.run(rasterize_triangles(vertices, [[0, 1, 2]], 8, 8)).mask.sum()))\n"
    ).format(REPO_ROOT)
    process = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=300,
    )
    assert process.stdout.splitlines() == ["CPU GPU"] * 4 + ["32"], process.stderr[-2000:]


@pytest.mark.parametrize(
    "devices, error, loaded", [(1, None, True), (0, None, False), (1, InputError("no"), False)]
)
def test_gpu_kernels_are_loaded_if_there_is_a_gpu_and_they_compile(
    monkeypatch, devices, error, loaded
):
    def library():
        if error:
            raise error
        return "gpu.so"

    found = []
    monkeypatch.setattr(operations, "cuda_device_count", lambda: devices)
    monkeypatch.setattr(operations, "build_gpu_operation_library", library)
    monkeypatch.setattr(tf, "load_op_library", found.append)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        operations._load_gpu_kernels()
    assert found == ["gpu.so"] * loaded
    assert [str(one.message) for one in caught] == (
        ["Rasterization stays on the CPU: no"] if error else []
    )


@needs_nvcc
def test_benchmark_reports_a_missing_gpu_in_a_sentence(capsys):
    from benchmarks import rasterizer_cuda

    if cuda_device_count():
        pytest.skip("there is a GPU")
    assert rasterizer_cuda.main([]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and "there is no CUDA device" in printed
