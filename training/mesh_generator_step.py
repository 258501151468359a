"""One training step of the mesh generator, on top of frozen networks.

    photo -> frozen R-Net and identity network -> coefficient mesh, embedding -> refined mesh

Only the generator is trained. Its target is the published one, the coefficient mesh together with
the photo's landmarks, or ground truth if the data include it (``dataset.mesh_targets``).
"""

from typing import Any, Dict, Optional, Tuple

import losses as loss_terms
from checkpoints.variables import restore
from dataset.face_stream import Batch
from dataset.mesh_targets import MeshTargets, build_mesh_targets
from face_decoder import Rendering, render_face
from face_model import FaceModel
from face_model.coefficients import coefficient_sizes, split_coefficients
from gcn.embedding import build_frozen_features
from gcn.generator import GENERATOR_SCOPE, pyramid_tensors
from gcn.losses import mesh_losses, total_mesh_loss
from gcn.pyramid import load_pyramid
from gcn.refined_face import RefinedFace, refine_face
from geometry.camera import MILLIMETERS_PER_DM
from mesh_renderer.vertex_normals import vertex_normals
from training.optimizer import (
    Average,
    build_training_step,
    landmark_error,
    published_histograms,
    schedule_placeholders,
)
from training.options import TrainingOptions
from training.step import Pictures, TrainingStep
from utils.drawing import heat_colors
from utils.errors import InputError
from utils.tf_compat import Tensor, tf

_FULL_DISTANCE = 0.05  # dm between two meshes, drawn white


def build_mesh_generator_step(
    batch: Batch,
    model: FaceModel,
    options: TrainingOptions,
    identity_network: Any = None,
    average: Optional[Average] = None,
    allow_any_op: bool = False,
) -> TrainingStep:
    """Build the graph of a training step of the mesh generator.

    The step's ``prediction`` is the output of the frozen networks, [B, 257 + E], which therefore
    run once per batch in training and in validation. ``loss_gradient_norms`` are with respect to
    the generated vertices.

    Args:
        batch: batch of tensors.
        model: face model.
        options: options of the run; ``loss_weights`` are ``gcn.losses.MeshLossWeights``.
        identity_network: see ``identity.load_identity_network``; None for an embedding of R-Net
            alone.
        average: see ``training.optimizer.build_training_step``.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``; of the frozen R-Net.

    Raises:
        InputError: the frozen weights, the mesh pyramid or ground-truth meshes are missing or do
            not fit.
    """
    if options.coefficient_weights is None:
        raise InputError(
            "the mesh generator needs a trained coefficient network; give its checkpoint or frozen "
            "graph as --coefficient_weights"
        )
    # 1. frozen networks, mesh generator, target
    frozen = build_frozen_features(
        batch.photos, options.coefficient_weights, model, identity_network, allow_any_op
    )
    prediction = tf.concat(frozen, axis=1)
    count = sum(coefficient_sizes(model))
    coefficients, embedding = prediction[:, :count], prediction[:, count:]
    pyramid = pyramid_tensors(load_pyramid(model, options.pyramid))
    refined = refine_face(coefficients, embedding, model, pyramid, head=options.head)
    targets = build_mesh_targets(batch.indices, model, options)
    target, target_normals = _target(refined, targets, model)

    # 2. losses
    face, weights = refined.face, options.loss_weights
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    losses = mesh_losses(
        face.landmarks, batch.landmarks, face.shape, target, face.normals, target_normals
    )
    total = total_mesh_loss(losses, weights)
    schedule = schedule_placeholders()

    # 3. update and summaries
    rendering = render_face(face, model)
    offsets = tf.summary.histogram(
        "offset_mm", MILLIMETERS_PER_DM * (face.shape - refined.coefficient_face.shape)
    )
    return build_training_step(
        losses,
        total,
        weights,
        schedule,
        prediction,
        average=average,
        applied_prediction=prediction,
        metrics=_metrics(refined, batch.landmarks, targets),
        differentiated=face.shape,
        histograms=tf.summary.merge([offsets] + published_histograms(parts)),
        pictures=_pictures(refined, rendering, model),
        validation_feeds={} if targets is None else {targets.validating: True},
        published={
            "photo_error": loss_terms.photometric_loss(
                batch.photos, rendering.image, rendering.front_mask * batch.attention
            ),
            "lm_error": tf.sqrt(losses.landmark),
            "reflect_error": loss_terms.reflectance_loss(face.albedo, model.skin_mask),
            "gamma_error": loss_terms.gamma_loss(parts.gamma),
            "shape_error": losses.shape,
            "normal_error": losses.normal,
            "train_error": total,
        },
    )


def initialize_mesh_generator(session: Any, path: str) -> None:
    """Start the mesh generator from the weights of another run.

    Args:
        session: session of a graph with the generator's variables, initialized.
        path: checkpoint of a mesh generator with the same head and face model.

    Raises:
        InputError: the file is missing, damaged, or of another network.
    """
    restore(session, path, tf.trainable_variables(GENERATOR_SCOPE + "/"))


def _target(
    refined: RefinedFace, targets: Optional[MeshTargets], model: FaceModel
) -> Tuple[Tensor, Tensor]:
    """Return the target of the shape (model space) and of the normals (world), each [B, N, 3]."""
    if targets is None:
        return refined.coefficient_face.shape, refined.coefficient_face.normals
    normals = vertex_normals(targets.vertices, model.triangles, model.vertex_triangles)
    return targets.vertices, tf.matmul(normals, refined.rotation)


def _metrics(
    refined: RefinedFace, labels: Tensor, targets: Optional[MeshTargets]
) -> Dict[str, Tensor]:
    """Return landmark errors, and mean vertex distances in mm."""
    before, after = refined.coefficient_face, refined.face
    metrics = {
        "landmark_error_pixels": landmark_error(after.landmarks, labels),
        "coefficient_mesh_landmark_error_pixels": landmark_error(before.landmarks, labels),
        "mm_from_coefficient_mesh": _mean_distance(after.shape, before.shape),
    }
    if targets is not None:
        metrics["mm_from_truth"] = _mean_distance(after.shape, targets.vertices)
        metrics["coefficient_mesh_mm_from_truth"] = _mean_distance(before.shape, targets.vertices)
    return metrics


def _mean_distance(vertices: Tensor, others: Tensor) -> Tensor:
    """Return the mean distance of vertices [B, N, 3] dm from others, in mm."""
    return MILLIMETERS_PER_DM * tf.reduce_mean(tf.norm(vertices - others, axis=-1))


def _pictures(refined: RefinedFace, rendering: Rendering, model: FaceModel) -> Pictures:
    """Show the refined face; a map of distances replaces the albedo, which is not refined."""
    before, after = refined.coefficient_face, refined.face
    distances = tf.sqrt(tf.reduce_sum(tf.square(after.shape - before.shape), axis=-1))
    colors = _distance_colors(distances)
    distance_map = render_face(after._replace(colors=colors), model)
    return Pictures(
        rendering.image,
        rendering.mask,
        distance_map.image,
        after.landmarks,
        after.shape,
        after.colors,
        further_meshes={
            "coefficient_mesh": (before.shape, before.colors),
            "distance_between_meshes": (after.shape, colors),
        },
    )


def _distance_colors(distances: Tensor) -> Tensor:
    """Color distances [B, N], dm, from black through red and yellow to white at 5 mm.

    Returns:
        [B, N, 3] RGB, 0..255.
    """
    return heat_colors(3.0 * distances / _FULL_DISTANCE, clip=tf.clip_by_value)
