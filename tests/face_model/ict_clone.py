"""A made-up clone of ICT-FaceKit: files, parts and landmarks laid out as in the real one."""

import json
import os

import numpy as np
from scipy.spatial import cKDTree

from face_model.dense_points import measured_landmarks
from face_model.ict.clone import END, GUMS, LANDMARKS, LEFT_EYE, MOUTH, RIGHT_EYE, SOCKETS, TEETH
from mesh_renderer.obj_text import format_rows

VERTEX_COUNT = 26719
EXPRESSIONS = ("browInnerUp_L", "eyeBlink_L", "jawOpen", "mouthClose")
EYE = (3.07, 3.6, 8.1)  # centimeters, of the person's left eyeball, which has this radius:
EYE_RADIUS = 1.4


def sheet(rows, columns):
    """Return [rows * columns, 2] positions in the unit square, and quads between them."""
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    quads = np.stack([first, first + 1, first + columns + 1, first + columns], axis=1)
    return np.stack([u.ravel(), v.ravel()], axis=1), quads


def made_up_head():
    """A shield of a head with the landmarks in their places: points [11248, 3] cm, quads."""
    flat, quads = sheet(148, 76)
    x, y = (flat - 0.5).T * [[20.0], [26.0]]
    points = np.stack([x, y, 11 - 0.11 * x**2 - 0.03 * y**2], axis=1)
    landmarks = 10 * measured_landmarks() + [0, 0, 6]
    chosen = []
    for position in landmarks:
        near = cKDTree(points[:, :2]).query(position[:2], k=80)[1]
        chosen.append(next(vertex for vertex in near if vertex not in chosen))
    points[chosen] = landmarks

    # the real numbers of the landmarks
    number = np.arange(MOUTH)
    for vertex, wanted in zip(chosen, LANDMARKS):
        other = int(np.flatnonzero(number == wanted)[0])
        number[vertex], number[other] = wanted, number[vertex]
    moved = np.empty_like(points)
    moved[number] = points
    return moved, number[quads]


def made_up_parts(landmarks):
    """The parts within a head, in their order: list of (points, quads)."""
    lips = landmarks[48:68].mean(axis=0)

    def patch(rows, columns, size, offset, extra):
        flat, quads = sheet(rows, columns)
        points = (np.column_stack([flat, np.zeros(len(flat))]) - [0.5, 0.5, 0]) * size + lips
        return np.concatenate([points + offset, np.repeat(points[-1:] + offset, extra, 0)]), quads

    def ball(side, count):
        flat, quads = sheet(30, 52)
        around, polar = 2 * np.pi * flat[:, 0], np.pi * flat[:, 1]
        unit = [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)]
        points = EYE_RADIUS * np.stack(unit, axis=1) + EYE
        points = np.concatenate([points, np.repeat(points[-1:], count - len(points), 0)])
        return points * [side, 1, 1], quads if side > 0 else quads[:, ::-1]

    eye = landmarks[36:48].mean(axis=0) - lips
    return [
        patch(33, 62, [5, 3, 1], [0, 0, -4], SOCKETS - MOUTH - 33 * 62),
        patch(24, 32, [7, 1, 1], eye + [0, 0, -1], 0),
        patch(52, 57, [3, 2, 1], [0, -0.5, -3], TEETH - GUMS - 52 * 57),
        patch(63, 70, [3.5, 1.2, 1], [0, 0, -2], LEFT_EYE - TEETH - 63 * 70),
        ball(1, RIGHT_EYE - LEFT_EYE),
        ball(-1, END - RIGHT_EYE),
        patch(38, 56, [1, 1, 1], [0, 0, 3], 0),  # what the conversion leaves out
    ]


def write_clone(folder, head=None, identity=None, expressions=None):
    """Write a clone; return its vertices [26719, 3] and its displacements by name.

    Args:
        folder: the folder of the clone.
        head: points [11248, 3] and faces; None for a made-up one.
        identity: [K, 11248, 3] displacements of the head; None for two made-up ones.
        expressions: name -> [11248, 3]; None for made-up ones.
    """
    # 1. the average face
    points, faces = head or made_up_head()
    vertices, quads = [points], [np.asarray(faces)]
    for part, part_quads in made_up_parts(points[list(LANDMARKS)]):
        quads.append(part_quads + sum(map(len, vertices)))
        vertices.append(part)
    vertices = np.concatenate(vertices)
    assert len(vertices) == VERTEX_COUNT
    model_folder = os.path.join(folder, "FaceXModel")
    os.makedirs(model_folder)

    # 2. displacements, of the head and its parts
    if identity is None:
        identity = [0.02 * points * [1, 0, 0], 0.01 * points * [0, 1, 0]]
    if expressions is None:
        expressions = {name: 0.1 * np.cos(points + k) for k, name in enumerate(EXPRESSIONS)}
    changes = {"identity{:03d}".format(k): change for k, change in enumerate(identity)}
    changes.update(expressions)
    changes = {
        name: np.concatenate([change, np.zeros((len(vertices) - len(change), 3))])
        for name, change in changes.items()
    }

    # 3. files
    lines = [
        "f " + " ".join("{0}/{0}".format(corner + 1) for corner in face)
        for part in quads
        for face in part.tolist()
    ]
    tail = ("vt 0.5 0.5\nusemtl M_Face\n" + "\n".join(lines) + "\n").encode("ascii")
    for name, change in dict(changes, generic_neutral_mesh=0).items():
        with open(os.path.join(model_folder, name + ".obj"), "wb") as file:
            file.write(b"mtllib ICTFaceModelMaterial.mtl\n")
            file.write(format_rows("v", vertices + change, (6, 6, 6)))
            file.write(tail)
    with open(os.path.join(model_folder, "vertex_indices.json"), "w") as file:
        json.dump({"expressions": list(expressions)}, file)
    return vertices, changes
