"""The overlay video: the frames of a clip with the reconstructed faces laid in, and its sound."""

import contextlib
import fractions
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from utils.atomic import atomic_path

_TIME_BASE = fractions.Fraction(1, 90000)  # of frames, seconds: every usual frame rate is whole
# Frames refer to earlier ones only, so that pieces of a video can be put one behind the other. On
# two cores one thread encodes faster than two, beside the one that draws; its bytes are the same on
# every machine.
_QUALITY = {"crf": "20", "preset": "veryfast", "bf": "0", "threads": "1"}
# Codecs of sound that MP4 holds; others are encoded anew.
_COPIED_SOUND = ("aac", "mp3", "ac3", "eac3", "opus", "alac", "flac")


class OverlayWriter:
    """Writes frames of a clip at their own times as H.264, and copies the clip's sound.

    Made by :func:`overlay_writer`.
    """

    def __init__(self, container: Any, source: Any, frame_rate: float) -> None:
        self._container = container
        self._rate = _as_rate(frame_rate)
        self._stream: Any = None
        self._sound = _Sound(container, source) if source and source.streams.audio else None

    def write(self, pixels: np.ndarray, seconds: float) -> None:
        """Append a frame.

        Args:
            pixels: [H, W, 3] uint8 RGB; an odd last row or column is left out.
            seconds: time of presentation, later than that of the frame before.
        """
        self._open(pixels.shape)
        self._container.mux(self._stream.encode(_make_frame(pixels, seconds)))
        if self._sound:
            self._sound.copy_until(seconds)

    def write_piece(self, piece: Dict[str, np.ndarray]) -> None:
        """Append frames that :func:`encode_piece` has encoded."""
        import av  # an optional dependency

        self._open(piece["shape"])
        ends = np.cumsum(piece["sizes"])
        content = piece["content"].tobytes()
        for first, last, time, is_key in zip(
            ends - piece["sizes"], ends, piece["times"], piece["is_key"]
        ):
            packet = av.Packet(content[first:last])
            packet.pts = packet.dts = int(time)
            packet.time_base, packet.is_keyframe = _TIME_BASE, bool(is_key)
            packet.stream = self._stream
            self._container.mux(packet)
            if self._sound:
                self._sound.copy_until(float(time * _TIME_BASE))

    def _open(self, shape: Any) -> None:
        """Add the streams, for frames of that shape, unless they are there."""
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", rate=self._rate, options=_QUALITY)
            _prepare(self._stream.codec_context, shape)
            if self._sound:
                self._sound.open()

    def finish(self) -> None:
        """Write the frames that the encoder still holds, and the rest of the sound."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
            if self._sound:
                self._sound.copy_until(np.inf)


def encode_piece(
    frames: Iterable[Tuple[np.ndarray, float]], frame_rate: float
) -> Dict[str, np.ndarray]:
    """Return frames as encoded on their own, for :meth:`OverlayWriter.write_piece`.

    Args:
        frames: pixels, [H, W, 3] uint8 RGB, and seconds of each, rising.
        frame_rate: frames a second, on average.

    Returns:
        Arrays by name: ``content`` [n] uint8, the ``sizes`` of its parts, their ``times`` in 1 /
        90000 seconds, ``is_key`` of those that need no other, and the ``shape`` of the frames;
        nothing without frames.
    """
    import av
    from av.codec.context import Flags

    context: Any = None
    packets: List[Any] = []
    shape: Sequence[int] = ()
    for pixels, seconds in frames:
        if context is None:
            shape = pixels.shape
            context = av.CodecContext.create("libx264", "w")
            context.framerate, context.options = _as_rate(frame_rate), _QUALITY
            context.flags |= Flags.global_header  # the file has the header once
            _prepare(context, shape)
        packets += context.encode(_make_frame(pixels, seconds))
    if context is None:
        return {}
    packets += context.encode(None)
    return {
        "content": np.frombuffer(b"".join(bytes(packet) for packet in packets), np.uint8),
        "sizes": np.array([packet.size for packet in packets]),
        "times": np.array([packet.pts for packet in packets]),
        "is_key": np.array([packet.is_keyframe for packet in packets]),
        "shape": np.array(shape),
    }


def _as_rate(frame_rate: float) -> fractions.Fraction:
    return fractions.Fraction(max(frame_rate, 1.0)).limit_denominator(1001)


def _prepare(context: Any, shape: Any) -> None:
    """Set the format of an encoder, for frames of that shape; odd rows and columns go."""
    context.height, context.width = (int(side) // 2 * 2 for side in shape[:2])
    context.pix_fmt = "yuv420p"
    context.time_base = _TIME_BASE


def _make_frame(pixels: np.ndarray, seconds: float) -> Any:
    import av

    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    even = np.ascontiguousarray(pixels[:height, :width])
    frame = av.VideoFrame.from_ndarray(even, format="rgb24")
    frame.time_base = _TIME_BASE
    frame.pts = int(round(seconds / _TIME_BASE))
    return frame


class _Sound:
    """Copies the first sound of a clip, encoded anew if MP4 cannot hold it."""

    def __init__(self, container: Any, source: Any) -> None:
        self._container = container
        self._source = source.streams.audio[0]
        self._packets = source.demux(self._source)
        self._is_copied = self._source.codec_context.name in _COPIED_SOUND
        self._stream: Any = None
        self._last = -np.inf

    def open(self) -> None:
        """Add the stream to the overlay, after that of the picture."""
        if self._is_copied:
            self._stream = self._container.add_stream_from_template(self._source)
        else:
            rate = self._source.codec_context.sample_rate
            self._stream = self._container.add_stream("aac", rate=rate)
            self._stream.layout = self._source.codec_context.layout.name

    def copy_until(self, seconds: float) -> None:
        """Copy the sound up to a time; what cannot be read of it is left out."""
        import av

        while self._last < seconds:
            try:
                packet = next(self._packets)
                pieces = [packet] if self._is_copied else list(packet.decode())
            except StopIteration:
                if not self._is_copied and self._stream is not None:
                    self._container.mux(self._stream.encode(None))
                self._last = np.inf
                return
            except av.error.FFmpegError:
                continue
            self._copy(pieces)

    def _copy(self, pieces: List[Any]) -> None:
        """Write packets, or encode decoded sound."""
        for piece in pieces:
            if self._is_copied and piece.dts is None:  # the end of the stream
                continue
            if piece.pts is not None:
                self._last = float(piece.pts * piece.time_base)
            if self._is_copied:
                piece.stream = self._stream
                self._container.mux(piece)
            else:
                self._container.mux(self._stream.encode(piece))


@contextlib.contextmanager
def overlay_writer(
    path: str, source_path: Optional[str], frame_rate: float
) -> Iterator[OverlayWriter]:
    """Yield a writer of an MP4 file, which appears when the block succeeds.

    Args:
        path: the .mp4 file to write.
        source_path: the video file whose sound is copied, or None.
        frame_rate: frames a second, on average.
    """
    import av

    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(path))
        source = stack.enter_context(av.open(source_path)) if source_path else None
        options = {"movflags": "faststart"}
        container = stack.enter_context(av.open(temporary, "w", format="mp4", options=options))
        writer = OverlayWriter(container, source, frame_rate)
        yield writer
        writer.finish()
