"""From tracks to people: who is who, their identity and albedo, and their motion.

Identity and albedo come from the frames that show a person best, fitted together as photos of one
person are. Pose, expression and light then belong to each frame.
"""

from typing import Any, List, NamedTuple, Optional, Sequence

import numpy as np

from alignment.align import crop_to_photo_matrix, photo_to_crop
from alignment.landmark_confidence import (
    confirmed_presence,
    fitted_confidence,
    landmark_confidence,
)
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.dense_points import dense_points
from face_model.model import FaceModel, neutral_shape
from fitting.landmarks import network_confidence
from geometry.camera import flip_y
from geometry.landmark_layout import INNER_LANDMARKS, five_from_68
from geometry.normals import surface_normals
from geometry.rotation import rotation_with_derivatives
from geometry.spherical_harmonics import AMBIENT_OFFSET, SH_COUNT, harmonics_array
from video.finished_work import FinishedWork
from video.frame_fit import FramePoints, PersonFitter
from video.motion import Motion, Person, leave_crop
from video.tracking import Candidate, Sighting, Track

_BEST_FRAMES = 6  # that give identity and albedo
_LONGEST_GAP = 0.35  # seconds within a continuous motion
_WORST_ERROR = 3.0  # multiple of the usual error of the fit at which a frame keeps a quarter
_LIGHT_STIFFNESS = 0.03  # of the light of the best frames, relative to the precision of the samples
_ROBUST_COLOR = 40.0  # gray levels
_SEEN = 0.3  # cosine between normal and viewing direction, of points whose colors are used
_IRISES = 10  # the last of the 478 points


class FoundPerson(NamedTuple):
    """A person, and the frames that show them best."""

    person: Person
    best: List[Any]  # reconstruction.face.Reconstruction of each of these frames, the best first


def find_people(
    tracks: Sequence[Track],
    pipeline: Any,
    path: str,
    name: str,
    all_faces: bool,
    work: FinishedWork,
) -> List[FoundPerson]:
    """Return the people of a clip, the one seen most and largest first.

    Args:
        tracks: the finished tracks.
        pipeline: ``reconstruction.pipeline.FacePipeline``.
        path: of the clip, for messages.
        name: stem of the output files of the first person.
        all_faces: return everybody, not only the first person.
        work: keeps what takes long.
    """
    groups = sorted(_group_by_identity(tracks, pipeline, path, work), key=_prominence, reverse=True)
    if not all_faces:
        groups = groups[:1]
    return [
        _find_person(
            group, pipeline, path, name if i == 0 else "{}_face{}".format(name, i + 1), work
        )
        for i, group in enumerate(groups)
    ]


def _prominence(tracks: Sequence[Track]) -> float:
    """Return the area of a person's faces, summed over the frames."""
    return float(
        sum(np.prod(np.ptp(one.dense, axis=0)) for track in tracks for one in track.sightings)
    )


def _group_by_identity(
    tracks: Sequence[Track], pipeline: Any, path: str, work: FinishedWork
) -> List[List[Track]]:
    """Group the tracks that show one person, by identity features."""
    if len(tracks) < 2:
        return [[track] for track in tracks]
    crops = []
    for track in tracks:
        best = track.candidates[0]
        crops.append(pipeline.locate_dense("", path, best.pixels, best.dense).alignment.crop)
    (features,) = work.recall("features", lambda: [pipeline.embedder.embed(crops)])
    return group_tracks(tracks, features, pipeline.embedder.largest_distance)


def group_tracks(
    tracks: Sequence[Track], features: np.ndarray, largest_distance: float
) -> List[List[Track]]:
    """Group tracks by their identity features.

    Args:
        tracks: the tracks.
        features: [B, D] unit features of each.
        largest_distance: between features of one person.
    """
    # Each track joins the nearest person; two faces of one frame are two people.
    groups: List[List[int]] = []
    order = sorted(range(len(tracks)), key=lambda i: -len(tracks[i].sightings))
    for i in order:
        distances = [
            float(np.linalg.norm(features[group].mean(axis=0) - features[i])) for group in groups
        ]
        free = [
            distance if not any(_coincide(tracks[i], tracks[k]) for k in group) else np.inf
            for distance, group in zip(distances, groups)
        ]
        if free and min(free) < largest_distance:
            groups[int(np.argmin(free))].append(i)
        else:
            groups.append([i])
    return [[tracks[i] for i in sorted(group)] for group in groups]


def _coincide(one: Track, other: Track) -> bool:
    frames = {sighting.frame for sighting in one.sightings}
    return any(sighting.frame in frames for sighting in other.sightings)


def _find_person(
    tracks: Sequence[Track], pipeline: Any, path: str, name: str, work: FinishedWork
) -> FoundPerson:
    """Return a person with the motion in all tracks, not yet smooth."""
    # 1. the best frames as photos
    candidates: List[Candidate] = [one for track in tracks for one in track.candidates]
    candidates = sorted(candidates, key=lambda one: -one.score)[:_BEST_FRAMES]
    faces = [pipeline.locate_dense(name, path, one.pixels, one.dense) for one in candidates]
    (coefficients,) = work.recall(
        "best", lambda: [pipeline.find_person(faces, with_confidence=False).coefficients]
    )
    parts = split_coefficients(
        np.asarray(coefficients, np.float64), coefficient_sizes(pipeline.model)
    )
    identity, albedo = parts.identity[0], parts.albedo[0]

    # 2. each frame
    light = np.median(parts.gamma, axis=0)
    motion = Motion(
        *work.recall(
            "motion",
            lambda: MotionFitter(pipeline.model, identity, albedo, light).fit(tracks),
        )
    )
    best = pipeline.decode(faces, coefficients)
    return FoundPerson(Person(name, identity, albedo, motion), best)


class MotionFitter:
    """Finds the motion of one person.

    Args:
        model: the ``FaceModel``.
        identity: [identities].
        albedo: [albedos].
        light: [27] usual light, for frames that say little about it.
    """

    def __init__(
        self, model: FaceModel, identity: np.ndarray, albedo: np.ndarray, light: np.ndarray
    ) -> None:
        self._model = model
        self._fitter = PersonFitter(model, identity)
        self._lights = LightSolver(model, identity, albedo, light)

    def fit(self, tracks: Sequence[Track]) -> Motion:
        """Return the motion in all frames of tracks without a common frame, not yet smooth."""
        # 1. the points in the crop of each frame
        sightings = sorted(
            (one for track in tracks for one in track.sightings), key=lambda one: one.frame
        )
        places = [(one.trans_params, one.degrees) for one in sightings]
        points = FramePoints(
            np.stack([flip_y(photo_to_crop(s.dense, *p)) for s, p in zip(sightings, places)]),
            np.stack([flip_y(photo_to_crop(s.landmarks, *p)) for s, p in zip(sightings, places)]),
            network_confidence(np.stack([one.noise for one in sightings])),
            _predicted(sightings, self._model),
        )
        fit = self._fitter.fit(points)

        # 2. poses in the picture
        poses = [
            leave_crop(crop_to_photo_matrix(*place), angles, translation)
            for place, angles, translation in zip(places, fit.angles, fit.translation)
        ]
        rotation, position, size = (np.array(column) for column in zip(*poses))

        # 3. continuous parts, confidence and light
        seconds = np.array([one.seconds for one in sightings])
        shots = {id(one): track.shot for track in tracks for one in track.sightings}
        shot = np.array([shots[id(one)] for one in sightings])
        breaks = (np.diff(seconds) > _LONGEST_GAP) | (np.diff(shot) != 0)
        excess = fit.error / (_WORST_ERROR * np.median(fit.error))
        presence = np.array([one.presence for one in sightings])
        colors = np.stack([one.colors for one in sightings])
        trust = np.array(
            [
                frame_trust(points.landmarks[i], fit.landmarks[i], one.noise, one.presence)
                for i, one in enumerate(sightings)
            ]
        )
        return Motion(
            frames=np.array([one.frame for one in sightings]),
            seconds=seconds,
            segments=np.concatenate([[0], np.cumsum(breaks)]),
            confidence=presence / (1 + excess**2) ** 2,
            rotation=rotation,
            position=position,
            size=size,
            expression=fit.expression,
            light=self._lights.solve(fit.angles, colors),
            trust=trust,
        )


def frame_trust(seen: np.ndarray, fitted: np.ndarray, noise: np.ndarray, presence: float) -> float:
    """Return the trust in the place of a face, 0..1, as ``fitting.face_locator`` has it of a photo.

    Args:
        seen: [68, 2] of the landmark network, pixels of the crop.
        fitted: [68, 2] of the fitted face, in the same pixels.
        noise: [68] standard deviations that the network gives, pixels.
        presence: 0..1, of the 478 points.
    """
    agreement = landmark_confidence(seen, five_from_68(fitted), yaw=None)
    presence = confirmed_presence(presence, noise, agreement)
    confidence = fitted_confidence(agreement, noise, presence)
    return float(confidence[INNER_LANDMARKS].mean())


def _predicted(sightings: Sequence[Sighting], model: FaceModel) -> Optional[np.ndarray]:
    """Return the network's angles, translations and expressions [T, 6 + K]; None without it."""
    rows = [one.predicted for one in sightings if one.predicted is not None]
    if len(rows) < len(sightings):
        return None
    parts = split_coefficients(np.array(rows, np.float64), coefficient_sizes(model))
    return np.concatenate([parts.angles, parts.translation, parts.expression], axis=1)


class LightSolver:
    """Finds the light of frames by least squares on the colors at the 478 points.

    Args:
        model: the ``FaceModel``.
        identity: [identities].
        albedo: [albedos].
        usual: [27] light to which the solutions are drawn.
    """

    def __init__(
        self, model: FaceModel, identity: np.ndarray, albedo: np.ndarray, usual: np.ndarray
    ) -> None:
        # Albedo and normals of the resting face at the points.
        vertices = dense_points(model).vertices[:-_IRISES]
        normals = surface_normals(neutral_shape(model, identity), model.triangles)
        self._normals = normals[vertices]
        rows = (3 * vertices[:, np.newaxis] + np.arange(3)).reshape(-1)
        offsets = model.albedo_basis[rows].dot(albedo).reshape(-1, 3)
        self._skin = model.mean_albedo[vertices] + offsets
        self._prior = usual.reshape(3, SH_COUNT).copy()
        self._prior[:, 0] += AMBIENT_OFFSET

    def solve(self, angles: np.ndarray, colors: np.ndarray) -> np.ndarray:
        """Return the light of each frame, [T, 27].

        Args:
            angles: [T, 3] of the head, radians.
            colors: [T, 478, 3] RGB, 0..255.
        """
        lights = []
        for turn, seen in zip(angles, colors[:, :-_IRISES].astype(np.float64)):
            posed = self._normals.dot(rotation_with_derivatives(turn)[0])
            weights = np.maximum(posed[:, 2] - _SEEN, 0.0)
            lights.append(
                _solve_light(harmonics_array(posed), self._skin, seen, weights, self._prior)
            )
        result = np.array(lights)
        result[:, :, 0] -= AMBIENT_OFFSET
        return result.reshape(len(result), -1)


def _solve_light(
    harmonics: np.ndarray,
    skin: np.ndarray,
    colors: np.ndarray,
    weights: np.ndarray,
    prior: np.ndarray,
) -> np.ndarray:
    """Return light [3, 9], robustly."""
    light = prior
    for _ in range(2):
        misses = np.linalg.norm(colors - skin * harmonics.dot(light.T), axis=1)
        kept = weights / (1 + (misses / _ROBUST_COLOR) ** 2) ** 2
        rows = []
        for channel in range(3):
            design = harmonics * skin[:, channel, np.newaxis]
            weighted = design * kept[:, np.newaxis]
            normal = weighted.T.dot(design)
            stiff = _LIGHT_STIFFNESS * normal[0, 0] * np.eye(SH_COUNT)
            target = weighted.T.dot(colors[:, channel]) + stiff.dot(prior[channel])
            rows.append(np.linalg.solve(normal + stiff, target))
        light = np.array(rows)
    return light
