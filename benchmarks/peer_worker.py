"""A process in the peer's environment that does one task of the published system on request.

Arguments: the repository, the task (a key of TASKS), the scene (.npz) and the file for results.
Each line of standard input is a request, ``work`` or ``save``; the response is a line with the
seconds that it took. Standard output has no other content.
"""

import ctypes
import glob
import os
import sys
import time

import numpy as np

# RasterizeTrianglesImpl(vertices, triangles, triangle count, width, height, ids, barycentrics, z
# buffer)
_KERNEL = "_ZN16tf_mesh_renderer22RasterizeTrianglesImplEPKfPKiiiiPiPfS5_"


def rasterizer(scene):
    """The kernel alone, drawing a batch of clip-space meshes on one thread."""
    import mesh_renderer

    folder = os.path.dirname(mesh_renderer.__file__)
    kernel = getattr(
        ctypes.CDLL(glob.glob(os.path.join(folder, "mesh_renderer_lib*.so"))[0]), _KERNEL
    )
    # It counts rows from the bottom.
    vertices, triangles = scene["vertices"] * np.float32([1, -1, 1, 1]), scene["triangles"]
    width, height = (int(size) for size in scene["size"])
    shape = (len(vertices), height, width)
    out = {
        "barycentrics": np.empty(shape + (3,), np.float32),
        "ids": np.empty(shape, np.int32),
        "z_buffer": np.empty(shape, np.float32),
    }

    def work():
        out["barycentrics"].fill(0)  # the operation around the kernel clears its outputs
        out["ids"].fill(0)
        out["z_buffer"].fill(1)
        for image in range(len(vertices)):
            kernel(
                _pointer(vertices[image]),
                _pointer(triangles),
                len(triangles),
                width,
                height,
                _pointer(out["ids"][image]),
                _pointer(out["barycentrics"][image]),
                _pointer(out["z_buffer"][image]),
            )
        return out

    return work


def _pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def graph_task(name):
    """Return the task that runs a graph of peer_graphs.py."""

    def prepare(scene):
        import peer_graphs

        return getattr(peer_graphs, name)(scene)

    return prepare


TASKS = {"rasterizer": rasterizer}
TASKS.update(
    (name, graph_task(name))
    for name in ("render", "gradient", "training_step", "regression", "demo")
)


def main(tasks, repository, task, scene_path, result_path):
    """Answer requests until standard input ends.

    Args:
        tasks: name -> callable taking a scene and returning the work.
        repository, task, scene_path, result_path: the arguments of the process.
    """
    sys.path.append(repository)  # last: our package mesh_renderer must not hide the peer's module
    with np.load(scene_path) as file:
        scene = dict(file)
    work, result = tasks[task](scene), {}
    for request in sys.stdin:
        start = time.perf_counter()
        if request.strip() == "save":
            np.savez(result_path, **result)
        else:
            result = work()
        print(time.perf_counter() - start)
        sys.stdout.flush()


if __name__ == "__main__":
    main(TASKS, *sys.argv[1:])
