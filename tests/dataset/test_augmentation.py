import numpy as np
import pytest

from dataset import augmentation
from dataset.augmentation import Augmentation
from dataset.processed_faces import Sample, find_faces, read_face
from tests.training_data import SIZE, write_faces

# Well-known landmarks of iBUG 68, counted from 1, and their mirror images.
# fmt: off
MIRRORED = {
    1: 17, 9: 9, 18: 27, 28: 28, 31: 31, 32: 36, 37: 46, 40: 43, 41: 48, 42: 47, 49: 55, 52: 52,
    58: 58, 59: 57, 60: 56, 61: 65, 66: 68, 67: 67,
}
# fmt: on


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("faces"), 5)


def dotted(row, column):
    """Return a sample with one bright blob, at landmark 0 and visible in the mask."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    blob = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8.0)
    image = np.repeat(np.uint8(200 * blob)[..., None], 3, axis=2)
    landmarks = np.full((68, 2), [column, SIZE - 1 - row], np.float32)
    return Sample(image, np.uint8(255 * blob), landmarks)


def center_of_mass(image):
    weights = image.astype(np.float64)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    "scale, shift", [(1.0, (0.0, 0.0)), (1.08, (-7.3, 4.6)), (0.92, (9.0, -10.0))]
)
def test_landmarks_and_mask_follow_the_pixels(flip, scale, shift):
    change = Augmentation(flip, scale, shift, 1.0, (1.0, 1.0, 1.0))
    sample = augmentation.augment(dotted(70, 140), change)
    x, y = sample.landmarks[0]
    for pixels in (sample.image[..., 1], sample.attention):
        np.testing.assert_allclose(center_of_mass(pixels), [x, SIZE - 1 - y], atol=0.05)


def test_move_by_whole_pixels_is_exact(folder):
    sample = read_face(find_faces(folder).faces[0])
    moved = augmentation.move(sample, 1.0, (3, -2))
    np.testing.assert_array_equal(moved.image[:-2, 3:], sample.image[2:, :-3])
    assert not moved.image[:, :3].any() and not moved.attention[-2:].any()
    np.testing.assert_allclose(moved.landmarks, sample.landmarks + [3, 2], atol=1e-4)


def test_mirroring_swaps_left_and_right_landmarks():
    order = augmentation.mirrored_landmarks()
    assert sorted(order) == list(range(68))
    assert {number: order[number - 1] + 1 for number in MIRRORED} == MIRRORED


def test_mirroring_twice_changes_nothing(folder):
    sample = read_face(find_faces(folder).faces[0])
    for before, after in zip(sample, augmentation.flip(augmentation.flip(sample))):
        np.testing.assert_allclose(before, after, atol=1e-4)


def test_color_jitter_changes_contrast_and_gain():
    sample = dotted(70, 140)._replace(image=np.full((SIZE, SIZE, 3), (100, 150, 200), np.uint8))
    changed = augmentation.jitter_colors(sample, 0.5, (1.0, 2.0, 1.0))
    np.testing.assert_array_equal(changed.image[0, 0], [114, 255, 164])


def test_sampled_parameters_stay_in_their_ranges():
    draws = [augmentation.sample_augmentation(np.random.RandomState(seed)) for seed in range(300)]
    assert 100 < sum(draw.flip for draw in draws) < 200
    assert 0.92 <= min(d.scale for d in draws) < 0.94 and 1.06 < max(d.scale for d in draws) <= 1.08
    assert 9 < np.abs([d.shift for d in draws]).max() <= 10
    assert (
        0.8 < np.min([d.gain for d in draws]) < 0.85
        and 1.15 < np.max([d.gain for d in draws]) < 1.21
    )
