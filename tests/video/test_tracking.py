"""Faces tracked through a clip."""

import numpy as np

from tests.portrait_set import portrait
from video.clips import Frame
from video.tracking import FaceTracker


def test_the_networks_are_asked_about_eight_frames_at_once():
    """The second shot shows no face for a while, so the first ends with fewer."""
    asked = []

    def predict(crops):
        asked.append(len(crops))
        return np.zeros((len(crops), 257), np.float32)

    face = np.asarray(portrait().resize((320, 320)))
    tracker = FaceTracker(predict=predict)
    for number in range(22):
        pixels = np.zeros_like(face) if 11 <= number < 14 else face
        tracker.step(Frame(number, number / 25.0, pixels))
    tracks = tracker.finish()
    frames = [one.frame for track in tracks for one in track.sightings]
    assert len(frames) == len(set(frames)) >= 16
    assert sum(asked) == len(frames) and len(asked) <= len(frames) // 8 + len(tracks)
