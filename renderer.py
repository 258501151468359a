"""Draw reconstructed faces: overlay, geometry, albedo, normals, depth, landmarks, turntable.

    python renderer.py                                # photos in input/, pictures in output/pictures
    python renderer.py --input photos/ --output pictures/ --size 1024
    python renderer.py --coefficients output/         # faces as demo.py found them

For each face NAME_KIND.png in the crop, NAME_photo_KIND.png in the original photo at its own
resolution, and NAME_turntable.gif; for all faces together contact_sheet.png. With --refine the
same pictures are drawn of the refined mesh, as NAME_refined_*.
"""

import argparse
import os

import numpy as np
from PIL import Image

from geometry.camera import IMAGE_SIZE
from reconstruction.arguments import add_photo_flags, add_reconstruction_flags, add_stored_flag, start
from reconstruction.face import versions
from reconstruction.face_views import (
    KINDS,
    contact_sheet,
    crop_picture,
    crop_view,
    face_pictures,
    photo_view,
    turntable,
)
from reconstruction.pipeline import batches
from utils.arguments import positive_int
from utils.atomic import atomic_path
from utils.errors import run_main
from utils.lock import output_folder
from utils.paths import OUTPUT_DIR
from utils.report import Report

_SHEET_ROWS = 100  # faces on the contact sheet, at most: beyond, it would fill the memory
_FRAME_MILLISECONDS = 60


def parse_arguments(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add_photo_flags(parser, os.path.join(OUTPUT_DIR, "pictures"))
    add_stored_flag(parser)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="which pictures")
    parser.add_argument("--size", type=positive_int, default=448, metavar="PIXELS", help="width of pictures of the crop")
    parser.add_argument("--frames", type=int, default=36, help="pictures of the turntable; 0 for none")
    parser.add_argument("--swing", type=float, default=60, metavar="DEGREES",
                        help="how far the turntable swings to each side; 0 for a whole turn")
    add_reconstruction_flags(parser)
    return parser.parse_args(argv)


def main(argv=None):
    """Draw every photo that the arguments name."""
    arguments = parse_arguments(argv)
    photos, model, pipeline, description = start(arguments)
    print(description)
    report, rows = Report(len(photos), "face", "drawn", arguments.quiet), []
    with output_folder(arguments.output, photos=photos):
        for faces in batches(pipeline.located(photos, report), arguments.batch_size):
            for reconstruction in pipeline.reconstruct(faces):
                drawn = [draw_face(version, model, arguments) for version in versions(reconstruction)]
                rows += drawn if len(rows) < _SHEET_ROWS else []
                report.step()
        if rows:
            _save(os.path.join(arguments.output, "contact_sheet.png"), contact_sheet(rows, IMAGE_SIZE))
    report.close()
    print("{}, pictures in {}".format(report.summary(), arguments.output))
    return 0 if report.done_count else 1


def draw_face(reconstruction, model, arguments):
    """Write the pictures of one face.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.
        arguments: what :func:`parse_arguments` returned.

    Returns:
        Its row of the contact sheet, a list of pictures.
    """
    stem = os.path.join(arguments.output, reconstruction.face.name)
    crop = crop_picture(reconstruction, arguments.size)
    in_crop = face_pictures(reconstruction, model, crop_view(reconstruction.world_shape, arguments.size), crop)
    in_photo = face_pictures(reconstruction, model, photo_view(reconstruction), reconstruction.face.photo)
    for kind in arguments.kinds:
        _save("{}_{}.png".format(stem, kind), in_crop[kind])
        _save("{}_photo_{}.png".format(stem, kind), in_photo[kind])
    if arguments.frames > 0:
        frames = turntable(reconstruction, model, arguments.size, arguments.frames, swing=arguments.swing or None)
        images = [Image.fromarray(frame) for frame in frames]
        with atomic_path(stem + "_turntable.gif") as temporary:
            images[0].save(temporary, save_all=True, append_images=images[1:], duration=_FRAME_MILLISECONDS, loop=0)
    return [_small(picture) for picture in [crop] + [in_crop[kind] for kind in arguments.kinds]]


def _small(picture):
    return np.asarray(Image.fromarray(picture).resize((IMAGE_SIZE, IMAGE_SIZE), Image.LANCZOS))


def _save(path, picture):
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, compress_level=3)


if __name__ == "__main__":
    run_main(main)
