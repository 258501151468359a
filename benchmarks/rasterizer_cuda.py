"""Check the CUDA rasterizer against the CPU and time it: ``python -m benchmarks.rasterizer_cuda``.

Uses the C interface, without TensorFlow. Pictures must equal the CPU's bit for bit; gradients must
repeat exactly and equal the CPU's except for rounding; otherwise the exit status is 1. Times are
of the kernels, by the GPU's clock. The floor of each is the time to move its input and output at
the GPU's speed of copying memory.
"""

import argparse
import json
import os
from typing import List, Optional

import numpy as np

from benchmarks.measuring import REPETITIONS
from benchmarks.rasterizer import clip_vertices_of
from benchmarks.synthetic_mesh import GRID, posed_batch
from geometry.camera import IMAGE_SIZE
from mesh_renderer import core
from mesh_renderer.operations import cuda_device_count
from tests.mesh_renderer.cuda import cuda_core
from utils.errors import run_main

_COPIED = 1 << 28  # bytes: more than any cache of a GPU
_CHANNELS = 3
# images, vertices along a side, pixels
_SCENES = (
    (16, GRID, IMAGE_SIZE),
    (2, 20, 1024),
    (1, 2, 333),
)
_LARGEST_GRADIENT_ERROR = 1e-4  # of the largest value: the CPU adds floats one by one


def check(batch, grid, size):
    """Compare one scene; return name of a check -> whether it holds."""
    scene = _Scene(batch, grid, size)
    drawn = cuda_core.rasterize(scene.vertices, scene.triangles, size, size).arrays
    again = cuda_core.rasterize(scene.vertices, scene.triangles, size, size).arrays
    gradients, gradients_again = scene.gradients(drawn), scene.gradients(drawn)
    exact = scene.gradients_in_double(drawn)
    return {
        "picture identical to the CPU's": _same(drawn, scene.drawn_on_cpu()),
        "picture repeats": _same(drawn, again),
        "interpolation identical to the CPU's": np.array_equal(
            scene.interpolate(drawn), exact["image"]
        ),
        "gradients repeat": _same(gradients, gradients_again),
        "gradient of attributes": _close(gradients[0], exact["d_attributes"]),
        "gradient of barycentrics": _close(gradients[1], exact["d_barycentrics"]),
        "gradient of vertices is finite": bool(np.isfinite(gradients[2]).all()),
    }


class _Scene:
    """A batch of meshes with attributes, and a gradient that arrives at the image."""

    def __init__(self, batch, grid, size):
        world, self.triangles = posed_batch(batch, grid)
        self.vertices = np.ascontiguousarray(clip_vertices_of(world, size))
        random = np.random.RandomState(0)
        self.size = size
        self.attributes = random.standard_normal((batch, grid * grid, _CHANNELS)).astype(np.float32)
        self.d_image = random.standard_normal((batch, size, size, _CHANNELS)).astype(np.float32)

    def drawn_on_cpu(self):
        return core.rasterize(
            self.vertices, self.triangles, self.size, self.size, threads=os.cpu_count()
        )

    def interpolate(self, drawn):
        return cuda_core.interpolate(self.attributes, self.triangles, drawn[0], drawn[1]).arrays[0]

    def gradients(self, drawn):
        """Return the gradients by attributes, barycentric coordinates and vertices."""
        d_attributes, d_barycentrics = cuda_core.interpolate_grad(
            self.attributes, self.triangles, drawn[0], drawn[1], self.d_image
        ).arrays
        return (
            d_attributes,
            d_barycentrics,
            cuda_core.rasterize_grad(
                self.vertices, self.triangles, drawn[0], drawn[1], d_barycentrics
            ).arrays[0],
        )

    def gradients_in_double(self, drawn):
        """Return interpolation and its gradients by numpy."""
        corners = self.triangles[drawn[1]]  # [B, H, W, 3]
        images = np.arange(len(self.vertices)).reshape(-1, 1, 1, 1)
        values = self.attributes[images, corners]  # [B, H, W, 3, C]
        b = drawn[0][..., np.newaxis]
        image = (
            b[..., 0, :] * values[..., 0, :]
            + b[..., 1, :] * values[..., 1, :]
            + b[..., 2, :] * values[..., 2, :]
        )
        covered = drawn[0].sum(axis=-1, keepdims=True) > 0
        d_attributes = np.zeros(self.attributes.shape)
        np.add.at(
            d_attributes,
            (np.broadcast_to(images, corners.shape), corners),
            b.astype(np.float64) * self.d_image[..., np.newaxis, :],
        )
        return {
            "image": image * covered,
            "d_attributes": d_attributes,
            "d_barycentrics": covered
            * (values.astype(np.float64) * self.d_image[..., np.newaxis, :]).sum(axis=-1),
        }


def _same(ours, theirs):
    return all(np.array_equal(one, other) for one, other in zip(ours, theirs))


def _close(ours, theirs):
    return bool(np.abs(ours - theirs).max() <= _LARGEST_GRADIENT_ERROR * np.abs(theirs).max())


def measure(batch, repetitions):
    """Return name -> milliseconds of each kernel and of its floor, and the copying speed."""
    scene = _Scene(batch, GRID, IMAGE_SIZE)
    copy = float(np.median(cuda_core.copy_milliseconds(_COPIED, repetitions + 1)[1:]))
    bytes_per_millisecond = 2 * _COPIED / copy
    drawn = cuda_core.rasterize(scene.vertices, scene.triangles, IMAGE_SIZE, IMAGE_SIZE)
    d_barycentrics = scene.gradients(drawn.arrays)[1]
    pixels = (scene.triangles, drawn.arrays[0], drawn.arrays[1])
    runs = {
        "rasterize": (
            cuda_core.rasterize(
                scene.vertices, scene.triangles, IMAGE_SIZE, IMAGE_SIZE, repetitions=repetitions + 1
            ),
            [scene.vertices, scene.triangles] + list(drawn.arrays),
        ),
        "its gradient": (
            cuda_core.rasterize_grad(
                scene.vertices, *pixels, d_barycentrics, repetitions=repetitions + 1
            ),
            [scene.vertices, scene.vertices, d_barycentrics] + list(pixels),
        ),
        "interpolate": (
            cuda_core.interpolate(scene.attributes, *pixels, repetitions=repetitions + 1),
            [scene.attributes, scene.d_image] + list(pixels),
        ),
        "its gradients": (
            cuda_core.interpolate_grad(
                scene.attributes, *pixels, scene.d_image, repetitions=repetitions + 1
            ),
            [scene.attributes, scene.attributes, scene.d_image, d_barycentrics] + list(pixels),
        ),
    }
    return {
        "gigabytes_per_second": bytes_per_millisecond / 1e6,
        "batch": batch,
        "work": {
            name: {
                "milliseconds_per_image": float(np.median(timed.milliseconds[1:])) / batch,
                "floor_milliseconds_per_image": sum(array.nbytes for array in moved)
                / bytes_per_millisecond
                / batch,
            }
            for name, (timed, moved) in runs.items()
        },
    }


def describe(report):
    """Return the report as text."""
    lines = [
        "{}: {:.0f} GB/s by copying".format(
            report["device"], report["times"]["gigabytes_per_second"]
        )
    ]
    lines += [
        "  {:14s} {:.4f} ms/image, floor {:.4f}".format(
            name, work["milliseconds_per_image"], work["floor_milliseconds_per_image"]
        )
        for name, work in report["times"]["work"].items()
    ]
    for scene, checks in report["checks"].items():
        lines.append(
            "  {}: {}".format(
                scene,
                "all checks hold"
                if all(checks.values())
                else "; ".join("NOT " + name for name, holds in checks.items() if not holds),
            )
        )
    return "\n".join(lines)


def main(argv: Optional[List[str]] = None) -> int:
    """Check, measure and print; the status is 1 if a check fails."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--batch", type=int, default=16, help="images drawn in one call")
    parser.add_argument(
        "--repetitions", type=int, default=REPETITIONS, help="timings; medians are printed"
    )
    arguments = parser.parse_args(argv)
    if not cuda_device_count():
        sentence = "The CUDA rasterizer was not run: there is no CUDA {}.".format(
            "compiler" if cuda_core.load_library() is None else "device"
        )
        print(json.dumps({"not_run": sentence}) if arguments.json else sentence)
        return 0
    report = {
        "device": cuda_core.device_name(),
        "checks": {
            "{} images of {} pixels, {} vertices".format(batch, size, grid * grid): check(
                batch, grid, size
            )
            for batch, grid, size in _SCENES
        },
        "times": measure(arguments.batch, arguments.repetitions),
    }
    print(json.dumps(report, indent=2) if arguments.json else describe(report))
    return 0 if all(all(checks.values()) for checks in report["checks"].values()) else 1


if __name__ == "__main__":
    run_main(main)
