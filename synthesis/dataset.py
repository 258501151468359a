"""A folder of synthetic faces: what it was made of, what is missing in it, and making that."""

import json
import os
from typing import NamedTuple, Tuple

import numpy as np

from face_model.coefficients import coefficient_sizes, split_coefficients
from geometry.camera import IMAGE_SIZE
from mesh_renderer.build import core_library
from synthesis.compositing import PaintingSettings, RenderedFace
from synthesis.formats import is_whole, item_files, item_name
from synthesis.rendering import BATCH_SIZE, FaceRenderer
from synthesis.sampling import FaceSampler, PoseLimits
from synthesis.scene import SceneOptions
from synthesis.skin_mask_table import build_skin_table, skin_table_path
from synthesis.workers import paint_all
from utils.atomic import atomic_path
from utils.errors import InputError
from utils.json_files import read_json_object
from utils.lock import output_folder

MANIFEST = "manifest.json"
PHOTO_SIZE = 450  # pixels, as AFLW2000-3D
_TABLE_PAYS = 400  # faces beyond which the skin table is sooner built than done without
_REVISION = 5  # of the pictures: raise it when the same options give other pictures


class DatasetOptions(NamedTuple):
    """What decides the content of a folder, apart from the face model and the number of faces."""

    kind: str = "processed"
    seed: int = 0
    size: int = IMAGE_SIZE
    max_yaw: float = 90.0  # degrees
    max_pitch: float = 40.0
    max_roll: float = 40.0
    augment: float = 1.0  # strength of the camera's faults
    occluders: float = 1.0
    hair: float = 1.0
    misplacement: float = 1.0
    backgrounds: Tuple[str, ...] = ()  # files


class SyntheticDataset:
    """A folder of faces of one model.

    Args:
        folder: made if missing.
        model: a ``FaceModel``.
        options: :class:`DatasetOptions`.
    """

    def __init__(self, folder, model, options):
        self._folder, self._model, self._options = folder, model, options
        limits = PoseLimits(*np.radians([options.max_pitch, options.max_yaw, options.max_roll]))
        self._sizes = coefficient_sizes(model)
        self._sampler = FaceSampler(model, options.seed, limits, options.kind == "aflw2000", options.misplacement)

    def generate(self, count, workers, report):
        """Make the faces 0..count - 1 that are missing or half-written.

        Args:
            count: how many faces the folder shall hold at least.
            workers: how many processes.
            report: a ``utils.report.Report``.

        Returns:
            How many of the faces were there before.

        Raises:
            InputError: the folder is in use, holds other faces, or cannot be written.
        """
        with output_folder(self._folder, self._parts()):
            manifest = self._manifest(count)
            try:
                self._prepare(manifest)
                missing = self.missing(count)
                report.expect(len(missing))
                if missing:
                    self._make(missing, workers, report)
            except OSError as error:
                raise InputError("{}: cannot be written ({})".format(
                    error.filename or self._folder, error.strerror)) from None
        return count - len(missing)

    def missing(self, count):
        """Return the indices below ``count`` of faces that are not whole."""
        total = sum(self._sizes)
        return [i for i in range(count) if not is_whole(self._folder, self._options.kind, item_name(i), total)]

    def _parts(self):
        """Return the names of the folders in the folder."""
        files = item_files("", self._options.kind, "name")
        return sorted({os.path.dirname(path) for path in files} - {""})

    def _prepare(self, manifest):
        for part in self._parts():
            os.makedirs(os.path.join(self._folder, part), exist_ok=True)
        with atomic_path(os.path.join(self._folder, MANIFEST)) as temporary, open(temporary, "w") as file:
            json.dump(manifest, file, indent=1, sort_keys=True)
            file.write("\n")

    def _make(self, missing, workers, report):
        table = ""
        if self._options.kind == "processed" and len(missing) > _TABLE_PAYS:
            table = skin_table_path()
            report.note("table of skin colours")
            build_skin_table(table)
            report.note("")
        core_library()  # compiled once, not by each worker
        options = self._options
        settings = PaintingSettings(
            self._folder, options.kind, options.seed, SceneOptions(options.hair, options.occluders), options.augment,
            options.backgrounds, table)
        paint_all(settings, self._rendered(missing), min(workers, -(-len(missing) // BATCH_SIZE)), report.step)

    def _rendered(self, missing):
        """Yield lists of the missing faces; faces always render among the same neighbours."""
        renderer = FaceRenderer(self._model, self._options.size)
        wanted = set(missing)
        for block in sorted({index // BATCH_SIZE for index in missing}):
            indices = range(block * BATCH_SIZE, (block + 1) * BATCH_SIZE)
            coefficients = np.stack([self._sampler.draw(index) for index in indices])
            parts = split_coefficients(coefficients, self._sizes)
            faces = renderer.render(coefficients)
            yield [RenderedFace(index, item_name(index), faces.rgba[i], faces.landmarks[i], faces.head_landmarks[i],
                                faces.world_landmarks[i], coefficients[i], parts.angles[i], parts.gamma[i],
                                parts.translation[i])
                   for i, index in enumerate(indices) if index in wanted]

    def _manifest(self, count):
        """Return the manifest, after checking the one that is there."""
        options = dict(self._options._asdict(), backgrounds=[os.path.basename(p) for p in self._options.backgrounds])
        manifest = {
            "revision": _REVISION, "options": options,
            "face_model": {"name": self._model.name, "fingerprint": self._model.fingerprint()},
            "coefficient_sizes": dict(self._sizes._asdict()),
        }
        before = _read_manifest(os.path.join(self._folder, MANIFEST))
        if before is None:
            if any(not name.startswith(".") for name in os.listdir(self._folder)):
                raise InputError("{}: holds other files and no {}; choose an empty folder".format(
                    self._folder, MANIFEST))
            return dict(manifest, count=count)
        for key in manifest:
            if before.get(key) != manifest[key]:
                raise InputError("{}: was made with another {}; choose another folder or the same options".format(
                    self._folder, _difference(key, before.get(key), manifest[key])))
        return dict(manifest, count=max(count, before.get("count", 0)))


def _read_manifest(path):
    if not os.path.lexists(path):
        return None
    manifest = read_json_object(path)
    if manifest is not None and isinstance(manifest.get("count", 0), int):
        return manifest
    raise InputError("{}: damaged; choose another folder, or remove this one".format(path))


def _difference(key, before, now):
    if not isinstance(before, dict) or not isinstance(now, dict):
        return "{} ({}, not {})".format(key, before, now)
    return ", ".join("{} ({}, not {})".format(name, before.get(name), now[name])
                     for name in sorted(now) if before.get(name) != now[name])
