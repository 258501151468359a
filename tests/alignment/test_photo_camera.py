"""The camera of a photo, beside the pictures that are drawn with it."""

import numpy as np
import pytest

from alignment.align import align
from alignment.photo_camera import photo_camera
from reconstruction.face_views import photo_view
from tests.toy_reconstruction import toy_reconstruction


@pytest.mark.parametrize("degrees", [0.0, 50.0, -120.0, 180.0])
def test_vertices_are_projected_to_where_they_are_drawn(degrees):
    reconstruction = toy_reconstruction(photo_size=411)
    face = reconstruction.face
    alignment = align(face.photo, face.five_points, degrees)
    turned = reconstruction._replace(face=face._replace(alignment=alignment))
    camera = photo_camera(alignment)
    np.testing.assert_allclose(
        camera.project(turned.world_shape), photo_view(turned).screen - 0.5, atol=1e-3
    )


@pytest.mark.parametrize("degrees", [0.0, 50.0])
def test_it_is_a_pinhole_camera(degrees):
    face = toy_reconstruction().face
    camera = photo_camera(align(face.photo, face.five_points, degrees))
    np.testing.assert_allclose(camera.rotation.dot(camera.rotation.T), np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.rotation) == pytest.approx(1)
    np.testing.assert_allclose(camera.translation, [0, 0, 10])
    assert np.all(np.tril(camera.intrinsics, -1) == 0) and np.all(np.diag(camera.intrinsics) > 0)
    scale = align(face.photo, face.five_points).trans_params[2]
    assert camera.intrinsics[0, 0] == pytest.approx(1015 / scale, rel=0.01)
