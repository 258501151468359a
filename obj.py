"""Turn photos into meshes for other programs: OBJ, PLY, STL and animatable glTF.

    python obj.py                                     # photos in input/, meshes in output/meshes
    python obj.py --input me.jpg --output meshes/ --formats glb
    python obj.py --coefficients output/              # faces as demo.py found them
    python obj.py --input me.jpg --neutral --expression_of laughing.jpg

Writes for each face NAME_mesh.obj (vertex colors), NAME.obj with NAME.mtl and NAME_texture.png
(the photo, unwrapped), NAME_albedo_map.png (the texture without the light of the
photo), NAME_normal_map.png (in object space), NAME.ply (vertex colors), NAME.stl (millimeters) and
NAME.glb. OBJ and PLY keep the pose of the photo, in decimeters or --unit, with the camera at
(0, 0, 10) dm. The glTF is upright, in meters; with the open face model it has ARKit's 52 blend
shapes as morph targets, set to the expression in the photo.
With --refine the same files are written for the refined mesh, as NAME_refined*; with --neutral for
the face at rest, as NAME_neutral*; with --expression_of for the face with the expression of another
photo, as NAME_expression*; with --head for the whole head and neck, as NAME_head*. --as flame adds
the mesh in the topology of FLAME, NAME_flame*. Several photos of one person (--same_person, or a
folder for each person) also give PERSON_neutral.obj and PERSON.glb.
"""

if __name__ == "__main__":  # before the imports below, which take a second
    from utils.errors import end_on_interrupt

    end_on_interrupt()

import argparse
import functools
import os
from typing import Collection, Dict, List, Mapping, Optional, Tuple

import numpy as np

from face_model.flame import FLAME_HELP, find_flame
from face_model.head import find_head, load_head
from face_model.model import FaceModel
from geometry.camera import MILLIMETERS_PER_DM
from mesh.expression import expression_of, replace_expression
from mesh.flame_mesh import FlameMesh, in_flame_topology, make_flame_mesh
from mesh.gltf import write_rig
from mesh.morph_targets import make_rig, upright_shape
from mesh.normal_map import bake_normals
from mesh.obj_ply import write_obj, write_ply, write_texture, write_textured_obj
from mesh.stl import write_stl
from mesh.texture_baking import bake_texture, remove_light
from mesh.uv_unwrap import UVMap
from mesh.whole_head import WholeHead, extend_face, head_texture, make_whole_head
from reconstruction.arguments import (
    ReconstructionSetup,
    add_photo_flags,
    add_reconstruction_flags,
    add_saved_results_flag,
    prepare_reconstruction,
    run_work,
)
from reconstruction.face import Reconstruction, mesh_variants
from reconstruction.face_source import FaceSource
from reconstruction.people import write_photos_and_people
from utils.arguments import positive_int
from utils.errors import InputError, log_notes, run_main
from utils.lock import output_folder
from utils.paths import OUTPUT_DIR
from utils.photos import find_photos
from utils.report import Report

FORMATS = ("colors", "obj", "albedo", "normals", "ply", "stl", "glb")
_UNTEXTURED = {"colors", "ply", "stl"}
UNITS = {"dm": 1.0, "cm": 10.0, "mm": 100.0, "m": 0.1}  # lengths of a decimeter


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line.

    Raises:
        InputError: --flame is given without --as flame.
    """
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_photo_flags(parser, os.path.join(OUTPUT_DIR, "meshes"))
    add_saved_results_flag(parser)
    parser.add_argument(
        "--formats",
        nargs="+",
        choices=FORMATS,
        default=list(FORMATS),
        help="colors: OBJ with vertex colors; obj: OBJ with texture; albedo: the texture without "
        "light; normals: normal map in object space; ply: vertex colors; stl: for 3-D printing, "
        "always millimeters; glb: binary glTF with texture and blend shapes, always meters",
    )
    parser.add_argument(
        "--unit", choices=tuple(UNITS), default="dm", help="unit of lengths in OBJ and PLY"
    )
    parser.add_argument(
        "--neutral", action="store_true", help="also write the face without any expression"
    )
    parser.add_argument(
        "--expression_of",
        metavar="PHOTO",
        help="also write the face with the expression of the largest face in another photo",
    )
    parser.add_argument(
        "--head",
        action="store_true",
        help="also write the whole head and neck, with skin where the photo shows no face; the "
        "open face model has them",
    )
    parser.add_argument(
        "--as",
        dest="topology",
        choices=("flame",),
        help="also write the mesh in another topology: FLAME's, as colors, ply and stl",
    )
    parser.add_argument("--flame", metavar="FILE", help=FLAME_HELP)
    parser.add_argument(
        "--texture_size",
        type=positive_int,
        metavar="PIXELS",
        help="texture width in pixels (power of two); default: matched to the photo's resolution",
    )
    add_reconstruction_flags(parser)
    arguments = parser.parse_args(argv)
    size = arguments.texture_size
    if size and (size & (size - 1) or size > 8192):
        parser.error("argument --texture_size: must be a power of two up to 8192")
    if arguments.topology and not _UNTEXTURED.intersection(arguments.formats):
        parser.error(
            "argument --as: --formats needs one of {}".format(", ".join(sorted(_UNTEXTURED)))
        )
    if arguments.flame and not arguments.topology:
        raise InputError(
            "--flame {}: no mesh in FLAME's topology is asked for; give --as flame too".format(
                arguments.flame
            )
        )
    return arguments


def main(argv: Optional[List[str]] = None) -> int:
    """Write the meshes of every photo that the arguments name; return the exit status."""
    arguments = parse_arguments(argv)
    setup = prepare_reconstruction(arguments)
    print(setup.description)
    expressions = find_expressions(arguments, setup.model, setup.source)
    head, flame = find_meshes(arguments, setup.source)
    work = functools.partial(write_faces, expressions, head, flame)
    report = Report(len(setup.all_photos), "face", "written", arguments.quiet)
    with output_folder(arguments.output, setup.folders, setup.all_photos):
        for _ in run_work(work, setup, arguments, report):
            pass
    report.close()
    print("{}, meshes in {}".format(report.summary(), arguments.output))
    return 0 if report.done_count else 1


def write_faces(
    expressions: Mapping[str, np.ndarray],
    head: Optional[WholeHead],
    flame: Optional[FlameMesh],
    setup: ReconstructionSetup,
    arguments: argparse.Namespace,
    report: Report,
) -> None:
    """Write the meshes of photos and people.

    Args:
        expressions: result of :func:`find_expressions`.
        head: what surrounds the face, with --head.
        flame: the mesh in FLAME's topology, with --as flame.
        setup: the photos and people.
        arguments: the parsed flags.
        report: a ``Report``.
    """

    def write(reconstruction: Reconstruction) -> None:
        for variant in mesh_variants(reconstruction):
            write_meshes(
                variant,
                setup.model,
                setup.source.uv_map,
                arguments.output,
                arguments.formats,
                arguments.texture_size,
                arguments.unit,
                expressions,
                head,
                flame,
            )

    write_photos_and_people(setup, arguments, report, write, head)


def find_expressions(
    arguments: argparse.Namespace, model: FaceModel, source: FaceSource
) -> Dict[str, np.ndarray]:
    """Return the further expressions to write: suffix of the name -> coefficients.

    Args:
        arguments: result of :func:`parse_arguments`.
        model: the ``FaceModel``.
        source: finds the face of ``--expression_of``.

    Raises:
        InputError: the photo of ``--expression_of`` cannot be read or has no face.
    """
    expressions = {}
    if arguments.neutral:
        expressions["_neutral"] = np.zeros(model.expression_count)
    if arguments.expression_of:
        photos = find_photos(arguments.expression_of)
        if len(photos) != 1:
            raise InputError(
                "--expression_of {}: {} photos; give one".format(
                    arguments.expression_of, len(photos)
                )
            )
        (reconstruction,) = source.reconstruct(source.locate(photos[0])[:1])
        expressions["_expression"] = expression_of(reconstruction, model)
    return expressions


def find_meshes(
    arguments: argparse.Namespace, source: FaceSource
) -> Tuple[Optional[WholeHead], Optional[FlameMesh]]:
    """Return the further meshes to write: the whole head, and FLAME's mesh; None for no such.

    Args:
        arguments: result of :func:`parse_arguments`.
        source: knows the face model.

    Raises:
        InputError: the model has no head, or FLAME's file is missing or damaged.
    """
    # 1. the whole head, which FLAME's mesh follows too if it is there
    model = source.model
    template = find_flame(arguments.flame) if arguments.topology == "flame" else None
    extension = head = None
    if arguments.head:
        extension = load_head(model)
    elif template:
        extension = find_head(model)
        if extension is None:
            log_notes(
                [
                    "--as flame: no head of {} is known; FLAME's vertices behind the face follow "
                    "their neighbors".format(model.name)
                ]
            )
    if extension:
        head = make_whole_head(model, extension, source.uv_map)

    # 2. FLAME's mesh
    if template is None:
        return head, None
    flame = make_flame_mesh(template, model, head)
    median, most = MILLIMETERS_PER_DM * np.percentile(flame.map.residual, [50, 95])
    print(
        "FLAME: {} of {} vertices lie on the face model, {:.2f} mm from its surface (median; 95% "
        "within {:.2f} mm)".format(len(flame.map.residual), len(template.template), median, most)
    )
    return head if arguments.head else None, flame


def write_meshes(
    reconstruction: Reconstruction,
    model: FaceModel,
    uv_map: UVMap,
    folder: str,
    formats: Collection[str] = FORMATS,
    texture_size: Optional[int] = None,
    unit: str = "dm",
    expressions: Optional[Mapping[str, np.ndarray]] = None,
    head: Optional[WholeHead] = None,
    flame: Optional[FlameMesh] = None,
) -> None:
    """Write one face in the requested formats.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.
        uv_map: ``mesh.uv_unwrap.unwrap_uv(model)``.
        folder: folder to write to.
        formats: some of :data:`FORMATS`.
        texture_size: pixels, a power of two; None to match the photo's resolution.
        unit: one of :data:`UNITS`, of OBJ and PLY.
        expressions: further expressions to write, suffix of the name -> coefficients.
        head: ``mesh.whole_head.make_whole_head(...)`` to write the whole head too, or None.
        flame: ``mesh.flame_mesh.make_flame_mesh(...)`` to write FLAME's mesh too, or None.
    """
    # 1. the face, and the same with other expressions
    faces = [reconstruction]
    for suffix, expression in (expressions or {}).items():
        faces.append(replace_expression(reconstruction, model, expression, suffix))

    # 2. their texture
    texture = albedo = None
    stem = os.path.join(folder, reconstruction.face.name)
    if not _UNTEXTURED.issuperset(formats):
        texture = bake_texture(reconstruction, model, uv_map, texture_size)
        if head or "albedo" in formats:
            albedo = remove_light(texture, reconstruction, model, uv_map)
        _write_maps(stem, formats, albedo, len(texture), reconstruction, model, uv_map)
    for face in faces:
        _write_mesh(face, model, uv_map, texture, folder, formats, unit)
        if flame:
            other = in_flame_topology(face, model, flame)
            flame_model = model._replace(triangles=flame.map.triangles)
            _write_mesh(other, flame_model, uv_map, None, folder, formats, unit)

    # 3. all of it for the whole head
    if head is None:
        return
    heads = [extend_face(face, model, head) for face in faces]
    if texture is not None and albedo is not None:
        texture = head_texture(texture, albedo, heads[0], model, head)
        albedo = head_texture(albedo, albedo, None, model, head)
        head_stem = os.path.join(folder, heads[0].face.name)
        _write_maps(head_stem, formats, albedo, len(texture), heads[0], head.model, head.uv_map)
    for face in heads:
        _write_mesh(face, head.model, head.uv_map, texture, folder, formats, unit)


def _write_maps(
    stem: str,
    formats: Collection[str],
    albedo: Optional[np.ndarray],
    size: int,
    reconstruction: Reconstruction,
    model: FaceModel,
    uv_map: UVMap,
) -> None:
    """Write further maps of ``size`` pixels in the layout of the texture, see `write_meshes`."""
    if albedo is not None and "albedo" in formats:
        write_texture(stem + "_albedo_map.png", albedo)
    if "normals" in formats:
        normals = bake_normals(reconstruction, model, uv_map, size)
        write_texture(stem + "_normal_map.png", normals)


def _write_mesh(
    reconstruction: Reconstruction,
    model: FaceModel,
    uv_map: UVMap,
    texture: Optional[np.ndarray],
    folder: str,
    formats: Collection[str],
    unit: str,
) -> None:
    """Write one mesh; arguments of :func:`write_meshes`, and its texture if a format needs it."""
    stem = os.path.join(folder, reconstruction.face.name)
    vertices, triangles = reconstruction.world_shape * UNITS[unit], model.triangles
    if "colors" in formats:
        write_obj(stem + "_mesh.obj", vertices, triangles, reconstruction.colors)
    if "ply" in formats:
        write_ply(stem + ".ply", vertices, triangles, reconstruction.colors)
    if "stl" in formats:
        upright = upright_shape(reconstruction, model)
        write_stl(stem + ".stl", upright * MILLIMETERS_PER_DM, triangles)
    if texture is not None and "obj" in formats:
        write_textured_obj(stem + ".obj", vertices, triangles, uv_map.coordinates, texture)
    if texture is not None and "glb" in formats:
        rig = make_rig(reconstruction, model)
        name = reconstruction.face.name
        write_rig(stem + ".glb", rig, triangles, uv_map.coordinates, texture, name)


if __name__ == "__main__":
    run_main(main)
