"""nme.py against an independent computation, and on truth, failures and damaged files."""

import csv
import json
import os
from unittest import mock

import numpy as np
import pytest
import scipy.io
from PIL import Image

import nme
from evaluation import aflw2000 as evaluation_data
from geometry.landmark_layout import five_from_68
from tests.toy_reconstruction import toy_reconstruction
from utils.errors import InputError
from utils.lock import folder_lock
from utils.paths import REPO_ROOT
from utils.photos import Photo

MODEL = os.path.join(REPO_ROOT, "BFM", "open_face_model.mat")
YAWS = (
    0.0,
    12.0,
    -29.999,
    30.0,
    -30.0,
    30.000001,
    -45.0,
    60.0,
    -60.0,
    60.000001,
    89.0,
    90.0,
    -97.5,
)


def random_face(random):
    """68 points in a box of a photo of 200 pixels, neither centered nor square."""
    return random.uniform((40, 30), (150, 170), (68, 2))


@pytest.fixture()
def data(tmp_path):
    """A folder in the format of AFLW2000-3D, one photo for each yaw, and its true landmarks."""
    random, folder = np.random.RandomState(0), tmp_path / "data"
    folder.mkdir()
    truth = {}
    for i, yaw in enumerate(YAWS):
        name = "image{:05d}".format(i)
        truth[name] = random_face(random)
        Image.new("RGB", (200, 200), (90, 90 + i, 90)).save(str(folder / (name + ".jpg")))
        pose = np.array([[0.1, np.radians(yaw), -0.2, 1, 2, 3, 4]])
        depth = random.uniform(0, 99, 68)
        scipy.io.savemat(
            str(folder / (name + ".mat")),
            {"pt3d_68": np.vstack([truth[name].T, depth]), "Pose_Para": pose},
        )
    return folder, truth


def run(folder, predictions, output, *more):
    status = nme.main(
        ["--data_path", str(folder), "--predictions", str(predictions), "--output", str(output)]
        + [str(argument) for argument in more]
    )
    with open(str(output / "nme.json")) as file:
        return status, json.load(file)


def save_npz(path, predictions):
    np.savez(str(path), **predictions)
    return path


def independent_nme(data_folder, predictions):
    """The protocol implemented again from its description: means of the bins, by plain loops."""
    bins = [[], [], []]
    for name in sorted(predictions):
        annotation = scipy.io.loadmat(str(data_folder / (name + ".mat")))
        x, y = annotation["pt3d_68"][0], annotation["pt3d_68"][1]
        size = ((max(x) - min(x)) * (max(y) - min(y))) ** 0.5
        error = sum(
            ((px - tx) ** 2 + (py - ty) ** 2) ** 0.5
            for (px, py), tx, ty in zip(predictions[name], x, y)
        )
        yaw = abs(annotation["Pose_Para"][0][1]) * 180 / np.pi
        bins[0 if yaw <= 30 else 1 if yaw <= 60 else 2].append(100 * error / 68 / size)
    return bins


def test_averages_agree_with_an_independent_computation(data, tmp_path):
    folder, truth = data
    random = np.random.RandomState(1)
    predictions = {name: points + random.normal(0, 3, (68, 2)) for name, points in truth.items()}
    status, record = run(folder, save_npz(tmp_path / "p.npz", predictions), tmp_path / "out")
    bins = independent_nme(folder, predictions)
    means = [sum(values) / len(values) for values in bins]
    assert status == 0
    np.testing.assert_allclose(record["all"]["bin_means"], means, atol=1e-9)
    np.testing.assert_allclose(record["all"]["mean_of_bins"], sum(means) / 3, atol=1e-9)
    np.testing.assert_allclose(record["all"]["mean"], np.mean(sum(bins, [])), atol=1e-9)
    np.testing.assert_allclose(record["all"]["median"], np.median(sum(bins, [])), atol=1e-9)
    assert record["all"]["bin_counts"] == [5, 4, 4] and record["failures"] == 0
    assert abs(record["all"]["mean"] - record["all"]["mean_of_bins"]) > 1e-3  # two figures, not one


def test_truth_as_prediction_prints_zero_in_every_bin(data, tmp_path, capsys):
    folder, truth = data
    run(folder, save_npz(tmp_path / "p.npz", truth), tmp_path / "out")
    row = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("predictions")
    )
    assert row.split() == ["predictions"] + ["0.000"] * 6 + [str(len(YAWS))]


def test_table_holds_every_photo_and_pictures_open(data, tmp_path):
    folder, truth = data
    truth = dict(truth, image00003=truth["image00003"] + 5)
    run(folder, save_npz(tmp_path / "p.npz", truth), tmp_path / "out")
    with open(str(tmp_path / "out" / "nme.csv")) as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == sorted(truth)
    np.testing.assert_allclose([float(row["yaw"]) for row in rows], YAWS, atol=1e-12)
    assert [float(row["nme"]) > 0 for row in rows] == [
        name == "image00003" for name in sorted(truth)
    ]
    for name in ("nme_curve.png", "nme_worst.png"):
        with Image.open(str(tmp_path / "out" / name)) as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 100
    assert sorted(os.listdir(str(tmp_path / "out"))) == [
        "nme.csv",
        "nme.json",
        "nme_curve.png",
        "nme_worst.png",
    ]


def test_a_photo_without_prediction_counts_as_a_failure(data, tmp_path, capsys):
    folder, truth = data
    missing = dict(truth)
    del missing["image00001"]
    _, record = run(folder, save_npz(tmp_path / "p.npz", missing), tmp_path / "out")
    assert record["failures"] == 1 and record["all"]["count"] == len(YAWS)
    assert record["all"]["bin_means"] == pytest.approx([evaluation_data.FAILURE_NME / 5, 0, 0])
    assert (
        record["without_failures"]["mean"] == 0
        and record["without_failures"]["count"] == len(YAWS) - 1
    )
    assert (
        "1 photos without a prediction, each counted with an NME of 100" in capsys.readouterr().out
    )


def test_results_of_demo_are_read(data, tmp_path):
    folder, truth = data
    results = tmp_path / "results"
    results.mkdir()
    for name, points in truth.items():
        scipy.io.savemat(str(results / (name + ".mat")), {"lm_68p_photo": points + [3.0, 4.0]})
    _, record = run(folder, results, tmp_path / "out")
    expected = [500 / np.sqrt(np.prod(np.ptp(points, axis=0))) for points in truth.values()]
    assert record["all"]["mean"] == pytest.approx(np.mean(expected), abs=1e-9)


def test_annotations_can_be_measured_as_predictions(data, tmp_path):
    folder, _ = data
    status, record = run(folder, folder, tmp_path / "out")
    assert status == 0 and record["all"]["bin_means"] == [0, 0, 0]


@pytest.mark.parametrize(
    "arrange",
    [
        lambda points: points,
        lambda points: points.transpose(0, 2, 1),
        lambda points: np.concatenate([points, np.zeros((len(points), 68, 1))], axis=2),
    ],
)
def test_another_ground_truth_and_pose_replace_those_of_the_mat_files(data, tmp_path, arrange):
    folder, truth = data
    other = np.stack([truth[name] for name in sorted(truth)]) + 7.0
    np.save(str(tmp_path / "other.npy"), arrange(other))
    np.save(str(tmp_path / "yaw.npy"), np.full(len(truth), 75.0))
    predictions = save_npz(tmp_path / "p.npz", dict(zip(sorted(truth), other)))
    for path in folder.glob("*.mat"):
        path.unlink()
    _, record = run(
        folder,
        predictions,
        tmp_path / "out",
        "--ground_truth",
        tmp_path / "other.npy",
        "--yaw",
        tmp_path / "yaw.npy",
    )
    assert record["all"]["bin_counts"] == [0, 0, len(YAWS)] and record["all"]["mean"] == 0
    assert record["all"]["bin_means"][:2] == [None, None] and record["all"]["mean_of_bins"] == 0


def test_photos_without_annotation_are_reported(data, tmp_path, capsys):
    folder, truth = data
    (folder / "image00000.mat").unlink()
    _, record = run(folder, save_npz(tmp_path / "p.npz", truth), tmp_path / "out")
    assert record["photos_without_annotation"] == 1 and record["all"]["count"] == len(YAWS) - 1
    assert "1 photos without annotation were left out" in capsys.readouterr().out


def test_a_mat_file_of_another_kind_is_left_out(data, tmp_path, capsys):
    folder, truth = data
    scipy.io.savemat(str(folder / "image00002.mat"), {"pt2d": np.zeros((2, 21))})
    results = tmp_path / "results"
    results.mkdir()
    for name, points in truth.items():
        scipy.io.savemat(str(results / (name + ".mat")), {"lm_68p_photo": points})
    scipy.io.savemat(str(results / "image00001.mat"), {"weights": np.zeros(3)})
    _, record = run(folder, results, tmp_path / "out")
    assert record["photos_without_annotation"] == 1 and record["all"]["count"] == len(YAWS) - 1
    assert record["failures"] == 1 and record["without_failures"]["mean"] == pytest.approx(0)
    notes = capsys.readouterr().err
    assert "image00002.mat: not an AFLW2000-3D annotation" in notes
    assert "image00001.mat: holds no lm_68p_photo" in notes


def spoil_annotation(folder, predictions):
    (folder / "image00002.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    return [], "image00002.mat: "


def spoil_with_nan(folder, predictions):
    scipy.io.savemat(
        str(folder / "image00002.mat"),
        {"pt3d_68": np.full((3, 68), np.nan), "Pose_Para": np.zeros((1, 7))},
    )
    return [], "NaN or infinity"


def spoil_with_one_spot(folder, predictions):
    scipy.io.savemat(
        str(folder / "image00002.mat"), {"pt3d_68": np.ones((3, 68)), "Pose_Para": np.zeros((1, 7))}
    )
    return [], "non-empty bounding box"


def spoil_all_annotations(folder, predictions):
    for path in folder.glob("*.mat"):
        path.unlink()
    return [], "no annotations here"


def spoil_predictions(folder, predictions):
    predictions.write_bytes(b"not an archive")
    return [], "not an .npz of plain arrays"


def spoil_shape(folder, predictions):
    np.savez(str(predictions), image00001=np.zeros((5, 2)))
    return [], "prediction for image00001 is not [68, 2]"


def spoil_names(folder, predictions):
    np.savez(str(predictions), somebody=np.zeros((68, 2)))
    return [], "no prediction for any of the 13 photos"


def spoil_count(folder, predictions):
    path = folder.parent / "few.npy"
    np.save(str(path), np.zeros((3, 68, 2)))
    return ["--ground_truth", str(path)], "expected landmarks [13, 68, 2], found [3, 68, 2]"


def spoil_yaw(folder, predictions):
    path = folder.parent / "yaw.npy"
    np.save(str(path), np.zeros(5))
    return ["--yaw", str(path)], "expected 13 yaw angles, found 5"


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_annotation,
        spoil_with_nan,
        spoil_with_one_spot,
        spoil_all_annotations,
        spoil_predictions,
        spoil_shape,
        spoil_names,
        spoil_count,
        spoil_yaw,
    ],
)
def test_bad_input_is_named_in_one_sentence_and_nothing_is_written(data, tmp_path, spoil):
    folder, truth = data
    predictions = save_npz(tmp_path / "p.npz", truth)
    more, wanted = spoil(folder, predictions)
    with pytest.raises(InputError) as caught:
        run(folder, predictions, tmp_path / "out", *more)
    assert wanted in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_busy_output_folder_is_noticed_before_anything_is_predicted(data, tmp_path, monkeypatch):
    pipeline = mock.Mock()
    monkeypatch.setattr(nme, "_make_pipeline", lambda arguments: pipeline)
    (tmp_path / "out").mkdir()
    with folder_lock(str(tmp_path / "out")):
        with pytest.raises(InputError, match="another run is writing here"):
            nme.main(["--data_path", str(data[0]), "--output", str(tmp_path / "out")])
    pipeline.locate.assert_not_called()


def test_of_several_faces_the_annotated_one_is_measured():
    truth = random_face(np.random.RandomState(4))
    item = evaluation_data.AnnotatedPhoto(Photo("group.jpg", "group"), truth, 0.0)
    largest = toy_reconstruction(name="group").face
    annotated = largest._replace(name="group_face2", five_points=five_from_68(truth) + 3)
    farther = largest._replace(name="group_face3", five_points=five_from_68(truth) - 30)
    pipeline = mock.Mock()
    pipeline.locate.return_value = [largest, annotated, farther]
    (found,) = nme._iterate_located([item], pipeline, False, mock.Mock())
    assert found.name == "group" and found.five_points is annotated.five_points


@pytest.mark.parametrize("align, all_faces", [("gt", False), ("detect", True)])
def test_all_faces_are_considered_if_they_are_detected(monkeypatch, align, all_faces):
    made = mock.Mock()
    monkeypatch.setattr(nme, "load_face_model", lambda path: None)
    monkeypatch.setattr(nme, "make_pipeline", made)
    nme._make_pipeline(
        nme.parse_arguments(["--data_path", "data", "--method", "fit", "--align", align])
    )
    assert made.call_args[1] == {"all_faces": all_faces}


@pytest.mark.skipif(
    not os.path.isfile(MODEL), reason="the open face model is not built ('make face-model')"
)
def test_a_face_that_is_not_found_is_counted(tmp_path, capsys):
    """A portrait and a sky, aligned by the detector; few steps: only counts are checked."""
    skimage = pytest.importorskip("skimage")
    folder, output = tmp_path / "data", tmp_path / "out"
    folder.mkdir()
    portrait = Image.open(
        os.path.join(os.path.dirname(skimage.__file__), "data", "astronaut.png")
    ).convert("RGB")
    portrait.crop((80, 0, 380, 300)).save(str(folder / "face.png"))
    Image.new("RGB", (300, 300), (90, 120, 200)).save(str(folder / "sky.png"))
    for name in ("face", "sky"):
        scipy.io.savemat(
            str(folder / (name + ".mat")),
            {
                "pt3d_68": np.random.RandomState(3).uniform(60, 200, (3, 68)),
                "Pose_Para": np.zeros((1, 7)),
            },
        )
    words = "--align detect --face_model open --steps 2".split()
    assert nme.main(["--data_path", str(folder), "--output", str(output)] + words) == 0
    said = capsys.readouterr()
    assert said.err.count("skipped: ") == 1 and "sky.png: no face found" in said.err
    assert "1 face measured, 1 skipped" in said.out
    with open(str(output / "nme.json")) as file:
        record = json.load(file)
    assert record["failures"] == 1 and record["five_points"] == "detected"
    assert record["all"]["mean"] == pytest.approx((100 + record["without_failures"]["mean"]) / 2)


def test_without_a_path_the_default_folder_is_named(monkeypatch, tmp_path):
    missing = str(tmp_path / "AFLW2000")
    monkeypatch.setattr(nme, "AFLW2000_DIR", missing)
    with pytest.raises(InputError) as error:
        nme.main([])
    assert str(error.value).startswith(missing + ": no such folder; put the photos of AFLW2000-3D")


def test_ground_truth_may_be_a_folder_of_its_own(data, tmp_path):
    folder = data[0]
    predictions = save_npz(tmp_path / "predictions.npz", data[1])
    truth = tmp_path / "truth"
    truth.mkdir()
    _, beside = run(folder, predictions, tmp_path / "beside")
    for path in folder.glob("*.mat"):
        path.rename(truth / path.name)
    _, apart = run(folder, predictions, tmp_path / "apart", "--ground_truth", str(truth))
    assert apart["all"] == beside["all"] and apart["ground_truth"] == str(truth)
