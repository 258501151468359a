"""Photos of somebody else are found by the distances of identity features."""

import numpy as np
import pytest

from identity.strangers import LARGEST_DISTANCES, IdentityEmbedder, find_strangers
from utils.errors import InputError

LIMIT = 0.42


def around(direction, count, spread, seed=0):
    """Return unit vectors near a direction."""
    random = np.random.RandomState(seed)
    vectors = direction + spread * random.standard_normal((count, 128)) / np.sqrt(128)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def directions(count):
    vectors = np.random.RandomState(9).standard_normal((count, 128))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("place", [0, 2, 5])
def test_the_odd_photo_is_found(place):
    one, other = directions(2)
    features = np.insert(around(one, 5, 0.2), place, other, axis=0)
    comparison = find_strangers(features, LIMIT)
    assert np.flatnonzero(comparison.strangers).tolist() == [place]
    assert comparison.distances[place] > LIMIT > np.delete(comparison.distances, place).max()


def test_the_larger_group_is_the_person():
    one, other = directions(2)
    features = np.concatenate([around(other, 2, 0.1), around(one, 4, 0.2)])
    assert find_strangers(features, LIMIT).strangers.tolist() == [True] * 2 + [False] * 4


def test_photos_of_one_person_are_all_kept():
    assert not find_strangers(around(directions(1)[0], 9, 0.25), LIMIT).strangers.any()


def test_of_two_photos_or_of_people_without_a_pair_none_is_left_out():
    for count in (1, 2, 4):
        comparison = find_strangers(directions(count), LIMIT)
        assert not comparison.strangers.any()
    assert find_strangers(directions(2), LIMIT).distances[0] > LIMIT


def test_crops_are_compared_by_the_installed_network():
    random = np.random.RandomState(0)
    crop = np.uint8(random.uniform(0, 255, (14, 14, 3)).repeat(16, axis=0).repeat(16, axis=1))
    other = np.ascontiguousarray(255 - crop[::-1])
    try:
        comparison = IdentityEmbedder().compare([crop, crop // 2 + 40, other, crop])
    except InputError as error:
        pytest.skip(str(error))
    assert comparison.largest_distance in LARGEST_DISTANCES.values()
    assert comparison.distances[0] == pytest.approx(comparison.distances[3], abs=1e-3)
    assert comparison.distances[2] > comparison.distances[0]
