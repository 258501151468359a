"""One photo into training data: what preprocess_img.py does for each."""


import numpy as np
from PIL import Image

from alignment.align import photo_to_crop
from alignment.locate import FaceLocator
from alignment.skin import skin_mask
from dataset.processed_faces import output_files, write_example
from geometry.camera import IMAGE_SIZE, flip_y
from utils.atomic import atomic_path
from utils.drawing import draw_points, tile_pictures
from utils.errors import InputError
from utils.photos import read_photo

# Below this mean trust of the 51 inner landmarks a photo would teach the network wrong labels.
_LEAST_TRUST = 0.5
_SHEET_COLUMNS, _SHEET_ROWS = 6, 8
_DOT_COLOR, _DOT_RADIUS = (0, 255, 0), 1.5  # of a landmark, pixels


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
            photo: a ``utils.photos.Photo``.

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


def contact_sheet(folder, names, path):
    """Draw preprocessed photos with their landmarks, each beside its mask, into one picture.

    Args:
        folder: the training data.
        names: which photos; at most 48 are drawn, evenly picked.
        path: the PNG to write.
    """
    most = _SHEET_COLUMNS * _SHEET_ROWS // 2
    picked = [names[i] for i in np.linspace(0, len(names) - 1, min(len(names), most)).round().astype(int)]
    cells = []
    for name in picked:
        _, binary_path, mask_path, crop_path = output_files(folder, name)
        with Image.open(crop_path) as crop, Image.open(mask_path) as mask:
            cells += [crop.convert("RGB"), mask.convert("RGB")]
        landmarks = np.fromfile(binary_path, "<f8").reshape(68, 2)
        draw_points(cells[-2], flip_y(landmarks), _DOT_COLOR, _DOT_RADIUS)
    blank = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE))
    sheet = tile_pictures(cells or [blank], _SHEET_COLUMNS)
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary, "PNG")
