"""Reconstruct faces from photos: 3-D shape, texture, pose and light.

    python demo.py                                    # photos in input/, results in output/
    python demo.py --input photos/ me.jpg --output results/
    python demo.py --use_pb 0 --pretrain_weights result/my_model/iter_200000.ckpt

Writes for each face NAME.mat (images, coefficients, shape, texture, landmarks), NAME.json (action
weights, head angles, cameras), NAME_mesh.obj (mesh with vertex colors) and NAME.png (photo and
reconstruction); with --refine also NAME_refined_mesh.obj and NAME_refined.png, with the mesh
refined by a mesh generator. Faces are fitted by analysis by synthesis unless weights of the
coefficient network are available.

    python demo.py --input me1.jpg me2.jpg me3.jpg --same_person
    python demo.py --input people/                    # people/anna/*.jpg, people/bert/*.jpg

Several photos of one person are fitted together, and the person gets PERSON.mat, the face without
expression PERSON_neutral.obj and the animatable PERSON.glb, with one texture from all photos.

    python demo.py --input clip.mp4

A clip gets NAME.mp4 (the faces laid into the frames), NAME.csv (weights and head angles of each
frame), NAME_frames.json (the trust in each frame) and NAME.glb (an animated mesh), see
docs/video.md.
"""

if __name__ == "__main__":  # before the imports below, which take a second
    from utils.errors import end_on_interrupt

    end_on_interrupt()

import argparse
import os
from typing import List, Optional, Tuple

from reconstruction.arguments import (
    ReconstructionSetup,
    add_photo_flags,
    add_reconstruction_flags,
    prepare_reconstruction,
    run_work,
)
from reconstruction.face import Reconstruction
from reconstruction.face_source import FaceSource
from reconstruction.html_page import Figure, ResultPage
from reconstruction.people import write_people
from reconstruction.result_files import make_model_content, write_reconstruction
from utils.arguments import positive_float
from utils.errors import InputError, run_main
from utils.lock import output_folder
from utils.paths import OUTPUT_DIR
from utils.photos import Photo
from utils.report import Report
from video.clips import Frame, Watch, open_clip, require_video_library, split_clips
from video.frame_files import FrameFiles
from video.live import LiveFace
from video.preview import PreviewWindow, open_preview
from video.processing import ClipProcessor, describe_doubts, describe_result


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
        "--preview",
        action="store_true",
        help="show the faces laid into the frames of clips in a window: of a camera while it is "
        "recorded (closing the window ends the recording), of files while they are drawn",
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
    for path in clips:
        require_video_library(path)
    setup = prepare_reconstruction(arguments)
    print(setup.description)
    status = 0
    if setup.all_photos:
        status = _reconstruct_photos(setup, arguments)
    if clips:
        status = _reconstruct_clips(clips, setup.source, arguments) or status
    return status


def _reconstruct_photos(setup: ReconstructionSetup, arguments: argparse.Namespace) -> int:
    """Write the files of photos and people; return the exit status."""
    report = Report(len(setup.all_photos), "face", "reconstructed", arguments.quiet)
    page = ResultPage(setup.model, lambda: setup.source.uv_map)
    with output_folder(arguments.output, setup.folders, setup.all_photos):
        for number, (count, figures) in run_work(write_faces, setup, arguments, report):
            page.insert(number, count, figures)
        if arguments.page and report.done_count:
            page.write(os.path.join(arguments.output, "index.html"))
    report.close()
    print("{}, results in {}".format(report.summary(), arguments.output))
    return 0 if report.done_count else 1


def write_faces(
    setup: ReconstructionSetup, arguments: argparse.Namespace, report: Report
) -> Tuple[int, List[Figure]]:
    """Write the files of photos and people; return number of faces, and figures for the page."""
    page = None
    if arguments.page and setup.shown:
        page = ResultPage(setup.model, lambda: setup.source.uv_map)
    setup.source.run(
        setup.photos,
        arguments.output,
        arguments.batch_size,
        report,
        page.add if page else None,
    )
    _reconstruct_people(setup, arguments, report, page)
    return report.done_count, page.figures if page else []


def _reconstruct_clips(paths: List[str], source: FaceSource, arguments: argparse.Namespace) -> int:
    """Write the files of clips; return the exit status."""
    mat_fields = FrameFiles(source).fields if arguments.frame_files else None
    window = open_preview("Deep3D GCN-ResNet") if arguments.preview else None
    processor = ClipProcessor(
        source, arguments.all_faces, mat_fields, arguments.quiet, window.show if window else None
    )
    report = Report(None, "clip", "reconstructed", quiet=True)
    with output_folder(arguments.output, photos=[Photo(path, path) for path in paths]):
        for path in paths:
            try:
                clip = open_clip(
                    path,
                    arguments.frames,
                    arguments.output,
                    arguments.seconds,
                    _show_live(window, source) if window else None,
                )
                result = processor.run(clip, arguments.output)
            except InputError as error:
                report.skip(path, error)
                continue
            report.step()
            print(describe_result(path, result))
            doubts = describe_doubts(result.people)
            if doubts:
                report.doubt(doubts)
    if window:
        window.close()
    report.close()
    print("{}, results in {}".format(report.summary(), arguments.output))
    return 0 if report.done_count else 1


def _show_live(window: PreviewWindow, source: FaceSource) -> Watch:
    """Return a function that shows a camera's frames, with the face laid in, in a window."""
    live: Optional[LiveFace] = None

    def watch(frame: Frame) -> bool:
        nonlocal live
        live = live or LiveFace(source)
        window.show(live.draw(frame))
        return window.is_open

    return watch


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
