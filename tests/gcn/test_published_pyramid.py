"""The mesh pyramid of the published code: reading it, and generators that belong to it."""

import os
import shutil

import numpy as np
import pytest
import scipy.sparse

from gcn import published_pyramid as published
from gcn.laplacian import scaled_laplacian
from gcn.pyramid import (
    OWN_PYRAMID,
    PUBLISHED_PYRAMID,
    has_published_pyramid,
    load_pyramid,
    recorded_pyramid,
)
from tests import pyramid_parity
from tests.paths import GOLDEN
from tests.toy_reconstruction import toy_face_model
from utils.errors import InputError

FOLDER = os.path.join(GOLDEN, "gcn_pyramid")
SIZES = (35709, 8928, 2232, 558, 140)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the published files in the folder where users put them."""
    folder = str(tmp_path / "gcn_pyramid")
    shutil.copytree(FOLDER, folder)
    monkeypatch.setattr(published, "FOLDERS", (folder,))
    return folder


def test_laplacians_are_the_published_ones():
    levels = list(pyramid_parity.laplacians(GOLDEN))
    assert len(levels) == 5
    assert all(level.ours <= level.tolerance for level in levels)


def test_the_published_generator_gives_its_mesh_on_its_pyramid():
    one = pyramid_parity.published_generator(GOLDEN)
    assert one.ours.shape == (1, 35709, 3)
    np.testing.assert_allclose(one.ours, one.published, atol=one.tolerance)


def test_edges_weigh_as_many_as_the_triangles_at_them():
    # two triangles that share the edge 0-2
    laplacian = scaled_laplacian(np.array([[0, 1, 2], [0, 2, 3]]), 4).toarray()
    degrees = np.array([1 + 2 + 1, 1 + 1, 1 + 2 + 1, 1 + 1])
    expected = np.zeros((4, 4))
    for i, j, triangles in ((0, 1, 1), (1, 2, 1), (0, 2, 2), (2, 3, 1), (0, 3, 1)):
        expected[i, j] = expected[j, i] = -triangles / np.sqrt(degrees[i] * degrees[j])
    np.testing.assert_allclose(laplacian, expected, atol=1e-7)


def test_the_files_fit_each_other():
    matrices = published.read_published_pyramid(FOLDER)
    assert tuple(matrix.shape[0] for matrix in matrices.laplacians) == SIZES
    assert [len(kept) for kept in matrices.kept] == list(SIZES[1:])
    assert all(len(np.unique(kept)) == len(kept) for kept in matrices.kept)


def test_it_belongs_to_face_models_with_its_vertices_only(copied):
    model = toy_face_model()
    assert published.find_published_pyramid() == copied
    assert not has_published_pyramid(model)
    with pytest.raises(InputError, match="has 35709 vertices.*--face_model bfm"):
        load_pyramid(model, PUBLISHED_PYRAMID)


def test_a_missing_pyramid_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "FOLDERS", (str(tmp_path / "gcn_pyramid"),))
    with pytest.raises(InputError, match="missing; put its 18 .npz files into .*gcn_pyramid"):
        load_pyramid(toy_face_model(), PUBLISHED_PYRAMID)


def test_an_earlier_construction_is_refused():
    with pytest.raises(InputError, match="own-1.*train it again"):
        load_pyramid(toy_face_model(), "own-1")


def test_a_record_names_the_pyramid():
    assert recorded_pyramid(None) == PUBLISHED_PYRAMID
    assert recorded_pyramid({"options": {"pyramid": OWN_PYRAMID}}) == OWN_PYRAMID
    assert recorded_pyramid({"options": {}}) == "own-1"


@pytest.mark.parametrize("name", ["laplacians3", "upsamp_trans0", "downsamp_trans3"])
def test_a_missing_file_is_named(copied, name):
    os.remove(os.path.join(copied, name + ".npz"))
    with pytest.raises(InputError, match=name + ".npz: missing; .* 18 files"):
        published.read_published_pyramid(copied)


@pytest.mark.parametrize("name", ["laplacians1", "upsamp_trans2", "downsamp_trans0"])
def test_a_damaged_file_is_named(copied, name):
    path = os.path.join(copied, name + ".npz")
    with open(path, "r+b") as file:
        file.truncate(500)
    with pytest.raises(InputError, match=name):
        published.read_published_pyramid(copied)


def test_files_of_another_pyramid_are_refused(copied):
    scipy.sparse.save_npz(
        os.path.join(copied, "upsamp_trans3.npz"), scipy.sparse.eye(558, 141, format="csc")
    )
    with pytest.raises(InputError, match="upsamp_trans3.npz: has the shape .* instead of"):
        published.read_published_pyramid(copied)


def test_downsampling_that_mixes_vertices_is_refused(copied):
    mixed = scipy.sparse.csc_matrix(np.full((140, 558), 0.5))
    scipy.sparse.save_npz(os.path.join(copied, "downsamp_trans3.npz"), mixed)
    with pytest.raises(InputError, match="does not pick one vertex per row"):
        published.read_published_pyramid(copied)
