"""From 257 coefficients to a posed, lit and rendered face.

The decoder of Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised
Learning" (CVPRW 2019, section 3): pure functions that build a differentiable graph, and
:class:`FaceDecoder`, which keeps such a graph and its session.

Conventions: lengths in decimeters; world axes x right, y up, z towards the camera, which is at
(0, 0, 10) and looks at the origin; angles in radians. Landmarks are pixels of the 224x224 crop
with **y up**; images store their top row first and are BGR, 0..255.
"""

from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np

from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.model import FaceModel
from geometry.camera import (
    CAMERA_DISTANCE,
    FAR_PLANE,
    FOCAL_LENGTH,
    IMAGE_SIZE,
    NEAR_PLANE,
    project,
)
from geometry.rotation import rotation_matrix
from geometry.spherical_harmonics import light_polynomial
from mesh_renderer import camera
from mesh_renderer.linear_model import evaluate_linear_model
from mesh_renderer.posed_surface import pose_surface
from mesh_renderer.render import render, render_clip_space
from utils.tf_compat import Tensor, inference_config, tf


class Face(NamedTuple):
    """A decoded face, one row per image."""

    shape: Tensor  # [B, N, 3] vertices in model space, centered on the mean face
    world_shape: Tensor  # [B, N, 3] vertices in the world
    normals: Tensor  # [B, N, 3] unit vertex normals in the world
    albedo: Tensor  # [B, N, 3] RGB, 0..255 (not clipped)
    colors: Tensor  # [B, N, 3] RGB, albedo times light (not clipped)
    landmarks: Tensor  # [B, 68, 2] crop pixels, y up


class Rendering(NamedTuple):
    """A rendered batch."""

    image: Tensor  # [B, H, W, 3] BGR, 0 outside the face
    mask: Tensor  # [B, H, W, 1] 1 where any triangle covers the pixel center
    front_mask: Tensor  # [B, H, W, 1] 1 where a triangle of the front region does


class Drawing(NamedTuple):
    """A batch of pictures."""

    picture: Tensor  # [B, H, W, 4] uint8 RGBA; zeros outside the face
    front: Tensor  # [B, H, W] bool, True where a triangle of the front region covers the center


def decode_face(coefficients: Tensor, model: FaceModel) -> Face:
    """Build the graph from coefficients to a posed and lit face.

    Args:
        coefficients: [B, 257] float32 tensor (B may be unknown); the length follows the model.
        model: a ``FaceModel``; its arrays become constants of the graph.

    Returns:
        A :class:`Face` of float32 tensors.
    """
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    with tf.name_scope("face_decoder"):
        # 1. shape and albedo from the linear model
        shape = decode_shape(parts.identity, parts.expression, model)
        albedo = decode_albedo(parts.albedo, model)

        # 2. pose and light
        rotation = rotation_matrix(parts.angles)
        surface = pose_surface(
            shape,
            albedo,
            model.triangles,
            model.vertex_triangles,
            rotation=rotation,
            translation=parts.translation,
            light=light_polynomial(parts.gamma),
        )

        # 3. landmarks in the crop
        landmarks = project(tf.gather(surface.world, model.landmarks, axis=1))
        return Face(shape, surface.world, surface.normals, albedo, surface.colors, landmarks)


def decode_shape(identity: Tensor, expression: Tensor, model: FaceModel) -> Tensor:
    """Return vertex positions in model space, [B, N, 3]: mean + identity + expression.

    The centroid of the mean shape is subtracted, so that the head rotates about its center.

    Args:
        identity: [B, identities] coefficients.
        expression: [B, expressions] coefficients.
        model: a ``FaceModel``.
    """
    basis = np.concatenate([model.identity_basis, model.expression_basis], axis=1)
    mean = model.mean_shape - model.mean_shape.mean(axis=0, keepdims=True, dtype=np.float64)
    return _linear_model(tf.concat([identity, expression], axis=1), basis, mean)


def decode_albedo(albedo: Tensor, model: FaceModel) -> Tensor:
    """Return vertex albedo, [B, N, 3] RGB, 0..255 (not clipped).

    Args:
        albedo: [B, albedos] coefficients.
        model: a ``FaceModel``.
    """
    return _linear_model(albedo, model.albedo_basis, model.mean_albedo)


def _linear_model(coefficients: Tensor, basis: np.ndarray, mean: np.ndarray) -> Tensor:
    """Return mean + basis @ coefficients as [B, N, 3]."""
    return tf.reshape(
        evaluate_linear_model(coefficients, basis, mean.reshape(-1)), [-1, mean.shape[0], 3]
    )


def render_face(face: Face, model: FaceModel, image_size: int = IMAGE_SIZE) -> Rendering:
    """Render a decoded face with its lit colors, and the mask of its front region.

    Gradients flow through the barycentric coordinates to ``face.world_shape`` and to
    ``face.colors``; visibility and the masks have none.

    Args:
        face: a :class:`Face`.
        model: the ``FaceModel`` it was decoded with.
        image_size: width and height in pixels; the focal length scales with it.

    Returns:
        A :class:`Rendering`.
    """
    rendering = _render(face.world_shape, face.colors, model, image_size)
    return Rendering(tf.reverse(rendering.image, axis=[-1]), rendering.mask, rendering.front_mask)


def draw_face(face: Face, model: FaceModel, image_size: int = IMAGE_SIZE) -> Drawing:
    """Render a decoded face as a picture for display, without gradients.

    Args:
        face: a :class:`Face`.
        model: the ``FaceModel`` it was decoded with.
        image_size: width and height in pixels; the focal length scales with it.

    Returns:
        A :class:`Drawing`.
    """
    rendering = _render(face.world_shape, _opaque(face.colors), model, image_size)
    return Drawing(_as_bytes(rendering.image), rendering.front_mask[..., 0] > 0)


def _draw_windows(face: Face, model: FaceModel, windows: Tensor, size: Tuple[int, int]) -> Tensor:
    """Render parts of the crops as pictures [B, H, W, 4] uint8 RGBA of a size (H, W).

    ``windows`` [B, 4] are those of :meth:`FaceDecoder.render_windows`.
    """
    # 1. clip space of the crop, then of its part
    view = camera.look_at((0, 0, CAMERA_DISTANCE), (0, 0, 0), (0, 1, 0))
    lens = camera.perspective(FOCAL_LENGTH, IMAGE_SIZE, IMAGE_SIZE, NEAR_PLANE, FAR_PLANE)
    clip = camera.to_clip_space(face.world_shape, lens.dot(view))
    left, top, width, height = tf.unstack(windows[:, tf.newaxis], axis=2)  # [B, 1] each
    x, y, z, w = tf.unstack(clip, axis=2)
    x = x * (IMAGE_SIZE / width) + w * ((IMAGE_SIZE - 2 * left) / width - 1)
    y = y * (IMAGE_SIZE / height) + w * (1 - (IMAGE_SIZE - 2 * top) / height)

    # 2. the picture
    rendering = render_clip_space(
        tf.stack([x, y, z, w], axis=2),
        _opaque(face.colors),
        model.triangles,
        image_width=size[1],
        image_height=size[0],
    )
    return _as_bytes(rendering.image)


def _opaque(colors: Tensor) -> Tensor:
    """Return colors [B, N, 3] with a constant fourth attribute.

    It becomes the alpha channel without another pass over the pixels.
    """
    return tf.concat([colors, tf.fill(tf.shape(colors[..., :1]), 255.0)], axis=2)


def _as_bytes(image: Tensor) -> Tensor:
    """Return an image of gray levels, not clipped, as uint8."""
    return tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)


def _render(world_shape: Tensor, attributes: Tensor, model: FaceModel, image_size: int) -> Tensor:
    """Render vertex attributes with the camera of the crops."""
    return render(
        world_shape,
        attributes,
        model.triangles,
        front_triangles=model.front_triangles,
        image_size=image_size,
        focal_length=FOCAL_LENGTH * image_size / IMAGE_SIZE,
        camera_distance=CAMERA_DISTANCE,
        near=NEAR_PLANE,
        far=FAR_PLANE,
    )


class DecodedBatch(NamedTuple):
    """Decoded and rendered faces as arrays, one row per image."""

    coefficients: np.ndarray  # [B, 257]
    world_shape: np.ndarray  # [B, N, 3] dm, camera at (0, 0, 10)
    normals: np.ndarray  # [B, N, 3] unit vectors in the world
    albedo: np.ndarray  # [B, N, 3] RGB, 0..255, not clipped
    colors: np.ndarray  # [B, N, 3] RGB, albedo times light, not clipped
    landmarks: np.ndarray  # [B, 68, 2] crop pixels, y up
    rendered: np.ndarray  # [B, S, S, 4] uint8 RGBA
    front_mask: np.ndarray  # [B, S, S] bool
    overlay: Optional[np.ndarray] = None  # [B, O, O, 4] uint8 RGBA, a second size of ``rendered``


class FaceDecoder:
    """Decodes and renders with one face model; keeps its graph and session.

    Attributes:
        model: the ``FaceModel``.
        graph, session: TensorFlow graph and session; ``fitting`` adds its own operations.
        coefficients: placeholder [B, 257].
        face: :class:`Face` of tensors.

    Args:
        model: a ``FaceModel``.
    """

    def __init__(self, model: FaceModel) -> None:
        self.model = model
        self.graph = tf.Graph()
        self._renderings: Dict[int, Rendering] = {}
        self._drawings: Dict[int, Drawing] = {}
        self._windows: Optional[Tensor] = None
        self._window_drawings: Dict[Tuple[int, int], Tensor] = {}
        with self.graph.as_default():
            self.coefficients = tf.placeholder(
                tf.float32, [None, sum(coefficient_sizes(model))], "coefficients"
            )
            self.face = decode_face(self.coefficients, model)
        self.session = tf.Session(graph=self.graph, config=inference_config())

    def build_rendering(self, image_size: int = IMAGE_SIZE) -> Rendering:
        """Return the :class:`Rendering` of tensors for an image size, built at the first call."""
        if image_size not in self._renderings:
            with self.graph.as_default():
                self._renderings[image_size] = render_face(self.face, self.model, image_size)
        return self._renderings[image_size]

    def _build_drawing(self, image_size: int) -> Drawing:
        """Return the :class:`Drawing` of tensors for an image size, built at the first call."""
        if image_size not in self._drawings:
            with self.graph.as_default():
                self._drawings[image_size] = draw_face(self.face, self.model, image_size)
        return self._drawings[image_size]

    def decode(
        self,
        coefficients: np.ndarray,
        image_size: int = IMAGE_SIZE,
        overlay_size: Optional[int] = None,
    ) -> DecodedBatch:
        """Decode and render.

        Args:
            coefficients: [B, 257].
            image_size: width and height of the rendered square.
            overlay_size: width and height of a second one, or None.

        Returns:
            A :class:`DecodedBatch`.
        """
        face = self.face
        drawing = self._build_drawing(image_size)
        fetches = [
            face.world_shape,
            face.normals,
            face.albedo,
            face.colors,
            face.landmarks,
            drawing.picture,
            drawing.front,
        ]
        if overlay_size:
            fetches.append(self._build_drawing(overlay_size).picture)
        values = self.session.run(fetches, {self.coefficients: coefficients})
        return DecodedBatch(np.asarray(coefficients), *values)

    def render(self, coefficients: np.ndarray, image_size: int) -> np.ndarray:
        """Render without returning the mesh.

        Args:
            coefficients: [B, 257].
            image_size: width and height S of the rendered square.

        Returns:
            [B, S, S, 4] uint8 RGBA.
        """
        drawing = self._build_drawing(image_size)
        return self.session.run(drawing.picture, {self.coefficients: coefficients})

    def render_windows(
        self, coefficients: np.ndarray, windows: np.ndarray, width: int, height: int
    ) -> np.ndarray:
        """Render parts of the crops, at any resolution.

        Args:
            coefficients: [B, 257].
            windows: [B, 4] left, top, width and height of the parts in pixels of the 224x224 crop
                that count their corners as integers, y down; a part may reach beyond the crop.
            width: of the pictures, pixels.
            height: of the pictures, pixels.

        Returns:
            [B, height, width, 4] uint8 RGBA.
        """
        size = (height, width)
        if size not in self._window_drawings:
            with self.graph.as_default():
                if self._windows is None:
                    self._windows = tf.placeholder(tf.float32, [None, 4], "windows")
                self._window_drawings[size] = _draw_windows(
                    self.face, self.model, self._windows, size
                )
        assert self._windows is not None
        feed = {self.coefficients: coefficients, self._windows: windows}
        return self.session.run(self._window_drawings[size], feed)

    def close(self) -> None:
        """Free the session."""
        self.session.close()
