"""One whole, small file of every kind, the source of the damaged ones."""

import glob
import os
import shutil

import numpy as np
import scipy.io
from PIL import Image

import demo
import networks
import train
from checkpoints.r_net import export_r_net
from checkpoints.record import record_path
from face_model import read_face_model
from gcn.generator import generate_mesh, pyramid_tensors
from gcn.pyramid import load_pyramid
from geometry.landmark_layout import STANDARD_POINTS_3D
from identity.features import FACE_NET_CHECKPOINT, FACE_NET_GRAPH, find_dlib_file
from synthesis import __main__ as synthesize
from tests.bfm_pieces import write_mat_file, write_random_pieces
from tests.fuzz import stand_ins
from tests.paths import TOY_MODEL
from tests.training_data import write_faces
from training.options import TrainingOptions
from training.run_record import describe_run
from utils.json_files import write_json
from utils.tf_compat import tf

SIDE = 160  # of photos, pixels
PHOTO_FORMATS = ("png", "jpg", "bmp", "webp", "gif", "tif", "jp2", "ppm", "tga")
_COEFFICIENTS = 257  # of the small face model
NAME = "image00001"  # of photos with annotations
_FIVE_POINTS = SIDE / 2 + STANDARD_POINTS_3D[:, :2] * [70, -70]


def write_originals(folder: str) -> None:
    """Write everything; calls TensorFlow, so call it in a process of its own.

    Returns:
        Nothing; the folder holds ``photos``, ``faces`` (processed), ``bfm``, ``network``,
        ``face_net``, ``aflw``, ``run`` (a training run of two steps), ``synthetic``, ``stored``
        (what demo.py wrote), ``generator``, ``pyramids`` and ``model.mat``.
    """
    _write_photos(_made(folder, "photos"))
    write_faces(_made(folder, "faces"), 3)
    for name in ("face_00", "face_01", "face_02"):
        mesh = np.random.RandomState(0).standard_normal((625, 3)).astype(np.float32)
        np.save(os.path.join(_made(folder, "faces", "mesh"), name + ".npy"), mesh)
        np.full(_COEFFICIENTS, 0.1, "<f4").tofile(
            os.path.join(_made(folder, "faces", "coeff"), name + ".bin")
        )
    write_random_pieces(_made(folder, "bfm"), 300)
    _write_model(os.path.join(folder, "model.mat"))
    _write_networks(_made(folder, "network"))
    _write_face_net(_made(folder, "face_net"))
    _write_annotated(_made(folder, "aflw"))
    _write_identity_network(folder)
    train.main(
        [
            "--data_path",
            os.path.join(folder, "faces"),
            "--face_model",
            TOY_MODEL,
            "--result_path",
            folder,
            "--model_name",
            "run",
            "--steps",
            "2",
            "--checkpoint_interval",
            "1",
            "--batch_size",
            "2",
            "--identity",
            "none",
            "--init_weights",
            "none",
            "--mesh_targets",
            "coefficients",
            "--quiet",
        ]
    )
    _forget_folder(folder, "run")
    _write_faces_of_demo(folder)
    _write_generator(
        _made(folder, "generator"), _made(folder, "pyramids"), os.path.join(folder, "model.mat")
    )
    synthesize.main(
        [
            "--output",
            os.path.join(folder, "synthetic"),
            "--face_model",
            TOY_MODEL,
            "--count",
            "2",
            "--workers",
            "1",
            "--quiet",
        ]
    )


def _forget_folder(folder, name):
    """Remove the temporary folder from the records, so that a seed damages the same bytes."""
    for path in glob.glob(os.path.join(folder, name, "*.json")):
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace(folder, "/originals"))


def _made(*parts):
    folder = os.path.join(*parts)
    os.makedirs(folder, exist_ok=True)
    return folder


def picture(side: int = SIDE) -> np.ndarray:
    """Return a smooth picture, [side, side, 3] uint8, that is different everywhere."""
    rows, columns = np.mgrid[:side, :side] * (160.0 / side)
    waves = np.stack([np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + columns) / 11)], axis=2)
    return np.uint8(128 + 100 * waves)


def _write_photos(folder):
    image = Image.fromarray(picture())
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    for extension in PHOTO_FORMATS:
        options = {"exif": exif} if extension in ("jpg", "png", "webp") else {}
        image.save(os.path.join(folder, "photo." + extension), **options)
    np.savetxt(os.path.join(folder, "photo.txt"), _FIVE_POINTS, fmt="%.2f")


def _write_model(path):
    """The small face model, also with the fields that only this project's files have."""
    fields = {
        name: value
        for name, value in scipy.io.loadmat(TOY_MODEL).items()
        if not name.startswith("__")
    }
    names = np.array(["jawOpen", "mouthClose"], dtype=object)
    write_mat_file(path, dict(fields, model_name="toy", expression_names=names), compressed=True)


def _write_networks(folder):
    prefix = os.path.join(folder, "net.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        networks.r_net(tf.zeros([1, 224, 224, 3]), training=False)
        for head in ("fc-id", "fc-ex", "fc-gamma"):
            weights = [v for v in tf.global_variables() if v.op.name == head + "/weights"][0]
            tf.add_to_collection(
                "heads", tf.assign(weights, tf.random_normal(weights.shape, stddev=0.02))
            )
        session.run(tf.global_variables_initializer())
        session.run(tf.get_collection("heads"))
        tf.train.Saver().save(session, prefix, write_meta_graph=True, write_state=False)
        old = tf.train.Saver(write_version=tf.train.SaverDef.V1)
        old.save(
            session, os.path.join(folder, "old.ckpt"), write_meta_graph=False, write_state=False
        )
    export_r_net(prefix, os.path.join(folder, "net.pb"))
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 224, 224, 3], "input_imgs")
        grid = np.tile(np.linspace(40, 180, 136, dtype=np.float32), (3, 1)) / 384
        tf.matmul(
            tf.clip_by_value(tf.reduce_mean(images, [1, 2]), 127, 128),
            tf.constant(grid),
            name="landmark",
        )
        with open(os.path.join(folder, "landmarks.pb"), "wb") as file:
            file.write(graph.as_graph_def().SerializeToString(deterministic=True))


def _write_face_net(folder):
    """A network of FaceNet's form, as checkpoint and as graph."""
    prefix, wanted = (
        os.path.join(folder, os.path.basename(FACE_NET_CHECKPOINT)),
        stand_ins.FACE_NET_SHAPES,
    )
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(2)
        for name, shape in wanted.items():
            tf.get_variable(name, shape)
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False, write_state=False)
    with tf.Graph().as_default() as graph:
        for name, shape in wanted.items():
            tf.constant(np.zeros(shape, np.float32), name=name)
        # the name that forgeries look for
        tf.identity(tf.placeholder(tf.float32, name="input_imgs"), name="coeff")
        with open(os.path.join(folder, os.path.basename(FACE_NET_GRAPH)), "wb") as file:
            file.write(graph.as_graph_def().SerializeToString(deterministic=True))


def _write_faces_of_demo(folder):
    """A face as demo.py stores it, and the record beside its network."""
    model = read_face_model(os.path.join(folder, "model.mat"))
    write_json(
        os.path.join(folder, "network", "net.pb.json"), describe_run(TrainingOptions(), model)
    )
    demo.main(
        [
            "--input",
            os.path.join(folder, "photos", "photo.png"),
            "--output",
            os.path.join(folder, "stored"),
            "--face_model",
            os.path.join(folder, "model.mat"),
            "--method",
            "network",
            "--use_pb",
            "0",
            "--pretrain_weights",
            os.path.join(folder, "network", "net.pb"),
            "--page",
            "0",
            "--quiet",
        ]
    )


def _write_generator(folder, pyramids, model_path):
    """An untrained mesh generator, its record, and the mesh pyramid of the face model."""
    model, prefix = read_face_model(model_path), os.path.join(folder, "iter_7.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(3)
        generate_mesh(
            tf.zeros([1, stand_ins.POOL5_WIDTH]),
            tf.zeros([1, model.vertex_count, 3]),
            pyramid_tensors(load_pyramid(model, folder=pyramids)),
            head="residual",
        )
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False, write_state=False)
    write_json(
        record_path(prefix), describe_run(TrainingOptions(model="gcn", head="residual"), model)
    )


def _write_identity_network(folder):
    path = find_dlib_file()
    shutil.copyfile(path, os.path.join(_made(folder, "id_net"), os.path.basename(path)))


def _write_annotated(folder):
    """A photo as in AFLW2000-3D, predictions of it, and other annotations."""
    random = np.random.RandomState(3)
    Image.fromarray(picture()).save(os.path.join(folder, NAME + ".jpg"))
    points = random.uniform(30, 130, (2, 68))
    write_mat_file(
        os.path.join(folder, NAME + ".mat"),
        {
            "pt3d_68": np.float32(np.vstack([points, random.uniform(0, 50, 68)])),
            "Pose_Para": np.float32([[0.1, 0.5, -0.1, 80, 80, 0, 1e-3]]),
            "roi": np.int16([[1, 160, 1, 160]]),
            "Shape_Para": random.standard_normal((199, 1)),
        },
    )
    predictions = points.T + random.normal(0, 2, (68, 2))
    np.savez(os.path.join(folder, "plain.npz"), **{NAME: predictions})
    np.savez_compressed(os.path.join(folder, "packed.npz"), **{NAME: predictions})
    np.save(os.path.join(folder, "truth.npy"), points.T[np.newaxis])
    np.save(os.path.join(folder, "yaw.npy"), np.array([12.5]))
    os.makedirs(os.path.join(folder, "predicted"), exist_ok=True)
    write_mat_file(
        os.path.join(folder, "predicted", NAME + ".mat"),
        {
            "lm_68p_photo": predictions,
            "coeff": np.zeros((1, 257), np.float32),
            "lm_68p": predictions,
        },
        compressed=True,
    )
