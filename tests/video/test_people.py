"""People of a clip: which tracks belong to one of them."""

import numpy as np

from identity.strangers import LARGEST_DISTANCES
from video.people import group_tracks
from video.tracking import Sighting, Track


def track(frames):
    result = Track(0)
    empty = np.zeros((0, 2))
    result.sightings = [
        Sighting(number, number / 30.0, empty, 1.0, empty, empty, empty, empty, 0.0)
        for number in frames
    ]
    return result


def unit(degrees):
    return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]


def test_tracks_of_one_person_are_joined_and_others_kept_apart():
    tracks = [track(range(0, 30)), track(range(40, 60)), track(range(70, 80))]
    features = np.array([unit(0), unit(18), unit(40)])  # .31 apart, and .38 and .68
    groups = group_tracks(tracks, features, LARGEST_DISTANCES["dlib"])
    assert [[tracks.index(one) for one in group] for group in groups] == [[0, 1], [2]]


def test_two_faces_of_one_frame_are_two_people():
    tracks = [track(range(0, 30)), track(range(10, 20))]
    groups = group_tracks(tracks, np.array([unit(0), unit(5)]), LARGEST_DISTANCES["dlib"])
    assert len(groups) == 2
