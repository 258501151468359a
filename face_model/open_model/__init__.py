"""The open face model: built from CC0 assets, in BFM's format, frame and scale."""

from face_model.open_model.build import build_open_face_model

__all__ = ["build_open_face_model"]
