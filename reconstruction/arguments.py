"""The flags shared by the commands that reconstruct faces, the objects they describe, their run."""

import argparse
import functools
from concurrent import futures
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Tuple

from alignment.detect import DETECTORS
from checkpoints.graph_allowlist import TRUST_GRAPH_HELP
from face_model import FACE_MODEL_HELP, load_face_model
from face_model.model import FaceModel
from fitting.photometric import DEFAULT_STEPS, REFINING_STEPS
from reconstruction.face_source import FaceSource
from reconstruction.look_ahead import SHOWN_FACES
from reconstruction.network_choice import NetworkRequest, choose_networks, read_network_request
from reconstruction.pipeline import FacePipeline
from reconstruction.saved_results import SavedReconstructions
from utils.arguments import non_negative_int, positive_int
from utils.errors import InputError, log_notes
from utils.paths import INPUT_DIR
from utils.photo_sets import PhotoSet, declare_person, split_people
from utils.photos import Photo, find_photos_or_example
from utils.report import Report
from utils.scheduler import Preparation, Workers, add_scheduler_flag, divide
from utils.tf_compat import tensorflow_version


def add_reconstruction_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags for weights, face model, detector and fitting to a parser."""
    parser.add_argument(
        "--use_pb",
        type=int,
        choices=(0, 1),
        default=1,
        help="1: the frozen network/FaceReconModel.pb, if it exists and fits the face model "
        "(without a record it counts as BFM09's); 0: --pretrain_weights",
    )
    parser.add_argument(
        "--pretrain_weights",
        metavar="CKPT",
        help="checkpoint of the coefficient network, e.g. result/NAME/iter_N.ckpt, for --use_pb "
        "0; or of a mesh generator: then the coefficient network it was trained on is used",
    )
    parser.add_argument(
        "--method",
        choices=("auto", "fit", "network", "both"),
        default="auto",
        help="fit: analysis by synthesis; network: one forward pass; both: the network's "
        "prediction, then refined by fitting; auto: 'network' with user-supplied weights ('both' "
        "if --steps > 0), 'both' with the bundled network, 'fit' otherwise",
    )
    parser.add_argument(
        "--refine",
        metavar="CKPT",
        help="checkpoint of a mesh generator (train.py --model gcn): write its mesh too, to files "
        "called NAME_refined; None: --pretrain_weights, if that is a mesh generator",
    )
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument("--detector", choices=DETECTORS, default="auto", help="face detector")
    parser.add_argument(
        "--batch_size", type=positive_int, default=8, help="faces reconstructed together"
    )
    parser.add_argument(
        "--steps",
        type=non_negative_int,
        help="photometric steps of fitting, three times as many for several photos of a person; "
        "None: {}, or {} after a network; 0: keep the network's prediction, or the fit to the "
        "landmarks, unchanged".format(DEFAULT_STEPS, REFINING_STEPS),
    )
    parser.add_argument("--trust_graph", action="store_true", help=TRUST_GRAPH_HELP)
    add_scheduler_flag(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_photo_flags(parser: argparse.ArgumentParser, output: str) -> None:
    """Add the flags for photos and people, and ``--output``; see :func:`prepare_reconstruction`.

    Args:
        parser: an ``ArgumentParser``.
        output: default of ``--output``.
    """
    parser.add_argument(
        "--input",
        nargs="+",
        default=[INPUT_DIR],
        metavar="PATH",
        help="photos, folders of photos, or a folder of such folders, one for each person",
    )
    parser.add_argument("--output", default=output, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--all_faces", action="store_true", help="every face of a photo instead of the largest"
    )
    parser.add_argument(
        "--same_person",
        action="store_true",
        help="all photos show one person: one identity and albedo for all of them, and the files "
        "of the person besides those of each photo; a folder that holds only folders of photos is "
        "taken as one person a folder without this flag",
    )
    parser.add_argument(
        "--keep_all",
        action="store_true",
        help="keep photos that seem to show somebody else than the other photos of a person",
    )
    parser.add_argument(
        "--c_net",
        metavar="PATH",
        help="C-Net of the coefficient network (train.py --model c_net), which weighs the photos "
        "of a person; None: the shipped one, if it was trained on the network in use",
    )


def add_saved_results_flag(parser: argparse.ArgumentParser) -> None:
    """Add ``--coefficients``; see ``saved_results.SavedReconstructions``."""
    parser.add_argument(
        "--coefficients",
        metavar="DIR",
        help="read faces from DIR/NAME.mat, written by demo.py, instead of finding them again; "
        "requires the same photos and face model; flags for network and fit have no effect",
    )


class ReconstructionSetup(NamedTuple):
    """The start of a command that reconstructs photos."""

    photos: List[Photo]  # each of them for itself
    people: List[PhotoSet]  # photos of one person each
    model: FaceModel
    source: FaceSource
    description: str  # one line for the user
    shown: bool = True  # whether the faces may be on a page or sheet of some faces

    @property
    def all_photos(self) -> List[Photo]:
        """Return the photos of all people, too."""
        return self.photos + [photo for person in self.people for photo in person.photos]

    @property
    def folders(self) -> List[str]:
        """Return the folders within the output folder, one for each person that has one."""
        return [person.folder for person in self.people if person.folder]


def prepare_reconstruction(arguments: argparse.Namespace) -> ReconstructionSetup:
    """Find the photos, load the face model, and make the source of reconstructions.

    Args:
        arguments: parsed flags of :func:`add_photo_flags` and :func:`add_reconstruction_flags`.

    Raises:
        InputError: no photos are found, or weights or the face model are missing or unfit.
    """
    photos, people = _find_photos(arguments)
    return ReconstructionSetup(photos, people, *prepare_source(arguments))


def prepare_source(arguments: argparse.Namespace) -> Tuple[FaceModel, FaceSource, str]:
    """Load the face model; return it, the source of reconstructions, and a line on both.

    Args:
        arguments: see :func:`prepare_reconstruction`.

    Raises:
        InputError: weights or the face model are missing or unfit.
    """
    request = read_network_request(arguments)  # complains before the face model is read
    with futures.ThreadPoolExecutor(max_workers=1) as executor:
        loading = executor.submit(load_face_model, arguments.face_model)
        tensorflow_version()  # imports TensorFlow meanwhile
        model = loading.result()
    source = make_face_source(arguments, request, model)
    description = "face model: {} ({} vertices); coefficients: {}".format(
        model.name, model.vertex_count, source.description
    )
    return model, source, description


def _find_photos(arguments: argparse.Namespace) -> Tuple[List[Photo], List[PhotoSet]]:
    """Return the photos that are reconstructed each for itself, and those of people.

    Raises:
        InputError: no photos are found, or every face of the photos of one person is wanted.
    """
    # 1. folders of people; the default folder holds photos, and data sets in folders
    paths: List[str] = list(arguments.input)
    people: List[PhotoSet] = []
    if paths != [INPUT_DIR]:
        paths, people = split_people(paths)
    photos = find_photos_or_example(paths, "--input") if paths else []

    # 2. photos that the user declares as one person's
    if arguments.same_person and photos:
        people.append(declare_person(paths, photos))
        photos = []
    if people and arguments.all_faces:
        raise InputError(
            "--all_faces: a photo of a person shows that face once; leave the flag out, or give "
            "the photos themselves and no --same_person"
        )
    return photos, people


def make_face_source(
    arguments: argparse.Namespace, request: NetworkRequest, model: FaceModel
) -> FaceSource:
    """Return saved reconstructions if ``--coefficients`` is given, else a pipeline.

    Args:
        arguments: parsed flags, those of :func:`add_photo_flags` included.
        request: ``read_network_request(arguments)``.
        model: the ``FaceModel``.

    Raises:
        InputError: weights, or the saved reconstructions, are missing or unfit.
    """
    folder: Optional[str] = getattr(arguments, "coefficients", None)
    if not folder:
        return make_pipeline(arguments, request, model, all_faces=arguments.all_faces)
    generator = choose_networks(request, model).generator
    return SavedReconstructions(
        folder, model, generator, arguments.all_faces, arguments.trust_graph
    )


def make_pipeline(
    arguments: argparse.Namespace,
    request: NetworkRequest,
    model: FaceModel,
    all_faces: bool = False,
) -> FacePipeline:
    """Return the pipeline that the parsed flags describe; log notices about it.

    Args:
        arguments: parsed flags of :func:`add_reconstruction_flags`.
        request: ``read_network_request(arguments)``.
        model: the ``FaceModel``.
        all_faces: reconstruct every face of a photo, not only the largest.

    Raises:
        InputError: weights are missing or unfit.
    """
    network = choose_networks(request, model)
    log_notes(network.notices)
    return FacePipeline(
        model,
        network,
        detector=arguments.detector,
        all_faces=all_faces,
        allow_any_op=arguments.trust_graph,
        warm_up=not arguments.scheduler,  # whose workers reconstruct, not this process
    )


# Does the work for the photos and people of a setup.
Work = Callable[[ReconstructionSetup, argparse.Namespace, Report], Any]


def run_work(
    work: Work, setup: ReconstructionSetup, arguments: argparse.Namespace, report: Report
) -> Iterator[Tuple[int, Any]]:
    """Yield the number and the result of each work unit.

    Without ``--scheduler`` all photos and people are one unit, number 0. On a cluster, a unit is
    some dozens of photos, or one person, and they finish in any order.

    Args:
        work: function of a module or script; it writes files into ``arguments.output``, which is
            locked. Its result must be small; where ``setup.shown`` is False, it need not hold
            pictures.
        setup: the photos and people.
        arguments: the parsed flags.
        report: a ``Report``.
    """
    if not arguments.scheduler:
        yield 0, work(setup, arguments, report)
        return
    prepare = functools.partial(_prepare, work, arguments)
    with Workers(
        arguments.scheduler, arguments.output, setup.folders, setup.model.fingerprint(), prepare
    ) as workers:
        yield from workers.run(_iterate_units(setup, arguments, report), report)


_Unit = Tuple[List[Photo], List[PhotoSet], bool]  # photos, people, whether they may be shown


def _iterate_units(
    setup: ReconstructionSetup, arguments: argparse.Namespace, report: Report
) -> Iterator[_Unit]:
    """Yield the units; those before one that is taken have done the faces that ``report`` counts.

    A unit may be shown unless all places are taken by then.
    """
    for photos in divide(setup.photos, arguments.batch_size):
        yield list(photos), [], report.done_count < SHOWN_FACES
    for person in setup.people:
        yield [], [person], report.done_count < SHOWN_FACES


def _prepare(work: Work, arguments: argparse.Namespace) -> Preparation:
    """Make a worker of the cluster ready."""
    model, source, description = prepare_source(arguments)

    def do(unit: _Unit, report: Report) -> Any:
        photos, people, shown = unit
        setup = ReconstructionSetup(photos, people, model, source, description, shown)
        return work(setup, arguments, report)

    return Preparation(model.fingerprint(), do)
