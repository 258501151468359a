"""One photo into training data: what preprocess_img.py does for each."""

import os

import numpy as np
from PIL import Image, ImageDraw

from alignment.align import flip_y, photo_to_crop
from alignment.locate import FaceLocator
from alignment.skin import skin_mask
from workspace.atomic import atomic_path
from workspace.errors import InputError
from workspace.photos import read_photo
from workspace.png_files import encode_png

# Below this mean trust of the 51 inner landmarks a photo would teach the network wrong labels.
_LEAST_TRUST = 0.5
OUTPUT_PARTS = ("lm", "lm_bin", "mask")  # folders in the output folder
_SHEET_COLUMNS, _SHEET_ROWS, _SHEET_CELL = 6, 8, 224


def output_files(folder, name):
    """Return the four files of a photo; the last is written last and so tells that all are there."""
    return (os.path.join(folder, "lm", name + ".txt"), os.path.join(folder, "lm_bin", name + ".bin"),
            os.path.join(folder, "mask", name + ".png"), os.path.join(folder, name + ".png"))


def is_done(folder, name):
    """Tell whether a photo has been preprocessed completely."""
    return all(os.path.isfile(path) for path in output_files(folder, name))


class PhotoPreprocessor:
    """Turns photos into training data; loads its detector once.

    Args:
        folder: where the data goes.
        detector: ``"auto"``, ``"mtcnn"`` or ``"dlib"``.
        keep_uncertain: keep photos whose 68 landmarks are not trusted.
    """

    def __init__(self, folder, detector="auto", keep_uncertain=False):
        self._folder = folder
        self._locator = FaceLocator(detector)
        self._keep_uncertain = keep_uncertain

    def run(self, photo):
        """Preprocess the largest face of a photo and write its files.

        Args:
            photo: a ``workspace.photos.Photo``.

        Raises:
            InputError: the photo cannot be read, shows no face, or its landmarks are not trusted.
        """
        pixels = read_photo(photo.path)
        location = self._locator.locate(pixels, photo.path)[0]
        if not self._keep_uncertain and location.landmark_weights[17:].mean() < _LEAST_TRUST:
            raise InputError("{}: the 68 landmarks disagree with the five points (a profile?); "
                             "--keep_uncertain keeps it".format(photo.path))
        alignment = location.alignment
        landmarks = flip_y(photo_to_crop(location.landmarks, alignment.trans_params))
        write_example(self._folder, photo.name, alignment.crop, landmarks, skin_mask(alignment.crop))


def write_example(folder, name, crop, landmarks, mask):
    """Write one training example, each file atomically, the crop last.

    Args:
        folder, name: see :func:`output_files`.
        crop: [224, 224, 3] uint8 RGB.
        landmarks: [68, 2] crop pixels, y up.
        mask: [224, 224] uint8 skin attention.
    """
    text_path, binary_path, mask_path, crop_path = output_files(folder, name)
    landmarks = np.ascontiguousarray(landmarks, dtype="<f8")
    with atomic_path(text_path) as temporary:
        np.savetxt(temporary, landmarks, fmt="%.4f")
    with atomic_path(binary_path) as temporary, open(temporary, "wb") as file:
        file.write(landmarks.tobytes())  # numpy's tofile says nothing when the disk is full
    with atomic_path(mask_path) as temporary, open(temporary, "wb") as file:
        file.write(encode_png(np.repeat(mask[..., np.newaxis], 3, axis=2)))
    with atomic_path(crop_path) as temporary, open(temporary, "wb") as file:
        file.write(encode_png(crop))


def contact_sheet(folder, names, path):
    """Draw preprocessed photos with their landmarks, each beside its mask, into one picture.

    Args:
        folder: the training data.
        names: which photos; at most 48 are drawn, evenly picked.
        path: the PNG to write.
    """
    most = _SHEET_COLUMNS * _SHEET_ROWS // 2
    picked = [names[i] for i in np.linspace(0, len(names) - 1, min(len(names), most)).round().astype(int)]
    rows = -(-2 * len(picked) // _SHEET_COLUMNS)
    sheet = Image.new("RGB", (_SHEET_COLUMNS * _SHEET_CELL, max(rows, 1) * _SHEET_CELL))
    for i, name in enumerate(picked):
        _, binary_path, mask_path, crop_path = output_files(folder, name)
        with Image.open(crop_path) as crop, Image.open(mask_path) as mask:
            cells = (_with_landmarks(crop.convert("RGB"), np.fromfile(binary_path, "<f8").reshape(68, 2)),
                     mask.convert("RGB"))
        for j, cell in enumerate(cells):
            row, column = divmod(2 * i + j, _SHEET_COLUMNS)
            sheet.paste(cell, (column * _SHEET_CELL, row * _SHEET_CELL))
    with atomic_path(path) as temporary:
        sheet.save(temporary, "PNG")


def _with_landmarks(crop, landmarks):
    draw = ImageDraw.Draw(crop)
    for x, y in flip_y(landmarks):
        draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=(0, 255, 0))
    return crop
