"""Time the rasteriser's kernel alone: ``python -m benchmarks.rasterizer [--json]``.

Forward pass, a mesh of BFM's size, 224x224, no TensorFlow around it. The published kernel is
drawn alternately in the same run, and the two pictures are compared bit for bit.
"""

import argparse
import json
import os
import time

import numpy as np

from benchmarks.peer import PeerRasterizer
from benchmarks.synthetic_mesh import GRID, posed_batch
from face_decoder import CAMERA_DISTANCE, FAR_PLANE, FOCAL_LENGTH, IMAGE_SIZE, NEAR_PLANE
from mesh_renderer import camera, core
from workspace.errors import run_main

REPETITIONS = 15
# Ours is drawn several times for one measurement, which so lasts about as long as the peer's: a
# scheduler that first puts both threads on one core would otherwise be what is measured.
DRAWS = 8


def clip_vertices_of(world_vertices, image_size):
    """Return clip-space vertices [B, N, 4] float32 for the decoder's camera at a resolution."""
    focal_length = FOCAL_LENGTH * image_size / IMAGE_SIZE
    matrix = camera.perspective(focal_length, image_size, image_size, NEAR_PLANE, FAR_PLANE).dot(
        camera.look_at((0, 0, CAMERA_DISTANCE), (0, 0, 0), (0, 1, 0)))
    return (world_vertices.dot(matrix[:, :3].T) + matrix[:, 3]).astype(np.float32)


def measure(batch, image_size, grid, threads, with_peer):
    """Time both kernels alternately.

    Returns:
        dict of figures; times are medians, milliseconds per image.
    """
    world_vertices, triangles = posed_batch(batch, grid)
    clip_vertices = clip_vertices_of(world_vertices, image_size)
    figures = {"batch": batch, "image_size": image_size, "vertices": grid * grid, "triangles": len(triangles),
               "threads": threads, "repetitions": REPETITIONS}
    arguments = (clip_vertices, triangles, image_size, image_size)
    out = {count: core.rasterize(*arguments, masks=False) for count in {1, threads}}
    times = {}

    def draw(count):
        start = time.perf_counter()
        for _ in range(DRAWS):
            core.rasterize(*arguments, threads=count, masks=False, out=out[count])
        times.setdefault(count, []).append((time.perf_counter() - start) / DRAWS)

    if not with_peer:
        for _ in range(REPETITIONS):
            for count in out:
                draw(count)
    else:
        with PeerRasterizer(*arguments) as peer:
            for _ in range(REPETITIONS):
                times.setdefault("peer", []).append(peer.seconds())
                for count in out:
                    draw(count)
            same = all(np.array_equal(one, other) for one, other in zip(peer.images(), out[threads]))
        figures["identical"] = bool(same)
    per_image = {key: 1e3 * float(np.median(values)) / batch for key, values in times.items()}
    figures.update(milliseconds=per_image[threads], milliseconds_one_thread=per_image[1],
                   covered=float((out[threads][0].sum(axis=-1) > 0).mean()))
    if with_peer:
        figures.update(peer_milliseconds=per_image["peer"], ratio=per_image["peer"] / per_image[threads])
    return figures


def describe(figures):
    """Return the figures as lines for a person."""
    lines = ["rasteriser kernel, forward, batch {batch}, {vertices} vertices, {triangles} triangles, "
             "{image_size}x{image_size} ({covered:.0%} covered), median of {repetitions}",
             "  ours, {threads} threads  {milliseconds:7.3f} ms per image",
             "  ours, 1 thread   {milliseconds_one_thread:7.3f} ms per image"]
    if "ratio" in figures:
        lines += ["  published        {peer_milliseconds:7.3f} ms per image, {ratio:.1f} times ours",
                  "  pictures         " + ("identical" if figures["identical"] else "DIFFERENT")]
    return "\n".join(lines).format(**figures)


def main(argv=None):
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--batch", type=int, default=16, help="images drawn in one call")
    parser.add_argument("--image_size", type=int, default=IMAGE_SIZE, help="pixels")
    parser.add_argument("--grid", type=int, default=GRID, help="vertices along each side of the mesh")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="images drawn at once")
    parser.add_argument("--no_peer", action="store_true", help="leave the published kernel out")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    figures = measure(arguments.batch, arguments.image_size, arguments.grid, arguments.threads,
                      not arguments.no_peer)
    print(json.dumps(figures, indent=2) if arguments.json else describe(figures))
    return 1 if figures.get("identical") is False else 0


if __name__ == "__main__":
    run_main(main)
