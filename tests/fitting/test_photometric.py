"""Analysis by synthesis recovers rendered faces."""

import contextlib

import numpy as np
import pytest

from benchmarks.random_faces import sample_coefficients
from evaluation.protocol import normalized_mean_error
from face_decoder import FaceDecoder
from face_model import read_face_model
from fitting.landmarks import LandmarkFit
from fitting.objective import FaceObservation, PhotoObjective
from fitting.photometric import FaceFitter, FitSettings
from fitting.robustness import FIRST_ROBUST_SCALE
from geometry.camera import IMAGE_SIZE
from geometry.similarity import fit_similarity
from losses import LossWeights
from tests.paths import TOY_MODEL


def make_observation(decoded, index):
    rgba = decoded.rendered[index]
    return FaceObservation(
        rgba[..., :3], rgba[..., 3] / 255.0, decoded.landmarks[index], np.ones(68)
    )


@pytest.fixture(scope="module")
def fitted(decoder, truth):
    return FaceFitter(decoder, FitSettings(40)).fit(
        [make_observation(truth, 0), make_observation(truth, 1)]
    )


def photometric_error(decoder, truth, coefficients):
    found = decoder.decode(coefficients)
    both = truth.front_mask & found.front_mask
    return np.abs(found.rendered[both][:, :3].astype(float) - truth.rendered[both][:, :3]).mean()


def test_landmarks_and_pixels_are_explained(decoder, truth, fitted):
    found = decoder.decode(fitted.coefficients)
    for i in range(2):
        assert normalized_mean_error(found.landmarks[i], truth.landmarks[i]) < 1.5
    assert photometric_error(decoder, truth, fitted.coefficients) < 8


def test_descent_improves_on_the_landmark_fit(decoder, truth, fitted):
    assert np.all(fitted.loss < 0.9 * fitted.history[0])
    landmarks_only = FaceFitter(decoder, FitSettings(0)).fit(
        [make_observation(truth, 0), make_observation(truth, 1)]
    )
    assert photometric_error(decoder, truth, fitted.coefficients) < 0.5 * photometric_error(
        decoder, truth, landmarks_only.coefficients
    )


def test_a_photo_does_not_depend_on_its_neighbors_in_the_batch(decoder, truth, fitted):
    alone = FaceFitter(decoder, FitSettings(40)).fit([make_observation(truth, 1)])
    np.testing.assert_allclose(alone.coefficients[0], fitted.coefficients[1], atol=0.05)


def test_the_same_photo_gives_the_same_coefficients(decoder, truth, fitted):
    again = FaceFitter(decoder, FitSettings(40)).fit(
        [make_observation(truth, 0), make_observation(truth, 1)]
    )
    np.testing.assert_allclose(again.coefficients, fitted.coefficients, atol=1e-3)


def test_refinement_starts_where_it_is_told(decoder, truth):
    fitter = FaceFitter(decoder, FitSettings(5))
    observations = [make_observation(truth, 0), make_observation(truth, 1)]
    start = truth.coefficients + np.float32(0.01)
    refined = fitter.fit(observations, start)
    photos = PhotoObjective(fitter._build_objective(), decoder, observations)
    np.testing.assert_allclose(
        refined.history[0], photos.losses(start, FIRST_ROBUST_SCALE), rtol=1e-4
    )
    found = decoder.decode(refined.coefficients)
    assert np.abs(found.landmarks - truth.landmarks).mean() < 0.5
    assert photometric_error(decoder, truth, refined.coefficients) < 4


def test_each_face_begins_at_the_better_of_prediction_and_landmarks(decoder, truth):
    # With the published weights, no other coefficients have a lower loss than the true ones.
    fitter = FaceFitter(decoder, FitSettings(0, LossWeights()))
    observations = [make_observation(truth, 0), make_observation(truth, 1)]
    predicted = truth.coefficients.copy()
    predicted[1, 80:] += 0.5  # spoils everything but the identity of the second face
    start = fitter.choose_start(observations, predicted)
    np.testing.assert_array_equal(start[0], np.float32(predicted[0]))
    loss_of = [
        fitter.fit(observations, c).loss
        for c in (start, predicted, fitter.fit_landmarks(observations))
    ]
    assert np.all(loss_of[0] <= np.minimum(loss_of[1], loss_of[2]) + 1e-6)
    assert loss_of[0][1] < 0.5 * loss_of[1][1]


def test_an_occluder_does_not_pull_the_face(decoder, truth):
    clean, spoilt = make_observation(truth, 0), make_observation(truth, 0)
    crop = spoilt.crop.copy()
    crop[90:125, 120:170] = (20, 200, 20)  # as a leaf in front of the cheek
    fitter = FaceFitter(decoder, FitSettings(40))
    with_leaf = decoder.decode(fitter.fit([spoilt._replace(crop=crop)]).coefficients)
    without = decoder.decode(fitter.fit([clean]).coefficients)
    # Depth and size of one photo's face are free to change together: shape and picture count.
    shapes = with_leaf.world_shape[0], without.world_shape[0]
    moved = fit_similarity(*shapes, with_scale=False).apply(shapes[0])
    assert np.linalg.norm(moved - shapes[1], axis=-1).mean() < 0.02  # dm
    assert np.abs(with_leaf.landmarks - without.landmarks).mean() < 0.2  # pixels


def test_a_fringe_is_not_painted_on_the_forehead():
    model = read_face_model(TOY_MODEL)
    # The small model's front region ends at the brows.
    model = model._replace(
        front_triangles=model.triangles, front_vertices=np.arange(model.vertex_count)
    )
    with contextlib.closing(FaceDecoder(model)) as decoder:
        coefficients = sample_coefficients(model, 1, 4)
        coefficients[:, 80:144] *= 0.3
        truth = decoder.decode(coefficients)
        clean = make_observation(truth, 0)
        top = int(IMAGE_SIZE - clean.landmarks[17:27, 1].max())  # row
        crop = clean.crop.copy()
        crop[:top] = (110, 80, 45)
        fitter = FaceFitter(decoder, FitSettings(40))
        fits = [fitter.fit([clean._replace(crop=picture)]) for picture in (clean.crop, crop)]
        plain, fringed = (decoder.decode(fit.coefficients).rendered[0, :top] for fit in fits)
    forehead = truth.front_mask[0, :top]
    assert forehead.sum() > 1000
    difference = fringed[forehead][:, :3].astype(float) - plain[forehead][:, :3]
    assert np.abs(difference).mean() < 10  # gray levels


def test_a_beard_does_not_move_the_lips(decoder, truth):
    """Lips stay where the fit to the landmarks has them, whatever the pixels around them."""
    clean, parts = make_observation(truth, 0), np.split(truth.coefficients[0], [80, 144, 224, 227])
    landmarks = clean.landmarks
    fit = LandmarkFit(parts[0], parts[1], parts[3], parts[4][27:], landmarks, 0.0)
    column, height = landmarks[48:68].mean(axis=0)
    row, column = int(IMAGE_SIZE - height), int(column)
    crop = clean.crop.copy()
    beard = slice(row - 22, row + 45), slice(column - 40, column + 40)
    crop[beard] = np.where(clean.attention[beard][..., np.newaxis] > 0, (40, 30, 25), 0)
    lips = slice(row - 5, row + 8), slice(column - 22, column + 22)
    crop[lips] = clean.crop[lips]

    observation = clean._replace(crop=crop, fit=fit)
    result = FaceFitter(decoder, FitSettings(20)).fit([observation], truth.coefficients[:1])
    found = decoder.decode(result.coefficients).landmarks[0]
    assert np.linalg.norm(found - landmarks, axis=1)[48:].max() < 1  # pixels


def test_no_visible_face_gives_finite_coefficients(decoder):
    blank = FaceObservation(
        np.zeros((224, 224, 3), np.uint8),
        np.zeros((224, 224)),
        np.full((68, 2), 112.0),
        np.ones(68),
    )
    result = FaceFitter(decoder, FitSettings(3)).fit([blank])
    assert np.all(np.isfinite(result.coefficients)) and np.all(np.isfinite(result.loss))


def test_identity_features_join_the_loss_where_there_are_weights(truth):
    pytest.importorskip("dlib")
    from identity import load_identity_network

    decoder = FaceDecoder(read_face_model(TOY_MODEL))
    observations = [make_observation(truth, 0), make_observation(truth, 1)]
    without = FaceFitter(decoder, FitSettings(3)).fit(observations, truth.coefficients + 0.05)
    fitter = FaceFitter(decoder, FitSettings(3), load_identity_network("dlib"))
    with_identity = fitter.fit(observations, truth.coefficients + 0.05)
    decoder.close()
    added = with_identity.history[0] - without.history[0]
    assert np.all(added > 0) and np.all(added < 0.2)  # 0.2 times one minus cosine
    assert not np.allclose(with_identity.coefficients, without.coefficients)
