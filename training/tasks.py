"""The kinds of training: one entry for each network and supervision.

A task holds the functions and settings that depend on both.
"""

from typing import Any, Dict, Optional, Tuple

from dataset.cached_stream import CachedFaceStream, build_cached_batch_queue
from dataset.face_cache import open_face_cache
from dataset.face_stream import BatchQueue, FaceStream, build_batch_queue
from dataset.processed_faces import FaceFolder, find_faces
from dataset.set_stream import SetStream, compute_set_features
from face_model import FaceModel
from face_model.coefficients import coefficient_sizes
from gcn.losses import MeshLossWeights
from geometry.camera import IMAGE_SIZE
from losses import LossWeights
from networks import LANDMARK_NET_INPUT_SIZE, R_NET_INPUT_SIZES
from training.c_net_step import CNetLossWeights, build_c_net_step, initialize_c_net
from training.cluster import Share
from training.coefficient_losses import CoefficientLossWeights
from training.landmark_step import (
    LandmarkLossWeights,
    build_landmark_step,
    initialize_landmark_net,
)
from training.mesh_generator_step import build_mesh_generator_step, initialize_mesh_generator
from training.options import TrainingOptions
from training.r_net_step import build_r_net_step, initialize_r_net
from training.supervised_step import build_supervised_step
from training.trainer import Task


def find_task(model: str, supervision: str) -> Optional[Task]:
    """Return the task of a network and a supervision, or None for an impossible combination.

    Args:
        model: one of ``training.options.MODELS``.
        supervision: one of ``training.options.SUPERVISIONS``.
    """
    return TASKS.get((model, supervision))


def _open_face_streams(options: TrainingOptions, model: FaceModel) -> Tuple[FaceStream, FaceStream]:
    """Return streams that read photos, landmarks and masks during training."""
    training, validation = _find_folders(options)
    return (
        FaceStream(training, options.seed, options.augment),
        FaceStream(validation, options.seed, augmented=False),
    )


def _open_cached_streams(
    options: TrainingOptions, model: FaceModel
) -> Tuple[CachedFaceStream, CachedFaceStream]:
    """Return streams of cached photos, landmarks and true coefficients."""
    training, validation = _find_folders(options)
    count = sum(coefficient_sizes(model))
    cache = val_cache = open_face_cache(training, count)
    if validation is not training:
        val_cache = open_face_cache(validation, count)
    moved = options.model == "landmarks"
    return (
        CachedFaceStream(cache, options.seed, options.augment, options.image_size, moved),
        CachedFaceStream(val_cache, options.seed, False, options.image_size),
    )


def _open_set_streams(options: TrainingOptions, model: FaceModel) -> Tuple[SetStream, SetStream]:
    """Return streams of R-Net's features of sets of photos, with true identities."""
    assert options.coefficient_weights is not None
    training, validation = _find_folders(options)
    features = []
    for folder in (training,) if validation is training else (training, validation):
        cache = open_face_cache(folder, sum(coefficient_sizes(model)))
        features.append(compute_set_features(cache, model, options.coefficient_weights))
    return SetStream(features[0], options.seed), SetStream(features[-1], options.seed)


def _find_folders(options: TrainingOptions) -> Tuple[FaceFolder, FaceFolder]:
    """Return the training faces and the validation faces, by default the same object twice."""
    training = find_faces(options.data_path)
    if options.val_data_path is None:
        return training, training
    return training, find_faces(options.val_data_path)


def _build_face_queue(stream: FaceStream, share: Share, options: TrainingOptions) -> BatchQueue:
    return build_batch_queue(stream, share.size, options.threads, share.offset, share.stride)


def _build_cached_queue(stream: Any, share: Share, options: TrainingOptions) -> BatchQueue:
    return build_cached_batch_queue(stream, share.size, share.offset, share.stride)


TASKS: Dict[Tuple[str, str], Task] = {
    ("r_net", "photo"): Task(
        open_streams=_open_face_streams,
        build_queue=_build_face_queue,
        build_step=build_r_net_step,
        initialize=initialize_r_net,
        loss_weights=LossWeights,
        image_sizes=(IMAGE_SIZE,),
        identity_role="perceptual loss",
    ),
    ("r_net", "truth"): Task(
        open_streams=_open_cached_streams,
        build_queue=_build_cached_queue,
        build_step=build_supervised_step,
        initialize=initialize_r_net,
        loss_weights=CoefficientLossWeights,
        image_sizes=tuple(R_NET_INPUT_SIZES),
        identity_role=None,
    ),
    ("landmarks", "truth"): Task(
        open_streams=_open_cached_streams,
        build_queue=_build_cached_queue,
        build_step=build_landmark_step,
        initialize=initialize_landmark_net,
        loss_weights=LandmarkLossWeights,
        image_sizes=(LANDMARK_NET_INPUT_SIZE,),
        identity_role=None,
    ),
    ("c_net", "truth"): Task(
        open_streams=_open_set_streams,
        build_queue=_build_cached_queue,
        build_step=build_c_net_step,
        initialize=initialize_c_net,
        loss_weights=CNetLossWeights,
        image_sizes=(IMAGE_SIZE,),
        identity_role=None,
    ),
    ("gcn", "photo"): Task(
        open_streams=_open_face_streams,
        build_queue=_build_face_queue,
        build_step=build_mesh_generator_step,
        initialize=initialize_mesh_generator,
        loss_weights=MeshLossWeights,
        image_sizes=(IMAGE_SIZE,),
        identity_role="identity features",
        pooled_only=True,
    ),
}
