"""Preprocessing of photos into training data, and a picture to check it by."""

import os
from typing import Sequence

import numpy as np
from PIL import Image

from alignment.five_points import five_points_path
from alignment.landmark_confidence import LEAST_TRUST
from alignment.skin import skin_mask
from dataset.processed_faces import (
    face_paths,
    is_whole,
    oldest_change,
    remove_face,
    write_face,
)
from face_model.model import FaceModel
from fitting.face_locator import ModelFaceLocator
from geometry.camera import IMAGE_SIZE, flip_y
from geometry.landmark_layout import LANDMARK_COUNT
from utils.atomic import atomic_path
from utils.drawing import draw_points, tile_pictures
from utils.errors import InputError
from utils.photos import Photo, read_photo

_SHEET_COLUMNS, _SHEET_ROWS = 6, 8
_DOT_COLOR, _DOT_RADIUS = (0, 255, 0), 1.5  # of a landmark, pixels


class PhotoPreprocessor:
    """Converts photos to training data; loads its detector once.

    Args:
        folder: processed folder that receives the data.
        model: the face model whose fitted landmarks are the labels, unless the published landmark
            network is there.
        detector: one of ``alignment.detect.DETECTORS``.
        keep_uncertain: whether to keep photos whose 68 landmarks have a low confidence.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``; of the landmark network.
    """

    def __init__(
        self,
        folder: str,
        model: FaceModel,
        detector: str = "auto",
        keep_uncertain: bool = False,
        allow_any_op: bool = False,
    ) -> None:
        self._folder = folder
        self._locator = ModelFaceLocator(model, detector, allow_any_op, expect_identity=False)
        self._keep_uncertain = keep_uncertain

    def check_networks(self) -> None:
        """Raise an InputError if a network is missing or cannot be used."""
        self._locator.check_networks()

    def run(self, photo: Photo) -> None:
        """Preprocess the largest face of a photo and write its files.

        Files of the same name that an earlier version of the photo left are replaced, or removed
        if the photo cannot be used.

        Raises:
            InputError: the photo cannot be read or shows no face, or its landmarks have a low
                confidence.
        """
        try:
            self._preprocess(photo)
        except InputError:
            remove_face(self._folder, photo.name)
            raise

    def _preprocess(self, photo: Photo) -> None:
        # 1. The largest face and its landmarks.
        pixels = read_photo(photo.path)
        location = self._locator.locate(pixels, photo.path)[0]
        if not self._keep_uncertain and location.trust < LEAST_TRUST:
            reason = (
                "its 68 landmarks disagree with its five points"
                if location.fit is None
                else "too little of the face is seen surely to label it (a profile?)"
            )
            raise InputError("{}: {}; --keep_uncertain keeps it".format(photo.path, reason))

        # 2. Crop, mask and landmarks in the crop.
        alignment = location.alignment
        landmarks = flip_y(alignment.to_crop(location.landmarks))
        mask = np.repeat(skin_mask(alignment.crop)[..., np.newaxis], 3, axis=2)
        write_face(self._folder, photo.name, alignment.crop, mask, landmarks)


def is_done(folder: str, photo: Photo) -> bool:
    """Return True if a photo was preprocessed, and neither it nor its five points changed since.

    Args:
        folder: processed folder.
        photo: the photo; it and ``NAME.txt`` beside it are compared with the files in the folder
            by the times of their last change.
    """
    if not is_whole(folder, photo.name):
        return False
    sources = [path for path in (photo.path, five_points_path(photo.path)) if os.path.exists(path)]
    done = oldest_change(folder, photo.name)
    return all(os.stat(path).st_mtime_ns <= done for path in sources)


def write_contact_sheet(folder: str, names: Sequence[str], path: str) -> None:
    """Draw preprocessed photos with their landmarks, each beside its mask, into one picture.

    Args:
        folder: processed folder.
        names: names of the photos; at most 48 are drawn, evenly picked.
        path: PNG file to write.
    """
    most = _SHEET_COLUMNS * _SHEET_ROWS // 2
    picked = np.linspace(0, len(names) - 1, min(len(names), most)).round().astype(int)
    cells = []
    for name in (names[index] for index in picked):
        paths = face_paths(folder, name)
        with Image.open(paths.image) as crop, Image.open(paths.mask) as mask:
            cells += [crop.convert("RGB"), mask.convert("RGB")]
        landmarks = np.fromfile(paths.landmarks, "<f8").reshape(LANDMARK_COUNT, 2)
        draw_points(cells[-2], flip_y(landmarks), _DOT_COLOR, _DOT_RADIUS)
    blank = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE))
    sheet = tile_pictures(cells or [blank], _SHEET_COLUMNS)
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary, "PNG")
