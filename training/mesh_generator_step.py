"""One training step of the mesh generator, on top of frozen networks.

    photo -> frozen R-Net and identity network -> coefficient mesh, embedding -> refined mesh

Only the generator learns. Its target is the published one, the coefficient mesh itself besides
the photo's landmarks, or ground truth where the data has it (``training.mesh_targets``).
"""

from checkpoints.variables import restore
from dataset.mesh_targets import mesh_targets
from face_decoder import render_face
from face_model.coefficients import coefficient_sizes
from gcn.embedding import FrozenFeatures, frozen_features
from gcn.generator import GENERATOR_SCOPE, pyramid_tensors
from gcn.losses import mesh_losses, total_mesh_loss
from gcn.pyramid import load_pyramid
from gcn.refined_face import refine_face
from geometry.camera import MILLIMETERS_PER_DM
from mesh_renderer.vertex_normals import vertex_normals
from training.optimizer import optimise
from training.r_net_step import landmark_error
from training.step import Pictures, TrainingStep, named
from utils.drawing import heat_colors
from utils.errors import InputError
from utils.tf_compat import tf

_FULL_DISTANCE = 0.05  # dm between two meshes that is shown white


def build_mesh_generator_step(batch, model, options, identity_network=None):
    """Build the graph of a training step of the mesh generator.

    The step's ``prediction`` is what the frozen networks say, [B, 257 + E]; so these run once per
    batch, whether it is trained or validated on. ``loss_gradient_norms`` are with respect to the
    generated vertices.

    Args:
        batch: ``dataset.face_stream.Batch`` of tensors.
        model: a ``FaceModel``.
        options: ``training.options.TrainingOptions``; ``loss_weights`` are ``gcn.losses.MeshLossWeights``.
        identity_network: an ``identity.IdentityNetwork``, or None for an embedding of R-Net alone.

    Returns:
        A ``training.step.TrainingStep``.

    Raises:
        InputError: the frozen weights, the mesh pyramid or ground-truth meshes are missing or unfit.
    """
    if options.coefficient_weights is None:
        raise InputError("the mesh generator needs a trained coefficient network; give its checkpoint or frozen graph "
                         "as --coefficient_weights")
    prediction = tf.concat(
        frozen_features(batch.photos, options.coefficient_weights, model, identity_network), axis=1)
    count = sum(coefficient_sizes(model))
    refined = refine_face(FrozenFeatures(prediction[:, :count], prediction[:, count:]), model,
                          pyramid_tensors(load_pyramid(model)), head=options.head)
    targets = mesh_targets(batch.indices, model, options)
    face, (target, target_normals) = refined.face, _target(refined, targets, model)
    losses = mesh_losses(face.landmarks, batch.landmarks, face.shape, target, face.normals, target_normals)
    total = total_mesh_loss(losses, options.loss_weights)
    learning_rate, decay = (tf.placeholder(tf.float32, [], name) for name in ("learning_rate", "batch_norm_decay"))
    update, gradient_norm = optimise(total, learning_rate)
    return TrainingStep(
        update=update,
        step=tf.train.get_or_create_global_step(),
        learning_rate=learning_rate,
        batch_norm_decay=decay,
        prediction=prediction,
        applied_prediction=prediction,
        losses=dict(named(losses), total=total),
        metrics=_metrics(refined, batch.landmarks, targets),
        gradient_norm=gradient_norm,
        loss_gradient_norms=_loss_gradient_norms(losses, options.loss_weights, face.shape),
        histograms=tf.summary.histogram("offset_mm", MILLIMETERS_PER_DM * (face.shape - refined.coefficient_face.shape)),
        pictures=_pictures(refined, model),
        validation_feeds={} if targets is None else {targets.validating: True},
    )


def initialise_mesh_generator(session, path):
    """Start the mesh generator from the weights of another run.

    Args:
        session: a session of a graph with the generator's variables, initialised.
        path: a checkpoint of a mesh generator with the same head and face model.

    Raises:
        InputError: the file is missing, damaged, or of another network.
    """
    restore(session, path, tf.trainable_variables(GENERATOR_SCOPE + "/"))


def _target(refined, targets, model):
    """Return the target of shape (model space) and normals (world), each [B, N, 3]."""
    if targets is None:
        return refined.coefficient_face.shape, refined.coefficient_face.normals
    normals = vertex_normals(targets.vertices, model.triangles, model.vertex_triangles)
    return targets.vertices, tf.matmul(normals, refined.rotation)


def _metrics(refined, labels, targets):
    """Return the landmark error, and mean vertex distances in mm."""
    before, after = refined.coefficient_face, refined.face
    metrics = {"landmark_error_pixels": landmark_error(after.landmarks, labels),
               "coefficient_mesh_landmark_error_pixels": landmark_error(before.landmarks, labels),
               "mm_from_coefficient_mesh": _mean_distance(after.shape, before.shape)}
    if targets is not None:
        metrics["mm_from_truth"] = _mean_distance(after.shape, targets.vertices)
        metrics["coefficient_mesh_mm_from_truth"] = _mean_distance(before.shape, targets.vertices)
    return metrics


def _mean_distance(vertices, others):
    return MILLIMETERS_PER_DM * tf.reduce_mean(tf.norm(vertices - others, axis=-1))


def _loss_gradient_norms(losses, weights, vertices):
    """Return loss name -> norm of the weighted loss's gradient with respect to the vertices."""
    return {name: tf.norm(tf.gradients(getattr(weights, name) * loss, vertices)[0])
            for name, loss in named(losses).items()}


def _pictures(refined, model):
    """Show the refined face; where R-Net's strip has the albedo, which is not refined, stands the distance map."""
    before, after = refined.coefficient_face, refined.face
    rendering = render_face(after, model)
    distances = _distance_colors(tf.sqrt(tf.reduce_sum(tf.square(after.shape - before.shape), axis=-1)))
    coloured = render_face(after._replace(colors=distances), model)
    return Pictures(rendering.image, rendering.mask, coloured.image, after.landmarks, after.shape, after.colors,
                    further_meshes={"coefficient_mesh": (before.shape, before.colors),
                                    "distance_between_meshes": (after.shape, distances)})


def _distance_colors(distances):
    """Colour distances [B, N], dm, from black through red and yellow to white (5 mm and more): [B, N, 3] RGB."""
    return heat_colors(3.0 * distances / _FULL_DISTANCE, clip=tf.clip_by_value)
