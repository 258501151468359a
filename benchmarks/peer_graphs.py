"""Graphs of the published system for TensorFlow 1.12; this module runs in the peer's environment.

The decoder of Deng et al. (CVPRW 2019), by its formulas, with the renderer of the PyPI package
mesh_renderer 1.4: one einsum for each basis, normals by gathering triangles, a second rendering
for the front mask. The networks are from networks.py, whose layers equal the published ones.
"""

import os
import time

import numpy as np
from PIL import Image

import mesh_renderer
import networks
from utils.tf_compat import tf

_SIZES = (80, 64, 80, 3, 27, 3)
_FOCAL, _CENTER, _DISTANCE = 1015.0, 112.0, 10.0
_FOV_Y = 2 * np.degrees(np.arctan(112.0 / 1015.0))
_A = (np.pi, 2 * np.pi / np.sqrt(3.0), 2 * np.pi / np.sqrt(8.0))
_C = (
    1 / np.sqrt(4 * np.pi),
    np.sqrt(3.0) / np.sqrt(4 * np.pi),
    3 * np.sqrt(5.0) / np.sqrt(12 * np.pi),
)


def _decode(coefficients, scene, batch):
    """Return world shape, world normals, albedo, colors, landmarks and the split coefficients."""
    identity, expression, albedo, angles, gamma, translation = tf.split(
        coefficients, _SIZES, axis=1
    )
    mean = scene["mean_shape"] - np.tile(
        scene["mean_shape"].reshape(-1, 3).mean(axis=0), scene["mean_shape"].size // 3
    )
    shape = (
        tf.einsum("ij,aj->ai", tf.constant(scene["identity_basis"]), identity)
        + tf.einsum("ij,aj->ai", tf.constant(scene["expression_basis"]), expression)
        + np.float32(mean)
    )
    shape = tf.reshape(shape, [batch, -1, 3])
    texture = tf.reshape(
        tf.einsum("ij,aj->ai", tf.constant(scene["albedo_basis"]), albedo) + scene["mean_albedo"],
        [batch, -1, 3],
    )
    rotation = _rotation(angles)
    world = tf.matmul(shape, rotation) + tf.expand_dims(translation, 1)
    normals = tf.matmul(_normals(shape, scene, batch), rotation)
    colors = _light(texture, normals, gamma, batch)
    landmarks = tf.gather(world, tf.constant(scene["landmarks"]), axis=1)
    landmarks = _FOCAL * landmarks[..., :2] / (_DISTANCE - landmarks[..., 2:]) + _CENTER
    return world, normals, texture, colors, landmarks, (identity, expression, albedo, gamma)


def _normals(shape, scene, batch):
    corners = [tf.gather(shape, tf.constant(scene["triangles"][:, i]), axis=1) for i in range(3)]
    normals = tf.nn.l2_normalize(tf.cross(corners[0] - corners[1], corners[1] - corners[2]), dim=2)
    padded = tf.concat([normals, tf.zeros([batch, 1, 3])], axis=1)
    around = tf.gather(padded, tf.constant(scene["vertex_triangles"]), axis=1)  # [B, N, 8, 3]
    return tf.nn.l2_normalize(tf.reduce_sum(around, axis=2), dim=2)


def _rotation(angles):
    def about(axis):
        sin, cos = tf.sin(angles[:, axis]), tf.cos(angles[:, axis])
        zero, one = tf.zeros_like(sin), tf.ones_like(sin)
        rows = [
            [one, zero, zero, zero, cos, -sin, zero, sin, cos],
            [cos, zero, sin, zero, one, zero, -sin, zero, cos],
            [cos, -sin, zero, sin, cos, zero, zero, zero, one],
        ]
        return tf.reshape(tf.stack(rows[axis], axis=1), [-1, 3, 3])

    return tf.transpose(tf.matmul(tf.matmul(about(2), about(1)), about(0)), [0, 2, 1])


def _light(texture, normals, gamma, batch):
    gamma = tf.reshape(gamma, [batch, 3, 9]) + np.float32([0.8] + [0.0] * 8)
    nx, ny, nz = normals[..., 0], normals[..., 1], normals[..., 2]
    first, second = _A[1] * _C[1], _A[2] * _C[2]
    harmonics = tf.stack(
        [
            _A[0] * _C[0] * tf.ones_like(nx),
            -first * ny,
            first * nz,
            -first * nx,
            second * nx * ny,
            -second * ny * nz,
            second * 0.5 / np.sqrt(3.0) * (3 * tf.square(nz) - 1),
            -second * nx * nz,
            second * 0.5 * (tf.square(nx) - tf.square(ny)),
        ],
        axis=2,
    )
    channels = [tf.matmul(harmonics, tf.expand_dims(gamma[:, channel], 2)) for channel in range(3)]
    return tf.concat([texture[..., i : i + 1] * light for i, light in enumerate(channels)], axis=2)


def _render(world, normals, colors, triangles, batch):
    """Return the renderer's image [B, 224, 224, 4], RGBA."""

    def each(row):
        return tf.constant([row] * batch, tf.float32)

    return mesh_renderer.mesh_renderer(
        world,
        tf.constant(triangles),
        normals,
        colors,
        each([0.0, 0.0, _DISTANCE]),
        each([0.0, 0.0, 0.0]),
        each([0.0, 1.0, 0.0]),
        each([[0.0, 0.0, 1e5]]),
        each([[0.0, 0.0, 0.0]]),
        224,
        224,
        fov_y=_FOV_Y,
        ambient_color=each([1.0, 1.0, 1.0]),
        near_clip=0.01,
        far_clip=50.0,
    )


def _image_and_masks(decoded, scene, batch, front=True):
    world, normals, _, colors = decoded[:4]
    image = _render(world, normals, colors, scene["triangles"], batch)
    mask = tf.clip_by_value(image[..., 3:], 0, 1) * tf.ones_like(image[..., 3:])
    bgr = tf.reverse(tf.clip_by_value(image[..., :3], 0, 255), [3])
    if not front:
        return bgr, mask, None
    return bgr, mask, _render(world, normals, colors, scene["front_triangles"], batch)[..., 3:]


def _losses(decoded, bgr, front_mask, photo, attention, labels, scene, batch):
    """Return the weighted sum of the published losses except the perceptual one."""
    texture, landmarks, (identity, expression, albedo, gamma) = decoded[2], decoded[4], decoded[5]
    mask = tf.stop_gradient(front_mask * attention)
    distance = tf.sqrt(tf.reduce_sum(tf.square(photo - bgr), axis=3, keepdims=True) + 1e-8)
    photometric = tf.reduce_sum(distance * mask) / 255.0 / tf.maximum(tf.reduce_sum(mask), 1.0)
    weights = np.ones([1, 68, 1], np.float32)
    weights[:, list(range(28, 31)) + list(range(60, 68))] = 20
    landmark = tf.reduce_sum(tf.square(landmarks - labels) * weights) / (68.0 * batch)
    prior = (
        (tf.nn.l2_loss(identity) + 0.8 * tf.nn.l2_loss(expression) + 0.017 * tf.nn.l2_loss(albedo))
        * 2.0
        / batch
    )
    skin = scene["skin_mask"].reshape(1, -1, 1) / scene["skin_mask"].sum()
    mean = tf.reduce_sum(texture * skin, axis=1, keepdims=True)
    reflectance = tf.reduce_sum(tf.square((texture - mean) / 255.0) * skin) / batch
    light = tf.reshape(gamma, [batch, 3, 9])
    white = tf.reduce_mean(tf.square(light - tf.reduce_mean(light, axis=1, keepdims=True)))
    return 1.92 * photometric + 1.6e-3 * landmark + 3e-4 * prior + 5 * reflectance + 10 * white


def _runner(fetches, feed):
    """Return a callable that runs tensors, name -> tensor, and returns name -> array."""
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return lambda: session.run(fetches, feed)


def _placeholder(scene, name):
    return tf.placeholder(tf.float32, scene[name].shape)


def render(scene):
    """Decode and render."""
    batch = len(scene["coefficients"])
    coefficients = _placeholder(scene, "coefficients")
    image = _image_and_masks(_decode(coefficients, scene, batch), scene, batch, front=False)[0]
    return _runner({"image": image}, {coefficients: scene["coefficients"]})


def gradient(scene):
    """Decode, render picture and front mask, losses, gradient to the coefficients."""
    batch = len(scene["coefficients"])
    names = ("coefficients", "photos", "attention", "labels")
    inputs = [_placeholder(scene, name) for name in names]
    decoded = _decode(inputs[0], scene, batch)
    bgr, _, front = _image_and_masks(decoded, scene, batch)
    loss = _losses(decoded, bgr, front, *inputs[1:], scene=scene, batch=batch)
    return _runner(
        {"loss": loss, "gradient": tf.gradients(loss, inputs[0])[0]},
        dict(zip(inputs, (scene[name] for name in names))),
    )


def training_step(scene):
    """One step of Adam on R-Net, with all losses; FaceNet is applied to photo and rendering."""
    batch = len(scene["photos"])
    names = ("photos", "attention", "labels")
    inputs = [_placeholder(scene, name) for name in names]
    decoded = _decode(networks.r_net(inputs[0], training=True).coefficients, scene, batch)
    bgr, _, front = _image_and_masks(decoded, scene, batch)
    photo_features, features = (
        tf.nn.l2_normalize(networks.face_net(images, reuse=reuse).bottleneck, dim=1)
        for images, reuse in ((inputs[0], None), (bgr, True))
    )
    likeness = tf.reduce_sum(photo_features * features, axis=1)
    loss = _losses(decoded, bgr, front, *inputs, scene=scene, batch=batch)
    loss += 0.2 * tf.reduce_mean(tf.maximum(0.0, 1.0 - likeness))
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        update = tf.train.AdamOptimizer(1e-4).minimize(loss)
    fetches = {"loss": loss, "update": update}
    run = _runner(fetches, dict(zip(inputs, (scene[name] for name in names))))
    return lambda: {"loss": run()["loss"]}


def _regression_graph(scene, batch):
    photos = tf.placeholder(tf.float32, [batch, 224, 224, 3])
    coefficients = networks.r_net(photos, training=False).coefficients
    decoded = _decode(coefficients, scene, batch)
    return (
        photos,
        coefficients,
        decoded,
        _render(decoded[0], decoded[1], decoded[3], scene["triangles"], batch),
    )


def regression(scene):
    """R-Net, decoder and renderer."""
    photos, _, _, image = _regression_graph(scene, len(scene["photos"]))
    return _runner({"image": image}, {photos: scene["photos"]})


def demo(scene):
    """Turn each photo of a folder, with points in NAME.txt, into NAME.mat and NAME_mesh.obj."""
    photos, coefficients, decoded, image = _regression_graph(scene, 1)
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    folder, output = str(scene["folder"]), str(scene["output"])
    names = sorted(name[:-4] for name in os.listdir(folder) if name.endswith(".txt"))

    def work():
        for name in names:
            with Image.open(os.path.join(folder, name + ".jpg")) as photo:
                crop = _crop(photo.convert("RGB"), np.loadtxt(os.path.join(folder, name + ".txt")))
            values = session.run(
                [coefficients, image] + list(decoded[:5]),
                {photos: np.float32(crop)[np.newaxis, ..., ::-1]},
            )
            _write(os.path.join(output, name), crop, values, scene["triangles"] + 1)
        return {"time": np.array(time.time())}

    return work


def _crop(photo, points):
    """Return the 224x224 crop: the whole photo is resized, then cut."""
    standard = np.array(
        [
            [-0.31148657, 0.29036078, 0.13377953, 1],
            [0.30979887, 0.28972036, 0.13179526, 1],
            [0.0032535, -0.04617932, 0.55244243, 1],
            [-0.25216928, -0.38133916, 0.22405732, 1],
            [0.2484662, -0.38128236, 0.22235769, 1],
        ]
    )
    width, height = photo.size
    points = np.stack([points[:, 0], height - 1 - points[:, 1]], axis=1)
    camera = np.linalg.lstsq(standard, points, rcond=None)[0]
    scale = 102.0 / np.linalg.norm(camera[:3], axis=0).mean()
    size = int(width * scale), int(height * scale)
    left = int(size[0] / 2 - 112 + (camera[3, 0] - width / 2) * scale)
    top = int(size[1] / 2 - 112 + (height / 2 - camera[3, 1]) * scale)
    return np.asarray(photo.resize(size, Image.BICUBIC).crop((left, top, left + 224, top + 224)))


def _write(stem, crop, values, triangles):
    import scipy.io

    coefficients, rgba, world, _, texture, colors, landmarks = (value[0] for value in values)
    scipy.io.savemat(
        stem + ".mat",
        {
            "cropped_img": crop,
            "recon_img": np.clip(rgba, 0, 255).astype(np.uint8),
            "coeff": coefficients,
            "face_shape": world,
            "face_texture": texture,
            "face_color": colors,
            "lm_68p": landmarks,
        },
    )
    with open(stem + "_mesh.obj", "w") as file:
        for vertex in np.concatenate([world, colors], axis=1):
            file.write("v {:f} {:f} {:f} {:f} {:f} {:f}\n".format(*vertex))
        for triangle in triangles:
            file.write("f {:d} {:d} {:d}\n".format(*triangle))
