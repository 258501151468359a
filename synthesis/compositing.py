"""From a rendered face to its files: what each worker process does."""

from typing import NamedTuple, Tuple

import numpy as np
from PIL import Image

from synthesis.degradation import photograph
from synthesis.formats import write_photo, write_processed
from synthesis.sampling import face_random, head_pose
from synthesis.scene import SceneOptions, compose
from synthesis.skin_mask_table import SkinMasks
from utils.photos import read_photo

_BACKGROUND_SIDE = 512  # pixels that are kept of the longer side of a background photo


class PaintingSettings(NamedTuple):
    """What a worker has to know once."""

    folder: str
    kind: str  # one of synthesis.formats.FORMATS
    seed: int
    scene: SceneOptions
    camera: float  # strength of what the camera spoils
    backgrounds: Tuple[str, ...]  # files
    skin_table: str  # file, or "" to compute masks


class RenderedFace(NamedTuple):
    """One face on its way to a worker."""

    index: int
    name: str
    rgba: np.ndarray  # [S, S, 4] uint8
    landmarks: np.ndarray  # [68, 2] crop pixels, y up
    head_landmarks: np.ndarray  # [68, 3]
    world_landmarks: np.ndarray  # [68, 3]
    coefficients: np.ndarray  # [257]
    angles: np.ndarray  # [3]
    gamma: np.ndarray  # [27]
    translation: np.ndarray  # [3]


class Painter:
    """Finishes and writes faces.

    Args:
        settings: :class:`PaintingSettings`.
    """

    def __init__(self, settings):
        self._settings = settings
        self._photos = [_read_background(path) for path in settings.backgrounds]
        table = np.load(settings.skin_table, mmap_mode="r", allow_pickle=False) if settings.skin_table else None
        self._masks = SkinMasks(table)

    def paint(self, face):
        """Put a :class:`RenderedFace` into a scene, photograph it, and write its files."""
        settings = self._settings
        random = face_random(settings.seed, face.index, picture=True)
        pose = head_pose(face.angles, face.translation)
        canvas = compose(random, face.rgba, pose, face.head_landmarks, face.gamma, settings.scene, self._photos)
        photograph(random, canvas, settings.camera)
        if settings.kind == "aflw2000":
            write_photo(settings.folder, face.name, Image.fromarray(canvas.picture), face.landmarks,
                        face.world_landmarks, face.angles, face.translation)
            return
        write_processed(settings.folder, face.name, canvas.picture, self._masks.mask(canvas), face.landmarks,
                        face.coefficients)


def _read_background(path):
    photo = read_photo(path)
    step = max(1, -(-max(photo.shape[:2]) // _BACKGROUND_SIDE))
    return np.ascontiguousarray(photo[::step, ::step])
