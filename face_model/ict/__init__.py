"""ICT-FaceKit's face model, from light-stage scans (MIT license), in BFM's format and frame."""

from face_model.ict.build import build_ict_face_model

__all__ = ["build_ict_face_model"]
