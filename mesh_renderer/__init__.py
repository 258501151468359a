"""Differentiable rasterization of triangle meshes: C++ TensorFlow operations and their wrappers."""
