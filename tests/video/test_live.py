"""The live view of a camera: the face laid into each frame, and the recording beside it."""

import os
import time

import numpy as np
import pytest

from tests.scripts.test_demo import MODEL
from tests.video.clip_files import color_bars, write_video
from utils.errors import InputError
from video.clips import Frame, open_clip

av = pytest.importorskip("av")


@pytest.fixture()
def camera(monkeypatch, tmp_path):
    """Return a function of frames that makes them those of the camera."""
    real = av.open

    def connect(pictures):
        path = str(tmp_path / "device.mkv")
        write_video(path, pictures)
        monkeypatch.setattr(
            av,
            "open",
            lambda name, *arguments, **flags: (
                real(path) if flags.get("format") == "v4l2" else real(name, *arguments, **flags)
            ),
        )

    return connect


def test_all_frames_are_recorded_while_the_newest_are_watched(camera, tmp_path):
    seen = []

    def watch(frame):
        time.sleep(0.02)  # slower than the camera
        seen.append(frame.number)
        return True

    camera([color_bars(i % 10) for i in range(50)])
    clip = open_clip("camera:0", folder=str(tmp_path), seconds=60, watch=watch)
    assert clip.path == str(tmp_path / "camera0_recording.mp4") and clip.name == "camera0"
    assert len(list(clip.read_frames(pytest.fail))) == 50
    assert seen == sorted(set(seen)) and len(seen) < 50


def test_a_recording_ends_in_time_or_when_the_watcher_has_seen_enough(camera, tmp_path):
    camera([color_bars(i % 10) for i in range(50)])
    clip = open_clip("camera:0", folder=str(tmp_path), seconds=1.0)
    assert len(list(clip.read_frames(pytest.fail))) == 26  # at 0, 0.04, ..., 1 s
    clip = open_clip("camera:0", folder=str(tmp_path), seconds=60, watch=lambda frame: False)
    assert 1 <= len(list(clip.read_frames(pytest.fail))) <= 50


def test_a_recording_that_cannot_be_written_is_an_error(camera, tmp_path):
    camera([color_bars(0)])
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError):
        open_clip("camera:0", folder=str(tmp_path / "file"))


def test_a_camera_without_a_picture_is_named(camera, monkeypatch, tmp_path):
    camera([color_bars(0)])
    with pytest.raises(InputError, match="camera:0: /dev/video0 gives no picture"):
        open_clip("camera:0", folder=str(tmp_path), seconds=-1.0)


@pytest.mark.skipif(
    not os.path.isfile(MODEL), reason="the open face model is not built ('make face-model')"
)
def test_the_face_is_laid_into_each_frame_that_shows_one():
    from face_model import load_face_model
    from reconstruction.network_choice import NetworkRequest, choose_networks
    from reconstruction.pipeline import FacePipeline
    from tests.video.test_demo_clip import moving_portrait
    from video.live import LiveFace

    model = load_face_model("open")
    live = LiveFace(FacePipeline(model, choose_networks(NetworkRequest(method="network"), model)))
    pictures = moving_portrait()[:6]
    pictures.insert(3, np.full_like(pictures[0], 90))
    for number, pixels in enumerate(pictures):
        drawn = live.draw(Frame(number, number / 25.0, pixels))
        if number == 3:
            np.testing.assert_array_equal(drawn, pixels)
        elif number < 3:  # a lost face is searched again some frames later
            difference = np.abs(drawn.astype(int) - pixels).mean(axis=2)
            changed = np.argwhere(difference > 0)
            assert 30 < np.ptp(changed[:, 0]) < 130 and 30 < np.ptp(changed[:, 1]) < 130
            assert np.linalg.norm(changed.mean(axis=0) - [70, 140]) < 10
            assert difference[difference > 0].mean() < 40  # it is that face, in its colors
