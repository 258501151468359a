"""Time the kernel of the rasterizer alone: ``python -m benchmarks.rasterizer [--json]``.

Forward pass, a mesh of BFM's size, 224x224, without TensorFlow. The published kernel is timed
alternately in the same run, and the two pictures are compared bit for bit.
"""

import argparse
import contextlib
import os

import numpy as np

from benchmarks.measuring import Row, alternate, comparison_row, measure_seconds, row_command
from benchmarks.peer import PeerProcess
from benchmarks.synthetic_mesh import GRID, posed_batch
from geometry.camera import CAMERA_DISTANCE, FAR_PLANE, FOCAL_LENGTH, IMAGE_SIZE, NEAR_PLANE
from mesh_renderer import camera, core
from utils.errors import run_main

GOAL = 12
# Drawings in one measurement of ours, which then lasts about as long as the peer's. In a shorter
# one, a scheduler that first puts both threads on one core would dominate the result.
DRAWS = 8


def clip_vertices_of(world_vertices, image_size):
    """Return clip-space vertices [B, N, 4] float32 for the decoder's camera at a resolution."""
    focal_length = FOCAL_LENGTH * image_size / IMAGE_SIZE
    matrix = camera.perspective(focal_length, image_size, image_size, NEAR_PLANE, FAR_PLANE).dot(
        camera.look_at((0, 0, CAMERA_DISTANCE), (0, 0, 0), (0, 1, 0))
    )
    return (world_vertices.dot(matrix[:, :3].T) + matrix[:, 3]).astype(np.float32)


def measure(arguments: argparse.Namespace) -> Row:
    """Time both kernels alternately; returns a row."""
    world_vertices, triangles = posed_batch(arguments.batch, arguments.grid)
    size = arguments.image_size
    scene = (clip_vertices_of(world_vertices, size), triangles, size, size)
    out = {threads: core.rasterize(*scene, masks=False) for threads in {1, arguments.threads}}

    def draw(threads):
        def work():
            for _ in range(DRAWS):
                core.rasterize(*scene, threads=threads, masks=False, out=out[threads])

        return lambda: measure_seconds(work) / DRAWS

    sides = {"ours": draw(arguments.threads), "one_thread": draw(1)}
    with contextlib.ExitStack() as stack:
        peer = None
        if not arguments.no_peer:
            peer = stack.enter_context(
                PeerProcess(
                    "rasterizer",
                    {"vertices": scene[0], "triangles": triangles, "size": [size, size]},
                )
            )
            sides["peer"] = peer.seconds
        seconds = alternate(sides, arguments.repetitions)
        row = comparison_row(
            "rasterizer kernel, forward, batch {}".format(arguments.batch),
            seconds,
            arguments.batch,
            GOAL,
            peer,
        )
        if peer:
            theirs = peer.result()
            row["identical"] = all(
                np.array_equal(theirs[name], images)
                for name, images in zip(("barycentrics", "ids", "z_buffer"), out[arguments.threads])
            )
    row.update(
        milliseconds_one_thread=1e3 * seconds["one_thread"] / arguments.batch,
        threads=arguments.threads,
        image_size=size,
        vertices=arguments.grid**2,
        triangles=len(triangles),
        covered=float((out[1][0].sum(axis=-1) > 0).mean()),
    )
    return row


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch", type=int, default=16, help="images drawn in one call")
    parser.add_argument("--image_size", type=int, default=IMAGE_SIZE, help="pixels")
    parser.add_argument(
        "--grid", type=int, default=GRID, help="vertices along each side of the mesh"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="images drawn at once")


main = row_command(__doc__, measure, _flags)


if __name__ == "__main__":
    run_main(main)
