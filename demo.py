"""Reconstruct faces from photos: 3-D shape, texture, pose and light.

    python demo.py                                    # photos in input/, results in output/
    python demo.py --input photos/ me.jpg --output results/
    python demo.py --use_pb 0 --pretrain_weights result/my_model/iter_200000.ckpt

For each face NAME.mat (images, coefficients, shape, texture, landmarks), NAME_mesh.obj (mesh
with vertex colours) and NAME.png (photo and reconstruction) are written; with --refine also
NAME_refined.obj, what a mesh generator made of the mesh. Faces are fitted by
analysis by synthesis unless weights of the coefficient network are there.
"""

import argparse
import os

from face_model import load_face_model
from mesh_refinement import is_mesh_generator
from reconstruction_flags import (
    add_input_flag,
    add_reconstruction_flags,
    input_photos,
    make_pipeline,
    network_weights,
)
from web_page import ResultPage
from workspace.errors import run_main
from workspace.paths import OUTPUT_DIR
from workspace.report import Report


def parse_arguments(argv):
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add_input_flag(parser)
    parser.add_argument("--output", default=OUTPUT_DIR, metavar="DIR", help="folder for the results")
    parser.add_argument("--all_faces", action="store_true", help="every face of a photo instead of the largest")
    parser.add_argument("--page", type=int, choices=(0, 1), default=1,
                        help="1: write index.html, a page with every photo and its mesh to turn with the mouse")
    add_reconstruction_flags(parser)
    parser.add_argument("--refine", metavar="CKPT",
                        help="checkpoint of a mesh generator (train.py --model gcn): write the refined mesh too; "
                             "None: --pretrain_weights, if that is one")
    return parser.parse_args(argv)


def main(argv=None):
    """Reconstruct every photo that the arguments name."""
    arguments = parse_arguments(argv)
    photos = input_photos(arguments.input)
    network_weights(arguments)  # complain before the face model is read
    model = load_face_model(arguments.face_model)
    pipeline = make_pipeline(arguments, model, arguments.all_faces, _mesh_generator(arguments))
    os.makedirs(arguments.output, exist_ok=True)
    print("face model: {} ({} vertices); coefficients: {}".format(
        model.name, model.vertex_count, pipeline.description))
    report = Report(len(photos), "face", "reconstructed", arguments.quiet)
    page = ResultPage(model) if arguments.page else None
    pipeline.run(photos, arguments.output, arguments.batch_size, report, page and page.add)
    if page and report.done_count:
        page.write(os.path.join(arguments.output, "index.html"))
    report.close()
    print("{}, results in {}".format(report.summary(), arguments.output))
    return 0 if report.done_count else 1


def _mesh_generator(arguments):
    """Return the checkpoint of the mesh generator to refine with, or None."""
    if arguments.refine is None and arguments.pretrain_weights and is_mesh_generator(arguments.pretrain_weights):
        return arguments.pretrain_weights
    return arguments.refine


if __name__ == "__main__":
    run_main(main)
