"""Runs in the peer's environment: draws a scene with the published kernel on request.

Arguments: the scene (.npz: vertices [B, N, 4], triangles [F, 3], size) and where to save the
result. Each line of standard input is a request; each is answered by one line.
"""

import ctypes
import glob
import os
import sys
import time

import numpy as np

import mesh_renderer

# RasterizeTrianglesImpl(vertices, triangles, triangle count, width, height, ids, barycentrics, z buffer)
_KERNEL = "_ZN16tf_mesh_renderer22RasterizeTrianglesImplEPKfPKiiiiPiPfS5_"


def pointer(array):
    """Return the address of an array's data."""
    return array.ctypes.data_as(ctypes.c_void_p)


def main(scene_path, result_path):
    """Answer requests until standard input ends."""
    folder = os.path.dirname(mesh_renderer.__file__)
    kernel = getattr(ctypes.CDLL(glob.glob(os.path.join(folder, "mesh_renderer_lib*.so"))[0]), _KERNEL)
    scene = np.load(scene_path)
    vertices, triangles = scene["vertices"], scene["triangles"]
    width, height = (int(size) for size in scene["size"])
    shape = (len(vertices), height, width)
    barycentrics = np.empty(shape + (3,), np.float32)
    ids, z_buffer = np.empty(shape, np.int32), np.empty(shape, np.float32)
    for request in sys.stdin:
        start = time.perf_counter()
        if request.strip() == "save":
            np.savez(result_path, barycentrics=barycentrics, ids=ids, z_buffer=z_buffer)
        else:
            barycentrics.fill(0)  # the operation around the kernel clears its outputs
            ids.fill(0)
            z_buffer.fill(1)
            for image in range(len(vertices)):
                kernel(pointer(vertices[image]), pointer(triangles), len(triangles), width, height,
                       pointer(ids[image]), pointer(barycentrics[image]), pointer(z_buffer[image]))
        print(time.perf_counter() - start)
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
