"""People from outside of the model: their shapes, the camera's distance, and telling them apart."""

import numpy as np
import pytest

pytest.importorskip("igl")

from benchmarks import same_person, sets  # noqa: E402
from benchmarks.people import ScanMeasure  # noqa: E402
from benchmarks.people_models import (  # noqa: E402
    _deformed_population,
    fit_to_scan,
    load_population,
    neutral_millimeters,
)
from benchmarks.people_photos import PeopleOptions, PeoplePainter, _seen_from  # noqa: E402
from evaluation.scan_distance import (  # noqa: E402
    SEVEN_FROM_68,
    Mesh,
    in_face_region,
    measure_distances,
)
from face_model import write_face_model  # noqa: E402
from geometry.camera import project  # noqa: E402
from reconstruction.face import LocatedFace  # noqa: E402
from tests.evaluation.test_scans import model  # noqa: E402, F401
from utils.errors import InputError  # noqa: E402
from utils.report import Report  # noqa: E402


def smooth_model(closed):
    """The closed head with identities that scale it along the axes, and shear it."""
    points = closed.mean_shape - closed.mean_shape.mean(axis=0)
    modes = [points * axis for axis in 0.04 * np.eye(3)] + [0.04 * points[:, [1, 2, 0]]]
    basis = np.zeros_like(closed.identity_basis)
    basis[:, : len(modes)] = np.array(modes).reshape(len(modes), -1).T
    return closed._replace(identity_basis=basis)


def test_deformed_people_leave_the_span_of_the_model(model):  # noqa: F811
    smooth = smooth_model(model)
    people = _deformed_population(smooth)
    count = smooth.identity_count
    known, modes = np.split(people.model.identity_basis.astype(np.float64), [count], axis=1)
    lengths = np.linalg.norm(modes, axis=0)
    used = np.linalg.norm(known, axis=0) > 0
    np.testing.assert_allclose(known[:, used].T.dot(modes) / lengths, 0, atol=1e-3)
    # About as large as the kernels' standard deviations, 3 and 1.5 mm, on each axis.
    deviation = np.sqrt((modes**2).sum(axis=1)).mean()
    assert 0.01 < deviation < 0.1


def test_a_model_is_found_again_in_its_own_scan(model, tmp_path):  # noqa: F811
    smooth = smooth_model(model)
    path = str(tmp_path / "model.mat")
    write_face_model(smooth, path)
    people = load_population(path, smooth)
    identity = np.zeros(smooth.identity_count)
    identity[:4] = (1.0, -0.7, 0.5, 0.3)
    scan, landmarks = people.scan(identity)
    found = fit_to_scan(smooth, scan, landmarks)

    seven = landmarks[list(SEVEN_FROM_68)]
    points = scan.vertices[in_face_region(scan.vertices, seven)]
    medians = []
    for row in (np.zeros(smooth.identity_count), found):
        shape = neutral_millimeters(smooth, row)
        mesh = Mesh(shape, smooth.triangles)
        marks = shape[smooth.landmarks[list(SEVEN_FROM_68)]]
        medians.append(np.median(measure_distances(points, seven, mesh, marks).distances))
    assert medians[1] < 0.25 * medians[0]


def test_the_average_of_the_people_is_compared_with(model, tmp_path):  # noqa: F811
    """Of a person who is the average it is the limit; of others it is worse than the limit."""
    smooth = smooth_model(model)
    write_face_model(smooth, str(tmp_path / "model.mat"))
    people = load_population(str(tmp_path / "model.mat"), smooth)
    average = np.zeros(smooth.identity_count)
    average[:2] = (2.0, -1.0)
    people = people._replace(mean_identity=average)
    measure = ScanMeasure(smooth, people)
    limits = measure.measure_limits(average)
    assert limits["people's average"] == limits["limit"]
    assert limits["limit"][0] < 0.25 * limits["mean face"][0]
    limits = measure.measure_limits(average + np.eye(len(average))[2] * 2)
    assert limits["limit"][0] < 0.5 * limits["people's average"][0]


@pytest.mark.parametrize("distance", [0.5, 1.0, 3.0])
def test_a_camera_at_another_distance_sees_its_own_perspective(distance):
    world = np.random.RandomState(0).uniform(-1, 1, (50, 3))
    found = project(_seen_from(world, distance)) - 112
    depth = 10 * distance - world[:, 2:]
    np.testing.assert_allclose(found, 1015 * distance * world[:, :2] / depth, rtol=1e-9)


def test_photos_are_the_same_in_every_run(model, tmp_path):  # noqa: F811
    write_face_model(model, str(tmp_path / "model.mat"))
    people = load_population(str(tmp_path / "model.mat"), model)
    painter = PeoplePainter(people, PeopleOptions(count=2, views=2, seed=3, max_yaw=40.0))
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        photos = list(painter.paint(str(tmp_path / name)))
        runs.append([open(photo.photo.path, "rb").read() for photo in photos])
    assert runs[0] == runs[1] and len(set(runs[0])) == 4
    assert [photo.person for photo in photos] == [0, 0, 1, 1]
    np.testing.assert_array_equal(photos[0].identity, photos[1].identity)
    assert max(abs(photo.yaw) for photo in photos) <= 40


def test_people_are_told_apart_by_the_share_of_smaller_distances():
    base = np.random.RandomState(1).uniform(-50, 50, (2, 40, 3))
    turn = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]])
    shapes = [base[0], base[0].dot(turn) + 5, base[1], base[1] + [0, 0, 9]]
    distances = same_person.shape_distances(shapes)
    assert distances[0, 1] == pytest.approx(0, abs=1e-9)
    found = same_person.separate(distances, ["a", "a", "b", "b"])
    assert found.auc == 1.0 and found.same < 1e-9 < 1 < found.different and found.pairs == 6

    by_hand = np.array([[0, 2, 1, 3], [2, 0, 3, 3], [1, 3, 0, 1], [3, 3, 1, 0.0]])
    found = same_person.separate(by_hand, ["a", "a", "b", "b"])
    # Pairs of one person: 2 and 1; of two: 1, 3, 3, 3. Of 8 comparisons 6 are right, one is a tie.
    assert found.auc == pytest.approx((3 + 0 + 3 + 0.5) / 8)
    assert (found.same, found.different) == (1.5, 2.5)


def test_a_folder_without_people_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="at least two people"):
        same_person.main([str(tmp_path)])


def test_sets_are_compared_with_one_photo_and_with_the_limit():
    rows = [
        sets.Measured(person, photos, {"mean face": 2.0, "limit": 0.5, "joint fit": joint})
        for person, photos, joint in [(0, 1, 1.4), (1, 1, 1.6), (0, 4, 0.8), (1, 4, 1.0)]
    ]
    head, titles, one, four = sets.describe(rows).split("\n")
    assert "2.00 mm" in head and "limit 25.0%" in head and "of the way" in titles
    assert one.split() == ["1", "2", "-", "-", "75.0%"]
    assert four.split() == ["4", "2", "-", "-", "45.0%", "60.0%"]


def test_a_photo_without_a_face_is_left_out_of_its_set(model, tmp_path):  # noqa: F811
    """People are reconstructed from all sets of their faces that can be filled."""
    write_face_model(model, str(tmp_path / "model.mat"))
    people = load_population(str(tmp_path / "model.mat"), model)
    photos = PeoplePainter(people, PeopleOptions(1, 4, 0, 40.0)).paint(str(tmp_path))

    seen = []

    class Toy:
        def locate(self, photo):
            if photo.photo.name.endswith("_0"):
                raise InputError("no face")
            return LocatedFace(photo.photo.name, photo.photo.path, *[None] * 6)

        def reconstruct(self, faces):
            seen.append([face.name[-1] for face in faces])
            return {"joint fit": np.zeros(model.identity_count)}

    report = Report(4, "photo", "found", quiet=True)
    rows = sets.measure_sets(Toy(), ScanMeasure(model, people), photos, [1, 2, 4], report)
    report.close()
    assert seen == [["1"], ["2"], ["3"], ["1", "2"]] and len(report.skipped) == 1
    assert [row.photos for row in rows] == [1, 1, 1, 2]
    assert rows[0].distances["joint fit"] == rows[0].distances["mean face"]
