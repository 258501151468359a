"""What synthetic photos are painted on: a picture and what is hidden in it, through the core's C interface."""

import ctypes
import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, IMAGE_SIZE
from mesh_renderer.core import library, pointer
from synthesis.lighting import linear_light

TEXTURE_SHAPE = (32, 512)  # of an ellipsoid's texture: over its height, and around it
_LINE_KNOTS = np.linspace(-1, 1, 65)  # depths at which the core knows the lower edge of an ellipsoid's paint
_SKIN_SIDE = 512  # pixels of the texture of skin
_SKIN_LEVELS = 32  # its unit, one standard deviation
_NOISE_LENGTH = 1 << 20
_NOISE_LEVELS = 40  # standard deviation
_COLOURS = 1 << 24
_TABLE_SEED = 7  # of textures that all pictures share; each takes another piece
_MARGIN = 2  # pixels about a polygon


class _CanvasStruct(ctypes.Structure):
    _fields_ = [("picture", ctypes.c_void_p), ("hidden", ctypes.c_void_p), ("size", ctypes.c_int32)]


class _EllipsoidStruct(ctypes.Structure):
    _fields_ = [("camera", 3 * ctypes.c_float), ("right", 3 * ctypes.c_float), ("up", 3 * ctypes.c_float),
                ("backward", 3 * ctypes.c_float), ("pixel", ctypes.c_float), ("inverse_radii", 3 * ctypes.c_float),
                ("light", 9 * ctypes.c_float), ("flat", 3 * ctypes.c_float), ("contrast", ctypes.c_float),
                ("raggedness", ctypes.c_float), ("softness", ctypes.c_float)]


class _SkinStruct(ctypes.Structure):
    _fields_ = [("unevenness", ctypes.c_float), ("shine_start", ctypes.c_float), ("shine_slope", ctypes.c_float),
                ("shine", ctypes.c_float), ("zoom", ctypes.c_float), ("left", ctypes.c_int32),
                ("top", ctypes.c_int32)]


class Canvas:
    """A picture that layers are painted on, one after the other.

    What is painted with ``hides`` lies before the face: where it covers a pixel by half or more,
    ``hidden`` becomes 1.

    Attributes:
        picture: [S, S, 3] uint8 RGB.
        hidden: [S, S] uint8.
        size: S.
        zoom: pixels of the picture for each of the 224x224 crop.

    Args:
        picture: [S, S, 3] uint8, painted over.
    """

    def __init__(self, picture):
        self.picture = np.require(picture, np.uint8, ["C", "W", "O"])
        self.size = len(self.picture)
        self.zoom = self.size / IMAGE_SIZE
        self.hidden = np.zeros((self.size, self.size), np.uint8)
        self._structs = [_CanvasStruct(self.picture.ctypes.data, hidden, self.size)
                         for hidden in (None, self.hidden.ctypes.data)]

    def pixels(self, points):
        """Return where points [..., 2] of the 224 crop, y up, are in the picture, y down, float32."""
        return (np.asarray(points) * (1, -1) + (0, IMAGE_SIZE)).astype(np.float32) * np.float32(self.zoom)

    def ellipsoid(self, pose, centre, radii, surface, gamma, hides=False):
        """Paint an ellipsoid that turns with the head.

        Args:
            pose: ``synthesis.sampling.HeadPose``.
            centre, radii: [3] dm, in model space.
            surface: ``synthesis.head.Surface``.
            gamma: [27] light of the face.
            hides: see the class.
        """
        to_head = pose.rotation.T
        camera = (np.array([0, 0, CAMERA_DISTANCE]) - pose.translation).dot(to_head)
        slope, flat = linear_light(gamma)
        right, up, backward = to_head / radii
        colour = np.asarray(surface.colour, np.float64)
        struct = _EllipsoidStruct(
            camera=tuple((camera - centre) / radii), right=tuple(right), up=tuple(up), backward=tuple(backward),
            pixel=1 / (FOCAL_LENGTH * self.zoom), inverse_radii=tuple(1 / np.asarray(radii)),
            light=tuple((colour[:, np.newaxis] * slope.dot(to_head)).reshape(-1)), flat=tuple(colour * flat),
            contrast=surface.contrast, raggedness=surface.raggedness, softness=surface.softness)
        line = np.interp(_LINE_KNOTS, surface.depths, surface.heights).astype(np.float32)
        texture = np.require(surface.texture, np.float32, ["C"])
        library().mesh_renderer_paint_ellipsoid(
            self._struct(hides), ctypes.byref(struct), pointer(texture), pointer(line))

    def strokes(self, points, radii, colours, hides=False, roundness=0.0, opacity=1.0):
        """Paint lines with round ends.

        Args:
            points: [n, P, 2] crop pixels, y up.
            radii: [n, 2] or [2] crop pixels, at the first and the last point.
            colours: [n, 3] or [3].
            hides: see the class.
            roundness: 0 flat, 1 so round that the outline is black.
            opacity: 0..1.
        """
        points = np.ascontiguousarray(self.pixels(points))
        radii = _rows(np.asarray(radii) * self.zoom, (len(points), 2))
        colours = _rows(colours, (len(points), 3))
        library().mesh_renderer_paint_strokes(
            self._struct(hides), pointer(points), pointer(radii), pointer(colours), ctypes.c_int64(len(points)),
            ctypes.c_int(points.shape[1]), ctypes.c_float(roundness), ctypes.c_float(opacity))

    def mask(self, opacity, corner, colour, hides=False):
        """Lay a colour [3] through opacities [h, w] uint8 whose corner is at (left, top) of the picture."""
        opacity, colour = np.require(opacity, np.uint8, ["C"]), np.require(colour, np.float32, ["C"])
        height, width = opacity.shape
        library().mesh_renderer_paint_mask(
            self._struct(hides), pointer(colour), pointer(opacity), *(
                ctypes.c_int(int(value)) for value in (corner[0], corner[1], width, height)))

    def polygon(self, points, colour, hides=False, opacity=1.0):
        """Fill a polygon [n, 2] in crop pixels, y up."""
        found = polygon_mask(self, [(points, int(255 * opacity))])
        if found:
            self.mask(*found, colour=colour, hides=hides)

    def face(self, rgba, unevenness, shine, corner):
        """Paint a rendered face.

        Args:
            rgba: [S, S, 4] uint8.
            unevenness: standard deviation of blotches and pores, a fraction of the colour.
            shine: (luminance where it begins, luminance within which it grows to its whole, grey levels).
            corner: two ints, which piece of the texture of skin is taken.
        """
        rgba = np.require(rgba, np.uint8, ["C"])
        start, width, gain = shine
        struct = _SkinStruct(unevenness, start, 1.0 / width, gain, 1.0 / self.zoom, int(corner[0]), int(corner[1]))
        library().mesh_renderer_paint_face(
            self._struct(False), pointer(rgba), ctypes.byref(struct), pointer(skin_texture()))

    def tone(self, tables, shadow=(0, 0, 0, 0), grey=False):
        """Map colours by tables [3, 256] uint8; ``shadow`` is as of ``mesh_renderer_tone``."""
        tables, shadow = np.require(tables, np.uint8, ["C"]), np.require(shadow, np.float32, ["C"])
        library().mesh_renderer_tone(self._struct(False), pointer(tables), pointer(shadow), ctypes.c_int(int(grey)))

    def blur(self, radius, amount=-1.0):
        """Blur as a box of ``radius`` does, or with an ``amount`` above 0 sharpen (unsharp mask)."""
        reach = int(np.ceil(radius))
        kernel = np.clip(radius + 1 - np.abs(np.arange(-reach, reach + 1)), 0, 1)
        kernel = (kernel / kernel.sum()).astype(np.float32)
        library().mesh_renderer_filter(self._struct(False), pointer(kernel), ctypes.c_int(reach),
                                       ctypes.c_float(amount))

    def grain(self, start, level):
        """Add noise with a standard deviation of ``level``, from place ``start`` of the common noise on."""
        noise = camera_noise()
        library().mesh_renderer_grain(
            self._struct(False), pointer(noise), ctypes.c_int64(len(noise)), ctypes.c_int64(int(start)),
            ctypes.c_int(int(round(256 * level / _NOISE_LEVELS))))

    def look_up(self, table):
        """Return ``table[256^3]`` uint8 of each pixel's colour, [S, S]; 0 where hidden."""
        if table.shape != (_COLOURS,) or table.dtype != np.uint8:
            raise ValueError("need a table [256^3] uint8, got {} {}".format(table.shape, table.dtype))
        mask = np.empty((self.size, self.size), np.uint8)
        library().mesh_renderer_look_up(self._struct(True), pointer(table), pointer(mask))
        return mask

    def _struct(self, hides):
        return ctypes.byref(self._structs[hides])


def polygon_mask(canvas, polygons, blur=0.0):
    """Return opacities of polygons, drawn one over the other, in the box that the first takes.

    Args:
        canvas: a :class:`Canvas`.
        polygons: list of ([n, 2] crop pixels, value 0..255).
        blur: radius in crop pixels.

    Returns:
        ([h, w] uint8, (left, top)), or None where nothing of them is in the picture.
    """
    outlines = [canvas.pixels(points) for points, _ in polygons]
    margin = _MARGIN + blur * canvas.zoom
    low = np.clip(np.floor(outlines[0].min(axis=0) - margin), 0, canvas.size).astype(int)
    high = np.clip(np.ceil(outlines[0].max(axis=0) + margin), 0, canvas.size).astype(int)
    if np.any(high <= low):
        return None
    image = Image.new("L", tuple(int(extent) for extent in 2 * (high - low)))
    draw = ImageDraw.Draw(image)
    for outline, (_, value) in zip(outlines, polygons):
        draw.polygon([tuple(point) for point in (2 * (outline - low)).tolist()], fill=value)
    image = image.reduce(2)
    if blur:
        image = image.filter(ImageFilter.BoxBlur(blur * canvas.zoom))
    return np.asarray(image), tuple(low)


@functools.lru_cache(maxsize=None)
def skin_texture():
    """Return blotches and pores as wide as a face, [512, 512] int8 in units of 1/32 about 0."""
    random = np.random.RandomState(_TABLE_SEED)
    total = np.zeros((_SKIN_SIDE, _SKIN_SIDE), np.float32)
    for pixels in (20, 3):
        coarse = Image.fromarray(random.standard_normal((_SKIN_SIDE // pixels,) * 2).astype(np.float32))
        total += np.asarray(coarse.resize((_SKIN_SIDE, _SKIN_SIDE), Image.BILINEAR))
    return np.clip(total * _SKIN_LEVELS, -127, 127).astype(np.int8)


@functools.lru_cache(maxsize=None)
def camera_noise():
    """Return normal noise with a standard deviation of 40, int8, long enough for any picture to take its own piece."""
    noise = np.random.RandomState(_TABLE_SEED).standard_normal(_NOISE_LENGTH)
    return np.clip(noise * _NOISE_LEVELS, -127, 127).astype(np.int8)


def _rows(values, shape):
    return np.ascontiguousarray(np.broadcast_to(np.asarray(values, np.float32), shape))
