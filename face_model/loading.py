"""Selection and loading of the face model."""

import os
from typing import Optional

from face_model.bfm import LICENSED_FILES, SOURCES, convert_bfm09, missing_files
from face_model.model import FaceModel, check_face_model, read_face_model, write_face_model
from utils.errors import InputError
from utils.paths import BFM_DIR

BFM_FILE = "BFM_model_front.mat"
OPEN_MODEL_FILE = "open_face_model.mat"
ICT_MODEL_FILE = "ict_face_model.mat"

FACE_MODEL_HELP = (
    "'bfm' (BFM09, from the BFM folder), 'open' (the open face model), 'ict' (ICT-FaceKit's, "
    "converted by python -m face_model.ict) or the path of a .mat file in the format of "
    "BFM_model_front.mat; default: BFM09 if its files exist, else the open model"
)


def load_face_model(choice: Optional[str] = None, folder: str = BFM_DIR) -> FaceModel:
    """Load a face model.

    Args:
        choice: ``"bfm"``, ``"open"``, ``"ict"``, the path of a .mat file, or None for BFM09 if its
            files are in ``folder`` and the open model otherwise. BFM09's separate pieces are
            converted on first use and the result is kept as ``BFM_model_front.mat``.
        folder: the data folder with the models.

    Returns:
        A ``FaceModel``.

    Raises:
        InputError: the model or a piece of it is missing or damaged.
    """
    bfm_path, open_path = os.path.join(folder, BFM_FILE), os.path.join(folder, OPEN_MODEL_FILE)
    if choice is None:
        choice = "bfm" if os.path.isfile(bfm_path) or _any_licensed(folder) else "open"
    if choice == "bfm":
        return _load_bfm(bfm_path, folder)
    if choice == "open":
        return _load_built(
            open_path,
            "the open face model is not built yet; run 'make face-model' or "
            "'python -m face_model.open_model'",
        )
    if choice == "ict":
        return _load_built(
            os.path.join(folder, ICT_MODEL_FILE),
            "ICT-FaceKit's model is not converted yet; run 'git clone "
            "https://github.com/ICT-VGL/ICT-FaceKit' and 'python -m face_model.ict ICT-FaceKit'",
        )
    return read_face_model(choice)


def _any_licensed(folder: str) -> bool:
    return any(os.path.isfile(os.path.join(folder, name)) for name in LICENSED_FILES)


def _load_bfm(path: str, folder: str) -> FaceModel:
    """Read BFM09, converting its pieces if that has not been done."""
    if os.path.isfile(path):
        return read_face_model(path, name="BFM09")
    missing = missing_files(folder)
    if missing:
        count = "{} files are".format(len(missing)) if len(missing) > 1 else "one file is"
        pieces = "; ".join("{} ({})".format(name, SOURCES[name]) for name in missing)
        raise InputError("{}: BFM09 is incomplete, {} missing: {}".format(folder, count, pieces))
    model = convert_bfm09(folder)
    check_face_model(model, folder)
    write_face_model(model, path)
    return read_face_model(path, name="BFM09")


def _load_built(path: str, remedy: str) -> FaceModel:
    """Read a model that another command builds; ``remedy`` names it."""
    if not os.path.isfile(path):
        raise InputError("{}: {}".format(path, remedy))
    return read_face_model(path)
