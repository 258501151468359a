"""Helpers of every room: errors, files of untrusted origin, photos, drawing, TensorFlow."""
