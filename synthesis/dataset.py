"""A folder of synthetic faces: its manifest, its missing faces, and their generation."""

import functools
import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from dataset import processed_faces
from face_model import FaceModel, load_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from geometry.camera import IMAGE_SIZE
from mesh_renderer.build import build_core_library
from synthesis import aflw2000_format
from synthesis.compositing import Painter, PaintingSettings, RenderedFace
from synthesis.pose import PoseLimits
from synthesis.rendering import BATCH_SIZE, FaceRenderer
from synthesis.sampling import FaceSampler
from synthesis.scene import SceneOptions
from synthesis.skin_mask_table import build_skin_table, skin_table_path
from synthesis.workers import paint_all
from utils.errors import InputError
from utils.json_files import read_json_object, write_json
from utils.lock import output_folder
from utils.report import Report
from utils.scheduler import Preparation, Workers, divide
from utils.version import VERSION

FORMATS = ("processed", "aflw2000")
MANIFEST = "manifest.json"
PHOTO_SIZE = 450  # pixels, as in AFLW2000-3D
_TABLE_PAYS = 400  # faces from which on building the skin table saves time
_REVISION = 5  # of the pictures: increase it when the same options give other pictures


class DatasetOptions(NamedTuple):
    """Options that determine the faces of a folder, together with the face model.

    The manifest holds them under the names of these fields.
    """

    kind: str = "processed"  # one of FORMATS
    seed: int = 0
    size: int = IMAGE_SIZE  # width and height of the pictures
    max_yaw: float = 90.0  # degrees
    max_pitch: float = 40.0  # degrees
    max_roll: float = 40.0  # degrees
    augment: float = 1.0  # strength of the photometric degradation
    occluders: float = 1.0  # multiplies the probabilities of occluders
    hair: float = 1.0  # multiplies the probability of hair
    misplacement: float = 1.0  # strength of the crop jitter
    backgrounds: Tuple[str, ...] = ()  # photo files
    photos_per_person: int = 1  # consecutive faces with the same identity and albedo


class Cluster(NamedTuple):
    """The cluster that makes faces, and the flag by which its workers find the face model."""

    scheduler: str  # address or file
    face_model: Optional[str]  # argument of ``load_face_model``


def face_name(index: int) -> str:
    """Return the name of face ``index``."""
    return "{:07d}".format(index)


class SyntheticDataset:
    """A folder of faces of one model.

    Args:
        folder: made if missing.
        model: face model.
        options: options of the faces.
    """

    def __init__(self, folder: str, model: FaceModel, options: DatasetOptions) -> None:
        self._folder = folder
        self._model = model
        self._options = options
        self._sizes = coefficient_sizes(model)
        limits = PoseLimits(*np.radians([options.max_pitch, options.max_yaw, options.max_roll]))
        self._sampler = FaceSampler(
            model,
            options.seed,
            limits,
            anywhere=options.kind == "aflw2000",
            crop_jitter=options.misplacement,
            photos_per_person=options.photos_per_person,
        )

    def generate(
        self, count: int, workers: int, report: Any, cluster: Optional[Cluster] = None
    ) -> int:
        """Make the faces 0..count - 1 that are missing or incomplete.

        Args:
            count: least number of faces that the folder shall hold.
            workers: number of processes.
            report: ``utils.report.Report``, or an object with its methods.
            cluster: the cluster that makes the faces instead of ``workers``.

        Returns:
            Number of faces that were complete before.

        Raises:
            InputError: the folder is in use, holds other faces, or cannot be written.
        """
        with output_folder(self._folder, self._parts()):
            manifest = self._make_manifest(count)
            try:
                self._prepare_folder(manifest)
                missing = self._find_missing(count)
                report.expect(len(missing))
                if missing and cluster:
                    self._make_faces_on_cluster(missing, cluster, report)
                elif missing:
                    self._make_faces(missing, workers, report)
            except OSError as error:
                raise InputError(
                    "{}: cannot be written ({})".format(
                        error.filename or self._folder, error.strerror
                    )
                ) from None
        return count - len(missing)

    def _find_missing(self, count: int) -> List[int]:
        """Return the indices below ``count`` of faces that are missing or incomplete."""
        return [index for index in range(count) if not self._is_whole(face_name(index))]

    def _is_whole(self, name: str) -> bool:
        """Return True if all files of a face are present and not truncated."""
        if self._options.kind == "aflw2000":
            return aflw2000_format.is_whole(self._folder, name)
        return processed_faces.is_whole(self._folder, name, sum(self._sizes))

    def _parts(self) -> List[str]:
        """Return the names of the subfolders."""
        if self._options.kind == "aflw2000":
            return []
        return processed_faces.written_folders(with_coefficients=True)

    def _prepare_folder(self, manifest: Dict[str, Any]) -> None:
        """Make the subfolders and write the manifest."""
        for part in self._parts():
            os.makedirs(os.path.join(self._folder, part), exist_ok=True)
        write_json(os.path.join(self._folder, MANIFEST), manifest)

    def _make_faces(self, missing: List[int], workers: int, report: Any) -> None:
        """Sample, render and paint faces.

        Args:
            missing: indices of the faces.
            workers: number of processes.
            report: ``utils.report.Report``.
        """
        settings = self._prepare_painting(len(missing) > _TABLE_PAYS, report)
        batch_count = -(-len(missing) // BATCH_SIZE)
        # This process renders, workers paint.
        paint_all(settings, self._render_batches(missing), min(workers, batch_count), report.step)

    def _make_faces_on_cluster(self, missing: List[int], cluster: Cluster, report: Any) -> None:
        """Make faces on the workers of a cluster; arguments of :meth:`generate`."""
        prepare = functools.partial(
            _prepare, self._folder, self._options, cluster.face_model, len(missing) > _TABLE_PAYS
        )
        with Workers(
            cluster.scheduler, self._folder, self._parts(), self._model.fingerprint(), prepare
        ) as workers:
            for _ in workers.run(divide(missing, BATCH_SIZE), report):
                pass

    def prepare_units(self, with_table: bool) -> Preparation:
        """Make this worker of a cluster ready to make faces.

        Args:
            with_table: see :func:`build_skin_table`.
        """
        report = Report(None, "", "", quiet=True)
        painter = Painter(self._prepare_painting(with_table, report))
        renderer = FaceRenderer(self._model, self._options.size)

        def do(missing: Sequence[int], report: Report) -> None:
            for faces in self._render_batches(missing, renderer):
                for face in faces:
                    painter.paint(face)
                    report.step()

        return Preparation(self._model.fingerprint(), do)

    def _prepare_painting(self, with_table: bool, report: Any) -> PaintingSettings:
        """Make the files that painters share; return their settings."""
        options = self._options
        table = ""
        if options.kind == "processed" and with_table:
            table = skin_table_path()
            report.note("table of skin colors")
            build_skin_table(table)
            report.note("")
        build_core_library()  # compiled once, not by each worker
        return PaintingSettings(
            folder=self._folder,
            kind=options.kind,
            seed=options.seed,
            scene=SceneOptions(options.hair, options.occluders),
            degradation=options.augment,
            backgrounds=options.backgrounds,
            skin_table=table,
        )

    def _render_batches(
        self, missing: Sequence[int], renderer: Optional[FaceRenderer] = None
    ) -> Iterator[List[RenderedFace]]:
        """Yield lists of missing faces; a face is always rendered in the same batch."""
        renderer = renderer or FaceRenderer(self._model, self._options.size)
        wanted = set(missing)
        for block in sorted({index // BATCH_SIZE for index in missing}):
            indices = range(block * BATCH_SIZE, (block + 1) * BATCH_SIZE)
            coefficients = np.stack([self._sampler.sample(index) for index in indices])
            parts = split_coefficients(coefficients, self._sizes)
            faces = renderer.render(coefficients)
            yield [
                RenderedFace(
                    face_index=index,
                    name=face_name(index),
                    rgba=faces.rgba[i],
                    landmarks=faces.landmarks[i],
                    head_landmarks=faces.head_landmarks[i],
                    world_landmarks=faces.world_landmarks[i],
                    coefficients=coefficients[i],
                    angles=parts.angles[i],
                    gamma=parts.gamma[i],
                    translation=parts.translation[i],
                )
                for i, index in enumerate(indices)
                if index in wanted
            ]

    def _make_manifest(self, count: int) -> Dict[str, Any]:
        """Return the manifest, after comparing it with the folder's present one.

        Raises:
            InputError: the folder holds other faces or other files.
        """
        # 1. Manifest of these options.
        names = [os.path.basename(path) for path in self._options.backgrounds]
        options = dict(self._options._asdict(), backgrounds=names)
        if self._options.photos_per_person == 1:
            del options["photos_per_person"]  # manifests of earlier versions lack it
        manifest = {
            "revision": _REVISION,
            "options": options,
            "face_model": {
                "name": self._model.name,
                "fingerprint": self._model.fingerprint(),
            },
            "coefficient_sizes": dict(self._sizes._asdict()),
        }

        # 2. Comparison.
        before = _read_manifest(os.path.join(self._folder, MANIFEST))
        if before is None:
            if any(not name.startswith(".") for name in os.listdir(self._folder)):
                raise InputError(
                    "{}: holds other files and no {}; choose an empty folder".format(
                        self._folder, MANIFEST
                    )
                )
            return dict(manifest, count=count, version=VERSION)
        for key in manifest:
            if before.get(key) != manifest[key]:
                difference = _describe_difference(key, before.get(key), manifest[key])
                raise InputError(
                    "{}: was made with another {}; choose another folder or the same "
                    "options".format(self._folder, difference)
                )
        return dict(manifest, count=max(count, before.get("count", 0)), version=VERSION)


def _prepare(
    folder: str, options: DatasetOptions, face_model: Optional[str], with_table: bool
) -> Preparation:
    """Make a worker of a cluster ready; arguments of :class:`SyntheticDataset`."""
    dataset = SyntheticDataset(folder, load_face_model(face_model), options)
    return dataset.prepare_units(with_table)


def _read_manifest(path: str) -> Optional[Dict[str, Any]]:
    if not os.path.lexists(path):
        return None
    manifest = read_json_object(path)
    if manifest is not None and isinstance(manifest.get("count", 0), int):
        return manifest
    raise InputError("{}: damaged; choose another folder, or remove this one".format(path))


def _describe_difference(key: str, before: Any, now: Any) -> str:
    """Describe the difference of two manifests in one key, for an error message."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return "{} ({}, not {})".format(key, before, now)
    return ", ".join(
        "{} ({}, not {})".format(name, before.get(name), now[name])
        for name in sorted(now)
        if before.get(name) != now[name]
    )
