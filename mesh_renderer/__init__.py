"""Differentiable rasterisation of triangle meshes: a C++ TensorFlow operation and its wrappers."""
