"""Command: make a face model of a clone of ICT-FaceKit. ``python -m face_model.ict --help``."""

import argparse
import os
from typing import Optional, Sequence

from face_model.ict.build import build_ict_face_model
from face_model.loading import ICT_MODEL_FILE, load_face_model
from face_model.model import check_face_model, write_face_model
from utils.errors import run_main
from utils.paths import BFM_DIR


def parse_arguments(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python -m face_model.ict",
        description="Turn a clone of ICT-FaceKit into a face model for --face_model ict.",
    )
    parser.add_argument(
        "clone",
        metavar="PATH",
        help="the folder that git clone https://github.com/ICT-VGL/ICT-FaceKit made",
    )
    parser.add_argument(
        "--output",
        default=os.path.join(BFM_DIR, ICT_MODEL_FILE),
        metavar="FILE.mat",
        help="the model to write (default: BFM/{})".format(ICT_MODEL_FILE),
    )
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Build and write the model, and print a summary."""
    arguments = parse_arguments(argv)
    model = build_ict_face_model(arguments.clone, load_face_model("open"))
    check_face_model(model, arguments.clone)
    write_face_model(model, arguments.output)
    print(
        "{}: {} vertices, {} triangles; {} identity, {} expression and {} albedo components".format(
            arguments.output,
            model.vertex_count,
            model.triangle_count,
            model.identity_count,
            model.expression_count,
            model.albedo_count,
        )
    )


if __name__ == "__main__":
    run_main(main)
