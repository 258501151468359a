import os

import numpy as np
import pytest
from PIL import Image, ImageFilter

import identity
from alignment.align import align
from identity import features
from identity.dlib_file import read_recognition_network
from identity.dlib_network import recognition_constants, recognition_features
from tests.golden_weights import golden_values, golden_variables
from utils.errors import InputError
from utils.tf_compat import tf

# A folder of photos of different people, NAME.jpg, each with its five points in NAME.txt.
PHOTOS = os.environ.get("FACE_PHOTOS", "")


@pytest.fixture(scope="module")
def dlib_path():
    try:
        return features.find_dlib_file()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def dlib_weights(dlib_path):
    return read_recognition_network(dlib_path)


def _chips(count=4):
    """Smooth color patterns: the comparison is numerical, so they need not be faces."""
    random = np.random.RandomState(0)
    coarse = random.uniform(0, 255, (count, 10, 10, 3))
    fine = coarse.repeat(15, axis=1).repeat(15, axis=2) + random.normal(0, 20, (count, 150, 150, 3))
    return np.uint8(np.clip(fine, 0, 255))


def _embed(network, chips):
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(
            recognition_features(tf.constant(np.float32(chips)), recognition_constants(network))
        )


def test_the_file_holds_the_architecture(dlib_weights):
    assert len(dlib_weights.convolutions) == 29
    assert dlib_weights.image_size == 150
    np.testing.assert_allclose(dlib_weights.mean_rgb, [122.782, 117.001, 104.298], rtol=1e-6)
    assert dlib_weights.projection.shape == (256, 128)
    strided = [i for i, layer in enumerate(dlib_weights.convolutions) if layer.stride == 2]
    assert strided == [0, 7, 15, 21, 27]


def test_embeddings_equal_dlibs_own(dlib_path, dlib_weights):
    dlib = pytest.importorskip("dlib")
    chips = _chips()
    reference = dlib.face_recognition_model_v1(dlib_path)
    expected = np.array([reference.compute_face_descriptor(chip) for chip in chips])
    embedding = _embed(dlib_weights, chips).embedding
    cosine = (
        (embedding * expected).sum(1)
        / np.linalg.norm(embedding, axis=1)
        / np.linalg.norm(expected, axis=1)
    )
    assert cosine.min() > 1 - 1e-6
    np.testing.assert_allclose(embedding, expected, atol=1e-5)
    assert np.linalg.norm(expected[0] - expected[1]) > 0.1  # or the comparison shows nothing


def test_the_gradient_agrees_with_finite_differences(dlib_weights):
    chip = np.float32(_chips(1))
    weights = np.float32(np.random.RandomState(1).standard_normal(128))
    with tf.Graph().as_default(), tf.Session() as session:
        image = tf.placeholder(tf.float32, chip.shape)
        embedding = recognition_features(image, recognition_constants(dlib_weights)).embedding
        value = tf.reduce_sum(embedding * weights)
        slope = session.run(tf.gradients(value, image)[0], {image: chip})
        steepest = slope / np.linalg.norm(slope)
        ahead, behind = (
            session.run(value, {image: chip + sign * 5 * steepest}) for sign in (1, -1)
        )
    assert np.linalg.norm(slope) == pytest.approx((ahead - behind) / 10, rel=0.02)


@pytest.mark.parametrize("keep", [0, 50, 400, 20000, 22466065])
def test_cut_files_are_refused(dlib_path, tmp_path, keep):
    path = tmp_path / "cut.dat"
    with open(dlib_path, "rb") as file:
        path.write_bytes(file.read(keep))
    with pytest.raises(InputError, match="cut.dat: not dlib's"):
        read_recognition_network(str(path))


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.dat"
    path.write_bytes(b"\x01\x01\x01\x0dloss_metric_2" + bytes(range(256)) * 8)
    with pytest.raises(InputError, match="other.dat: not dlib's"):
        read_recognition_network(str(path))
    with pytest.raises(InputError, match="absent.dat: cannot be read"):
        read_recognition_network(str(tmp_path / "absent.dat"))


def test_the_chip_is_the_window_around_the_face():
    rows, columns = np.mgrid[0:224, 0:224].astype(np.float32)
    ramp = np.stack([rows, columns, rows + columns], axis=2)[None]
    with tf.Graph().as_default(), tf.Session() as session:
        chip = session.run(features.face_chips(tf.constant(ramp), 150))[0]
    np.testing.assert_allclose(chip[0, 0, :2], [34.0, 25.5], atol=1e-3)
    np.testing.assert_allclose(chip[-1, -1, :2], [206.0, 197.5], atol=1e-3)
    np.testing.assert_allclose(np.diff(chip[:, 0, 0]), 172.0 / 149.0, atol=1e-3)


def test_two_calls_share_the_constants(dlib_path):
    network = features.DlibIdentity(dlib_path)
    with tf.Graph().as_default() as graph:
        images = tf.zeros([2, 224, 224, 3])
        shape = network.features(images).shape.as_list()
        first = graph.as_graph_def().ByteSize()
        network.features(images)
        assert graph.as_graph_def().ByteSize() - first < 0.01 * first
    assert shape[1] == 128
    with tf.Graph().as_default(), tf.Session() as session:  # another graph gets its own
        pooled = session.run(network.pooled_features(tf.zeros([2, 224, 224, 3])))
    assert pooled.shape == (2, network.pooled_width)


def test_face_net_is_preferred_if_present(tmp_path, monkeypatch):
    prefix = str(tmp_path / "model.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        for name, value in golden_values(golden_variables("facenet")).items():
            tf.get_variable(name, initializer=tf.zeros(value.shape))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False)
    monkeypatch.setattr(features, "FACE_NET_CHECKPOINT", prefix)
    network = identity.load_identity_network()
    assert (network.kind, network.path, network.pooled_width) == ("facenet", prefix, 1792)
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 224, 224, 3])
        assert network.features(images).shape.as_list() == [None, 128]
        assert network.pooled_features(images).shape.as_list() == [None, 1792]


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "FACE_NET_CHECKPOINT", str(tmp_path / "model.ckpt"))
    monkeypatch.setattr(features, "FACE_NET_GRAPH", str(tmp_path / "FaceNetModel.pb"))
    with pytest.raises(InputError, match="model.ckpt: no such checkpoint"):
        identity.load_identity_network("facenet")
    with pytest.raises(InputError, match="choose one of auto, facenet, dlib"):
        identity.load_identity_network("arcface")
    monkeypatch.setattr(features, "DLIB_PACKAGE", "no_such_package")
    monkeypatch.setattr(features, "WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(InputError, match=os.path.join("id_net", features.DLIB_FILE)):
        identity.load_identity_network("dlib")


def test_a_frozen_face_net_is_used_if_complete(dlib_path, tmp_path, monkeypatch):
    path = str(tmp_path / "FaceNetModel.pb")
    monkeypatch.setattr(features, "FACE_NET_CHECKPOINT", str(tmp_path / "model.ckpt"))
    monkeypatch.setattr(features, "FACE_NET_GRAPH", path)
    shapes = features.face_net_shapes()
    _freeze_zeros(path, shapes)
    assert identity.load_identity_network().path == path
    _freeze_zeros(path, {name: shape for name, shape in shapes.items() if "Bottleneck" not in name})
    assert identity.load_identity_network().kind == "dlib"
    with pytest.raises(InputError, match="FaceNetModel.pb: 4 of 490 variables missing"):
        identity.load_identity_network("facenet")


@pytest.mark.slow
def test_frozen_face_net_feeds_the_mesh_generator(dlib_path, tmp_path, monkeypatch):
    """For pooled features it precedes the checkpoint, and needs no fitting bottleneck."""
    path, prefix = str(tmp_path / "FaceNetModel.pb"), str(tmp_path / "model.ckpt")
    monkeypatch.setattr(features, "FACE_NET_CHECKPOINT", prefix)
    monkeypatch.setattr(features, "FACE_NET_GRAPH", path)
    shapes = features.face_net_shapes()
    _save_zeros(prefix, shapes)
    trunk = {name: shape for name, shape in shapes.items() if "Bottleneck" not in name}
    assert features.face_net_shapes(with_bottleneck=False) == trunk
    wide = {"InceptionResnetV1/Bottleneck/weights": [1792, 512]}  # the FaceNet of 2018
    for layers in ({}, wide):
        _freeze_zeros(path, dict(trunk, **layers))
        for which in ("auto", "facenet"):
            network = identity.load_identity_network(which, pooled_only=True)
            assert (network.kind, network.path) == ("facenet", path)
            assert identity.load_identity_network(which).path == prefix
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 224, 224, 3])
        assert network.pooled_features(images).shape.as_list() == [None, 1792]
    assert identity.load_identity_network("dlib", pooled_only=True).kind == "dlib"
    os.remove(path)
    assert identity.load_identity_network("facenet", pooled_only=True).path == prefix


def test_damaged_frozen_face_net_is_no_reason_to_take_another(tmp_path, monkeypatch):
    path = str(tmp_path / "FaceNetModel.pb")
    monkeypatch.setattr(features, "FACE_NET_GRAPH", path)
    _freeze_zeros(path, {"InceptionResnetV1/Conv2d_1a_3x3/weights": [3, 3, 3, 32]})
    with pytest.raises(InputError, match="FaceNetModel.pb: 485 of 486 variables missing"):
        identity.load_identity_network("auto", pooled_only=True)


def _save_zeros(prefix, shapes):
    with tf.Graph().as_default(), tf.Session() as session:
        for name, shape in shapes.items():
            tf.get_variable(name, initializer=tf.zeros(shape))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False, write_state=False)


def _freeze_zeros(path, shapes):
    with tf.Graph().as_default() as graph:
        for name, shape in shapes.items():
            tf.constant(np.zeros(shape, np.float32), name=name)
        with open(path, "wb") as file:
            file.write(graph.as_graph_def().SerializeToString())


@pytest.mark.skipif(not os.path.isdir(PHOTOS), reason="FACE_PHOTOS names no folder of photos")
def test_people_differ_more_than_variants_of_one_photo(dlib_path):
    crops = _crops(PHOTOS)
    versions = [crops] + [
        np.stack([change(crop) for crop in crops]) for change in (_mirror, _blur, _tilt, _darken)
    ]
    network = features.DlibIdentity(dlib_path)
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, 224, 224, 3])
        embedding = network.features(images)
        original, *changed = [session.run(embedding, {images: v[..., ::-1]}) for v in versions]
    between = np.linalg.norm(original[:, None] - original[None], axis=2)[
        np.triu_indices(len(crops), 1)
    ]
    within = np.linalg.norm(np.stack(changed) - original, axis=2)
    assert within.max() < between.min()
    assert np.median(within) < 0.5 * np.median(between)


def _crops(folder):
    names = sorted(name for name in os.listdir(folder) if name.endswith(".jpg"))
    photos = [np.asarray(Image.open(os.path.join(folder, name)).convert("RGB")) for name in names]
    points = [np.loadtxt(os.path.join(folder, name[:-4] + ".txt")).reshape(5, 2) for name in names]
    return np.stack([align(photo, five).crop for photo, five in zip(photos, points)])


def _mirror(crop):
    return crop[:, ::-1]


def _blur(crop):
    return np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(2)))


def _tilt(crop):
    return np.asarray(Image.fromarray(crop).rotate(8, Image.BILINEAR))


def _darken(crop):
    return np.uint8(crop * 0.6)
