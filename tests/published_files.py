"""Files in the published formats and at their published sizes, made of smooth or random numbers.

    python -m tests.published_files FOLDER

writes FOLDER/{BFM,network,weights,input,data} as a user of the published system has them: BFM09 as
``BFM_model_front.mat``, the three frozen networks, checkpoints of ImageNet's ResNet, of R-Net and
of a mesh generator (without records), the mesh pyramid, a portrait with its five points, and two
photos in the format of AFLW2000-3D. No network was trained; the pyramid is the published one.
"""

import argparse
import os
import shutil

import numpy as np
import scipy.io
from PIL import Image

import networks
from alignment.align import crop_to_photo, fit_crop, photo_to_crop
from face_model import FaceModel, write_face_model
from face_model.model import vertex_triangle_table
from gcn.generator import generate_mesh, pyramid_tensors
from gcn.published_pyramid import LEVELS, read_published_pyramid
from gcn.pyramid import MeshPyramid
from geometry.camera import IMAGE_SIZE, flip_y, project
from geometry.landmark_layout import LANDMARK_COUNT, STANDARD_POINTS_3D, five_from_68
from tests.golden_weights import golden_value
from tests.paths import GOLDEN
from utils.photos import example_photo
from utils.tf_compat import tf

VERTEX_COUNT = 35709
COMPONENT_COUNTS = (80, 64, 80)  # identity, expression, albedo
EMBEDDING_WIDTH = networks.POOL5_WIDTH + networks.AVERAGE_POOL_WIDTH
# Of the example portrait: width and height; eyes, nose tip and corners of the mouth.
PORTRAIT_SIZE = (512, 512)
PORTRAIT_FIVE_POINTS = np.array([[204, 100], [246, 102], [225, 128], [201, 138], [245, 140]])

PYRAMID_FILES = tuple(
    "{}{}.npz".format(name, level)
    for name, count in (
        ("adjacency", LEVELS),
        ("laplacians", LEVELS),
        ("downsamp_trans", LEVELS - 1),
        ("upsamp_trans", LEVELS - 1),
    )
    for level in range(count)
)
_WIDTH, _HEIGHT = 1.5, 2.0  # of the face, dm
_HEAD_SCALE = 0.01  # of R-Net's golden heads, so that faces stay near the mean and in view


def write_published_files(folder):
    """Write all files below a folder, as the module's docstring lists them."""
    write_bfm09(os.path.join(folder, "BFM", "BFM_model_front.mat"))
    network = os.path.join(folder, "network")
    write_r_net_graph(os.path.join(network, "FaceReconModel.pb"))
    write_face_net_graph(os.path.join(network, "FaceNetModel.pb"))
    write_landmark_network(os.path.join(network, "landmark68_detector.pb"))
    weights = os.path.join(folder, "weights")
    write_imagenet_checkpoint(os.path.join(weights, "resnet", "resnet_v1_50.ckpt"))
    write_r_net_checkpoint(os.path.join(weights, "r_net.ckpt"))
    write_generator_checkpoint(os.path.join(weights, "generator.ckpt"))
    write_pyramid(os.path.join(folder, "data"))
    write_portrait(os.path.join(folder, "input"))
    write_aflw2000(os.path.join(folder, "input", "AFLW2000"))


def write_bfm09(path, vertex_count=VERTEX_COUNT):
    """Write a face model of BFM09's size."""
    write_face_model(smooth_face_model(vertex_count), path)


def smooth_face_model(vertex_count=VERTEX_COUNT):
    """Return half an egg with a nose, on a square grid whose last vertices may be missing."""
    # 1. mean shape and triangles
    side = int(np.ceil(np.sqrt(vertex_count)))
    rows, columns = np.divmod(np.arange(vertex_count), side)
    x = _WIDTH * (columns / (side - 1) - 0.5)
    y = _HEIGHT * (0.5 - rows / (side - 1))
    z = 0.4 * np.sqrt(np.maximum(0, 1 - (x / 0.8) ** 2 - (y / 1.1) ** 2)) - 0.2
    z += 0.35 * np.exp(-((x / 0.12) ** 2) - ((y + 0.05) / 0.15) ** 2)
    mean = np.stack([x, y, z], axis=1).astype(np.float32)
    triangles = _grid_triangles(side, vertex_count)

    # 2. smooth bases, and the region of the photometric loss
    random = np.random.RandomState(9)
    bases = [
        _waves(random, x, y, count, scale)
        for count, scale in zip(COMPONENT_COUNTS, (0.01, 0.01, 3.0))
    ]
    front = np.flatnonzero((np.abs(x) < 0.6) & (np.abs(y) < 0.8)).astype(np.int32)
    return FaceModel(
        name="a model of BFM09's size",
        mean_shape=mean,
        identity_basis=bases[0],
        expression_basis=bases[1],
        mean_albedo=np.float32(np.stack([170 + 20 * x, 120 + 20 * y, 100 + 20 * x], axis=1)),
        albedo_basis=bases[2],
        triangles=triangles,
        vertex_triangles=vertex_triangle_table(triangles, vertex_count),
        front_vertices=front,
        front_triangles=triangles[np.isin(triangles, front).all(axis=1)],
        landmarks=_landmark_vertices(mean),
        skin_mask=np.float32(np.abs(y) < 0.8),
    )


def _grid_triangles(side, vertex_count):
    """Return two triangles for each cell, counter-clockwise seen from the front."""
    corner = (np.arange(side - 1)[:, np.newaxis] * side + np.arange(side - 1)).reshape(-1)
    below, right = corner + side, corner + 1
    cells = np.concatenate(
        [np.stack([corner, below, right], axis=1), np.stack([right, below, below + 1], axis=1)]
    )
    return cells[cells.max(axis=1) < vertex_count].astype(np.int32)


def _waves(random, x, y, count, scale):
    """Return [3N, count] float32: waves over the face, shorter from component to component."""
    basis = np.empty((len(x), 3, count), np.float32)
    for component in range(count):
        for axis in range(3):
            direction, phase = random.uniform(0, 2 * np.pi, 2)
            angle = (2 + component / 8.0) * (x * np.cos(direction) + y * np.sin(direction)) + phase
            basis[:, axis, component] = scale * np.sin(angle)
    return basis.reshape(3 * len(x), count)


def _landmark_vertices(mean):
    """Return [68] int32: jaw, brows, nose, eyes and mouth around the five standard points."""
    # 1. jaw and brows
    left_eye, right_eye, nose, left_corner, right_corner = STANDARD_POINTS_3D[:, :2]
    turn = np.linspace(0, np.pi, 17)
    jaw = np.stack([-0.65 * np.cos(turn), 0.2 - 0.95 * np.sin(turn)], axis=1)
    brow = np.stack([np.linspace(-0.13, 0.13, 5), 0.16 + 0.02 * np.array([0, 1, 1, 1, 0])], axis=1)

    # 2. nose and eyes
    bridge = np.stack([np.full(4, nose[0]), np.linspace(0.25, nose[1], 4)], axis=1)
    nostrils = np.stack([np.linspace(-0.12, 0.12, 5), np.full(5, nose[1] - 0.07)], axis=1)
    around = np.pi - np.arange(6) * np.pi / 3
    eye = 0.1 * np.stack([np.cos(around), 0.4 * np.sin(around)], axis=1)

    # 3. outer and inner lips
    middle, half_width = (left_corner + right_corner) / 2, (right_corner - left_corner)[0] / 2
    lips = []
    for count, size in ((12, 1.0), (8, 0.7)):
        angle = np.pi - np.arange(count) * 2 * np.pi / count
        ellipse = np.stack([np.cos(angle), 0.4 * np.sin(angle)], axis=1)
        lips.append(middle + half_width * size * ellipse)

    # 4. the nearest vertices
    points = np.concatenate(
        [jaw, left_eye + brow, right_eye + brow, bridge, nostrils, left_eye + eye, right_eye + eye]
        + lips
    )
    assert points.shape == (LANDMARK_COUNT, 2)
    distances = np.linalg.norm(points[:, np.newaxis] - mean[np.newaxis, :, :2], axis=2)
    return distances.argmin(axis=1).astype(np.int32)


def write_r_net_checkpoint(prefix):
    """Write an R-Net checkpoint as the published code does: variables only, no record."""
    with tf.Graph().as_default(), tf.Session() as session:
        _build_r_net()
        _load_values(session)
        _save(session, prefix)


def write_r_net_graph(path):
    """Write ``FaceReconModel.pb``: the checkpoint of ``write_r_net_checkpoint``, frozen."""
    with tf.Graph().as_default(), tf.Session() as session:
        network = _build_r_net()
        coefficients = tf.identity(network.coefficients, name="coeff")
        _load_values(session)
        _freeze(session, path, [coefficients, network.pool5])


def _build_r_net():
    images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], name="input_imgs")
    return networks.r_net(images, training=False)


def write_imagenet_checkpoint(path):
    """Write ``resnet_v1_50.ckpt``, one file of version 1, with the classifier of ImageNet."""
    with tf.Graph().as_default(), tf.Session() as session:
        _build_r_net()
        for name, shape in (("weights", [1, 1, networks.POOL5_WIDTH, 1000]), ("biases", [1000])):
            tf.get_variable("{}/logits/{}".format(networks.R_NET_SCOPE, name), shape)
        tf.get_variable("{}/mean_rgb".format(networks.R_NET_SCOPE), [3])
        _load_values(session)
        variables = tf.global_variables(networks.R_NET_SCOPE + "/")
        _save(session, path, variables, write_version=tf.train.SaverDef.V1)


def write_face_net_graph(path):
    """Write ``FaceNetModel.pb``."""
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, None, None, 3], name="input")
        tf.placeholder_with_default(False, [], name="phase_train")
        bottleneck = networks.face_net(images).bottleneck
        _load_values(session)
        _freeze(session, path, [tf.identity(bottleneck, name="embeddings")])


def write_generator_checkpoint(prefix):
    """Write a checkpoint of the published mesh generator alone, without a record."""
    matrices = read_published_pyramid(os.path.join(GOLDEN, "gcn_pyramid"))
    sizes = [matrix.shape[0] for matrix in matrices.laplacians]
    pyramid = MeshPyramid(
        vertices=tuple(np.zeros((size, 3), np.float32) for size in sizes),
        triangles=(),
        laplacians=matrices.laplacians,
        upsampling=matrices.upsampling,
        kept=matrices.kept,
    )
    with tf.Graph().as_default(), tf.Session() as session:
        generate_mesh(
            tf.placeholder(tf.float32, [None, EMBEDDING_WIDTH]),
            tf.placeholder(tf.float32, [None, sizes[0], 3]),
            pyramid_tensors(pyramid),
        )
        _load_values(session)
        _save(session, prefix)


def write_landmark_network(path):
    """Write ``landmark68_detector.pb``: the portrait's landmarks, moved by its brightness."""
    points = crop_landmarks(PORTRAIT_FIVE_POINTS, *PORTRAIT_SIZE)
    points = points[:, ::-1].reshape(1, -1).astype(np.float32)  # row and column
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], name="input_imgs")
        brightness = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)[:, :, 0, 0]
        landmarks = tf.add(0.01 * (brightness - 128.0), points, name="landmark")
        _freeze(session, path, [landmarks])


def crop_landmarks(five_points, width, height):
    """Return [68, 2], x and y down in the crop: the mean face's, fitted to five points."""
    # 1. the mean face's landmarks, and the five points in the crop
    model = smooth_face_model(2500)
    mean = flip_y(project(model.mean_shape[model.landmarks].astype(np.float64)))
    target = photo_to_crop(five_points, fit_crop(five_points, width, height))

    # 2. the affine map between them, by least squares
    source = np.hstack([five_from_68(mean), np.ones((len(target), 1))])
    matrix = np.linalg.lstsq(source, target, rcond=None)[0]
    return np.hstack([mean, np.ones((LANDMARK_COUNT, 1))]).dot(matrix)


def write_pyramid(folder):
    """Write the eighteen files of the published mesh pyramid."""
    os.makedirs(folder, exist_ok=True)
    for name in PYRAMID_FILES:
        shutil.copyfile(os.path.join(GOLDEN, "gcn_pyramid", name), os.path.join(folder, name))


def write_portrait(folder):
    """Write a portrait as JPEG, and its five points beside it."""
    os.makedirs(folder, exist_ok=True)
    with Image.open(example_photo().path) as image:
        image.convert("RGB").save(os.path.join(folder, "portrait.jpg"), quality=95)
    np.savetxt(os.path.join(folder, "portrait.txt"), PORTRAIT_FIVE_POINTS, fmt="%.1f")


def write_aflw2000(folder):
    """Write a portrait and its mirror image as two photos of AFLW2000-3D."""
    os.makedirs(folder, exist_ok=True)
    with Image.open(example_photo().path) as image:
        portrait = image.convert("RGB")
    mirrored = PORTRAIT_FIVE_POINTS[[1, 0, 2, 4, 3]] * [-1, 1] + [PORTRAIT_SIZE[0] - 1, 0]
    photos = (
        ("image00002", portrait, PORTRAIT_FIVE_POINTS),
        ("image00004", portrait.transpose(Image.FLIP_LEFT_RIGHT), mirrored),
    )
    for name, photo, five_points in photos:
        photo.save(os.path.join(folder, name + ".jpg"), quality=95)
        landmarks = crop_to_photo(
            crop_landmarks(five_points, *PORTRAIT_SIZE), fit_crop(five_points, *PORTRAIT_SIZE)
        )
        truth = {
            "pt3d_68": np.vstack([landmarks.T, np.zeros(LANDMARK_COUNT)]),
            "Pose_Para": np.zeros((1, 7)),
        }
        scipy.io.savemat(os.path.join(folder, name + ".mat"), truth)


def _load_values(session):
    """Set the variables of the session's graph to noise that depends on their names only."""
    variables = tf.global_variables()
    values = {}
    for variable in variables:
        name = variable.op.name
        scale = _HEAD_SCALE if name.startswith("fc-") else 1.0
        initial = variable.initializer.inputs[1]
        values[initial] = scale * golden_value(name, variable.shape.as_list())
    session.run([variable.initializer for variable in variables], values)


def _save(session, prefix, variables=None, **options):
    os.makedirs(os.path.dirname(prefix), exist_ok=True)
    saver = tf.train.Saver(variables, **options)
    saver.save(session, prefix, write_meta_graph=False, write_state=False)


def _freeze(session, path, outputs):
    """Write the graph of a session, its variables as constants of the same names."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    names = [tensor.op.name for tensor in outputs]
    graph_def = session.graph.as_graph_def()
    frozen = tf.graph_util.convert_variables_to_constants(session, graph_def, names)
    with open(path, "wb") as file:
        file.write(frozen.SerializeToString())


def main():
    """Write all files into the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.published_files", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", metavar="FOLDER")
    write_published_files(parser.parse_args().folder)


if __name__ == "__main__":
    main()
