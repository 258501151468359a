import numpy as np

from face_model.landmark_basis import landmark_model
from geometry.landmark_layout import STANDARD_POINTS_3D, five_from_68
from synthesis.sampling import FaceSampler, typical_identity
from tests.toy_reconstruction import toy_face_model


def five_points(model, identity):
    mean, basis = (five_from_68(part, axis=0) for part in landmark_model(model))
    return centered(mean + basis[..., : len(identity)].dot(identity))


def centered(points):
    return points - points.mean(axis=0)


def test_typical_face_is_nearer_to_the_standard_points_than_the_mean():
    model = toy_face_model()
    typical = typical_identity(model)
    before, after = (
        np.linalg.norm(five_points(model, identity) - centered(STANDARD_POINTS_3D))
        for identity in (np.zeros_like(typical), typical)
    )
    assert after < before


def test_typical_face_is_the_mean_if_that_has_the_standard_points():
    model = toy_face_model()
    moved = model.mean_shape.copy()
    mean = five_from_68(landmark_model(model)[0])
    for rows, shift in zip(((36, 39), (42, 45), (30,), (48,), (54,)), STANDARD_POINTS_3D - mean):
        moved[model.landmarks[list(rows)]] += shift
    np.testing.assert_allclose(typical_identity(model._replace(mean_shape=moved)), 0, atol=1e-4)


def test_typical_face_is_the_most_likely_one():
    """Nearby faces have a larger sum of squared deviations."""
    model = toy_face_model()
    typical = typical_identity(model)

    def deviation(identity):
        missing = five_points(model, identity) - centered(STANDARD_POINTS_3D)
        return identity.dot(identity) + np.sum(missing**2) / 0.01**2

    random = np.random.RandomState(0)
    for step in 0.01 * random.standard_normal((20, typical.size)):
        assert deviation(typical) < deviation(typical + step)


def test_faces_are_sampled_around_the_typical_one():
    model = toy_face_model()
    sampler, count = FaceSampler(model, seed=3), typical_identity(model).size
    sampled = np.array([sampler.sample(index)[:count] for index in range(300)])
    assert np.abs(sampled.mean(axis=0) - typical_identity(model)).max() < 5 / np.sqrt(300)


def test_photos_of_a_person_share_identity_and_albedo_alone():
    model = toy_face_model()
    sampler = FaceSampler(model, 7, photos_per_person=3)
    faces = np.stack([sampler.sample(index) for index in range(6)])
    ends = np.cumsum([model.identity_count, model.expression_count, model.albedo_count])
    for shared in (slice(0, ends[0]), slice(ends[1], ends[2])):
        np.testing.assert_array_equal(faces[:3, shared], faces[:1, shared].repeat(3, axis=0))
        assert np.abs(faces[0, shared] - faces[3, shared]).max() > 0.5
    for own in (slice(ends[0], ends[1]), slice(ends[2], None)):
        assert np.abs(faces[0, own] - faces[1, own]).max() > 0.01
    # without sets, faces are those of earlier versions
    plain = FaceSampler(model, 7)
    np.testing.assert_array_equal(
        plain.sample(4), FaceSampler(model, 7, photos_per_person=1).sample(4)
    )
