"""Statistical face models: Basel Face Model 2009 with expressions, and the open face model."""

from face_model.loading import FACE_MODEL_HELP, load_face_model
from face_model.model import FaceModel, read_face_model, write_face_model

__all__ = ["FACE_MODEL_HELP", "FaceModel", "load_face_model", "read_face_model", "write_face_model"]
