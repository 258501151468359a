"""Small clips that tests make with PyAV, of every kind that people have."""

import fractions
import struct

import numpy as np


def color_bars(index, height=64, width=96):
    """A picture whose left upper corner is bright and whose blue counts the frames."""
    picture = np.zeros((height, width, 3), np.uint8) + 40
    picture[: height // 2, : width // 2] = (220, 60, 30)
    picture[height // 2 :, width // 2 :, 2] = 20 + 20 * index
    return picture


def write_video(path, pictures, times=None, codec="libx264", form="yuv420p", sound=None, rate=25):
    """Write pictures as a video; ``times`` in seconds, ``sound`` the name of an audio codec."""
    import av

    base = fractions.Fraction(1, 12800)
    times = [i / rate for i in range(len(pictures))] if times is None else times
    with av.open(path, "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = form
        stream.codec_context.time_base = base
        audio = file.add_stream(sound, rate=48000) if sound else None
        if audio:
            audio.layout = "mono"
        for picture, seconds in zip(pictures, times):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = int(round(seconds / base)), base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if audio:
            _write_tone(file, audio, times[-1])


def _write_tone(file, audio, seconds):
    import av

    count = int(48000 * seconds)
    wave = (8000 * np.sin(np.arange(count) * 2 * np.pi * 440 / 48000)).astype(np.int16)
    for start in range(0, count - 1024, 1024):
        frame = av.AudioFrame.from_ndarray(
            wave[np.newaxis, start : start + 1024], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = 48000, start
        frame.time_base = fractions.Fraction(1, 48000)
        file.mux(audio.encode(frame))
    file.mux(audio.encode(None))


def turn_by_flag(path, quarter_turns):
    """Set the rotation flag of an MP4 file, in the matrix of its track header."""
    with open(path, "rb") as file:
        content = bytearray(file.read())
    at = content.index(b"tkhd") + 4 + 40  # of version 0: behind times, sizes and volume
    one = 1 << 16
    a, b = [(one, 0), (0, one), (-one, 0), (0, -one)][quarter_turns % 4]
    content[at : at + 36] = struct.pack(">9i", a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    with open(path, "wb") as file:
        file.write(content)
