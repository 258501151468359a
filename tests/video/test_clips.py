"""Clips of every kind are read upright, at their own times, without their damaged frames."""

import numpy as np
import pytest
from PIL import Image

from tests.video.clip_files import color_bars, turn_by_flag, write_video
from utils.errors import InputError
from video.clips import open_clip, split_clips

COUNT = 6
PICTURES = [color_bars(i) for i in range(COUNT)]


@pytest.fixture()
def av():
    return pytest.importorskip("av")


def read(path, **options):
    """Return the frames of a clip, and the sentences on damaged ones."""
    damaged = []
    clip = open_clip(str(path), **options)
    return clip, list(clip.read_frames(damaged.append)), damaged


def corner(frame):
    """Return which corner of a frame is bright: (lower, right)."""
    red = frame.pixels[..., 0].astype(float)
    height, width = red.shape
    halves = red[: height // 2 * 2, : width // 2 * 2].reshape(2, height // 2, 2, width // 2)
    return np.unravel_index(halves.mean(axis=(1, 3)).argmax(), (2, 2))


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.mp4", {}),
        ("a.mov", {"sound": "aac"}),
        ("a.webm", {"codec": "libvpx-vp9"}),
        ("ten_bit.mp4", {"codec": "libx265", "form": "yuv420p10le"}),
        ("large.mp4", {"large": True}),
    ],
)
def test_frames_come_back_in_order_with_their_colors(av, tmp_path, name, options):
    options = dict(options)
    pictures = PICTURES
    if options.pop("large", False):
        pictures = [color_bars(i, 2160, 3840) for i in range(2)]
    write_video(str(tmp_path / name), pictures, **options)
    clip, frames, damaged = read(tmp_path / name)
    assert not damaged and [frame.number for frame in frames] == list(range(len(pictures)))
    np.testing.assert_allclose([f.seconds for f in frames], np.arange(len(frames)) / 25, atol=2e-3)
    for frame, picture in zip(frames, pictures):
        assert frame.pixels.shape == picture.shape and frame.pixels.dtype == np.uint8
        assert np.abs(frame.pixels.astype(int) - picture).mean() < 6
    assert clip.name == name.split(".")[0] and clip.frame_rate == pytest.approx(25, rel=0.3)
    assert clip.sound_path == (str(tmp_path / name) if "sound" in options else None)


def test_times_of_a_variable_frame_rate_are_kept(av, tmp_path):
    times = [0.0, 0.04, 0.24, 0.25, 0.5, 1.1]
    write_video(str(tmp_path / "a.mp4"), PICTURES, times)
    frames = read(tmp_path / "a.mp4")[1]
    np.testing.assert_allclose([frame.seconds for frame in frames], times, atol=2e-3)


@pytest.mark.parametrize("turns, bright", [(0, (0, 0)), (1, (0, 1)), (2, (1, 1)), (3, (1, 0))])
def test_rotation_flags_are_respected(av, tmp_path, turns, bright):
    """A flag of so many quarter turns clockwise moves the bright upper left corner."""
    path = str(tmp_path / "a.mp4")
    write_video(path, PICTURES)
    turn_by_flag(path, turns)
    frame = read(path)[1][0]
    assert frame.pixels.shape == ((96, 64, 3) if turns % 2 else (64, 96, 3))
    assert corner(frame) == bright


def test_an_animated_gif_is_a_clip_and_a_still_one_is_a_photo(av, tmp_path):
    moving, still = str(tmp_path / "moving.gif"), str(tmp_path / "still.gif")
    images = [Image.fromarray(picture) for picture in PICTURES]
    images[0].save(moving, save_all=True, append_images=images[1:], duration=100)
    images[0].save(still)
    assert split_clips([moving, still, "x.jpg"], None) == ([moving], [still, "x.jpg"])
    frames = read(moving)[1]
    assert len(frames) == COUNT and frames[-1].seconds == pytest.approx(0.5, abs=0.02)


def test_a_folder_of_frames_is_read_by_number_and_names_damaged_frames(tmp_path):
    for i, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(str(tmp_path / "f{}.png".format(i + 8)))  # 8, 9, 10, ...
    (tmp_path / "f9.png").write_bytes(b"broken")
    Image.fromarray(color_bars(0, 80, 80)).save(str(tmp_path / "f11.png"))
    assert split_clips([str(tmp_path)], 10.0) == ([str(tmp_path)], [])
    _, frames, damaged = read(tmp_path, folder_rate=10.0)
    assert [frame.number for frame in frames] == [0, 2, 4, 5]
    assert [frame.seconds for frame in frames] == [0.0, 0.2, 0.4, 0.5]
    assert len(damaged) == 2 and "f9.png" in damaged[0] and "another size" in damaged[1]


def test_a_damaged_frame_of_a_video_is_left_out_and_named(av, tmp_path):
    path = str(tmp_path / "a.mkv")
    write_video(path, PICTURES, codec="mjpeg", form="yuvj420p")
    with av.open(path) as file:
        packet = [bytes(one) for one in file.demux(video=0) if one.size][2]
    content = open(path, "rb").read()
    at = content.index(packet)
    with open(path, "wb") as file:
        file.write(content[:at] + b"\0" * len(packet) + content[at + len(packet) :])
    _, frames, damaged = read(path)
    assert [frame.number for frame in frames] == [0, 1, 3, 4, 5]
    assert len(damaged) == 1 and damaged[0].startswith(path + ": frame 2 ")


def test_a_broken_off_file_gives_the_frames_before_its_end(av, tmp_path):
    path = tmp_path / "a.mkv"
    write_video(str(path), PICTURES, codec="mjpeg", form="yuvj420p")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert 1 <= len(read(path)[1]) < COUNT


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100, b"#EXTM3U\n/etc/passwd\n"])
def test_a_file_that_is_no_video_is_refused_in_one_sentence(av, tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match="a.mp4 cannot be read as a video .*; convert it to .mp4"):
        read(path)


def test_sound_alone_is_refused(av, tmp_path):
    path = str(tmp_path / "a.mp4")
    with av.open(path, "w") as file:
        audio = file.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        file.mux(audio.encode(frame))
        file.mux(audio.encode(None))
    with pytest.raises(InputError, match="has no picture"):
        open_clip(path)


def test_a_missing_file_and_a_missing_camera_are_refused(av, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        open_clip(str(tmp_path / "a.mp4"))
    assert split_clips(["camera:93"], None) == (["camera:93"], [])
    with pytest.raises(InputError, match="camera:93: /dev/video93 cannot be opened"):
        open_clip("camera:93", folder=str(tmp_path))


def test_without_the_library_a_sentence_says_so(monkeypatch, tmp_path):
    for module in ("video.clips", "utils.installed"):
        monkeypatch.setattr(module + ".is_installed", lambda name: False)
    with pytest.raises(InputError, match="a.mp4: PyAV is not installed"):
        open_clip(str(tmp_path / "a.mp4"))
