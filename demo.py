"""Reconstruct faces from photos: 3-D shape, texture, pose and light.

    python demo.py                                    # photos in input/, results in output/
    python demo.py --input photos/ me.jpg --output results/
    python demo.py --input clip.mp4 --output results/
    python demo.py --use_pb 0 --pretrain_weights result/my_model/iter_200000.ckpt

Writes for each face NAME.mat (images, coefficients, shape, texture, landmarks), NAME.json (action
weights, head angles, cameras), NAME_mesh.obj (mesh with vertex colors) and NAME.png (photo and
reconstruction); with --refine also NAME_refined_mesh.obj and NAME_refined.png, with the mesh
refined by a mesh generator. For each clip: NAME.mp4 (the faces laid into the frames), NAME.csv
(weights and head angles of each frame) and NAME.glb (an animated mesh), see docs/video.md. Faces
are fitted by analysis by synthesis unless weights of the coefficient network are available.
"""

if __name__ == "__main__":  # before the imports below, which take a second
    from utils.errors import end_on_interrupt

    end_on_interrupt()

import argparse
import os
from typing import List, Optional

from face_model.model import FaceModel
from reconstruction.arguments import (
    add_photo_flags,
    add_reconstruction_flags,
    prepare_reconstruction,
    prepare_source,
)
from reconstruction.face_source import FaceSource
from reconstruction.html_page import ResultPage
from utils.arguments import positive_float
from utils.errors import InputError, run_main
from utils.lock import output_folder
from utils.paths import OUTPUT_DIR
from utils.photos import Photo, find_photos
from utils.report import Report
from video.clips import open_clip, require_video_library, split_clips
from video.frame_files import FrameFiles
from video.processing import ClipProcessor, describe_result


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_photo_flags(parser, OUTPUT_DIR)
    parser.add_argument(
        "--frames",
        type=positive_float,
        metavar="RATE",
        help="the folders of --input hold the numbered frames of clips, RATE frames a second",
    )
    parser.add_argument(
        "--frame_files",
        action="store_true",
        help="write NAME_frames/NAME_000000.mat for each frame of a clip too",
    )
    parser.add_argument(
        "--seconds",
        type=positive_float,
        default=10.0,
        help="length of the recording of a camera; Ctrl-C ends it before",
    )
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
    """Reconstruct every photo and clip that the arguments name; return the exit status."""
    arguments = parse_arguments(argv)
    clips, arguments.input = split_clips(arguments.input, arguments.frames)
    if not clips:
        photos, model, source, description = prepare_reconstruction(arguments)
        print(description)
        return _reconstruct_photos(photos, model, source, arguments)

    # Clips, and photos if there are some too.
    for path in clips:
        require_video_library(path)
    photos = find_photos(arguments.input)
    model, source, description = prepare_source(arguments)
    print(description)
    status = _reconstruct_photos(photos, model, source, arguments) if photos else 0
    return _reconstruct_clips(clips, source, arguments) or status


def _reconstruct_photos(
    photos: List[Photo], model: FaceModel, source: FaceSource, arguments: argparse.Namespace
) -> int:
    """Write the files of photos; return the exit status."""
    report = Report(len(photos), "face", "reconstructed", arguments.quiet)
    page = ResultPage(model) if arguments.page else None
    with output_folder(arguments.output, photos=photos):
        source.run(
            photos, arguments.output, arguments.batch_size, report, page.add if page else None
        )
        if page and report.done_count:
            page.write(os.path.join(arguments.output, "index.html"))
    report.close()
    print("{}, results in {}".format(report.summary(), arguments.output))
    return 0 if report.done_count else 1


def _reconstruct_clips(paths: List[str], source: FaceSource, arguments: argparse.Namespace) -> int:
    """Write the files of clips; return the exit status."""
    mat_fields = FrameFiles(source).fields if arguments.frame_files else None
    processor = ClipProcessor(source, arguments.all_faces, mat_fields, arguments.quiet)
    report = Report(None, "clip", "reconstructed", quiet=True)
    with output_folder(arguments.output, photos=[Photo(path, path) for path in paths]):
        for path in paths:
            try:
                clip = open_clip(path, arguments.frames, arguments.output, arguments.seconds)
                result = processor.run(clip, arguments.output)
            except InputError as error:
                report.skip(path, error)
                continue
            report.step()
            print(describe_result(path, result))
    report.close()
    print("{}, results in {}".format(report.summary(), arguments.output))
    return 0 if report.done_count else 1


if __name__ == "__main__":
    run_main(main)
