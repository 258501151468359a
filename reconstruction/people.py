"""People: all photos of one person reconstructed together, and the files of the person.

Photos are read again when their files are written, so that memory does not grow with them.
"""

import os
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from face_model.model import FaceModel
from fitting.joint import shared_columns
from mesh.gltf import write_rig
from mesh.morph_targets import make_rig
from mesh.obj_ply import write_textured_obj
from mesh.person_texture import bake_person_texture
from mesh.uv_unwrap import UVMap
from mesh.whole_head import SUFFIX as HEAD_SUFFIX
from mesh.whole_head import WholeHead, extend_shape, head_texture
from reconstruction.face import LocatedFace, Reconstruction
from reconstruction.face_source import FaceSource
from utils.atomic import atomic_path
from utils.errors import InputError, join_first
from utils.mat_files import write_mat
from utils.photo_sets import PhotoSet
from utils.photos import read_photo
from utils.report import Report

_NO_PIXELS = np.zeros((0, 0, 3), np.uint8)


class Person(NamedTuple):
    """A person, reconstructed from several photos: the face without expression, upright."""

    name: str  # stem of its files, with a folder if it has one
    coefficients: np.ndarray  # [257] identity and albedo; the others are 0
    world_shape: np.ndarray  # [N, 3] dm
    albedo: np.ndarray  # [N, 3] RGB, 0..255
    texture: np.ndarray  # [T, T, 3] uint8 RGB, without light
    photos: Tuple[str, ...]  # names of the photos that it was made from
    left_out: Tuple[str, ...]  # names of photos of somebody else
    confidence: Optional[np.ndarray] = None  # [photos, identities] of C-Net


def write_people(
    setup: Any,
    arguments: Any,
    report: Report,
    on_photo: Callable[[Reconstruction], Any],
    head: Optional[WholeHead] = None,
) -> Iterator[Person]:
    """Reconstruct all people of a command, write their files, and yield them.

    Args:
        setup: ``reconstruction.arguments.ReconstructionSetup``.
        arguments: the parsed flags; ``output`` and ``keep_all`` are used.
        report: a ``Report``; see :func:`iterate_people`.
        on_photo: callable taking the ``Reconstruction`` of each photo.
        head: ``mesh.whole_head.make_whole_head(...)`` to write the whole heads too, or None.
    """
    if not setup.people:
        return
    uv_map = setup.source.uv_map
    people = iterate_people(
        setup.source, setup.people, uv_map, report, on_photo, arguments.keep_all
    )
    for person in people:
        write_person(person, setup.model, uv_map, arguments.output, head)
        report.message("{}: {}".format(os.path.basename(person.name), describe_photos(person)))
        yield person


def write_photos_and_people(
    setup: Any,
    arguments: Any,
    report: Report,
    write: Callable[[Reconstruction], Any],
    head: Optional[WholeHead] = None,
) -> None:
    """Reconstruct all photos and people of a command, and write the files of the people.

    Args:
        setup: see :func:`write_people`.
        arguments: the parsed flags; ``batch_size``, ``output`` and ``keep_all`` are used.
        report: a ``Report``, which counts the photos.
        write: callable that writes the files of the ``Reconstruction`` of each photo.
        head: see :func:`write_people`.
    """
    for faces in setup.source.iterate_batches(setup.photos, arguments.batch_size, report):
        for reconstruction in setup.source.reconstruct(faces):
            write(reconstruction)
            report.step()
    for _ in write_people(setup, arguments, report, write, head):
        pass


def describe_photos(person: Person) -> str:
    """Return the number of a person's photos, and those that were left out, in words."""
    words = "{} photo{}".format(len(person.photos), "" if len(person.photos) == 1 else "s")
    if person.left_out:
        words += ", {} of somebody else left out ({})".format(
            len(person.left_out), join_first(person.left_out)
        )
    return words


def iterate_people(
    source: FaceSource,
    sets: Sequence[PhotoSet],
    uv_map: UVMap,
    report: Report,
    on_photo: Callable[[Reconstruction], Any],
    keep_all: bool = False,
    texture_size: Optional[int] = None,
) -> Iterator[Person]:
    """Yield the people whose photos are given, each after all of its photos.

    Args:
        source: source of the reconstructions.
        sets: the photos of each person.
        uv_map: ``mesh.uv_unwrap.unwrap_uv`` of the face model.
        report: a ``Report``, which counts photos; one that fails or shows somebody else is skipped.
        on_photo: callable taking the ``Reconstruction`` of each photo.
        keep_all: keep photos that seem to show somebody else.
        texture_size: width of the textures, a power of two; None for the resolution of the photos.
    """
    for photos in sets:
        located = source.iterate_located(photos.photos, report)
        faces = [face._replace(photo=_NO_PIXELS) for face in located]
        kept, left_out = (
            (faces, []) if keep_all else _leave_out(source, photos.title, faces, report)
        )
        if kept:
            yield _reconstruct(
                source, photos.name, kept, left_out, uv_map, report, on_photo, texture_size
            )


def _leave_out(
    source: FaceSource, name: str, faces: List[LocatedFace], report: Report
) -> Tuple[List[LocatedFace], List[LocatedFace]]:
    """Return the faces of a person, and those of somebody else, which are reported."""
    # 1. the comparison, which needs an identity network
    try:
        comparison = source.find_strangers(faces) if faces else None
    except InputError as error:
        report.remark("photos of {} are not checked for other people: {}".format(name, error))
        return faces, []
    if comparison is None:
        return faces, []

    # 2. its outcome
    kept: List[LocatedFace] = []
    left_out: List[LocatedFace] = []
    for face, is_stranger, distance in zip(faces, comparison.strangers, comparison.distances):
        if not is_stranger:
            kept.append(face)
            continue
        left_out.append(face)
        report.skip(
            face.name,
            "{}: shows somebody else than most photos of {} (distance {:.2f}, of one person up "
            "to {:.2f}); --keep_all keeps it".format(
                face.photo_path, name, distance, comparison.largest_distance
            ),
        )
    if len(faces) == 2 and comparison.distances[0] > comparison.largest_distance:
        report.remark(
            "{} and {} may show two people (distance {:.2f}, of one up to {:.2f})".format(
                faces[0].photo_path,
                faces[1].photo_path,
                comparison.distances[0],
                comparison.largest_distance,
            )
        )
    return kept, left_out


def _reconstruct(
    source: FaceSource,
    name: str,
    faces: List[LocatedFace],
    left_out: List[LocatedFace],
    uv_map: UVMap,
    report: Report,
    on_photo: Callable[[Reconstruction], Any],
    texture_size: Optional[int],
) -> Person:
    """Return the person of some faces; arguments of :func:`iterate_people`."""
    # 1. coefficients, and the face without expression
    model = source.model
    found = source.find_person(faces, source.progress_note(len(faces), report, of_one_person=True))
    coefficients = np.where(shared_columns(model), found.coefficients[0], 0)
    shape, albedo = source.decode_mesh(coefficients)

    # 2. the photos, one by one, and the texture from all of them
    def results() -> Iterator[Reconstruction]:
        for i in _by_resolution(faces):
            face = faces[i]._replace(photo=read_photo(faces[i].photo_path))
            (result,) = source.decode([face], found.coefficients[i : i + 1])
            report.note("texture of {} from {}".format(os.path.basename(name), result.face.name))
            on_photo(result)
            report.step()
            yield result

    texture = bake_person_texture(results(), model, uv_map, albedo, texture_size)
    return Person(
        name=name,
        coefficients=coefficients,
        world_shape=shape,
        albedo=albedo,
        texture=texture,
        photos=tuple(face.name for face in faces),
        left_out=tuple(face.name for face in left_out),
        confidence=found.confidence,
    )


def _by_resolution(faces: Sequence[LocatedFace]) -> List[int]:
    """Return the indices of faces, the one with the most pixels in its photo first."""
    scales = [face.alignment.trans_params[2] for face in faces]
    return sorted(range(len(faces)), key=lambda i: scales[i])


def write_person(
    person: Person,
    model: FaceModel,
    uv_map: UVMap,
    folder: str,
    head: Optional[WholeHead] = None,
) -> List[str]:
    """Write the files of a person, each atomically.

    ``NAME.mat`` holds numbers, ``NAME_neutral.obj`` with its material and texture the face without
    expression, ``NAME.glb`` the same with the model's named expressions as morph targets.
    ``NAME_head_neutral.obj`` and ``NAME_head.glb`` are those of the whole head.

    Args:
        person: the :class:`Person`.
        model: the ``FaceModel`` it was made with.
        uv_map: ``mesh.uv_unwrap.unwrap_uv`` of the model.
        folder: folder to write to; it is made if missing.
        head: see :func:`write_people`.

    Returns:
        The paths written.
    """
    # 1. numbers
    path = os.path.join(folder, person.name + ".mat")
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        write_mat(file, build_person_fields(person, model))

    # 2. meshes
    paths = [path] + _write_meshes(person, model, uv_map, folder)
    if head:
        extended = person._replace(
            name=person.name + HEAD_SUFFIX,
            world_shape=extend_shape(person, model, head),
            texture=head_texture(person.texture, person.texture, None, model, head),
        )
        paths += _write_meshes(extended, head.model, head.uv_map, folder)
    return paths


def _write_meshes(person: Person, model: FaceModel, uv_map: UVMap, folder: str) -> List[str]:
    """Write the textured mesh of a person and the animatable one; return the paths."""
    stem = os.path.join(folder, person.name)
    paths = write_textured_obj(
        stem + "_neutral.obj",
        person.world_shape,
        model.triangles,
        uv_map.coordinates,
        person.texture,
    )
    write_rig(
        stem + ".glb",
        make_rig(person, model),
        model.triangles,
        uv_map.coordinates,
        person.texture,
        os.path.basename(person.name),
    )
    return paths + [stem + ".glb"]


def build_person_fields(person: Person, model: FaceModel) -> Dict[str, Any]:
    """Return the fields of a person's ``NAME.mat``."""
    fields = {
        "coeff": person.coefficients[np.newaxis].astype(np.float32),
        "face_shape": person.world_shape,
        "face_texture": person.albedo,
        "tri": model.triangles + 1,
        "photos": np.array(person.photos, object),
        "left_out": np.array(person.left_out, object),
        "face_model": model.name,
        "face_model_fingerprint": model.fingerprint(),
    }
    if person.confidence is not None:
        fields["identity_confidence"] = person.confidence
    return fields
