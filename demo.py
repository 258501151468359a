"""Reconstruct faces from photos: 3-D shape, texture, pose and light.

    python demo.py                                    # photos in input/, results in output/
    python demo.py --input photos/ me.jpg --output results/
    python demo.py --use_pb 0 --pretrain_weights result/my_model/iter_200000.ckpt

Writes for each face NAME.mat (images, coefficients, shape, texture, landmarks), NAME_mesh.obj
(mesh with vertex colors) and NAME.png (photo and reconstruction); with --refine also
NAME_refined_mesh.obj and NAME_refined.png, with the mesh refined by a mesh generator. Faces are
fitted by analysis by synthesis unless weights of the coefficient network are available.

    python demo.py --input me1.jpg me2.jpg me3.jpg --same_person
    python demo.py --input people/                    # people/anna/*.jpg, people/bert/*.jpg

Several photos of one person are fitted together, and the person gets PERSON.mat, the face without
expression PERSON_neutral.obj and the animatable PERSON.glb, with one texture from all photos.
"""

import argparse
import os
from typing import List, Optional

from reconstruction.arguments import (
    ReconstructionSetup,
    add_photo_flags,
    add_reconstruction_flags,
    prepare_reconstruction,
)
from reconstruction.face import Reconstruction
from reconstruction.html_page import ResultPage
from reconstruction.people import write_people
from reconstruction.result_files import make_model_content, write_reconstruction
from utils.errors import run_main
from utils.lock import output_folder
from utils.paths import OUTPUT_DIR
from utils.report import Report


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_photo_flags(parser, OUTPUT_DIR)
    parser.add_argument(
        "--page",
        type=int,
        choices=(0, 1),
        default=1,
        help="1: write index.html, a page with every photo and its mesh to turn with the mouse",
    )
    add_reconstruction_flags(parser)
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> int:
    """Reconstruct every photo that the arguments name; return the exit status."""
    arguments = parse_arguments(argv)
    setup = prepare_reconstruction(arguments)
    print(setup.description)
    report = Report(len(setup.all_photos), "face", "reconstructed", arguments.quiet)
    page = ResultPage(setup.model) if arguments.page else None
    with output_folder(arguments.output, setup.folders, setup.all_photos):
        setup.source.run(
            setup.photos,
            arguments.output,
            arguments.batch_size,
            report,
            page.add if page else None,
        )
        _reconstruct_people(setup, arguments, report, page)
        if page and report.done_count:
            page.write(os.path.join(arguments.output, "index.html"))
    report.close()
    print("{}, results in {}".format(report.summary(), arguments.output))
    return 0 if report.done_count else 1


def _reconstruct_people(
    setup: ReconstructionSetup,
    arguments: argparse.Namespace,
    report: Report,
    page: Optional[ResultPage],
) -> None:
    """Write the files of all people and of their photos, and add them to the page."""
    content = make_model_content(setup.model)

    def write(result: Reconstruction) -> None:
        write_reconstruction(result, setup.model, arguments.output, content)
        if page:
            page.add_photo_of_person(result)

    for person in write_people(setup, arguments, report, write):
        if page:
            page.add_person(person)


if __name__ == "__main__":
    run_main(main)
