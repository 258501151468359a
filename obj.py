"""Turn photos into meshes for other programs: OBJ, PLY, STL and animatable glTF.

    python obj.py                                     # photos in input/, meshes in output/meshes
    python obj.py --input me.jpg --output meshes/ --formats glb
    python obj.py --coefficients output/              # faces as demo.py found them
    python obj.py --input me.jpg --neutral --expression_of laughing.jpg

Writes for each face NAME_mesh.obj (vertex colors), NAME.obj with NAME.mtl and NAME_texture.png
(the photo, unwrapped), NAME_albedo.png (the texture without the light of the photo), NAME.ply
(vertex colors), NAME.stl (millimeters) and NAME.glb. OBJ and PLY keep the pose of the photo, in
decimeters or --unit, with the camera at (0, 0, 10) dm. The glTF is upright, in meters; with the
open face model it has ARKit's 52 blend shapes as morph targets, set to the expression in the photo.
With --refine the same files are written for the refined mesh, as NAME_refined*; with --neutral for
the face at rest, as NAME_neutral*; with --expression_of for the face with the expression of another
photo, as NAME_expression*; with --head for the whole head and neck, as NAME_head*. Several photos
of one person (--same_person, or a folder for each person) also give PERSON_neutral.obj and
PERSON.glb.
"""

if __name__ == "__main__":  # before the imports below, which take a second
    from utils.errors import end_on_interrupt

    end_on_interrupt()

import argparse
import os
from typing import Collection, Dict, List, Mapping, Optional

import numpy as np

from face_model.head import load_head
from face_model.model import FaceModel
from geometry.camera import MILLIMETERS_PER_DM
from mesh.expression import expression_of, replace_expression
from mesh.gltf import write_rig
from mesh.morph_targets import make_rig, upright_shape
from mesh.obj_ply import write_obj, write_ply, write_texture, write_textured_obj
from mesh.stl import write_stl
from mesh.texture_baking import bake_texture, remove_light
from mesh.uv_unwrap import UVMap, unwrap_uv
from mesh.whole_head import WholeHead, extend_face, head_texture, make_whole_head
from reconstruction.arguments import (
    add_photo_flags,
    add_reconstruction_flags,
    add_saved_results_flag,
    prepare_reconstruction,
)
from reconstruction.face import Reconstruction, mesh_variants
from reconstruction.face_source import FaceSource
from reconstruction.look_ahead import iterate_batches
from reconstruction.people import write_people
from utils.arguments import positive_int
from utils.errors import InputError, run_main
from utils.lock import output_folder
from utils.paths import OUTPUT_DIR
from utils.photos import find_photos
from utils.report import Report

FORMATS = ("colors", "obj", "albedo", "ply", "stl", "glb")
UNITS = {"dm": 1.0, "cm": 10.0, "mm": 100.0, "m": 0.1}  # lengths of a decimeter


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
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
        "light; ply: vertex colors; stl: for 3-D printing, always millimeters; glb: binary glTF "
        "with texture and blend shapes, always meters",
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
    return arguments


def main(argv: Optional[List[str]] = None) -> int:
    """Write the meshes of every photo that the arguments name; return the exit status."""
    arguments = parse_arguments(argv)
    setup = prepare_reconstruction(arguments)
    source, uv_map = setup.source, unwrap_uv(setup.model)
    print(setup.description)
    expressions = find_expressions(arguments, setup.model, source)
    head = None
    if arguments.head:
        head = make_whole_head(setup.model, load_head(setup.model), uv_map)
    report = Report(len(setup.all_photos), "face", "written", arguments.quiet)

    def write(reconstruction: Reconstruction) -> None:
        for variant in mesh_variants(reconstruction):
            write_meshes(
                variant,
                setup.model,
                uv_map,
                arguments.output,
                arguments.formats,
                arguments.texture_size,
                arguments.unit,
                expressions,
                head,
            )

    with output_folder(arguments.output, setup.folders, setup.all_photos):
        located = source.iterate_located(setup.photos, report)
        for faces in iterate_batches(located, arguments.batch_size):
            for reconstruction in source.reconstruct(faces):
                write(reconstruction)
                report.step()
        for _ in write_people(setup, arguments, report, write):
            pass
    report.close()
    print("{}, meshes in {}".format(report.summary(), arguments.output))
    return 0 if report.done_count else 1


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
    """
    # 1. the face, and the same with other expressions
    faces = [reconstruction]
    for suffix, expression in (expressions or {}).items():
        faces.append(replace_expression(reconstruction, model, expression, suffix))

    # 2. their texture
    texture = albedo = None
    if {"obj", "albedo", "glb"}.intersection(formats):
        texture = bake_texture(reconstruction, model, uv_map, texture_size)
        if head or "albedo" in formats:
            albedo = remove_light(texture, reconstruction, model, uv_map)
    if albedo is not None and "albedo" in formats:
        write_texture(os.path.join(folder, reconstruction.face.name + "_albedo.png"), albedo)
    for face in faces:
        _write_mesh(face, model, uv_map, texture, folder, formats, unit)

    # 3. all of it for the whole head
    if head is None:
        return
    heads = [extend_face(face, model, head) for face in faces]
    if texture is not None and albedo is not None:
        if "albedo" in formats:
            albedo_path = os.path.join(folder, heads[0].face.name + "_albedo.png")
            write_texture(albedo_path, head_texture(albedo, albedo, None, model, head))
        texture = head_texture(texture, albedo, heads[0], model, head)
    for face in heads:
        _write_mesh(face, head.model, head.uv_map, texture, folder, formats, unit)


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
