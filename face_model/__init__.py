"""Statistical face models: Basel Face Model 2009 with expressions, and the open stand-in."""

from face_model.model import FaceModel, read_face_model, write_face_model

__all__ = ["FaceModel", "read_face_model", "write_face_model"]
