"""The rasterizer compared with a slow reference and with published images; edge cases."""

import os
from concurrent import futures

import numpy as np
import pytest
import scipy.io

from mesh_renderer import core
from mesh_renderer.rasterize_triangles import (
    FRONT_MASK,
    PICTURE,
    interpolate_attributes,
    rasterize_triangles,
)
from mesh_renderer.render import merge_front_triangles, render
from tests.mesh_renderer import rasterizer_reference as reference
from tests.paths import GOLDEN
from utils.tf_compat import tf

ONE = np.array([[0, 1, 2]], np.int32)


def run(build, threads=0, feed=None):
    """Build a graph, run it once, and return the values of the tensors of ``build``."""
    with tf.Graph().as_default():
        fetches = build()
        with tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=threads)) as session:
            return session.run(fetches, feed)


def draw(clip_vertices, triangles, width, height, layers=None, threads=0):
    return run(
        lambda: rasterize_triangles(
            tf.constant(clip_vertices, tf.float32), triangles, width, height, layers=layers
        ),
        threads,
    )


def flat_triangle(*corners, **kwargs):
    """Return clip-space vertices [1, 3, 4] from pixel positions (x right, y down)."""
    size, w, z = kwargs.get("size", 8), kwargs.get("w", 1.0), kwargs.get("z", 0.0)
    corners = np.asarray(corners, np.float64)
    x, y = 2 * corners[:, 0] / size - 1, 1 - 2 * corners[:, 1] / size
    ones = np.ones(len(corners))
    return (np.stack([x, y, z * ones, ones], axis=1) * w).astype(np.float32)[np.newaxis]


def covered(rasterization, image=0):
    """Return the covered pixels as a set of (row, column)."""
    return {tuple(pixel) for pixel in np.argwhere(rasterization.mask[image, ..., 0] > 0)}


# Random scenes -------------------------------------------------------------------------------


def random_positions(kind, random, count, size):
    """Return device positions [count, 3, 2] and w [count, 3] of random triangles."""
    w = random.uniform(9, 11, (count, 1)) + 0.05 * random.standard_normal((count, 3))
    on_lattice = random.randint(0, 2 * size + 1, (count, 3, 2)) / float(size) - 1
    centers = (random.randint(0, size, (count, 1, 2)) + 0.5) / size * 2 - 1
    noise = random.standard_normal((count, 3, 2))
    if kind == "large":
        return random.uniform(-1.5, 1.5, (count, 3, 2)), random.uniform(0.5, 20, (count, 3))
    if kind == "smaller than a pixel":
        return centers + noise * random.uniform(0.1, 2, (count, 1, 1)) / size, w
    if kind == "crossing the camera plane":
        return random.uniform(-1.5, 1.5, (count, 3, 2)), random.uniform(-3, 5, (count, 3))
    if kind == "corners on pixel centers and corners":
        return on_lattice, np.ones((count, 3)) * random.choice([1, 2, 7.3], (count, 1))
    if kind == "slivers":
        along = random.standard_normal((count, 1, 2)) * random.uniform(-1, 1, (count, 3, 1))
        return centers + along + noise * 10.0 ** random.uniform(-9, -3, (count, 1, 1)), w
    assert kind == "specks"
    return centers + noise * 10.0 ** random.uniform(-8, -3, (count, 1, 1)), w


def random_scene(kind, seed, images=2, size=24):
    random = np.random.RandomState(seed)
    count = {"large": 6, "crossing the camera plane": 12, "slivers": 500, "specks": 500}.get(
        kind, 120
    )
    vertices = []
    for _ in range(images):
        positions, w = random_positions(kind, random, count, size)
        z = random.uniform(-1.1, 1.1, (count, 3)) * w
        vertices.append(
            np.concatenate([positions * w[..., None], z[..., None], w[..., None]], axis=-1)
        )
    triangles = np.arange(3 * count, dtype=np.int32).reshape(count, 3)
    return np.array(vertices, np.float32).reshape(images, 3 * count, 4), triangles


KINDS = [
    "large",
    "smaller than a pixel",
    "crossing the camera plane",
    "corners on pixel centers and corners",
    "slivers",
    "specks",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_random_scenes_match_the_reference_bit_for_bit(kind, seed):
    width, height = 24, 24  # the lattice of the scenes' centers
    vertices, triangles = random_scene(kind, seed)
    result = draw(vertices, triangles, width, height)
    drawn = 0
    for image in range(len(vertices)):
        barycentrics, ids, z_buffer, mask = reference.rasterize(
            vertices[image], triangles, width, height
        )
        np.testing.assert_array_equal(result.mask[image, ..., 0], mask)
        np.testing.assert_array_equal(result.triangle_ids[image], ids)
        np.testing.assert_array_equal(result.barycentric_coordinates[image], barycentrics)
        np.testing.assert_array_equal(result.z_buffer[image], z_buffer)
        drawn += mask.sum()
    assert drawn > 10


@pytest.mark.parametrize("kind", KINDS)
def test_barycentrics_are_perspective_correct(kind):
    if kind in ("slivers", "specks"):
        pytest.skip("single precision is too coarse for a triangle without area")
    vertices, triangles = random_scene(kind, seed=2, images=1)
    result = draw(vertices, triangles, 24, 24)
    exact = reference.visible_barycentrics(
        vertices[0], triangles, result.triangle_ids[0], result.mask[0, ..., 0] > 0
    )
    np.testing.assert_allclose(result.barycentric_coordinates[0], exact, atol=2e-3)
    assert (
        np.median(np.abs(result.barycentric_coordinates[0] - exact)[result.mask[0, ..., 0] > 0])
        < 1e-5
    )
    np.testing.assert_allclose(
        result.barycentric_coordinates.sum(axis=-1), result.mask[..., 0], atol=1e-6
    )


def test_order_of_vertices_changes_no_pixel():
    vertices, triangles = random_scene("smaller than a pixel", seed=3)
    forward, backward = (draw(vertices, order, 24, 24) for order in (triangles, triangles[:, ::-1]))
    np.testing.assert_array_equal(forward.mask, backward.mask)
    np.testing.assert_array_equal(forward.triangle_ids, backward.triangle_ids)


def test_results_do_not_depend_on_threads_or_batch():
    vertices, triangles = random_scene("large", seed=4, images=5)
    attributes = np.random.RandomState(0).rand(5, vertices.shape[1], 4).astype(np.float32)

    def build(first, last):
        clip = tf.constant(vertices[first:last])
        colors = tf.constant(attributes[first:last])
        pixels = rasterize_triangles(clip, triangles, 33, 21)
        image = interpolate_attributes(colors, triangles, pixels)
        return (
            [image] + list(pixels) + tf.gradients(tf.reduce_sum(tf.square(image)), [clip, colors])
        )

    together = run(lambda: build(0, 5), threads=1)
    for threads in (2, 7):
        for one, other in zip(together, run(lambda: build(0, 5), threads=threads)):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(together, run(lambda: build(3, 4), threads=7)):
        np.testing.assert_array_equal(one[3:4], other)


def test_core_without_tensorflow_draws_the_same():
    vertices, triangles = random_scene("smaller than a pixel", seed=5, images=3)
    layers = np.random.RandomState(1).randint(0, 4, len(triangles)).astype(np.uint8)
    expected = draw(vertices, triangles, 24, 20, layers)
    for one, other in zip(
        core.rasterize(vertices, triangles, 24, 20, layers=layers, threads=2), expected
    ):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="index vertices 0 to"):
        core.rasterize(vertices, triangles + 1, 24, 20)


# The front mask ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_front_mask_is_the_mask_of_the_front_triangles_alone(kind):
    vertices, triangles = random_scene(kind, seed=6)
    layers = (
        np.random.RandomState(2)
        .choice([0, PICTURE, FRONT_MASK, PICTURE + FRONT_MASK], len(triangles))
        .astype(np.uint8)
    )
    result = draw(vertices, triangles, 24, 24, layers)
    picture = draw(vertices, triangles[layers & PICTURE > 0], 24, 24)
    front = draw(vertices, triangles[layers & FRONT_MASK > 0], 24, 24)
    np.testing.assert_array_equal(result.front_mask, front.mask)
    np.testing.assert_array_equal(result.mask, picture.mask)
    np.testing.assert_array_equal(result.z_buffer, picture.z_buffer)
    np.testing.assert_array_equal(result.barycentric_coordinates, picture.barycentric_coordinates)


def test_front_triangles_are_merged_in_any_order_of_their_vertices():
    triangles = np.array([[0, 1, 2], [2, 1, 3], [4, 5, 6]], np.int32)
    merged, layers = merge_front_triangles(triangles, [[1, 3, 2], [7, 8, 9]])
    np.testing.assert_array_equal(merged, np.concatenate([triangles, [[7, 8, 9]]]))
    assert layers.tolist() == [PICTURE, PICTURE + FRONT_MASK, PICTURE, FRONT_MASK]
    assert merge_front_triangles(triangles, None)[1].tolist() == [PICTURE] * 3


# Edge cases ----------------------------------------------------------------------------------


def test_pixel_center_exactly_on_an_edge_is_covered():
    right_angle = flat_triangle((0.5, 0.5), (4.5, 0.5), (0.5, 4.5))
    assert covered(draw(right_angle, ONE, 8, 8)) == {
        (row, column) for row in range(5) for column in range(5) if row + column <= 4
    }


def test_shared_edge_has_no_hole_and_shows_the_later_triangle():
    square = flat_triangle((1, 1), (7, 1), (1, 7), (7, 7))
    result = draw(square, np.array([[0, 1, 2], [2, 1, 3]], np.int32), 8, 8)
    assert covered(result) == {(row, column) for row in range(1, 7) for column in range(1, 7)}
    diagonal = [result.triangle_ids[0, row, 7 - row] for row in range(1, 7)]
    assert diagonal == [1] * 6


def test_coverage_of_a_disc_does_not_depend_on_its_triangulation():
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rim = np.stack([20 + 15.3 * np.cos(angles), 20 + 15.3 * np.sin(angles)], axis=1)
    fans = []
    for middle in ((20, 20), (26.3, 14.1)):
        vertices = flat_triangle(*np.concatenate([rim, [middle]]), size=40)
        triangles = np.array([[i, (i + 1) % 24, 24] for i in range(24)], np.int32)
        fans.append(draw(vertices, triangles, 40, 40).mask)
    np.testing.assert_array_equal(fans[0], fans[1])


def test_both_windings_are_drawn():
    vertices = flat_triangle((1, 1), (7, 2), (3, 7))
    there, back = (
        draw(vertices, np.array([order], np.int32), 8, 8) for order in ([0, 1, 2], [2, 1, 0])
    )
    assert covered(there) and covered(there) == covered(back)
    np.testing.assert_array_equal(
        there.barycentric_coordinates, back.barycentric_coordinates[..., ::-1]
    )


@pytest.mark.parametrize(
    "corners",
    [
        [(2.5, 2.5), (2.5, 2.5), (2.5, 2.5)],
        [(1, 1), (6, 6), (1, 1)],
        [(0.5, 0.5), (3.5, 3.5), (7.5, 7.5)],
    ],
    ids=["a point on a center", "two equal vertices", "three in a line"],
)
def test_zero_area_triangle_is_not_drawn(corners):
    vertices = flat_triangle(*corners)
    result = draw(vertices, ONE, 8, 8)
    assert covered(result) == set()
    assert np.isfinite(result.barycentric_coordinates).all()


def test_triangle_with_a_vertex_behind_the_camera_shows_the_part_in_front():
    # A floor, y = -1: two vertices in front of the camera, one behind it.
    floor = np.array([[[-4, -1, 0, 2], [4, -1, 0, 2], [0, -1, 0, -1]]], np.float32)
    result = draw(floor, ONE, 16, 16)
    rows = {row for row, _ in covered(result)}
    assert rows == set(range(12, 16))  # from its far edge, y / w = -1/2, to the bottom
    _, ids, _, mask = reference.rasterize(floor[0], ONE, 16, 16)
    np.testing.assert_array_equal(result.mask[0, ..., 0], mask)


def test_triangle_wholly_behind_the_camera_is_not_drawn():
    vertices = flat_triangle((1, 1), (7, 1), (1, 7), w=-1.0)
    assert covered(draw(vertices, ONE, 8, 8)) == set()


@pytest.mark.parametrize("z, seen", [(-1.01, False), (-1.0, True), (1.0, True), (1.01, False)])
def test_near_and_far_plane_clip_each_pixel(z, seen):
    result = draw(flat_triangle((1, 1), (7, 1), (1, 7), z=z), ONE, 8, 8)
    assert bool(covered(result)) == seen
    assert (result.z_buffer == np.where(result.mask[..., 0] > 0, np.float32(z), 1)).all()


def test_nearest_triangle_wins_in_either_order():
    vertices = np.concatenate(
        [
            flat_triangle((1, 1), (7, 1), (1, 7), z=0.5),
            flat_triangle((1, 1), (7, 1), (1, 7), z=-0.5),
        ],
        axis=1,
    )
    near_last = draw(vertices, np.array([[0, 1, 2], [3, 4, 5]], np.int32), 8, 8)
    near_first = draw(vertices, np.array([[3, 4, 5], [0, 1, 2]], np.int32), 8, 8)
    seen = near_last.mask[..., 0] > 0
    assert (near_last.triangle_ids[seen] == 1).all() and (near_first.triangle_ids[seen] == 0).all()
    assert (near_last.z_buffer[seen] == -0.5).all()


def test_of_equally_near_triangles_the_last_wins():
    vertices = flat_triangle((1, 1), (7, 1), (1, 7))
    result = draw(vertices, np.repeat(ONE, 300, axis=0), 8, 8)
    assert (result.triangle_ids[result.mask[..., 0] > 0] == 299).all()


@pytest.mark.parametrize(
    "batch, vertex_count, triangle_count",
    [(2, 0, 0), (2, 3, 0), (0, 3, 1), (0, 0, 0)],
    ids=["no vertices", "no triangles", "no images", "nothing"],
)
def test_empty_mesh_and_empty_batch(batch, vertex_count, triangle_count):
    triangles = np.zeros([triangle_count, 3], np.int32)

    def build():
        vertices = tf.zeros([batch, vertex_count, 4])
        colors = tf.zeros([batch, vertex_count, 3])
        pixels = rasterize_triangles(vertices, triangles, 6, 5)
        image = interpolate_attributes(colors, triangles, pixels)
        return [image, pixels.mask] + tf.gradients(tf.reduce_sum(image), [vertices, colors])

    image, mask, d_vertices, d_colors = run(build)
    assert image.shape == (batch, 5, 6, 3) and mask.shape == (batch, 5, 6, 1)
    assert d_vertices.shape == (batch, vertex_count, 4) and d_colors.shape == (
        batch,
        vertex_count,
        3,
    )
    assert not image.any() and not mask.any()


def test_no_visible_face_gives_an_empty_image_and_zero_gradients():
    def build():
        vertices = tf.constant(flat_triangle((100, 1), (107, 1), (101, 7)))
        pixels = rasterize_triangles(vertices, ONE, 8, 8)
        image = interpolate_attributes(tf.ones([1, 3, 2]), ONE, pixels)
        return [image, pixels.z_buffer, tf.gradients(tf.reduce_sum(image), vertices)[0]]

    image, z_buffer, gradient = run(build)
    assert not image.any() and not gradient.any() and (z_buffer == 1).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("component", range(4))
def test_triangle_with_a_vertex_that_is_not_finite_is_skipped(value, component):
    for corner in range(3):
        broken = flat_triangle((1, 1), (7, 1), (1, 7))
        broken[0, corner, component] = value
        vertices = np.concatenate([broken, flat_triangle((1, 1), (7, 2), (3, 7))], axis=1)
        result = draw(vertices, np.array([[0, 1, 2], [3, 4, 5]], np.int32), 8, 8)
        assert covered(result) == covered(draw(vertices[:, 3:], ONE, 8, 8)) != set()
        assert np.isfinite(result.barycentric_coordinates).all()


def test_coordinates_near_the_largest_float_give_finite_results():
    random = np.random.RandomState(7)
    vertices = random.standard_normal((2, 90, 4)) * 10.0 ** random.uniform(-38, 38, (2, 90, 1))
    result = draw(vertices.astype(np.float32), np.arange(90, dtype=np.int32).reshape(30, 3), 9, 7)
    assert np.isfinite(result.barycentric_coordinates).all()
    assert (np.abs(result.z_buffer) <= 1).all()


@pytest.mark.parametrize("width, height", [(1, 1), (1, 37), (300, 2), (257, 129)])
def test_any_resolution(width, height):
    vertices, triangles = random_scene("large", seed=8, images=1)
    result = draw(vertices, triangles, width, height)
    _, ids, _, mask = reference.rasterize(vertices[0], triangles, width, height)
    np.testing.assert_array_equal(result.mask[0, ..., 0], mask)
    np.testing.assert_array_equal(result.triangle_ids[0], ids)


def test_static_shapes_are_known_without_the_batch_size():
    with tf.Graph().as_default():
        vertices = tf.placeholder(tf.float32, [None, 5, 4])
        pixels = rasterize_triangles(vertices, np.zeros([7, 3], np.int32), 4, 3)
        image = interpolate_attributes(
            tf.placeholder(tf.float32, [None, 5, 6]), np.zeros([7, 3], np.int32), pixels
        )
        assert pixels.barycentric_coordinates.shape.as_list() == [None, 3, 4, 3]
        assert pixels.triangle_ids.shape.as_list() == [None, 3, 4]
        assert pixels.front_mask.shape.as_list() == [None, 3, 4, 1]
        assert image.shape.as_list() == [None, 3, 4, 6]
        assert tf.gradients(image, vertices)[0].shape.as_list() == [None, 5, 4]


@pytest.mark.parametrize(
    "vertices, triangles, layers, message",
    [
        (np.zeros([3, 4]), ONE, None, "clip_vertices must have shape"),
        (np.zeros([1, 3, 3]), ONE, None, "clip_vertices must have shape"),
        (np.zeros([1, 3, 4]), ONE[0], None, "triangles must have shape"),
        (np.zeros([1, 3, 4]), np.zeros([2, 4]), None, "triangles must have shape"),
        (np.zeros([1, 3, 4]), ONE + 1, None, "triangles must index vertices 0 to 2, got 3"),
        (np.zeros([1, 3, 4]), ONE - 1, None, "triangles must index vertices 0 to 2, got -1"),
        (np.zeros([1, 0, 4]), ONE, None, "triangles must index vertices"),
        (np.zeros([1, 3, 4]), ONE, np.ones([2]), "layers must have shape"),
        (np.zeros([1, 3, 4]), ONE, np.ones([1, 1]), "layers must have shape"),
    ],
)
def test_wrong_inputs_are_invalid_arguments(vertices, triangles, layers, message):
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = [tf.placeholder(kind) for kind in (tf.float32, tf.int32, tf.uint8)]
        pixels = rasterize_triangles(inputs[0], inputs[1], 4, 4, layers=inputs[2])
        layers = np.zeros([0]) if layers is None else layers
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            session.run(pixels.mask, dict(zip(inputs, (vertices, triangles, layers))))


@pytest.mark.parametrize(
    "ids, barycentrics, triangles, message",
    [
        (
            np.zeros([2, 4, 4]),
            np.zeros([2, 4, 4, 3]),
            ONE,
            r"triangle_ids must have shape \[1, H, W\]",
        ),
        (np.zeros([4, 4]), np.zeros([4, 4, 3]), ONE, "triangle_ids must have shape"),
        (
            np.zeros([1, 4, 4]),
            np.zeros([1, 4, 5, 3]),
            ONE,
            "barycentric_coordinates must have shape",
        ),
        (np.ones([1, 4, 4]), np.zeros([1, 4, 4, 3]), ONE, "triangle_ids must lie in"),
        (-np.ones([1, 4, 4]), np.zeros([1, 4, 4, 3]), ONE, "triangle_ids must lie in"),
        (np.zeros([1, 4, 4]), np.ones([1, 4, 4, 3]), np.zeros([0, 3]), "there are no triangles"),
        (np.zeros([1, 4, 4]), np.zeros([1, 4, 4, 3]), ONE + 1, "triangles must index vertices"),
    ],
)
def test_wrong_pixels_are_invalid_arguments(ids, barycentrics, triangles, message):
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = [tf.placeholder(kind) for kind in (tf.int32, tf.float32, tf.int32)]
        pixels = rasterize_triangles(np.zeros([1, 3, 4], np.float32), ONE, 4, 4)._replace(
            triangle_ids=inputs[0], barycentric_coordinates=inputs[1]
        )
        image = interpolate_attributes(np.zeros([1, 3, 2], np.float32), inputs[2], pixels)
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            session.run(image, dict(zip(inputs, (ids, barycentrics, triangles))))


@pytest.mark.parametrize("width, height", [(0, 4), (4, -1), (1 << 16, 4)])
def test_image_sizes_out_of_range_are_errors(width, height):
    with tf.Graph().as_default(), pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        rasterize_triangles(np.zeros([1, 3, 4], np.float32), ONE, width, height)


# The published images ------------------------------------------------------------------------


def test_published_images_and_masks():
    golden = np.load(os.path.join(GOLDEN, "decoder_and_losses.npz"))
    model = scipy.io.loadmat(os.path.join(GOLDEN, "toy_model.mat"))
    front_vertices = model["frontmask2_idx"].reshape(-1) - 1
    result = run(
        lambda: render(
            tf.constant(golden["face_shape_world"]),
            tf.constant(golden["face_color"]),
            model["tri"] - 1,
            image_size=224,
            focal_length=1015.0,
            camera_distance=10.0,
            near=0.01,
            far=50.0,
            front_triangles=front_vertices[model["tri_mask2"] - 1],
        )
    )
    np.testing.assert_array_equal(result.mask, golden["mask"])
    np.testing.assert_array_equal(result.front_mask, golden["mask_crop"])
    scale = np.abs(golden["render_bgr"]).max()
    np.testing.assert_allclose(result.image[..., ::-1], golden["render_bgr"], atol=1e-5 * scale)


def test_core_draws_the_same_on_concurrent_threads():
    random = np.random.RandomState(3)
    vertices = np.concatenate(
        [random.uniform(-1, 1, (6, 40, 3)), np.ones((6, 40, 1))], axis=2
    ).astype(np.float32)
    triangles = random.randint(0, 40, (30, 3)).astype(np.int32)
    expected = core.rasterize(vertices, triangles, 32, 24, threads=1)

    def draw(threads):
        return [core.rasterize(vertices, triangles, 32, 24, threads=threads) for _ in range(20)]

    with futures.ThreadPoolExecutor(4) as executor:
        for results in executor.map(draw, (2, 3, 6, 8)):
            for result in results:
                for one, other in zip(result, expected):
                    np.testing.assert_array_equal(one, other)
