"""Synthetic faces: distributions, truth, determinism, and folders that survive being killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.io
from PIL import Image

from alignment.align import fit_crop
from alignment.skin import skin_mask
from evaluation.protocol import read_ground_truth
from face_decoder import FaceDecoder
from face_model import read_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, flip_y
from geometry.rotation import rotation_with_derivatives
from synthesis.canvas import Canvas
from synthesis.lighting import directional_light, sample_light
from synthesis.pose import PoseLimits, aflw_angles, sample_angles
from synthesis.sampling import FaceSampler
from synthesis.skin_mask_table import SkinMasks
from tests.paths import TOY_MODEL

COUNT = 20
PHOTO_OPTIONS = "--format aflw2000 --occluders 0 --hair 0 --augment 0 --size 300".split()


@pytest.fixture(scope="module")
def model():
    return read_face_model(TOY_MODEL)


def command(folder, *options):
    settings = "--count {} --seed 3".format(COUNT).split() + ["--face_model", TOY_MODEL]
    return [sys.executable, "-m", "synthesis", "--output", str(folder)] + settings + list(options)


def run(arguments):
    return subprocess.run(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=120,
    )


def made(folder, *options):
    process = run(command(folder, *options))
    assert process.returncode == 0, process.stderr
    return str(folder)


def contents(folder):
    found = {}
    for path, _, names in os.walk(str(folder)):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                found[os.path.relpath(os.path.join(path, name), str(folder))] = file.read()
    return found


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    return made(tmp_path_factory.mktemp("processed"), "--workers", "1")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return made(tmp_path_factory.mktemp("photos"), *PHOTO_OPTIONS)


def test_angles_fill_their_limits():
    random, limits = np.random.RandomState(0), PoseLimits(*np.radians([30, 60, 20]))
    angles = np.array([sample_angles(random, limits) for _ in range(3000)])
    yaws = np.array([aflw_angles(a)[1] for a in angles])
    assert np.all(np.abs(angles) <= np.array(limits) + 1e-9)
    assert np.abs(yaws).max() <= limits.yaw + 1e-9
    assert np.mean(np.abs(yaws) > np.radians(30)) > 0.2 and abs(yaws.mean()) < np.radians(2)


def test_aflw_angles_rebuild_the_rotation():
    for angles in np.random.RandomState(1).uniform(-1.4, 1.4, (50, 3)):
        pitch, yaw, roll = aflw_angles(angles)

        def about(axis, angle):
            return rotation_with_derivatives(np.eye(3)[axis] * angle)[0].T

        expected = rotation_with_derivatives(angles)[0].T
        np.testing.assert_allclose(
            about(0, -pitch).dot(about(1, -yaw)).dot(about(2, -roll)), expected, atol=1e-9
        )


def test_directional_light_approximates_lambert_reflection():
    """Compare with max(0, n . d), from which nine harmonics differ by at most 3 / 32."""
    random = np.random.RandomState(2)
    normals = random.standard_normal((4000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    x, y, z = normals.T
    a = np.pi, 2 * np.pi / np.sqrt(3), 2 * np.pi / np.sqrt(8)
    c = (
        1 / np.sqrt(4 * np.pi),
        np.sqrt(3) / np.sqrt(4 * np.pi),
        3 * np.sqrt(5) / np.sqrt(12 * np.pi),
    )
    first = a[1] * c[1]
    second = a[2] * c[2]
    bands = [
        np.full_like(x, a[0] * c[0]),
        -first * y,
        first * z,
        -first * x,
        second * x * y,
        -second * y * z,
        second * (3 * z * z - 1) / (2 * np.sqrt(3)),
        -second * x * z,
        second * (x * x - y * y) / 2,
    ]
    basis = np.stack(bands, axis=1)
    direction = np.array([0.48, 0.6, 0.64])
    lambert = np.maximum(normals.dot(direction), 0)
    light = basis.dot(directional_light(direction))
    np.testing.assert_allclose(light, lambert, atol=3 / 32 + 1e-9)


def test_light_is_neither_too_dark_nor_too_bright():
    random = np.random.RandomState(3)
    flat = np.array([sample_light(random)[:, 0].mean() for _ in range(300)]) + 0.8
    assert flat.min() > 0 and flat.max() < 3


def test_exactly_placed_faces_align_to_themselves(model):
    sampler, graph = FaceSampler(model, 0, crop_jitter=0), FaceDecoder(model)
    decoded = graph.decode(np.stack([sampler.sample(i) for i in range(6)]))
    for points in decoded.landmarks:
        five = [
            points[[36, 39]].mean(0),
            points[[42, 45]].mean(0),
            points[30],
            points[48],
            points[54],
        ]
        fitted = fit_crop(flip_y(np.array(five)), 224, 224)
        np.testing.assert_allclose(fitted[2:], [1, 112, 112], rtol=0.02)


def test_a_face_depends_on_seed_and_index_only(model):
    draws = [
        FaceSampler(model, seed).sample(index) for seed, index in ((1, 4), (1, 5), (2, 4), (1, 4))
    ]
    np.testing.assert_array_equal(draws[0], draws[3])
    assert not np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])


def test_skin_table_is_indexed_by_red_green_blue():
    table = np.zeros(1 << 24, np.uint8)
    table[(3 << 16) + (2 << 8) + 1] = 77
    canvas = Canvas(np.array([[[3, 2, 1], [1, 2, 3]], [[3, 2, 1], [3, 3, 1]]], np.uint8))
    canvas.hidden[1, 0] = 1
    assert SkinMasks(table).compute(canvas).tolist() == [[77, 0], [0, 0]]


def test_saved_coefficients_decode_to_the_saved_landmarks(processed, model):
    coefficients = np.stack(
        [
            np.fromfile(os.path.join(processed, "coeff", "{:07d}.bin".format(i)), np.float32)
            for i in range(COUNT)
        ]
    )
    landmarks = FaceDecoder(model).decode(coefficients).landmarks
    for i in range(COUNT):
        saved = np.fromfile(
            os.path.join(processed, "lm_bin", "{:07d}.bin".format(i)), np.float64
        ).reshape(68, 2)
        np.testing.assert_allclose(saved, landmarks[i], atol=2e-3)
        text = np.loadtxt(os.path.join(processed, "lm", "{:07d}.txt".format(i)))
        np.testing.assert_allclose(text, saved, atol=6e-5)


def test_masks_match_the_pictures_except_in_hidden_pixels(processed):
    for i in range(COUNT):
        with Image.open(os.path.join(processed, "{:07d}.png".format(i))) as image:
            picture = np.asarray(image)
        with Image.open(os.path.join(processed, "mask", "{:07d}.png".format(i))) as image:
            mask = np.asarray(image)
        assert picture.shape == mask.shape == (224, 224, 3)
        assert np.all(mask == mask[..., :1])
        assert np.all((mask[..., 0] == skin_mask(picture)) | (mask[..., 0] == 0))


def test_manifest_describes_the_faces(processed, model):
    with open(os.path.join(processed, "manifest.json")) as file:
        manifest = json.load(file)
    assert manifest["count"] == COUNT and manifest["options"]["seed"] == 3
    assert manifest["face_model"]["fingerprint"] == model.fingerprint()
    assert sum(manifest["coefficient_sizes"].values()) == sum(coefficient_sizes(model))


def test_number_of_workers_does_not_change_the_files(processed, tmp_path):
    assert contents(made(tmp_path / "two", "--workers", "2")) == contents(processed)


def test_missing_and_damaged_files_are_replaced(processed, tmp_path):
    folder = str(tmp_path / "again")
    shutil.copytree(processed, folder)
    os.remove(os.path.join(folder, "mask", "0000003.png"))
    with open(os.path.join(folder, "0000017.png"), "r+b") as file:
        file.truncate(1000)
    made(folder)
    assert contents(folder) == contents(processed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "signal_number, status",
    [
        pytest.param(signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.any_tensorflow),
        (signal.SIGTERM, 130),
    ],
)
def test_next_run_completes_a_stopped_one(processed, tmp_path, signal_number, status):
    folder = str(tmp_path / "stopped")
    process = subprocess.Popen(
        command(folder, "--workers", "2"), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.time() + 60
    while process.poll() is None and time.time() < deadline:
        if os.path.isdir(folder) and any(name.endswith(".png") for name in os.listdir(folder)):
            break
        time.sleep(0.002)
    process.send_signal(signal_number)
    assert process.wait(60) in (status, 0)
    if signal_number != signal.SIGKILL:
        assert not [path for path in contents(folder) if ".partial-" in path]
    made(folder)
    assert contents(folder) == contents(processed)


def test_photo_truth_matches_the_coefficients(photos, model):
    sampler = FaceSampler(model, 3, anywhere=True)
    sizes, zoom = coefficient_sizes(model), 300 / 224.0
    centered = model.mean_shape - model.mean_shape.mean(axis=0, dtype=np.float64)
    for i in range(COUNT):
        parts = split_coefficients(sampler.sample(i)[np.newaxis].astype(np.float64), sizes)
        shape = centered + (
            model.identity_basis.dot(parts.identity[0])
            + model.expression_basis.dot(parts.expression[0])
        ).reshape(-1, 3)
        world = (
            shape[model.landmarks].dot(rotation_with_derivatives(parts.angles[0])[0])
            + parts.translation[0]
        )
        x = zoom * (FOCAL_LENGTH * world[:, 0] / (CAMERA_DISTANCE - world[:, 2]) + 112) - 0.5
        y = 300 - zoom * (FOCAL_LENGTH * world[:, 1] / (CAMERA_DISTANCE - world[:, 2]) + 112) - 0.5
        path = os.path.join(photos, "{:07d}.mat".format(i))
        np.testing.assert_allclose(scipy.io.loadmat(path)["pt3d_68"][:2], [x, y], atol=5e-3)
        truth = read_ground_truth(path)
        np.testing.assert_allclose(truth.landmarks, np.stack([x, y], 1), atol=5e-3)
        assert abs(truth.yaw) <= 90


def test_landmarks_lie_on_the_rendered_face(model):
    """Compare with the rendered silhouette, not with the projection formula."""
    sampler = FaceSampler(model, 3, PoseLimits(0.2, 0.3, 0.2), anywhere=True)
    decoded = FaceDecoder(model).decode(np.stack([sampler.sample(i) for i in range(6)]), 300)
    for rgba, points in zip(decoded.rendered, decoded.landmarks):
        columns = np.rint(points[:, 0] * 300 / 224 - 0.5).astype(int)
        rows = np.rint(300 - points[:, 1] * 300 / 224 - 0.5).astype(int)
        covered = [
            rgba[r - 1 : r + 2, c - 1 : c + 2, 3].any()
            for r, c in zip(rows, columns)
            if 0 < min(r, c) and max(r, c) < 299
        ]
        assert len(covered) > 30 and np.mean(covered) > 0.97


@pytest.mark.parametrize(
    "options, status, words",
    [
        (("--count", "0"), 2, "--count"),
        (("--max_yaw", "120"), 2, "--max_yaw"),
        (("--max_yaw", "nan"), 2, "--max_yaw"),
        (("--seed", "-1"), 2, "--seed"),
        (("--workers", "0"), 2, "--workers"),
        (("--format", "lfw"), 2, "--format"),
        (("--size", "300"), 1, "--size"),
        (("--backgrounds", "no-such-folder"), 1, "no-such-folder"),
        (("--face_model", "no.mat"), 1, "no.mat"),
    ],
)
def test_bad_arguments_are_rejected_in_one_sentence(tmp_path, options, status, words):
    process = run(command(tmp_path / "out", *options))
    assert process.returncode == status and words in process.stderr
    assert "Traceback" not in process.stderr and not (tmp_path / "out").exists()


def test_folder_of_other_faces_is_not_changed(processed, tmp_path):
    process = run(command(processed, "--seed", "4"))
    assert process.returncode == 1 and "seed (3, not 4)" in process.stderr
    (tmp_path / "holiday.jpg").write_bytes(b"photo")
    process = run(command(tmp_path))
    assert process.returncode == 1 and "choose an empty folder" in process.stderr
    assert os.listdir(str(tmp_path)) == ["holiday.jpg"]


def test_check_picture_shows_landmarks(photos, tmp_path):
    path = tmp_path / "sheet.png"
    made(photos, *PHOTO_OPTIONS, "--check", str(path))
    with Image.open(str(path)) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert np.sum(np.all(pixels == (0, 255, 0), axis=1)) > 68 * COUNT / 2
