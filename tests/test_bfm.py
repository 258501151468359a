"""BFM09 is joined from its licensed pieces; here from random pieces of the true sizes."""

import os
import shutil

import numpy as np
import pytest
import scipy.io

from face_model import bfm, load_face_model
from workspace.errors import InputError

COMPONENTS = 199
FRONT = 700  # vertices picked here; BFM09's own index files pick 35,709


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """Random bases of BFM09's true sizes with a small, known choice of front vertices."""
    folder = str(tmp_path_factory.mktemp("bfm"))
    random = np.random.RandomState(5)
    rows = 3 * bfm.SHAPE_VERTEX_COUNT
    # One row of random numbers, scaled along the columns, is quicker than 160,470 x 199 of them.
    pattern = random.standard_normal(COMPONENTS).astype(np.float32)
    slope = np.linspace(0.5, 1.5, rows, dtype=np.float32)[:, np.newaxis]
    basel = {
        "shapeMU": (random.standard_normal((rows, 1)) * 6e4).astype(np.float32),
        "shapePC": slope * pattern, "shapeEV": np.linspace(900, 1, COMPONENTS)[:, np.newaxis],
        "texMU": (random.uniform(60, 200, (rows, 1))).astype(np.float32),
        "texPC": slope[::-1] * pattern, "texEV": np.linspace(50, 1, COMPONENTS)[:, np.newaxis],
    }
    scipy.io.savemat(os.path.join(folder, "01_MorphableModel.mat"), basel)
    expression_rows = 3 * bfm.EXPRESSION_VERTEX_COUNT
    components = random.standard_normal((79, expression_rows)).astype("<f4")
    with open(os.path.join(folder, "Exp_Pca.bin"), "wb") as file:
        file.write(np.int32(79).tobytes() + np.full(expression_rows, 1e6, "<f4").tobytes() + components.tobytes())
    deviations = np.linspace(100, 10, 79)
    np.savetxt(os.path.join(folder, "std_exp.txt"), deviations[np.newaxis])
    trim = random.permutation(bfm.SHAPE_VERTEX_COUNT)[:bfm.EXPRESSION_VERTEX_COUNT]
    front = np.sort(random.permutation(bfm.EXPRESSION_VERTEX_COUNT)[:FRONT])
    scipy.io.savemat(os.path.join(folder, "BFM_exp_idx.mat"), {"trimIndex": trim[:, np.newaxis] + 1})
    scipy.io.savemat(os.path.join(folder, "BFM_front_idx.mat"), {"idx": front[:, np.newaxis] + 1.0})
    triangles = np.stack([np.arange(FRONT - 2), np.arange(1, FRONT - 1), np.arange(2, FRONT)], axis=1)
    scipy.io.savemat(os.path.join(folder, "facemodel_info.mat"), {
        "tri": triangles + 1.0, "point_buf": np.full((FRONT, 8), len(triangles) + 1.0),
        "frontmask2_idx": np.arange(10, 40)[:, np.newaxis] + 1.0, "tri_mask2": np.array([[1.0, 2, 3], [28, 29, 30]]),
        "keypoints": np.arange(68)[np.newaxis] + 1.0, "skinmask": np.ones((1, FRONT))})
    return folder, basel, components, deviations, trim, front


def test_pieces_are_joined_vertex_by_vertex(pieces):
    folder, basel, components, deviations, trim, front = pieces
    model = bfm.convert_bfm09(folder)
    assert (model.vertex_count, model.identity_count, model.expression_count, model.albedo_count) == (
        FRONT, 80, 64, 80)
    for vertex in (0, 17, FRONT - 1):
        for axis in range(3):
            row, source = 3 * vertex + axis, 3 * trim[front[vertex]] + axis
            np.testing.assert_allclose(model.mean_shape[vertex, axis], basel["shapeMU"][source, 0] / 1e5, rtol=1e-6)
            np.testing.assert_allclose(
                model.identity_basis[row], basel["shapePC"][source, :80] * basel["shapeEV"][:80, 0] / 1e5, rtol=1e-6)
            np.testing.assert_allclose(
                model.albedo_basis[row], basel["texPC"][source, :80] * basel["texEV"][:80, 0], rtol=1e-6)
            np.testing.assert_allclose(
                model.expression_basis[row],
                components[:64, 3 * front[vertex] + axis] * deviations[:64] / 1e5, rtol=1e-6)


def test_indices_count_from_zero_and_the_front_is_over_all_vertices(pieces):
    model = bfm.convert_bfm09(pieces[0])
    assert model.triangles.min() == 0 and model.landmarks[0] == 0
    assert model.vertex_triangles.max() == model.triangle_count
    assert model.front_triangles.tolist() == [[10, 11, 12], [37, 38, 39]]


def test_conversion_happens_once_and_is_kept(pieces, tmp_path):
    folder = tmp_path / "BFM"
    shutil.copytree(pieces[0], str(folder))
    first = load_face_model(folder=str(folder))
    (folder / "Exp_Pca.bin").unlink()
    assert load_face_model(folder=str(folder)).fingerprint() == first.fingerprint()
    assert first.name == "BFM09"


def test_a_missing_piece_is_named_with_its_source(pieces, tmp_path):
    shutil.copy(os.path.join(pieces[0], "Exp_Pca.bin"), str(tmp_path))
    with pytest.raises(InputError, match=r"01_MorphableModel.mat \(it comes with the licence.*std_exp.txt"):
        load_face_model(folder=str(tmp_path))


@pytest.mark.parametrize("name", ["Exp_Pca.bin", "01_MorphableModel.mat", "facemodel_info.mat", "std_exp.txt"])
def test_a_truncated_piece_is_named(pieces, tmp_path, name):
    for piece in os.listdir(pieces[0]):
        if piece != name:
            os.symlink(os.path.join(pieces[0], piece), str(tmp_path / piece))
    with open(os.path.join(pieces[0], name), "rb") as file:
        (tmp_path / name).write_bytes(file.read(os.path.getsize(os.path.join(pieces[0], name)) // 2))
    with pytest.raises(InputError, match=name):
        bfm.convert_bfm09(str(tmp_path))
