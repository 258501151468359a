"""Faces laid into frames: drawn at the pixels of the frame, and only within the box of the face."""

from typing import Any, List, NamedTuple, Sequence, Tuple

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from alignment.align import crop_to_photo_matrix, paste_crop
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.landmark_basis import vertex_model
from face_model.model import FaceModel
from geometry.camera import IMAGE_SIZE, OVERLAY_SIZE, flip_y, project
from geometry.rotation import rotation_with_derivatives
from video.motion import Person, Placement

_EVERY = 16  # vertices of which one counts for the box of a face
_MARGIN = 4.0  # pixels of the crop around these
_STEP = 32  # sides of drawn boxes are multiples of it, so that few sizes occur
_LARGEST = (4 * IMAGE_SIZE) ** 2  # pixels of a box; larger faces are drawn smaller, and enlarged
# Frame pixels per crop pixel. Faces that are smaller are drawn with twice the pixels, then shrunk;
# in others the opacity of the outermost pixels falls.
_SMALL = OVERLAY_SIZE / IMAGE_SIZE
_SHARP = 2.5  # frame pixels per crop pixel from which enlarged faces have twice the pixels


class PlacedFace(NamedTuple):
    """A face to lay into a frame."""

    picture: int  # number of the frame in its batch
    person: int  # number of the person
    placement: Placement


class FacePainter:
    """Lays the faces of people into frames.

    Args:
        pipeline: ``reconstruction.pipeline.FacePipeline``.
        people: the people, in the order of their numbers.
    """

    def __init__(self, pipeline: Any, people: Sequence[Person]) -> None:
        self._pipeline = pipeline
        self._model: FaceModel = pipeline.model
        count = self._model.identity_count
        mean, basis = vertex_model(self._model, np.arange(0, len(self._model.mean_shape), _EVERY))
        self._shapes = [mean + basis[..., :count].dot(person.identity) for person in people]
        self._basis = basis[..., count:]

    def lay_in(self, pictures: List[np.ndarray], faces: Sequence[PlacedFace]) -> None:
        """Lay faces into frames, which are replaced in their list.

        Args:
            pictures: frames [H, W, 3] uint8 RGB.
            faces: the faces, laid in in this order.
        """
        # 1. boxes of one size in frames; turned and very large faces are drawn as crops
        boxes = [self._find_box(face) for face in faces]
        zooms = [_zoom(face.placement) for face in faces]
        factor = 2 if max(zooms) < _SMALL else 1
        extents = np.max([last - first for first, last in boxes], axis=0)
        width, height = (int(-(-extent // _STEP)) * _STEP for extent in extents)
        is_turned = any(face.placement.alignment.degrees for face in faces)
        if is_turned or width * height * factor**2 > _LARGEST:
            self._lay_in_crops(pictures, faces, max(zooms))
            return

        # 2. the faces in them
        windows = [
            _window_in_crop(face.placement, first, (width, height))
            for face, (first, _) in zip(faces, boxes)
        ]
        drawn = self._pipeline.draw_windows(
            _coefficients(faces), np.array(windows), width * factor, height * factor
        )
        for picture in {face.picture for face in faces}:
            pictures[picture] = pictures[picture].copy()
        for face, (first, _), rgba in zip(faces, boxes, drawn):
            _composite(pictures[face.picture], rgba, first, factor)

    def _lay_in_crops(
        self, pictures: List[np.ndarray], faces: Sequence[PlacedFace], zoom: float
    ) -> None:
        """Lay in faces that are drawn in their crops, then resized."""
        size = OVERLAY_SIZE * (2 if zoom > _SHARP else 1)
        drawn = self._pipeline.draw(_coefficients(faces), size)
        for face, overlay in zip(faces, drawn):
            picture = pictures[face.picture]
            pictures[face.picture] = paste_crop(picture, overlay, face.placement.alignment)

    def _find_box(self, face: PlacedFace) -> Tuple[np.ndarray, np.ndarray]:
        """Return the first pixel [2] of the box around a face, and that behind its last one."""
        # 1. in the crop, y down, pixel centers at integers
        rows = face.placement.coefficients[np.newaxis].astype(np.float64)
        parts = split_coefficients(rows, coefficient_sizes(self._model))
        shape = self._shapes[face.person] + self._basis.dot(parts.expression[0])
        world = shape.dot(rotation_with_derivatives(parts.angles[0])[0]) + parts.translation[0]
        points = flip_y(project(world))
        corners = np.array([points.min(axis=0) - _MARGIN, points.max(axis=0) + _MARGIN])

        # 2. in the frame
        alignment = face.placement.alignment
        matrix = crop_to_photo_matrix(alignment.trans_params, alignment.degrees)
        low, high = corners.dot(matrix[:, :2].T) + matrix[:, 2]
        return np.floor(low).astype(int), np.ceil(high).astype(int) + 1


def _coefficients(faces: Sequence[PlacedFace]) -> np.ndarray:
    return np.stack([face.placement.coefficients for face in faces])


def _zoom(placement: Placement) -> float:
    """Return the frame pixels per crop pixel."""
    alignment = placement.alignment
    matrix = crop_to_photo_matrix(alignment.trans_params, alignment.degrees)
    return float(np.sqrt(np.linalg.det(matrix[:, :2])))


def _window_in_crop(placement: Placement, first: np.ndarray, size: Tuple[int, int]) -> List[float]:
    """Return left, top, width and height, in the crop, of a box of the frame.

    Args:
        placement: of a face in a crop that is not turned.
        first: [2] column and row of the box's first pixel.
        size: width and height of the box, pixels of the frame.
    """
    # Both count pixel corners as integers here, so the offset differs from that of the centers.
    matrix = crop_to_photo_matrix(placement.alignment.trans_params)
    scale = matrix[[0, 1], [0, 1]]
    offset = matrix[:, 2] + 0.5 - 0.5 * scale
    left, top = (first - offset) / scale
    return [left, top, size[0] / scale[0], size[1] / scale[1]]


def _composite(picture: np.ndarray, rgba: np.ndarray, first: np.ndarray, factor: int) -> None:
    """Lay a drawn box over a frame.

    Args:
        picture: [H, W, 3] uint8 RGB, changed.
        rgba: [h, w, 4] uint8 RGBA, opaque in the face.
        first: [2] column and row of the box's first pixel in the frame; may lie outside.
        factor: pixels of the box along a pixel of the frame.
    """
    # 1. smooth outlines
    image = Image.fromarray(rgba)
    if factor > 1:
        image = image.reduce(factor)
        opacity = image.getchannel("A")
    else:
        opacity = image.getchannel("A")
        opacity = ImageChops.darker(opacity, opacity.filter(ImageFilter.BoxBlur(1)))
    drawn = Image.merge("RGB", image.split()[:3])

    # 2. what lies inside of the frame
    low = np.maximum(first, 0)
    high = np.minimum(first + image.size, picture.shape[1::-1])
    if np.any(high <= low):
        return
    part = tuple(int(n) for n in np.concatenate([low - first, high - first]))
    under = picture[low[1] : high[1], low[0] : high[0]]
    below = Image.fromarray(np.ascontiguousarray(under))
    under[...] = np.asarray(Image.composite(drawn.crop(part), below, opacity.crop(part)))
