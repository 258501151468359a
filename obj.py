"""Turn photos into meshes for other programs: OBJ, PLY and animatable glTF.

    python obj.py                                     # photos in input/, meshes in output/meshes
    python obj.py --input me.jpg --output meshes/ --formats glb
    python obj.py --coefficients output/              # faces as demo.py found them

Writes for each face NAME_mesh.obj (vertex colors), NAME.obj with NAME.mtl and NAME_texture.png
(the photo, unwrapped), NAME.ply (vertex colors) and NAME.glb. OBJ and PLY keep the pose of the
photo, in decimeters, with the camera at (0, 0, 10). The glTF is upright, in meters; with the open
face model it has ARKit's 52 blend shapes as morph targets, set to the expression in the photo.
With --refine the same files are written for the refined mesh, as NAME_refined*. Several photos of
one person (--same_person, or a folder for each person) also give PERSON_neutral.obj and PERSON.glb.
"""

import argparse
import os
from typing import Any, Collection, List, Optional

from face_model.model import FaceModel
from geometry.normals import surface_normals
from mesh.gltf import write_glb
from mesh.morph_targets import make_rig
from mesh.obj_ply import write_obj, write_ply, write_textured_obj
from mesh.texture_baking import bake_texture
from mesh.uv_unwrap import unwrap_uv
from reconstruction.arguments import (
    add_photo_flags,
    add_reconstruction_flags,
    add_saved_results_flag,
    prepare_reconstruction,
)
from reconstruction.face import Reconstruction, mesh_variants
from reconstruction.look_ahead import iterate_batches
from reconstruction.people import write_people
from utils.arguments import positive_int
from utils.errors import run_main
from utils.lock import output_folder
from utils.paths import OUTPUT_DIR
from utils.report import Report

FORMATS = ("colors", "obj", "ply", "glb")


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
        help="colors: OBJ with vertex colors; obj: OBJ with texture; ply: vertex colors; "
        "glb: binary glTF with texture and blend shapes",
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


def write_meshes(
    reconstruction: Reconstruction,
    model: FaceModel,
    uv_map: Any,
    folder: str,
    formats: Collection[str] = FORMATS,
    texture_size: Optional[int] = None,
) -> None:
    """Write one face in the requested formats.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.
        uv_map: ``mesh.uv_unwrap.unwrap_uv(model)``.
        folder: folder to write to.
        formats: some of :data:`FORMATS`.
        texture_size: pixels, a power of two; None to match the photo's resolution.
    """
    stem = os.path.join(folder, reconstruction.face.name)
    vertices = reconstruction.world_shape
    colors = reconstruction.colors
    triangles = model.triangles

    # 1. vertex colors
    if "colors" in formats:
        write_obj(stem + "_mesh.obj", vertices, triangles, colors)
    if "ply" in formats:
        write_ply(stem + ".ply", vertices, triangles, colors)

    # 2. texture
    if "obj" not in formats and "glb" not in formats:
        return
    texture = bake_texture(reconstruction, model, uv_map, texture_size)
    if "obj" in formats:
        write_textured_obj(stem + ".obj", vertices, triangles, uv_map.coordinates, texture)
    if "glb" in formats:
        rig = make_rig(reconstruction, model)
        write_glb(
            stem + ".glb",
            rig.vertices,
            triangles,
            normals=surface_normals(rig.vertices, triangles),
            coordinates=uv_map.coordinates,
            texture=texture,
            morph_targets=rig.morph_targets,
            name=reconstruction.face.name,
        )


if __name__ == "__main__":
    run_main(main)
