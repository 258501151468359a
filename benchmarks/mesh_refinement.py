"""Gain of the mesh generator on faces that the coefficients cannot express.

    python -m benchmarks.mesh_refinement [--held_out 0:8] [--steps 6000] [--json FILE]

It takes ten minutes a head on two cores. Distance to the truth on unseen faces after 6,000 steps of
each head: coefficient mesh 2.36 mm, residual head 1.58 mm, absolute (published) head 7.94 mm; both
heads were still improving.

Faces are sampled with all identity components of the face model and rendered with the whole mesh:
turned a little, random albedo and light, neutral. The coefficients lack some of these components:
the coefficient mesh is the projection of the true mesh onto the span of the others. No coefficient
network could give a better one, and the generator must infer the rest from the photo. Both heads
learn from the same faces, with ground truth as target of shape and normals; printed is the mean
distance to the true vertices.

The embedding comes from the identity network (dlib's where FaceNet's weights are absent); with
--coefficient_weights, R-Net's pool5 is appended as in train.py. To finish in minutes on two cores,
a coarse level of the face model's pyramid replaces the whole mesh, and normals weigh 1 instead of
the published 100: on a coarse mesh they turn strongly when vertices move a little. The absolute
head must learn the whole face anew, and its tanh is limited to 1 dm; the distance to the truth
that follows from this limit alone is printed too.
"""

import argparse
import json
import time
from typing import Any, List, NamedTuple, Optional

import numpy as np
from tqdm import tqdm

from face_decoder import FaceDecoder
from face_model import FACE_MODEL_HELP, load_face_model
from face_model.coefficients import Coefficients, coefficient_sizes, split_coefficients
from face_model.model import vertex_triangle_table
from gcn.embedding import build_frozen_features
from gcn.generator import HEADS, generate_mesh, pyramid_tensors
from gcn.losses import MeshLossWeights, mesh_losses, total_mesh_loss
from gcn.pyramid import build_pyramid, load_pyramid
from geometry.camera import IMAGE_SIZE, MILLIMETERS_PER_DM, project
from geometry.rotation import rotation_matrix
from identity import load_identity_network
from mesh_renderer.vertex_normals import vertex_normals
from synthesis.lighting import sample_light
from synthesis.pose import head_pose
from utils.atomic import atomic_path
from utils.errors import run_main
from utils.tf_compat import session_config, tf

_LARGEST_ANGLE = 0.2  # radians, of each rotation
_BATCH_SIZE = 16
_REPORTS = 8  # lines per head
_BOUND = 2.5  # standard deviations of identity and albedo


class Mesh(NamedTuple):
    """A level of the face model's pyramid, as a mesh of its own."""

    vertices: np.ndarray  # [n], indices into the face model's
    triangles: np.ndarray  # [f, 3]
    vertex_triangles: np.ndarray  # [n, 8]
    landmarks: np.ndarray  # [68], indices into ``vertices``


class Faces(NamedTuple):
    """Faces with their embeddings and truth; arrays, or placeholders of a batch."""

    truth: Any  # [n, m, 3] dm, model space
    best: Any  # [n, m, 3] the coefficient meshes
    embedding: Any  # [n, E]
    angles: Any  # [n, 3] radians
    translation: Any  # [n, 3] dm
    landmarks: Any  # [n, 68, 2] labels: crop pixels, y up


def mesh_at_level(model, level):
    """Return level ``level`` of the model's pyramid as a :class:`Mesh`."""
    pyramid = load_pyramid(model)
    kept = np.arange(model.vertex_count)
    for selection in pyramid.kept[:level]:
        kept = kept[selection]
    triangles = pyramid.triangles[level]
    offsets = model.mean_shape[model.landmarks][:, np.newaxis] - model.mean_shape[kept][np.newaxis]
    return Mesh(
        kept,
        triangles,
        vertex_triangle_table(triangles, len(kept)),
        np.linalg.norm(offsets, axis=-1).argmin(axis=1),
    )


def sample_neutral_faces(model, count, random):
    """Sample coefficients of neutral faces turned a little, [count, 257]."""
    sizes, rows = coefficient_sizes(model), []
    for _ in range(count):
        rows.append(
            np.concatenate(
                Coefficients(
                    identity=np.clip(random.standard_normal(sizes.identity), -_BOUND, _BOUND),
                    expression=np.zeros(sizes.expression),
                    albedo=np.clip(random.standard_normal(sizes.albedo), -_BOUND, _BOUND),
                    angles=random.uniform(-_LARGEST_ANGLE, _LARGEST_ANGLE, 3),
                    gamma=sample_light(random).reshape(-1),
                    translation=random.normal(0, 0.03, 3),
                )
            )
        )
    return np.array(rows, np.float32)


class Embedder:
    """The frozen networks, which map photos to embeddings.

    Args:
        model: the ``FaceModel``.
        weights: path of a coefficient network, or None for the identity network's features alone.
    """

    def __init__(self, model, weights=None):
        with tf.Graph().as_default() as graph:
            self._photos = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3])
            identity = load_identity_network(pooled_only=True)
            self._embedding = identity.pooled_features(self._photos)
            if weights:
                self._embedding = build_frozen_features(
                    self._photos, weights, model, identity
                ).embedding
            self._session = tf.Session(graph=graph, config=session_config())

    def embed(self, photos):
        """Return embeddings [B, E] of photos [B, 224, 224, 3] RGB."""
        return self._session.run(self._embedding, {self._photos: photos[..., ::-1]})

    def close(self):
        """Free the session."""
        self._session.close()


def make_faces(model, mesh, held_out, count, weights=None, seed=0):
    """Sample, render and embed faces.

    Args:
        model: the ``FaceModel``.
        mesh: the :class:`Mesh` of truth and coefficient meshes.
        held_out: slice of the identity components that the coefficients lack.
        count: number of faces.
        weights: path of a coefficient network, or None.
        seed: seed of the random numbers.
    """
    coefficients = sample_neutral_faces(model, count, np.random.RandomState(seed))
    graph, embedder, embeddings = FaceDecoder(model), Embedder(model, weights), []
    for begin in tqdm(range(0, count, _BATCH_SIZE), unit="batch", desc="photos", leave=False):
        photos = graph.decode(coefficients[begin : begin + _BATCH_SIZE]).rendered[..., :3]
        embeddings.append(embedder.embed(photos))
    graph.close()
    embedder.close()
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    truth, best = _meshes(model, mesh, parts.identity, held_out)
    # Labels are those of the coarse mesh: the nearest of its vertices may lie far from the fine
    # one's.
    landmarks = np.stack(
        [
            head_pose(*pose).project(shape[mesh.landmarks])
            for shape, *pose in zip(truth, parts.angles, parts.translation)
        ]
    )
    return Faces(
        truth, best, np.concatenate(embeddings), parts.angles, parts.translation, landmarks
    )


def _meshes(model, mesh, identity, held_out):
    """Return the true meshes, and the nearest ones without the held-out components."""
    center = model.mean_shape.mean(axis=0)
    basis = model.identity_basis.reshape(model.vertex_count, 3, -1)[mesh.vertices].reshape(
        3 * len(mesh.vertices), -1
    )
    mean = (model.mean_shape[mesh.vertices] - center).reshape(-1)
    offsets = identity.dot(basis.T)
    known = np.delete(basis, np.arange(basis.shape[1])[held_out], axis=1).astype(np.float64)
    span = np.linalg.qr(known)[0]
    shape = (len(identity), len(mesh.vertices), 3)
    return tuple(
        np.float32(mean + values).reshape(shape)
        for values in (offsets, offsets.dot(span).dot(span.T))
    )


class HeadTrial:
    """The mesh generator with one head, in training.

    Args:
        model: the ``FaceModel``.
        mesh: its :class:`Mesh`.
        width: length E of the embedding.
        head: one of ``gcn.generator.HEADS``.
        weights: ``gcn.losses.MeshLossWeights``; None means the published ones.
    """

    def __init__(self, model, mesh, width, head, weights=None):
        pyramid = build_pyramid(model.mean_shape[mesh.vertices], mesh.triangles)
        with tf.Graph().as_default() as graph:
            tf.set_random_seed(0)
            count = len(mesh.vertices)
            self._inputs = Faces(
                *(
                    tf.placeholder(tf.float32, [None] + shape)
                    for shape in ([count, 3], [count, 3], [width], [3], [3], [68, 2])
                )
            )
            self._vertices = generate_mesh(
                self._inputs.embedding, self._inputs.best, pyramid_tensors(pyramid), head=head
            ).vertices
            self._loss = total_mesh_loss(self._losses(mesh), weights)
            self._rate = tf.placeholder(tf.float32, [])
            self._update = tf.train.AdamOptimizer(self._rate).minimize(self._loss)
            self._session = tf.Session(graph=graph, config=session_config())
            self._session.run(tf.global_variables_initializer())

    def _losses(self, mesh):
        inputs, vertices = self._inputs, self._vertices
        normals, true_normals = (
            vertex_normals(points, mesh.triangles, mesh.vertex_triangles)
            for points in (vertices, inputs.truth)
        )
        world = (
            tf.matmul(vertices, rotation_matrix(inputs.angles)) + inputs.translation[:, tf.newaxis]
        )
        landmarks = project(tf.gather(world, mesh.landmarks, axis=1))
        return mesh_losses(
            landmarks, inputs.landmarks, vertices, inputs.truth, normals, true_normals
        )

    def step(self, faces, rate):
        """Do a training step on a batch; return the loss."""
        feeds = dict(zip(self._inputs, faces))
        feeds[self._rate] = rate
        return self._session.run([self._loss, self._update], feeds)[0]

    def error(self, faces):
        """Return the mean distance to the truth, mm."""
        distances = []
        for begin in range(0, len(faces.truth), _BATCH_SIZE):
            batch = _rows(faces, slice(begin, begin + _BATCH_SIZE))
            vertices = self._session.run(
                self._vertices,
                {self._inputs.embedding: batch.embedding, self._inputs.best: batch.best},
            )
            distances += [_mean_distance(*pair) for pair in zip(vertices, batch.truth)]
        return float(np.mean(distances))

    def close(self):
        """Free the session."""
        self._session.close()


def _rows(faces, rows):
    return Faces(*(values[rows] for values in faces))


def run_trial(trial, train, test, settings):
    """Train one head, with reports of its errors.

    Args:
        trial: a :class:`HeadTrial`.
        train, test: :class:`Faces`.
        settings: the parsed arguments.

    Yields:
        Rows (step, error on as many training faces as there are unseen ones, error on the unseen
        ones, seconds since the start); errors are mm.
    """
    random, start = np.random.RandomState(1), time.monotonic()
    epochs = 1 + settings.steps * _BATCH_SIZE // len(train.truth)
    order = np.concatenate([random.permutation(len(train.truth)) for _ in range(epochs)])
    for step in tqdm(range(1, settings.steps + 1), unit="step", leave=False):
        trial.step(
            _rows(train, order[(step - 1) * _BATCH_SIZE : step * _BATCH_SIZE]),
            settings.learning_rate,
        )
        if step % max(1, settings.steps // _REPORTS) == 0:
            yield (
                step,
                trial.error(_rows(train, slice(len(test.truth)))),
                trial.error(test),
                time.monotonic() - start,
            )


def parse_arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--face_model", help=FACE_MODEL_HELP)
    parser.add_argument(
        "--held_out",
        type=_component_range,
        default=slice(0, 8),
        metavar="FIRST:LAST",
        help="identity components that the coefficients lack",
    )
    parser.add_argument(
        "--coefficient_weights",
        metavar="PATH",
        help="trained R-Net, for its pool5 beside the identity features",
    )
    parser.add_argument(
        "--level",
        type=int,
        default=3,
        choices=(0, 1, 2, 3),
        help="level of the pyramid, the mesh to refine",
    )
    parser.add_argument("--faces", type=int, default=1400, help="number of training faces")
    parser.add_argument("--test_faces", type=int, default=200, help="number of unseen faces")
    parser.add_argument("--steps", type=int, default=6000, help="training steps of each head")
    parser.add_argument("--learning_rate", type=float, default=1e-3, help="learning rate of Adam")
    parser.add_argument(
        "--loss_weights",
        type=float,
        nargs=3,
        default=MeshLossWeights(normal=1.0),
        metavar=("LANDMARK", "SHAPE", "NORMAL"),
        help="published: 0.0016 100 100",
    )
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=HEADS, help="heads to train")
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> None:
    """Train the heads and print their errors."""
    settings = parse_arguments(argv)
    model = load_face_model(settings.face_model)
    mesh = mesh_at_level(model, settings.level)
    faces = make_faces(
        model,
        mesh,
        settings.held_out,
        settings.faces + settings.test_faces,
        settings.coefficient_weights,
    )
    train, test = (
        _rows(faces, rows) for rows in (slice(settings.faces), slice(settings.faces, None))
    )
    before = _mean_distance(test.best, test.truth)
    print(
        "{}, {} vertices, components {}:{} held out, {} faces; coefficient mesh: {:.3f} mm from "
        "the truth; nearest "
        "to it within 1 dm: {:.3f} mm".format(
            model.name,
            len(mesh.vertices),
            settings.held_out.start,
            settings.held_out.stop,
            settings.faces,
            before,
            _mean_distance(np.clip(test.truth, -1, 1), test.truth),
        )
    )
    results = {}
    for head in settings.heads:
        trial = HeadTrial(
            model, mesh, faces.embedding.shape[1], head, MeshLossWeights(*settings.loss_weights)
        )
        results[head] = []
        for row in run_trial(trial, train, test, settings):
            results[head].append(row)
            step, known, unseen, seconds = row
            print(
                "{:9s} step {:6d}: {:.3f} mm on training faces, {:.3f} mm on unseen ones "
                "({:+.1f}%), {:.0f} s".format(
                    head, step, known, unseen, 100 * (unseen / before - 1), seconds
                ),
                flush=True,
            )
        trial.close()
    if settings.json:
        with atomic_path(settings.json) as temporary:
            with open(temporary, "w") as file:
                json.dump({"coefficient_mesh": before, "heads": results}, file, indent=1)


def _mean_distance(vertices, others):
    return MILLIMETERS_PER_DM * float(np.linalg.norm(vertices - others, axis=-1).mean())


def _component_range(text):
    first, last = (int(part) for part in text.split(":"))
    if not 0 <= first < last:
        raise argparse.ArgumentTypeError("must be FIRST:LAST with FIRST below LAST")
    return slice(first, last)


if __name__ == "__main__":
    run_main(main)
