"""Draw reconstructed faces: overlay, geometry, albedo, normals, depth, landmarks, turntable.

    python renderer.py                          # photos in input/, pictures in output/pictures
    python renderer.py --input photos/ --output pictures/ --size 1024
    python renderer.py --coefficients output/   # faces as demo.py found them

Writes for each face NAME_KIND.png in the crop, NAME_photo_KIND.png in the original photo at its
own resolution, and NAME_turntable.gif; for all faces together contact_sheet.png. With --refine
the same pictures are drawn of the refined mesh, as NAME_refined_*. Several photos of one person
(--same_person, or a folder for each person) also give PERSON_neutral.obj and PERSON.glb.
"""

if __name__ == "__main__":  # before the imports below, which take a second
    from utils.errors import end_on_interrupt

    end_on_interrupt()

import argparse
import functools
import os
from typing import Dict, List, Mapping, Optional

import numpy as np
from PIL import Image

from face_model.model import FaceModel
from geometry.camera import IMAGE_SIZE
from mesh.uv_unwrap import UVMap
from reconstruction.arguments import (
    ReconstructionSetup,
    add_photo_flags,
    add_reconstruction_flags,
    add_saved_results_flag,
    prepare_reconstruction,
    run_work,
)
from reconstruction.face import Reconstruction, mesh_variants
from reconstruction.face_views import (
    KINDS,
    arrange_contact_sheet,
    crop_view,
    cut_crop,
    draw_pictures,
    draw_turntable,
    photo_view,
)
from reconstruction.frontal_view import draw_frontal
from reconstruction.look_ahead import SHOWN_FACES
from reconstruction.people import write_photos_and_people
from reconstruction.relighting import LIGHT_HELP, read_light, relight
from utils.arguments import positive_int
from utils.atomic import atomic_path
from utils.errors import run_main
from utils.lock import output_folder
from utils.paths import OUTPUT_DIR
from utils.report import Report

_FRAME_MILLISECONDS = 60


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_photo_flags(parser, os.path.join(OUTPUT_DIR, "pictures"))
    add_saved_results_flag(parser)
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="kinds of pictures"
    )
    parser.add_argument(
        "--size",
        type=positive_int,
        default=448,
        metavar="PIXELS",
        help="width of pictures of the crop",
    )
    parser.add_argument(
        "--frames", type=int, default=36, help="number of turntable pictures; 0: no turntable"
    )
    parser.add_argument(
        "--swing",
        type=float,
        default=60,
        metavar="DEGREES",
        help="largest angle of the turntable to each side; 0: a whole turn",
    )
    parser.add_argument(
        "--frontal",
        action="store_true",
        help="also draw the face from the front with the photo's texture, as NAME_frontal.png; "
        "NAME_frontal_hidden.png is white where the photo does not show it",
    )
    parser.add_argument("--light", nargs="+", metavar="LIGHT", help=LIGHT_HELP)
    add_reconstruction_flags(parser)
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> int:
    """Draw every photo that the arguments name; return the exit status."""
    arguments = parse_arguments(argv)
    light = read_light(arguments.light) if arguments.light else None
    work = functools.partial(write_faces, light)
    setup = prepare_reconstruction(arguments)
    print(setup.description)
    report = Report(len(setup.all_photos), "face", "drawn", arguments.quiet)
    rows: Dict[int, List[List[np.ndarray]]] = {}  # number of the work unit -> those of its faces
    with output_folder(arguments.output, setup.folders, setup.all_photos):
        for number, found in run_work(work, setup, arguments, report):
            rows[number] = found
            rows = _keep_first(rows, SHOWN_FACES)
        if rows:
            sheet = arrange_contact_sheet(
                [row for number in sorted(rows) for row in rows[number]],
                IMAGE_SIZE,
                ["photo"] + arguments.kinds + ["relit"] * (light is not None),
            )
            _save(os.path.join(arguments.output, "contact_sheet.png"), sheet)
    report.close()
    print("{}, pictures in {}".format(report.summary(), arguments.output))
    return 0 if report.done_count else 1


def write_faces(
    light: Optional[np.ndarray],
    setup: ReconstructionSetup,
    arguments: argparse.Namespace,
    report: Report,
) -> List[List[np.ndarray]]:
    """Write the pictures of photos and people; return their rows of the contact sheet.

    Args:
        light: see :func:`write_pictures`.
        setup: the photos and people.
        arguments: the parsed flags.
        report: a ``Report``.
    """
    uv_map = setup.source.uv_map if arguments.frontal else None
    rows: List[List[np.ndarray]] = []

    def write(reconstruction: Reconstruction) -> None:
        written = [
            write_pictures(variant, setup.model, arguments, light, uv_map)
            for variant in mesh_variants(reconstruction)
        ]
        rows.extend(written if setup.shown and len(rows) < SHOWN_FACES else [])

    write_photos_and_people(setup, arguments, report, write)
    return rows


def _keep_first(
    rows: Mapping[int, List[List[np.ndarray]]], count: int
) -> Dict[int, List[List[np.ndarray]]]:
    """Return the first rows by the numbers of their work units, at most ``count``."""
    kept: Dict[int, List[List[np.ndarray]]] = {}
    for number in sorted(rows):
        part = rows[number][: max(0, count)]
        count -= len(part)
        if part:
            kept[number] = part
    return kept


def write_pictures(
    reconstruction: Reconstruction,
    model: FaceModel,
    arguments: argparse.Namespace,
    light: Optional[np.ndarray] = None,
    uv_map: Optional[UVMap] = None,
) -> List[np.ndarray]:
    """Write the pictures of one face.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.
        arguments: result of :func:`parse_arguments`.
        light: ``relighting.read_light(arguments.light)``, or None.
        uv_map: ``unwrap_uv(model)`` to draw the frontal view, or None.

    Returns:
        The face's row of the contact sheet.
    """
    stem = os.path.join(arguments.output, reconstruction.face.name)

    # 1. all kinds, in the crop and in the photo
    crop = cut_crop(reconstruction, arguments.size)
    shown = (
        ("", crop_view(reconstruction.world_shape, arguments.size), crop),
        ("photo_", photo_view(reconstruction), reconstruction.face.photo),
    )
    rows = []
    for place, view, under in shown:
        drawn = draw_pictures(reconstruction, model, view, under)
        pictures = {kind: drawn[kind] for kind in arguments.kinds}
        if light is not None:
            pictures["relit"] = relight(reconstruction, model, view, under, light)
        for kind, picture in pictures.items():
            _save("{}_{}{}.png".format(stem, place, kind), picture)
        rows.append(list(pictures.values()))

    # 2. the frontal view
    if uv_map is not None:
        frontal, hidden = draw_frontal(reconstruction, model, uv_map, arguments.size)
        _save(stem + "_frontal.png", frontal)
        _save(stem + "_frontal_hidden.png", hidden)

    # 3. the turntable
    if arguments.frames > 0:
        frames = draw_turntable(
            reconstruction, model, arguments.size, arguments.frames, swing=arguments.swing or None
        )
        images = [Image.fromarray(frame) for frame in frames]
        with atomic_path(stem + "_turntable.gif") as temporary:
            images[0].save(
                temporary,
                save_all=True,
                append_images=images[1:],
                duration=_FRAME_MILLISECONDS,
                loop=0,
            )

    # 4. the row of the contact sheet
    return [_shrink(picture) for picture in [crop] + rows[0]]


def _shrink(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    return np.asarray(image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.LANCZOS))


def _save(path: str, picture: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, compress_level=3)


if __name__ == "__main__":
    run_main(main)
