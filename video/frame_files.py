"""The fields of ``NAME.mat`` for a face in a frame of a clip."""

from typing import Any, Dict

import numpy as np

from geometry.camera import flip_y
from reconstruction.face import LocatedFace
from reconstruction.face_source import FaceSource
from reconstruction.result_files import build_mat_fields, make_model_content
from video.motion import Placement


class FrameFiles:
    """Decodes faces of frames into the fields that photos have.

    Args:
        source: the pipeline.
    """

    def __init__(self, source: FaceSource) -> None:
        self._source = source
        self._content = make_model_content(source.model)

    def fields(self, name: str, pixels: np.ndarray, placement: Placement) -> Dict[str, Any]:
        """Return the fields of one face.

        The landmarks that photos have from detection are those of the smooth face here.

        Args:
            name: of the frame.
            pixels: [H, W, 3] uint8 RGB, the frame.
            placement: of the face in it.
        """
        face = LocatedFace(
            name=name,
            photo_path=name,
            photo=pixels,
            alignment=placement.alignment,
            landmarks=np.zeros((68, 2)),
            landmark_confidence=np.ones(68),
            five_points=placement.five_points,
            trust=placement.trust,
        )
        found = self._source.decode([face], placement.coefficients[np.newaxis])[0]
        landmarks = placement.alignment.to_photo(flip_y(found.landmarks))
        found = found._replace(face=face._replace(landmarks=landmarks))
        return build_mat_fields(found, self._source.model, self._content)
