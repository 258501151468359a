"""Photos: finding, naming and reading them, whatever their format, as upright 8-bit sRGB."""

import collections
import importlib.util
import io
import os
import re
import stat
import sys
import warnings
from typing import Any, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import numpy as np
from PIL import Image, ImageCms, ImageOps

from utils.errors import InputError, log_notes
from utils.paths import INPUT_DIR, key_of_name

# Formats that Pillow may try, and the extensions of their files. Its readers of documents would
# start programs such as Ghostscript. HEIF needs pillow-heif; older Pillows read no AVIF.
_FORMATS = {
    "AVIF": (".avif", ".avifs"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "HEIF": (".heic", ".heics", ".heif", ".heifs", ".hif"),
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),
    "JPEG2000": (".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx"),
    "PNG": (".apng", ".png"),
    "PPM": (".pbm", ".pfm", ".pgm", ".pnm", ".ppm"),
    "QOI": (".qoi",),
    "TGA": (".icb", ".tga", ".vda", ".vst"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
EXTENSIONS = tuple(sorted(sum(_FORMATS.values(), ())))
# They lie beside photos; a shell includes them when it expands photos/*.
COMPANIONS = (".mat", ".md", ".txt")
MAX_FILE_SIZE = 1 << 30  # bytes; the largest photo, uncompressed and with 16 bits
MAX_PIXELS = 150 * 10**6  # a larger file is a mistake or an attack; half a GB as RGB
_LONGEST_STEM = 200  # bytes, of 255 that file systems allow
MIN_SIDE = 32  # pixels; too small a picture for face detectors and crops
# Names of files made from a photo: its name, a part, and then a suffix for their kind.
_PARTS = (
    "face[0-9]+ refined neutral expression head flame mesh texture albedo_map normal_map photo "
    "overlay geometry albedo normals depth landmarks relit frontal frontal_hidden turntable frames"
)
_PART = re.compile("(.+)_(?:{})$".format(_PARTS.replace(" ", "|")))
# Largest samples of 8, 10, 12, 14, 16 and 31 bits; cameras and scanners store them in 16 or more.
_TOPS = (255.0, 1023.0, 4095.0, 16383.0, 65535.0, 2147483647.0)
_ROWS = 256  # scaled at once
_ENOUGH_SAMPLES = 1e6  # to determine the range of floating-point samples
# Largest value of samples meant as 0..1; a photo of 0..255 that stays below it would be black.
_LARGEST_OVERSHOOT = 16.0
BACKGROUND = (255, 255, 255)  # color behind transparent pixels, as in viewers and browsers
_MOST_FRAMES = 100  # looked at, in search of one that is not blank
_BLANK_RANGE = 8  # levels; between the samples of a blank frame, whose coding may be lossy
# A color profile is that of sRGB if it moves no color by more; makers round differently.
_SRGB_TOLERANCE = 2  # levels
_RELATIVE_COLORIMETRIC = 1  # rendering intent; ImageCms names it differently by version
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# By the brand of an ISO base media file (bytes 8 to 11 of it).
_BRANDS = {
    "HEIC": (b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevx", b"mif1", b"msf1"),
    "AVIF": (b"avif", b"avis"),
}


class Photo(NamedTuple):
    """A photo to be read."""

    path: str
    name: str  # stem of its output files, unique among the photos found together


def find_photos(paths: Union[str, Iterable[str]]) -> List[Photo]:
    """List the photos in folders and among files.

    A folder contributes its files with one of :data:`EXTENSIONS` in any case, sorted by name,
    except those whose name begins with a dot; its subfolders are not searched. What else it
    contains, but for :data:`COMPANIONS`, is counted in a note on stderr. A file in ``paths`` is
    listed whatever its extension, except for :data:`COMPANIONS`. A photo that occurs twice is
    listed once.

    The name of a photo is its file name without extension. Where several share it, the first
    keeps it and the others are named ``stem_ext`` (``a_png``), then ``stem_ext_2``, and so on.
    Names that differ in letter case alone count as equal, because some file systems do not
    distinguish them, and so do names that differ in characters which the names of textures
    cannot have (``utils.paths.key_of_name``). A photo whose stem is the
    name of another one's output files (``a_face2`` beside ``a``) is also named ``stem_ext``.
    Unprintable characters (line ends, terminal codes, undecodable bytes) become "_", and names
    are cut to 200 bytes.

    Args:
        paths: a path, or an iterable of paths.

    Returns:
        The photos in the order of ``paths``.

    Raises:
        InputError: one of the paths does not exist or is a folder that cannot be listed.
    """
    if isinstance(paths, (str, bytes, os.PathLike)):
        paths = [paths]
    found: List[str] = []
    seen: Set[str] = set()
    for path in paths:
        for file in _photo_files(os.fspath(path)):
            real = os.path.realpath(file)
            if real not in seen:
                seen.add(real)
                found.append(file)
    return [Photo(*pair) for pair in zip(found, distinct_names(found))]


def read_photo(path: str) -> np.ndarray:
    """Read a photo as sRGB, turned upright by its EXIF orientation.

    Gray, palette, CMYK and 1-bit images become RGB, colors are converted from the embedded color
    profile, transparency is laid on white, and 16-bit and floating-point samples are scaled to
    0..255. Of several frames the first is read that is not blank.

    Args:
        path: file name; the format is recognized by content, not by extension.

    Returns:
        [H, W, 3] uint8.

    Raises:
        InputError: the file cannot be read, is not a complete image, has a side of less than
            :data:`MIN_SIDE` or more than :data:`MAX_PIXELS` pixels.
    """
    _check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, and of sizes checked here
        try:
            with open_image(path) as image:
                return np.array(_read_frame(path, image))
        except InputError:
            raise
        except Image.DecompressionBombError:
            raise _too_large(path) from None
        except MemoryError:
            raise InputError("{} does not fit into memory; make it smaller".format(path)) from None
        except Exception as error:  # decoders raise all kinds of errors on broken files
            raise InputError(
                "{} cannot be read as a photo, {}".format(path, _reason(path, error))
            ) from error


def open_image(path: str) -> Image.Image:
    """Open an image, not yet decoded, as one of the formats of photos."""
    Image.init()  # else older Pillows register only the most usual formats
    if "HEIF" not in Image.OPEN and importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    return Image.open(path, formats=[name for name in _FORMATS if name in Image.OPEN])


def _read_frame(path: str, image: Image.Image) -> Image.Image:
    """Return the first frame that is not blank, upright and in sRGB; the first if all are blank."""
    first: Any = None
    for number in range(_MOST_FRAMES):
        try:
            image.seek(number)
        except EOFError:
            break
        _check_size(path, image.size)
        image.load()
        frame = _to_rgb(_upright(image))
        if all(high - low <= _BLANK_RANGE for low, high in frame.getextrema()):
            first = first or frame.copy()
            continue
        return frame
    return first


def _photo_files(path: str) -> List[str]:
    """Return the photo files in a folder, or a single photo file."""
    if os.path.isdir(path):
        photos, rest = list_folder(path)
        log_notes(_describe_rest(path, rest))
        return photos
    if not os.path.lexists(path):
        raise InputError("{} does not exist; name a photo or a folder of photos".format(path))
    return [] if path.lower().endswith(COMPANIONS) else [path]


def list_folder(path: str) -> Tuple[List[str], List[str]]:
    """Return the paths of the photos in a folder, by their names, and those of all else in it.

    Names that begin with a dot are left out.

    Args:
        path: a folder.

    Raises:
        InputError: it cannot be listed.
    """
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise InputError(
            "{} cannot be listed ({}); check its permissions".format(path, error.strerror)
        ) from error
    files = [os.path.join(path, name) for name in names if not name.startswith(".")]
    photos = [
        file for file in files if file.lower().endswith(EXTENSIONS) and not os.path.isdir(file)
    ]
    return photos, sorted(set(files) - set(photos))


def _describe_rest(folder: str, rest: Iterable[str]) -> List[str]:
    """Return a sentence on the entries of a folder that are no photos, by kind; none if empty."""
    kinds: "collections.Counter[str]" = collections.Counter()
    for path in sorted(rest):
        extension = os.path.splitext(path)[1].lower()
        if os.path.isdir(path):
            kinds["folder"] += 1
        elif extension not in COMPANIONS:
            kinds[extension or "file without extension"] += 1
    if not kinds:
        return []
    counts = ", ".join("{} {}".format(count, kind) for kind, count in kinds.most_common())
    return ["{}: left out, as no photos by their names: {}".format(folder, counts)]


def distinct_names(
    files: Sequence[str], reserved: Iterable[str] = (), extensions: bool = True
) -> List[str]:
    """Return a name for each file, as :func:`find_photos` describes.

    Args:
        files: paths.
        reserved: names that no file gets.
        extensions: whether the names of the files end in extensions, which are left out.
    """
    parts = [_printable_parts(os.path.basename(file), extensions) for file in files]
    stems = {key_of_name(stem) for stem, _ in parts}
    owned: Set[str] = {key_of_name(name) for name in reserved}
    taken = stems | owned  # a made-up name must not equal another photo's own
    names: List[str] = []
    for stem, extension in parts:
        name = stem
        if key_of_name(stem) in owned or _is_output_name(key_of_name(stem), stems):
            name = unnumbered = "_".join([stem] + [extension[1:].lower()] * bool(extension))
            number = 2
            while key_of_name(name) in taken:
                name = "{}_{}".format(unnumbered, number)
                number += 1
        owned.add(key_of_name(stem))
        taken.add(key_of_name(name))
        names.append(name)
    return names


def _is_output_name(key: str, keys: Set[str]) -> bool:
    """Return True if output files of another photo, one of ``keys``, have this name."""
    match = _PART.match(key)
    return match is not None and (match.group(1) in keys or _is_output_name(match.group(1), keys))


def _printable_parts(name: str, with_extension: bool) -> Tuple[str, str]:
    """Return stem and extension of a file name, made printable and short enough for new files."""
    stem, extension = "".join(c if c.isprintable() else "_" for c in name), ""
    if with_extension:
        stem, extension = os.path.splitext(stem)
    return stem.encode("utf-8")[:_LONGEST_STEM].decode("utf-8", "ignore"), extension


def _check_file(path: str) -> None:
    """Raise InputError unless ``path`` is a regular file that is not empty and may be read."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise InputError(
            "{} cannot be opened ({}); check the name".format(path, error.strerror)
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError("{} is a folder, not a photo".format(path))
    if not stat.S_ISREG(status.st_mode):
        raise InputError("{} is not a regular file; copy the photo into one".format(path))
    if status.st_size == 0:
        raise InputError("{} is empty (0 bytes); copy it again from its source".format(path))
    if status.st_size > MAX_FILE_SIZE:
        raise InputError(
            "{} has more than {} MiB; make it smaller".format(path, MAX_FILE_SIZE >> 20)
        )
    if not os.access(path, os.R_OK):
        raise InputError("{} may not be read; check its permissions".format(path))


def _check_size(path: str, size: Tuple[int, int]) -> None:
    """Raise InputError for images too small to hold a face or too large to be one photo."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise _too_large(path)
    if min(width, height) < MIN_SIDE:
        raise InputError(
            "{} is only {}x{} pixels; a photo needs at least {} on each side".format(
                path, width, height, MIN_SIDE
            )
        )


def _too_large(path: str) -> InputError:
    """Return the error for an image of more than MAX_PIXELS."""
    return InputError(
        "{} has more than {} megapixels; make it smaller".format(path, MAX_PIXELS // 10**6)
    )


def _reason(path: str, error: Exception) -> str:
    """Return the reason of a decoder's failure and the remedy, in a few words."""
    with open(path, "rb") as file:
        head = file.read(len(_LFS_POINTER))
    kind = _media_kind(head)
    if head == _LFS_POINTER:
        return "because it is a Git LFS pointer to it; run 'git lfs pull' where it comes from"
    if kind == "HEIC" and "HEIF" not in Image.OPEN:
        return (
            "because it is HEIC; install requirements/heif.txt with pip, or save it again as JPEG"
        )
    if kind == "AVIF" and "AVIF" not in Image.OPEN:
        return "because it is AVIF, which this Pillow does not read; save it again as JPEG"
    if kind == "video":
        return "because it is a video; save one of its frames as JPEG or PNG"
    if isinstance(error, OSError) and "cannot identify" in str(error):
        return "because its content is not an image of a known format; save it again as JPEG or PNG"
    return "because it is damaged, incomplete or of a rare kind; save it again as JPEG or PNG"


def _media_kind(head: bytes) -> Optional[str]:
    """Return "HEIC", "AVIF" or "video" for the head of an ISO base media file, else None."""
    if head[4:8] != b"ftyp":
        return None
    return next((kind for kind, brands in _BRANDS.items() if head[8:12] in brands), "video")


def _upright(image: Image.Image) -> Image.Image:
    """Return the image turned by its EXIF orientation; unreadable EXIF is ignored."""
    try:
        return ImageOps.exif_transpose(image) or image
    except Exception:  # the metadata is damaged, the pixels may be fine
        return image


def _to_rgb(image: Any) -> Image.Image:
    """Convert an image of any Pillow mode to mode RGB, in sRGB."""
    # 1. samples of 8 bits, alpha apart
    profile = image.info.get("icc_profile")
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        image = Image.fromarray(_scale_to_bytes(np.asarray(image)))
    if image.mode in ("La", "RGBa"):  # premultiplied alpha
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    alpha = None
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        is_gray = image.mode in ("LA", "L")
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.getchannel("R") if is_gray else image.convert("RGB")
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")

    # 2. colors, then the background
    image = _to_srgb(image, profile)
    if alpha is None:
        return image
    image.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image).convert("RGB")


def _to_srgb(image: Image.Image, profile: Optional[bytes]) -> Image.Image:
    """Return an image of mode L, RGB or CMYK in sRGB; an unreadable or unfit profile is ignored."""
    if not profile:
        return image.convert("RGB")
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            image.mode,
            "RGB",
            _RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError, ImportError):  # also a Pillow without LittleCMS
        return image.convert("RGB")
    palette = _sample_colors(image.mode)
    plain = np.asarray(palette.convert("RGB"), int)
    converted = np.asarray(ImageCms.applyTransform(palette, transform), int)
    if np.abs(converted - plain).max() <= _SRGB_TOLERANCE:  # is sRGB: do not round all pixels
        return image.convert("RGB")
    return ImageCms.applyTransform(image, transform)


def _sample_colors(mode: str) -> Image.Image:
    """Return an image of colors all over a mode's range."""
    levels = np.linspace(0, 255, 9 if mode == "RGB" else 5).astype(np.uint8)
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    grid = np.stack(np.meshgrid(*[levels] * len(mode)), axis=-1).reshape(-1, len(mode))
    return Image.frombytes(mode, (len(grid), 1), grid.tobytes())


def _scale_to_bytes(samples: np.ndarray) -> np.ndarray:
    """Scale samples of more than 8 bits to uint8 0..255.

    The file does not specify the range. It is assumed to end at the smallest of :data:`_TOPS`
    that is at least every integer sample. Floating-point highlights may exceed any range, so
    their brightest hundredth (black pixels not counted) is ignored; the range is 0..1 if the rest
    stays below :data:`_LARGEST_OVERSHOOT`. Samples outside of the range are clipped.
    """
    top, result = _top(samples), np.empty(samples.shape, np.uint8)
    for start in range(0, len(samples), _ROWS):  # at once, the largest photos would take gigabytes
        rows = np.nan_to_num(samples[start : start + _ROWS].astype(np.float32))
        result[start : start + _ROWS] = np.rint(np.clip(rows / top, 0, 1) * 255)
    return result


def _top(samples: np.ndarray) -> float:
    """Return the end of the range of samples, as :func:`_scale_to_bytes` describes it."""
    if samples.dtype.kind == "f":
        step = 1 + int((samples.size / _ENOUGH_SAMPLES) ** 0.5)
        some = samples[::step, ::step]
        some = some[np.isfinite(some) & (some > 0)]
        highest = np.percentile(some, 99) if some.size else 0.0
        if highest <= _LARGEST_OVERSHOOT:
            return 1.0
    else:
        highest = samples.max()
    return next((top for top in _TOPS if highest <= top), float(highest))


def find_photos_or_example(paths: Sequence[str], flag: str) -> List[Photo]:
    """Return the photos in folders and among files, or the example if ``input/`` is empty.

    The use of the example is noted on stderr.

    Args:
        paths: files and folders, as :func:`find_photos` takes them.
        flag: option of the command that names them, for the message.

    Returns:
        At least one photo.

    Raises:
        InputError: no photos are found.
    """
    photos = find_photos(paths)
    if photos:
        return photos
    if list(paths) != [INPUT_DIR]:
        raise InputError(
            "{}: no photos here (looked for {})".format(", ".join(paths), ", ".join(_FORMATS))
        )
    example = example_photo(flag)
    sys.stderr.write(
        "{}: no photos here yet; using the public-domain portrait of Eileen Collins (NASA) that "
        "scikit-image ships\n".format(INPUT_DIR)
    )
    return [example]


def example_photo(flag: str = "--input") -> Photo:
    """Return NASA's portrait of the astronaut Eileen Collins (public domain) in scikit-image.

    Args:
        flag: option of the command that names photos, for the message.

    Raises:
        InputError: scikit-image is not installed.
    """
    package = importlib.util.find_spec("skimage")
    folder = os.path.dirname(package.origin or "") if package else ""
    path = os.path.join(folder, "data", "astronaut.png")
    if not folder or not os.path.isfile(path):
        raise InputError(
            "there are no photos and scikit-image, which ships an example, is not installed; "
            "give photos with {}".format(flag)
        )
    return Photo(path, "astronaut")
