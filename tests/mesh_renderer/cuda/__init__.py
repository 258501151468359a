"""Test bench of the CUDA kernels: a C interface, and its functions on numpy arrays."""
