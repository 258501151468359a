"""Clips, frame by frame: video files, animated pictures, folders of frames, and cameras.

Video files are read by PyAV (FFmpeg). Frames are upright 8-bit RGB, whatever their pixel format,
rotation flag and pixel aspect ratio, at their own times: the frame rate may vary.
"""

import abc
import contextlib
import os
import re
import threading
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from utils.errors import InputError
from utils.installed import is_installed, missing_dependencies
from utils.photos import EXTENSIONS as PHOTO_EXTENSIONS
from utils.photos import MAX_PIXELS, MIN_SIDE, open_image, read_photo
from video.overlay import overlay_writer

EXTENSIONS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
_CAMERA = re.compile(r"camera:(\d+)$")
# Containers that are opened: lists of other files, and addresses, are not among them.
_FORMATS = "avi,gif,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegvideo,mpegts"
_DEFAULT_RATE = 30.0  # frames a second, where a file does not say
_SMALLEST_STEP = 1e-3  # seconds between frames whose times do not rise

Damage = Callable[[str], Any]  # takes a sentence that names a damaged frame
Watch = Callable[["Frame"], bool]


class Frame(NamedTuple):
    """A frame of a clip."""

    number: int  # from 0; damaged frames are counted too
    seconds: float  # time of presentation in the file
    pixels: np.ndarray  # [H, W, 3] uint8 RGB


class Clip(abc.ABC):
    """A clip, whose frames can be read repeatedly.

    Attributes:
        path: file, folder or name of the camera.
        name: stem of its output files.
        frame_rate: frames a second, on average.
        frame_count: number of frames as the file says, or None.
        start: time of the first frame that was read, seconds.
        sound_path: file whose sound belongs to the clip, or None.
    """

    path = ""
    name = ""
    frame_rate = _DEFAULT_RATE
    frame_count: Optional[int] = None
    start = 0.0
    sound_path: Optional[str] = None

    @abc.abstractmethod
    def read_frames(self, on_damage: Damage) -> Iterator[Frame]:
        """Yield the frames in the order of their times.

        Args:
            on_damage: callable taking one sentence for each frame that is left out.

        Raises:
            InputError: no frame can be read.
        """

    @abc.abstractmethod
    def stamp(self) -> List[Any]:
        """Return sizes and times of change of the clip's files, JSON values."""


def _stamp_file(path: str) -> List[Any]:
    state = os.stat(path)
    return [os.path.basename(path), state.st_size, state.st_mtime_ns]


def split_clips(paths: Sequence[str], folder_rate: Optional[float]) -> Tuple[List[str], List[str]]:
    """Split paths into clips and others.

    Args:
        paths: files, folders and cameras.
        folder_rate: frames a second of folders, which then are clips; None: they hold photos.

    Returns:
        Paths of clips, and the others.
    """
    clips = [path for path in paths if _is_clip(path, folder_rate)]
    return clips, [path for path in paths if path not in clips]


def _is_clip(path: str, folder_rate: Optional[float]) -> bool:
    if _CAMERA.match(path) or path.lower().endswith(EXTENSIONS):
        return True
    if path.lower().endswith(".gif"):
        return _is_animated(path)
    return folder_rate is not None and os.path.isdir(path)


def _is_animated(path: str) -> bool:
    try:
        with open_image(path) as image:
            return getattr(image, "n_frames", 1) > 1
    except Exception:  # not a picture: the reader of photos says so
        return False


def open_clip(
    path: str,
    folder_rate: Optional[float] = None,
    folder: str = "",
    seconds: float = 10.0,
    watch: Optional[Watch] = None,
) -> Clip:
    """Return the clip of a path; a camera is recorded first.

    Args:
        path: a path that :func:`split_clips` counts as a clip.
        folder_rate: frames a second of a folder.
        folder: where the recording of a camera is kept.
        seconds: length of that recording.
        watch: gets the newest frame whenever it is free while a camera is recorded; False ends the
            recording.

    Raises:
        InputError: the clip is missing or damaged, or PyAV is not installed.
    """
    if os.path.isdir(path):
        return _FolderClip(path, folder_rate or _DEFAULT_RATE)
    require_video_library(path)
    if not _CAMERA.match(path):
        return _VideoClip(path)
    clip = _VideoClip(_record_camera(path, folder, seconds, watch))
    clip.name = path.replace(":", "")  # the recording stays beside NAME.mp4
    return clip


def require_video_library(path: str) -> None:
    """Raise InputError, naming a clip, if PyAV is not installed."""
    if not is_installed("av"):
        raise InputError("{}: {}".format(path, missing_dependencies(["av"])[0]))


class _FolderClip(Clip):
    """A folder of pictures of one size, in the order of the numbers in their names."""

    def __init__(self, folder: str, rate: float) -> None:
        self.path = folder
        self.name = os.path.basename(os.path.normpath(folder)) or "clip"
        self.frame_rate = rate
        names = [name for name in os.listdir(folder) if name.lower().endswith(PHOTO_EXTENSIONS)]
        names = sorted((name for name in names if not name.startswith(".")), key=_number_key)
        if not names:
            raise InputError("{}: no frames here (looked for .jpg, .png and so on)".format(folder))
        self._files = [os.path.join(folder, name) for name in names]
        self.frame_count = len(names)

    def read_frames(self, on_damage: Damage) -> Iterator[Frame]:
        size = None
        for index, path in enumerate(self._files):
            try:
                pixels = read_photo(path)
            except InputError as error:
                on_damage(str(error))
                continue
            size = size or pixels.shape
            if pixels.shape != size:
                on_damage("{} has another size than the frames before".format(path))
                continue
            yield Frame(index, index / self.frame_rate, pixels)

    def stamp(self) -> List[Any]:
        return [_stamp_file(path) for path in self._files]


def _number_key(name: str) -> List[Any]:
    """Return a key that sorts numbers in names by their values."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


class _VideoClip(Clip):
    """A video file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = os.path.splitext(os.path.basename(path))[0]
        if not os.path.isfile(path):
            raise InputError("{} does not exist; name a video file".format(path))
        with self._open() as container:
            stream = container.streams.video[0]
            self.frame_rate = float(stream.average_rate or stream.guessed_rate or _DEFAULT_RATE)
            self.frame_count = stream.frames or None
            self.sound_path = path if container.streams.audio else None

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        """Open the file and check its picture; close it at the end."""
        import av  # an optional dependency

        try:
            container = av.open(self.path, options={"format_whitelist": _FORMATS})
        except (av.error.FFmpegError, OSError) as error:
            raise InputError(
                "{} cannot be read as a video ({}); convert it to .mp4".format(
                    self.path, error.strerror or "unknown format"
                )
            ) from error
        try:
            if not container.streams.video:
                raise InputError("{} has no picture; name a video file".format(self.path))
            context = container.streams.video[0].codec_context
            if not MIN_SIDE <= min(context.width, context.height):
                raise InputError("{}: its picture is too small for a face".format(self.path))
            if context.width * context.height > MAX_PIXELS:
                raise InputError("{}: its picture is too large; make it smaller".format(self.path))
            yield container
        finally:
            container.close()

    def read_frames(self, on_damage: Damage) -> Iterator[Frame]:
        import av

        index, last, shape = 0, None, None
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            ratio = stream.sample_aspect_ratio
            for packet in _packets(container, stream):
                try:
                    decoded = packet.decode()
                except (av.error.FFmpegError, OSError):
                    on_damage(self._damaged(index, "cannot be decoded"))
                    index += 1
                    continue
                for picture in decoded:
                    # 1. times rise
                    seconds = picture.time
                    if seconds is None:
                        seconds = index / self.frame_rate
                    if last is None:
                        self.start = seconds
                    else:
                        seconds = max(seconds, last + _SMALLEST_STEP)
                    last = seconds

                    # 2. whole pictures of one size
                    pixels = None if picture.is_corrupt else _upright_pixels(picture, ratio)
                    shape = shape or (None if pixels is None else pixels.shape)
                    if pixels is None:
                        on_damage(self._damaged(index, "is damaged"))
                    elif pixels.shape != shape:
                        on_damage(self._damaged(index, "has another size than those before"))
                    else:
                        yield Frame(index, seconds, pixels)
                    index += 1

    def stamp(self) -> List[Any]:
        return _stamp_file(self.path)

    def _damaged(self, index: int, problem: str) -> str:
        return "{}: frame {} {}".format(self.path, index, problem)


def _record_camera(name: str, folder: str, seconds: float, watch: Optional[Watch]) -> str:
    """Record a camera of Linux into ``camera0_recording.mp4``; return that path.

    Args:
        name: ``camera:0`` and so on.
        folder: where the recording is kept.
        seconds: its length; Ctrl-C ends it before.
        watch: see :func:`open_clip`.

    Raises:
        InputError: the camera cannot be opened, or gives no picture.
    """
    import av

    number = name.partition(":")[2]
    path = os.path.join(folder, "camera{}_recording.mp4".format(number))
    device = "/dev/video" + number
    try:
        camera = av.open(device, format="v4l2")
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(
            "{}: {} cannot be opened ({}); connect a camera".format(name, device, error.strerror)
        ) from error
    recording = _Recording(camera, path, seconds)
    with contextlib.suppress(KeyboardInterrupt):
        recording.start()
        for frame in recording.newest_frames():
            if watch and not watch(frame):
                break
    if not recording.finish():
        raise InputError("{}: {} gives no picture; connect a camera".format(name, device))
    return path


class _Recording(threading.Thread):
    """Writes the pictures of a camera into a file.

    Args:
        camera: opened PyAV container, which is closed at the end.
        path: of the file.
        seconds: its length.
    """

    def __init__(self, camera: Any, path: str, seconds: float) -> None:
        super().__init__(daemon=True)
        self._camera, self._path, self._seconds = camera, path, seconds
        self._changed = threading.Condition()
        self._newest: Optional[Frame] = None
        self._is_over = False
        self._error: Optional[Exception] = None

    def run(self) -> None:
        """Record; the thread's own function."""
        try:
            self._record()
        except Exception as error:  # of the camera or of the disk; it belongs to the caller
            self._error = error
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    def _record(self) -> None:
        first: Optional[float] = None
        with self._camera, overlay_writer(self._path, None, _DEFAULT_RATE) as writer:
            for number, picture in enumerate(self._camera.decode(video=0)):
                now = float(picture.time or 0.0)
                first = now if first is None else first
                if now - first > self._seconds or self._is_over:
                    return
                frame = Frame(number, now - first, picture.to_ndarray(format="rgb24"))
                writer.write(frame.pixels, frame.seconds)
                with self._changed:
                    self._newest = frame
                    self._changed.notify_all()

    def newest_frames(self) -> Iterator[Frame]:
        """Yield the newest frame whenever there is another one, until the end."""
        last: Optional[Frame] = None
        while True:
            with self._changed:
                while self._newest is last and not self._is_over:
                    self._changed.wait()
                if self._is_over or self._newest is None:
                    return
                last = self._newest
            yield last

    def finish(self) -> bool:
        """End the recording; return whether it has any frame.

        Raises:
            OSError: it could not be written.
        """
        with self._changed:
            self._is_over = True
        self.join()
        if self._error is not None:
            raise self._error
        return self._newest is not None


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the packets of a stream up to its end, or to where the file is broken off."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return
        yield packet


def _upright_pixels(picture: Any, ratio: Any) -> np.ndarray:
    """Return a decoded picture as upright 8-bit RGB with square pixels.

    Args:
        picture: ``av.VideoFrame``.
        ratio: width of a pixel by its height, or None.
    """
    if ratio and ratio != 1:
        width = max(MIN_SIDE, int(round(picture.width * ratio)))
        picture = picture.reformat(width=width, height=picture.height, format="rgb24")
    pixels = picture.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, int(round(picture.rotation / 90)) % 4))
