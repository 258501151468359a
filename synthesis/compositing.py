"""From rendered faces to finished files: the work of one worker process."""

from typing import NamedTuple, Tuple

import numpy as np

from dataset.processed_faces import write_face
from synthesis.aflw2000_format import write_photo
from synthesis.degradation import degrade
from synthesis.pose import head_pose
from synthesis.sampling import make_random_state
from synthesis.scene import SceneOptions, compose
from synthesis.skin_mask_table import SkinMasks
from utils.photos import read_photo

_BACKGROUND_SIDE = 512  # pixels; larger background photos are subsampled


class PaintingSettings(NamedTuple):
    """Settings that all faces of a data set share."""

    folder: str
    kind: str  # one of synthesis.dataset.FORMATS
    seed: int
    scene: SceneOptions
    degradation: float  # strength
    backgrounds: Tuple[str, ...]  # photo files
    skin_table: str  # file, or "" to compute masks


class RenderedFace(NamedTuple):
    """One rendered face, as it is sent to a worker."""

    face_index: int
    name: str
    rgba: np.ndarray  # [S, S, 4] uint8
    landmarks: np.ndarray  # [68, 2] crop pixels, y up
    head_landmarks: np.ndarray  # [68, 3] dm, in model space
    world_landmarks: np.ndarray  # [68, 3] dm
    coefficients: np.ndarray  # [257]
    angles: np.ndarray  # [3]
    gamma: np.ndarray  # [27]
    translation: np.ndarray  # [3]


class Painter:
    """Finishes and writes faces.

    Args:
        settings: settings of the data set.
    """

    def __init__(self, settings: PaintingSettings) -> None:
        self._settings = settings
        self._photos = [_read_background(path) for path in settings.backgrounds]
        table = None
        if settings.skin_table:
            table = np.load(settings.skin_table, mmap_mode="r", allow_pickle=False)
        self._masks = SkinMasks(table)

    def paint(self, face: RenderedFace) -> None:
        """Compose a rendered face into a scene, degrade the picture, and write its files."""
        # 1. Picture.
        settings = self._settings
        random = make_random_state(settings.seed, face.face_index, picture=True)
        pose = head_pose(face.angles, face.translation)
        canvas = compose(
            random,
            face.rgba,
            pose,
            face.head_landmarks,
            face.gamma,
            settings.scene,
            self._photos,
        )
        degrade(random, canvas, settings.degradation)

        # 2. Files.
        if settings.kind == "aflw2000":
            write_photo(
                settings.folder,
                face.name,
                canvas.picture,
                face.landmarks,
                face.world_landmarks,
                face.angles,
                face.translation,
            )
        else:
            write_face(
                settings.folder,
                face.name,
                canvas.picture,
                self._masks.compute(canvas),
                face.landmarks,
                face.coefficients,
            )


def _read_background(path: str) -> np.ndarray:
    photo = read_photo(path)
    step = max(1, -(-max(photo.shape[:2]) // _BACKGROUND_SIDE))
    return np.ascontiguousarray(photo[::step, ::step])
