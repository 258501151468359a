"""Detectors, 68 landmarks and their confidence, on scikit-image's public-domain portrait."""

import importlib.util
import os

import numpy as np
import pytest
from PIL import Image

from alignment import detect, locate
from alignment.align import align
from alignment.detect import FaceDetector
from alignment.dlib_landmarks import LandmarkPredictor
from alignment.five_points import diagnose_five_points
from alignment.landmark_confidence import landmark_confidence
from alignment.landmark_network import LandmarkNetwork
from alignment.locate import FaceLocator
from geometry.landmark_layout import five_from_68
from utils.errors import InputError
from utils.tf_compat import tf

# By eye, to 2 pixels: left eye, right eye, nose tip, mouth corners.
PORTRAIT_POINTS = np.array([[204, 101], [246, 104], [223.5, 128], [202, 139], [244, 142]], float)
EYE_DISTANCE = 42.0

NO_FACES = ["chelsea", "coffee", "clock"] + [
    pytest.param(name, marks=pytest.mark.slow) for name in ("rocket", "coins", "cell")
]

needs_dlib = pytest.mark.skipif(not LandmarkPredictor.available(), reason="dlib is not installed")


@pytest.fixture(scope="module")
def portrait():
    return pytest.importorskip("skimage.data").astronaut()


@pytest.fixture(scope="module", params=["auto", "dlib"])
def detector(request):
    if request.param == "dlib" and not LandmarkPredictor.available():
        pytest.skip("dlib is not installed")
    return FaceDetector(request.param)


def distance(points, truth=PORTRAIT_POINTS):
    return np.linalg.norm(points - truth, axis=1).mean() / EYE_DISTANCE


def test_portrait_is_found(detector, portrait):
    (face,) = detector.detect(portrait)
    assert distance(face.five_points) < 0.12
    left, top, width, height = face.box
    assert left < 205 and top < 105 and left + width > 245 and top + height > 150


def test_points_scale_with_the_photo(detector, portrait):
    large = np.asarray(Image.fromarray(portrait).resize((2048, 2048), Image.BICUBIC))
    face = detector.detect(large)[0]
    assert distance((face.five_points + 0.5) / 4 - 0.5) < 0.12
    assert face.box[2] > 150  # photo pixels, not those of the shrunk copy


def test_all_faces_largest_first(detector, portrait):
    photo = np.zeros((512, 900, 3), np.uint8)
    photo[:, :512] = portrait
    photo[100:484, 512:896] = np.asarray(
        Image.fromarray(portrait).resize((384, 384), Image.BICUBIC)
    )
    faces = detector.detect(photo, all_faces=True)
    assert len(faces) == 2
    assert faces[0].five_points[2, 0] < 512 < faces[1].five_points[2, 0]


@pytest.mark.parametrize("shape", [(100, 100), (33, 400), (480, 640)])
def test_no_face_is_no_error(detector, shape):
    assert detector.detect(np.full(shape + (3,), 127, np.uint8)) == []


def test_detection_inside_of_a_graph(detector, portrait):
    with tf.Graph().as_default() as graph:
        placeholder = tf.placeholder(tf.float32, [])
        assert len(detector.detect(portrait)) == 1
        with tf.Session() as session:
            assert session.run(placeholder + 1, {placeholder: 2}) == 3
    assert {op.type for op in graph.get_operations()} <= {
        "Placeholder",
        "Const",
        "Add",
        "AddV2",
    }  # no leak


def test_a_missing_detector_is_named(monkeypatch, portrait, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="dlib is not installed"):
        FaceDetector("dlib")
    monkeypatch.setattr(detect, "DETECTOR_NETWORK", str(tmp_path / "none.pb"))
    with pytest.raises(InputError, match="none.pb: missing; 'make setup' writes it"):
        FaceDetector("auto").detect(portrait)


@pytest.fixture(scope="module")
def upright(portrait):
    """The portrait, cut around the face, and its five points as detected."""
    photo = portrait[0:240, 100:340]
    return photo, FaceDetector().detect(photo)[0].five_points


@pytest.mark.parametrize("left, top, size", [(180, 60, 90), (185, 75, 75)])
def test_a_face_that_fills_the_photo_is_found(portrait, left, top, size):
    detector = FaceDetector("auto")
    cut = portrait[top : top + size, left : left + size]
    (face,), (whole,) = detector.detect(cut), detector.detect(portrait)
    np.testing.assert_allclose(face.five_points + [left, top], whole.five_points, atol=2)


@pytest.mark.parametrize(
    "degrees",
    [
        degrees if degrees % 45 == 0 else pytest.param(degrees, marks=pytest.mark.slow)
        for degrees in range(0, 360, 15)
    ],
)
def test_a_turned_face_is_found(upright, degrees):
    photo, points = upright
    turned = np.asarray(Image.fromarray(photo).rotate(degrees, Image.BICUBIC, expand=True))
    location = FaceLocator().locate(turned, "turned.jpg")[0]
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle, turned_middle = ((np.array(p.shape[1::-1]) - 1) / 2 for p in (photo, turned))
    truth = (points - middle).dot(rotation.T) + turned_middle
    assert np.linalg.norm(location.five_points - truth, axis=1).max() < 0.15 * EYE_DISTANCE
    # the crop is upright
    in_crop = location.alignment.to_crop(location.five_points)
    right, down = in_crop[3:].mean(axis=0) - in_crop[:2].mean(axis=0)
    assert abs(np.degrees(np.arctan2(right, down))) < 36


@pytest.mark.parametrize("name", NO_FACES)
def test_nothing_is_found_where_there_is_no_face(name):
    photo = getattr(pytest.importorskip("skimage.data"), name)()
    if photo.ndim == 2:
        photo = np.repeat(photo[..., np.newaxis], 3, axis=2)
    assert FaceDetector().detect(photo[..., :3]) == []


@needs_dlib
def test_landmarks_of_the_portrait(portrait):
    landmarks = LandmarkPredictor().predict(portrait, PORTRAIT_POINTS)
    assert landmarks.points.shape == (68, 2)
    assert distance(five_from_68(landmarks.points)) < 0.1
    assert landmarks.confidence[17:].min() == 1.0


@needs_dlib
@pytest.mark.parametrize("degrees", [-35, 35])
def test_landmarks_of_a_leaning_face(portrait, degrees):
    """The whole photo turned: the landmarks turn along."""
    center = PORTRAIT_POINTS.mean(axis=0)
    turned = np.asarray(
        Image.fromarray(portrait).rotate(degrees, Image.BICUBIC, center=tuple(center))
    )
    angle = np.radians(-degrees)  # y down
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def turn(points):
        return (points - center).dot(rotation.T) + center

    predictor = LandmarkPredictor()
    upright = predictor.predict(portrait, PORTRAIT_POINTS)
    leaning = predictor.predict(turned, turn(PORTRAIT_POINTS))
    error = np.linalg.norm(leaning.points - turn(upright.points), axis=1)[17:].mean()
    assert error < 0.06 * EYE_DISTANCE and leaning.confidence[17:].mean() > 0.9


@needs_dlib
def test_landmarks_of_noise_have_low_confidence():
    noise = np.random.RandomState(0).randint(0, 256, (300, 300, 3)).astype(np.uint8)
    confidence = LandmarkPredictor().predict(noise, PORTRAIT_POINTS).confidence
    assert confidence.mean() < 0.5


def standard_68():
    """68 points whose five are the portrait's."""
    points = np.tile(PORTRAIT_POINTS.mean(axis=0), (68, 1))
    for index, five in ((36, 0), (39, 0), (42, 1), (45, 1), (30, 2), (48, 3), (54, 4)):
        points[index] = PORTRAIT_POINTS[five]
    return points


def test_confidence_falls_with_disagreement():
    points = standard_68()
    assert landmark_confidence(points, PORTRAIT_POINTS, yaw=0).min() == 1
    near = landmark_confidence(points + [4, 0], PORTRAIT_POINTS, yaw=0)
    assert 0 < near.min() and near.max() < 1
    assert landmark_confidence(points + [12, 0], PORTRAIT_POINTS, yaw=0).max() == 0


def test_one_wrong_eye_spoils_its_own_side_most():
    points = standard_68()
    points[[36, 39]] += [10, 0]
    confidence = landmark_confidence(points, PORTRAIT_POINTS, yaw=0)
    assert confidence[36:42].max() < 0.8 and confidence[42:48].min() > confidence[36:42].max()


def test_confidence_falls_with_spread():
    spread = np.full(68, 0.5)
    spread[8], spread[36] = 3.0, 20.0
    confidence = landmark_confidence(standard_68(), PORTRAIT_POINTS, 0, spread)
    assert 0.3 < confidence[8] < 0.8 and confidence[36] == 0 and confidence[40] == 1


def test_far_side_is_dropped_in_profile():
    for yaw, near, far in ((80, slice(36, 42), slice(42, 48)), (-80, slice(42, 48), slice(36, 42))):
        confidence = landmark_confidence(standard_68(), PORTRAIT_POINTS, yaw)
        assert confidence[far].max() == 0 and confidence[near].min() == 1
    confidence = landmark_confidence(standard_68(), PORTRAIT_POINTS, 30)
    assert confidence[9:17].max() < 0.5 and confidence[17:].min() == 1 and confidence[:9].min() == 1


@pytest.fixture
def landmark_graph(tmp_path):
    """A frozen graph like the published one: landmark i at row 2 i, column i, plus mean blue."""
    grid = np.stack([np.arange(68) * 2.0, np.arange(68)], axis=1).astype(np.float32)
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 224, 224, 3], name="input_imgs")
        blue = tf.reduce_mean(images[..., 0], axis=[1, 2])
        tf.identity(grid[None] + blue[:, None, None], name="landmark")
        graph_def = graph.as_graph_def()
    path = tmp_path / "landmark68_detector.pb"
    path.write_bytes(graph_def.SerializeToString())
    return str(path)


def test_published_landmark_network(landmark_graph, portrait):
    network = LandmarkNetwork(landmark_graph)
    crops = np.zeros((2, 224, 224, 3), np.uint8)
    crops[1, ..., 2] = 10  # blue comes last in RGB
    found = network.predict_in_crops(crops)
    expected = np.stack([np.arange(68), np.arange(68) * 2.0], axis=1)
    np.testing.assert_allclose(found, [expected, expected + 10], atol=1e-4)
    alignment = align(portrait, PORTRAIT_POINTS)
    landmarks = network.predict(portrait, PORTRAIT_POINTS)
    np.testing.assert_allclose(
        alignment.to_crop(landmarks.points),
        network.predict_in_crops(alignment.crop[None])[0],
        atol=1e-6,
    )
    assert landmarks.confidence.max() == 0  # a diagonal line is no face


def test_landmark_network_is_preferred(landmark_graph, portrait, monkeypatch):
    monkeypatch.setattr(locate, "LANDMARK_NETWORK", landmark_graph)
    monkeypatch.setattr(
        locate, "LandmarkNetwork", lambda **kw: LandmarkNetwork(landmark_graph, **kw)
    )
    location = FaceLocator("auto").with_five_points(portrait, PORTRAIT_POINTS)
    assert np.ptp(location.landmarks[:, 1]) == pytest.approx(
        2 * np.ptp(location.landmarks[:, 0]), rel=0.01
    )


def test_points_beside_the_photo_are_used(tmp_path, portrait):
    np.savetxt(str(tmp_path / "a.txt"), PORTRAIT_POINTS)
    (location,) = FaceLocator("auto").locate(portrait, str(tmp_path / "a.jpg"))
    np.testing.assert_array_equal(location.five_points, PORTRAIT_POINTS)
    assert location.source == "file"


def test_wrong_points_beside_the_photo_are_refused(tmp_path, portrait):
    np.savetxt(str(tmp_path / "a.txt"), PORTRAIT_POINTS[[1, 0, 2, 4, 3]])
    with pytest.raises(InputError, match="a.txt: left and right are exchanged"):
        FaceLocator("auto").locate(portrait, str(tmp_path / "a.jpg"))


@pytest.mark.parametrize("text", ["", "a portrait", "0 0.45 0.22 0.2 0.3\n", "1 2\n3 4\n"])
def test_a_text_without_five_points_does_not_hide_the_face(tmp_path, portrait, text, capsys):
    (tmp_path / "a.txt").write_text(text)
    (location,) = FaceLocator("auto").locate(portrait, str(tmp_path / "a.jpg"))
    assert location.source == "detector" and distance(location.five_points) < 0.12
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("note: ") and "a.txt" in line
    assert line.endswith("faces are detected instead")


def test_locate_by_detection(tmp_path, portrait):
    (location,) = FaceLocator("auto").locate(portrait, str(tmp_path / "a.jpg"))
    assert location.source == "detector" and distance(location.five_points) < 0.12
    assert diagnose_five_points(location.five_points, 512, 512) is None
    with pytest.raises(InputError, match="blank.jpg: no face found"):
        FaceLocator("auto").locate(
            np.zeros((100, 100, 3), np.uint8), os.path.join(str(tmp_path), "blank.jpg")
        )
