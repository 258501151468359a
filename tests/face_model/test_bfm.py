"""BFM09 is joined from its licensed pieces; here from random pieces of the true sizes."""

import os
import shutil

import numpy as np
import pytest

from face_model import bfm, load_face_model
from tests.bfm_pieces import direct_rows, write_random_pieces
from utils.errors import InputError

FRONT = 700  # vertices picked here; BFM09's own index files pick 35,709


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    return write_random_pieces(str(tmp_path_factory.mktemp("bfm")), FRONT)


def test_pieces_are_joined_vertex_by_vertex(pieces):
    model = bfm.convert_bfm09(pieces.folder)
    assert (
        model.vertex_count,
        model.identity_count,
        model.expression_count,
        model.albedo_count,
    ) == (FRONT, 80, 64, 80)
    vertices = np.array([0, 17, FRONT - 1])
    for name, expected in direct_rows(pieces, vertices).items():
        rows = getattr(model, name).reshape((FRONT, 3, -1))[vertices]
        np.testing.assert_allclose(rows, expected.reshape(rows.shape), rtol=1e-6)


def test_indices_count_from_zero_and_the_front_is_over_all_vertices(pieces):
    model = bfm.convert_bfm09(pieces.folder)
    assert model.triangles.min() == 0 and model.landmarks[0] == 0
    assert model.vertex_triangles.max() == model.triangle_count
    assert model.front_triangles.tolist() == [[10, 11, 12], [37, 38, 39]]


def test_conversion_happens_once_and_is_kept(pieces, tmp_path):
    folder = tmp_path / "BFM"
    shutil.copytree(pieces.folder, str(folder))
    first = load_face_model(folder=str(folder))
    (folder / "Exp_Pca.bin").unlink()
    assert load_face_model(folder=str(folder)).fingerprint() == first.fingerprint()
    assert first.name == "BFM09"


def test_a_missing_piece_is_named_with_its_source(pieces, tmp_path):
    shutil.copy(os.path.join(pieces.folder, "Exp_Pca.bin"), str(tmp_path))
    with pytest.raises(
        InputError, match=r"01_MorphableModel.mat \(it comes with the license.*std_exp.txt"
    ):
        load_face_model(folder=str(tmp_path))


@pytest.mark.parametrize(
    "name", ["Exp_Pca.bin", "01_MorphableModel.mat", "facemodel_info.mat", "std_exp.txt"]
)
def test_a_truncated_piece_is_named(pieces, tmp_path, name):
    for piece in os.listdir(pieces.folder):
        if piece != name:
            os.symlink(os.path.join(pieces.folder, piece), str(tmp_path / piece))
    with open(os.path.join(pieces.folder, name), "rb") as file:
        (tmp_path / name).write_bytes(
            file.read(os.path.getsize(os.path.join(pieces.folder, name)) // 2)
        )
    with pytest.raises(InputError, match=name):
        bfm.convert_bfm09(str(tmp_path))
