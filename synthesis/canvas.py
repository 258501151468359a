"""The canvas of a synthetic photo: its pixels, the pixels hidden by occluders, and its painters.

The painters are C++ functions of ``mesh_renderer``'s core library, called through ``ctypes``.
"""

import ctypes
import functools
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, IMAGE_SIZE
from mesh_renderer.core import load_library, pointer
from synthesis.head import Surface
from synthesis.lighting import linearize_light
from synthesis.pose import HeadPose

_LINE_KNOTS = np.linspace(-1, 1, 65)  # depths at which an ellipsoid's lower edge is passed on
_SKIN_SIDE = 512  # pixels of the skin texture
_SKIN_LEVELS = 32  # levels of one standard deviation of the skin texture
_NOISE_LENGTH = 1 << 20
_NOISE_LEVELS = 40  # standard deviation of the camera noise
_COLORS = 1 << 24
_TABLE_SEED = 7  # of textures that all pictures share; each picture takes another part of them
_MARGIN = 2  # pixels around a polygon
NO_SHADOW = (0.0, 0.0, 0.0, 0.0)

Numbers = Union[Sequence[float], np.ndarray]


class _CanvasStruct(ctypes.Structure):
    _fields_ = [
        ("picture", ctypes.c_void_p),
        ("hidden", ctypes.c_void_p),
        ("size", ctypes.c_int32),
    ]


class _EllipsoidStruct(ctypes.Structure):
    _fields_ = [
        ("camera", 3 * ctypes.c_float),
        ("right", 3 * ctypes.c_float),
        ("up", 3 * ctypes.c_float),
        ("backward", 3 * ctypes.c_float),
        ("pixel", ctypes.c_float),
        ("inverse_radii", 3 * ctypes.c_float),
        ("light", 9 * ctypes.c_float),
        ("flat", 3 * ctypes.c_float),
        ("contrast", ctypes.c_float),
        ("raggedness", ctypes.c_float),
        ("softness", ctypes.c_float),
    ]


class _SkinStruct(ctypes.Structure):
    _fields_ = [
        ("unevenness", ctypes.c_float),
        ("shine_start", ctypes.c_float),
        ("shine_slope", ctypes.c_float),
        ("shine", ctypes.c_float),
        ("zoom", ctypes.c_float),
        ("left", ctypes.c_int32),
        ("top", ctypes.c_int32),
    ]


class Shine(NamedTuple):
    """Highlights on the brightest skin."""

    start: float  # luminance where they begin
    width: float  # luminance above ``start`` within which they reach full strength
    gain: float  # gray levels added at full strength


class Canvas:
    """A picture that layers are painted on, one after the other.

    Layers painted with ``hides`` lie in front of the face: ``hidden`` becomes 1 in the pixels that
    they cover by half or more.

    Attributes:
        picture: [S, S, 3] uint8 RGB.
        hidden: [S, S] uint8.
        size: S.
        zoom: pixels of the picture per pixel of the 224x224 crop.

    Args:
        picture: [S, S, 3] uint8, painted over.
    """

    def __init__(self, picture: np.ndarray) -> None:
        self.picture = np.require(picture, np.uint8, ["C", "W", "O"])
        self.size = len(self.picture)
        self.zoom = self.size / IMAGE_SIZE
        self.hidden = np.zeros((self.size, self.size), np.uint8)
        self._structs = [
            _CanvasStruct(self.picture.ctypes.data, hidden, self.size)
            for hidden in (None, self.hidden.ctypes.data)
        ]

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Convert points [..., 2] of the 224x224 crop, y up, to picture pixels, y down, float32."""
        flipped = np.asarray(points) * (1, -1) + (0, IMAGE_SIZE)
        return flipped.astype(np.float32) * np.float32(self.zoom)

    def paint_ellipsoid(
        self,
        pose: HeadPose,
        center: np.ndarray,
        radii: np.ndarray,
        surface: Surface,
        gamma: np.ndarray,
        hides: bool = False,
    ) -> None:
        """Paint an ellipsoid that turns with the head.

        Args:
            pose: head pose.
            center: [3] dm, in model space.
            radii: [3] dm, along the axes of model space.
            surface: appearance of the ellipsoid.
            gamma: [27] light of the face.
            hides: True for a layer in front of the face, see the class.
        """
        # 1. Camera and light in the ellipsoid's own coordinates.
        to_head = pose.rotation.T
        camera = (np.array([0, 0, CAMERA_DISTANCE]) - pose.translation).dot(to_head)
        right, up, backward = to_head / radii
        slope, flat = linearize_light(gamma)
        color = np.asarray(surface.color, np.float64)
        struct = _EllipsoidStruct(
            camera=tuple((camera - center) / radii),
            right=tuple(right),
            up=tuple(up),
            backward=tuple(backward),
            pixel=1 / (FOCAL_LENGTH * self.zoom),
            inverse_radii=tuple(1 / np.asarray(radii)),
            light=tuple((color[:, np.newaxis] * slope.dot(to_head)).reshape(-1)),
            flat=tuple(color * flat),
            contrast=surface.contrast,
            raggedness=surface.raggedness,
            softness=surface.softness,
        )

        # 2. Paint, from the lower edge of the surface upwards.
        line = np.interp(_LINE_KNOTS, surface.depths, surface.heights).astype(np.float32)
        texture = np.require(surface.texture, np.float32, ["C"])
        load_library().mesh_renderer_paint_ellipsoid(
            self._struct(hides), ctypes.byref(struct), pointer(texture), pointer(line)
        )

    def paint_strokes(
        self,
        points: np.ndarray,
        radii: Numbers,
        colors: Numbers,
        hides: bool = False,
        roundness: float = 0.0,
        opacity: float = 1.0,
    ) -> None:
        """Paint lines with round ends.

        Args:
            points: [n, P, 2] crop pixels, y up.
            radii: [n, 2] or [2] crop pixels, at the first and the last point.
            colors: [n, 3] or [3].
            hides: True for a layer in front of the face, see the class.
            roundness: 0 paints evenly; 1 darkens to black at the outline.
            opacity: 0..1.
        """
        points = np.ascontiguousarray(self.to_pixels(points))
        radii = _broadcast(np.asarray(radii) * self.zoom, (len(points), 2))
        colors = _broadcast(colors, (len(points), 3))
        load_library().mesh_renderer_paint_strokes(
            self._struct(hides),
            pointer(points),
            pointer(radii),
            pointer(colors),
            ctypes.c_int64(len(points)),
            ctypes.c_int(points.shape[1]),
            ctypes.c_float(roundness),
            ctypes.c_float(opacity),
        )

    def paint_mask(
        self, opacity: np.ndarray, corner: Tuple[int, int], color: Numbers, hides: bool = False
    ) -> None:
        """Blend in one color through a mask.

        Args:
            opacity: [h, w] uint8; 255 covers.
            corner: (left, top) of the mask in the picture.
            color: [3].
            hides: True for a layer in front of the face, see the class.
        """
        opacity = np.require(opacity, np.uint8, ["C"])
        color = np.require(color, np.float32, ["C"])
        height, width = opacity.shape
        box = (corner[0], corner[1], width, height)
        load_library().mesh_renderer_paint_mask(
            self._struct(hides),
            pointer(color),
            pointer(opacity),
            *(ctypes.c_int(int(value)) for value in box),
        )

    def paint_polygon(
        self, points: np.ndarray, color: Numbers, hides: bool = False, opacity: float = 1.0
    ) -> None:
        """Fill a polygon [n, 2] in crop pixels, y up."""
        mask = draw_polygon_mask(self, [(points, int(255 * opacity))])
        if mask:
            self.paint_mask(*mask, color=color, hides=hides)

    def paint_face(
        self, rgba: np.ndarray, unevenness: float, shine: Shine, corner: Numbers
    ) -> None:
        """Paint a rendered face.

        Args:
            rgba: [S, S, 4] uint8.
            unevenness: standard deviation of blotches and pores, as a fraction of the color.
            shine: highlights.
            corner: (left, top) of the part of the skin texture to use.
        """
        rgba = np.require(rgba, np.uint8, ["C"])
        struct = _SkinStruct(
            unevenness=unevenness,
            shine_start=shine.start,
            shine_slope=1.0 / shine.width,
            shine=shine.gain,
            zoom=1.0 / self.zoom,
            left=int(corner[0]),
            top=int(corner[1]),
        )
        load_library().mesh_renderer_paint_face(
            self._struct(False), pointer(rgba), ctypes.byref(struct), pointer(skin_texture())
        )

    def adjust_tone(
        self, tables: np.ndarray, shadow: Sequence[float] = NO_SHADOW, gray: bool = False
    ) -> None:
        """Darken by a shadow, then map each channel by a table.

        Args:
            tables: [3, 256] uint8, one per channel.
            shadow: (a, b, c, strength): light is multiplied by
                1 - strength * clamp(a x + b y + c, 0, 1) at pixel (x, y).
            gray: True removes all color.
        """
        tables = np.require(tables, np.uint8, ["C"])
        weights = np.require(shadow, np.float32, ["C"])
        load_library().mesh_renderer_tone(
            self._struct(False), pointer(tables), pointer(weights), ctypes.c_int(int(gray))
        )

    def blur(self, radius: float, amount: float = -1.0) -> None:
        """Blur with a box filter, or sharpen by an unsharp mask.

        Args:
            radius: pixels of the picture, radius of the box.
            amount: -1 blurs; values above 0 sharpen.
        """
        reach = int(np.ceil(radius))
        kernel = np.clip(radius + 1 - np.abs(np.arange(-reach, reach + 1)), 0, 1)
        kernel = (kernel / kernel.sum()).astype(np.float32)
        load_library().mesh_renderer_filter(
            self._struct(False), pointer(kernel), ctypes.c_int(reach), ctypes.c_float(amount)
        )

    def add_noise(self, start: int, level: float) -> None:
        """Add noise.

        Args:
            start: position in :func:`camera_noise` to read from; wraps around.
            level: standard deviation, gray levels.
        """
        noise = camera_noise()
        load_library().mesh_renderer_grain(
            self._struct(False),
            pointer(noise),
            ctypes.c_int64(len(noise)),
            ctypes.c_int64(int(start)),
            ctypes.c_int(int(round(256 * level / _NOISE_LEVELS))),
        )

    def look_up(self, table: np.ndarray) -> np.ndarray:
        """Return the table entry of each pixel's color, [S, S] uint8; 0 in hidden pixels.

        Args:
            table: [256^3] uint8, indexed by red * 65536 + green * 256 + blue.

        Raises:
            ValueError: the table has another shape or type.
        """
        if table.shape != (_COLORS,) or table.dtype != np.uint8:
            raise ValueError(
                "need a table [256^3] uint8, got {} {}".format(table.shape, table.dtype)
            )
        mask = np.empty((self.size, self.size), np.uint8)
        load_library().mesh_renderer_look_up(self._struct(True), pointer(table), pointer(mask))
        return mask

    def _struct(self, hides: bool) -> Any:
        """Return a reference to the C struct of this canvas."""
        return ctypes.byref(self._structs[hides])


def draw_polygon_mask(
    canvas: Canvas, polygons: List[Tuple[np.ndarray, int]], blur: float = 0.0
) -> Optional[Tuple[np.ndarray, Tuple[int, int]]]:
    """Draw polygons, one over the other, into a mask as large as the first polygon's box.

    Args:
        canvas: canvas that the mask will be painted on.
        polygons: list of ([n, 2] crop pixels, value 0..255).
        blur: blur radius in crop pixels.

    Returns:
        ([h, w] uint8, (left, top)), or None if the box lies outside the picture.
    """
    # 1. Box of the first polygon within the picture.
    outlines = [canvas.to_pixels(points) for points, _ in polygons]
    margin = _MARGIN + blur * canvas.zoom
    low = np.clip(np.floor(outlines[0].min(axis=0) - margin), 0, canvas.size).astype(int)
    high = np.clip(np.ceil(outlines[0].max(axis=0) + margin), 0, canvas.size).astype(int)
    if np.any(high <= low):
        return None

    # 2. Draw at twice the size and average, for smooth edges.
    image = Image.new("L", (2 * int(high[0] - low[0]), 2 * int(high[1] - low[1])))
    draw = ImageDraw.Draw(image)
    for outline, (_, value) in zip(outlines, polygons):
        draw.polygon([tuple(point) for point in (2 * (outline - low)).tolist()], fill=value)
    image = image.reduce(2)

    if blur:
        image = image.filter(ImageFilter.BoxBlur(blur * canvas.zoom))
    return np.asarray(image), tuple(low)


@functools.lru_cache(maxsize=None)
def skin_texture() -> np.ndarray:
    """Return blotches and pores, [512, 512] int8 about 0; 32 levels are one standard deviation."""
    random = np.random.RandomState(_TABLE_SEED)
    total = np.zeros((_SKIN_SIDE, _SKIN_SIDE), np.float32)
    for pixels in (20, 3):
        noise = random.standard_normal((_SKIN_SIDE // pixels,) * 2).astype(np.float32)
        coarse = Image.fromarray(noise)
        total += np.asarray(coarse.resize((_SKIN_SIDE, _SKIN_SIDE), Image.BILINEAR))
    return np.clip(total * _SKIN_LEVELS, -127, 127).astype(np.int8)


@functools.lru_cache(maxsize=None)
def camera_noise() -> np.ndarray:
    """Return normal noise with a standard deviation of 40, [2^20] int8, shared by all pictures."""
    noise = np.random.RandomState(_TABLE_SEED).standard_normal(_NOISE_LENGTH)
    return np.clip(noise * _NOISE_LEVELS, -127, 127).astype(np.int8)


def _broadcast(values: Numbers, shape: Tuple[int, ...]) -> np.ndarray:
    """Broadcast to a shape, as a contiguous float32 array."""
    return np.ascontiguousarray(np.broadcast_to(np.asarray(values, np.float32), shape))
