"""Does the shape know the person? Photos of some people, told apart by shape alone.

    python -m benchmarks.same_person FOLDER [--json FILE]

FOLDER holds one folder of photos for each person. Every photo is reconstructed by itself. The
distance of two faces is the mean distance of their neutral vertices in the front region after rigid
alignment; printed are its mean over pairs of one person and of two people, and the share of
comparisons of such pairs in which the former is smaller (AUC: 1 tells all apart, .5 is chance).
"""

import argparse
import itertools
import os
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from benchmarks.people_models import neutral_millimeters
from face_model import FACE_MODEL_HELP, load_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.model import FaceModel
from geometry.similarity import fit_similarity
from reconstruction.network_choice import NetworkRequest, choose_networks
from reconstruction.pipeline import FacePipeline
from utils.errors import InputError, run_main
from utils.json_files import write_json
from utils.photos import find_photos
from utils.report import Report

METHODS = ("network", "both")


class Separation(NamedTuple):
    """Distances of pairs of faces, mm, and how well they tell people apart."""

    same: float  # mean over pairs of one person
    different: float  # mean over pairs of two people
    auc: float
    pairs: int


def shape_distances(shapes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean distance of each pair of faces after rigid alignment, [n, n] mm.

    Args:
        shapes: n faces [N, 3], mm.
    """
    distances = np.zeros((len(shapes),) * 2)
    for i, j in itertools.combinations(range(len(shapes)), 2):
        moved = fit_similarity(shapes[i], shapes[j], False).apply(shapes[i])
        distances[i, j] = distances[j, i] = np.linalg.norm(moved - shapes[j], axis=1).mean()
    return distances


def separate(distances: np.ndarray, people: Sequence[str]) -> Separation:
    """Compare the distances within and between people.

    Args:
        distances: [n, n].
        people: n names.
    """
    pairs = list(itertools.combinations(range(len(people)), 2))
    same = np.array([distances[i, j] for i, j in pairs if people[i] == people[j]])
    different = np.array([distances[i, j] for i, j in pairs if people[i] != people[j]])
    below = same[:, np.newaxis] < different
    ties = same[:, np.newaxis] == different
    auc = float((below + 0.5 * ties).mean())
    return Separation(float(same.mean()), float(different.mean()), auc, len(pairs))


def find_people(folder: str) -> Dict[str, List]:
    """Return name -> photos of each person with at least one photo.

    Raises:
        InputError: the folder is missing, or holds no two people and two photos of one of them.
    """
    if not os.path.isdir(folder):
        raise InputError("{}: no such folder; give a folder of folders".format(folder))
    people = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not name.startswith("."):
            photos = find_photos(path)
            if photos:
                people[name] = photos
    if len(people) < 2 or max(map(len, people.values())) < 2:
        raise InputError(
            "{}: needs one folder for each of at least two people, with several photos of one "
            "of them".format(folder)
        )
    return people


def reconstruct_identities(
    model: FaceModel, method: str, people: Dict[str, List], report: Report
) -> List:
    """Return (name, identity) of each photo with a face; others are reported and skipped."""
    pipeline = FacePipeline(model, choose_networks(NetworkRequest(method), model))
    found = []
    for name, photos in people.items():
        for photo in photos:
            try:
                faces = pipeline.locate(photo)[:1]
            except InputError as error:
                report.skip(photo.name, error)
                continue
            row = pipeline.find_coefficients(faces)
            found.append((name, split_coefficients(row, coefficient_sizes(model)).identity[0]))
            report.step()
    return found


def main(argv: Optional[List[str]] = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.same_person", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", help="one folder of photos for each person")
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args(argv)
    people, model = find_people(arguments.folder), load_face_model(arguments.face_model)

    rows = {}
    print("{:<10}{:>14}{:>14}{:>8}{:>8}".format("", "same, mm", "others, mm", "AUC", "pairs"))
    for method in METHODS:
        count = sum(map(len, people.values()))
        report = Report(count, "photo", "reconstructed", arguments.quiet)
        found = reconstruct_identities(model, method, people, report)
        report.close()
        names = [name for name, _ in found]
        if len(set(names)) < 2 or len(set(names)) == len(names):
            raise InputError("{}: too few faces were found".format(arguments.folder))
        front = [
            neutral_millimeters(model, identity)[model.front_vertices] for _, identity in found
        ]
        rows[method] = separate(shape_distances(front), names)
        print("{:<10}{:>14.2f}{:>14.2f}{:>8.3f}{:>8}".format(method, *rows[method]))
    if arguments.json:
        write_json(arguments.json, {name: row._asdict() for name, row in rows.items()})
    return 0


if __name__ == "__main__":
    run_main(main)
