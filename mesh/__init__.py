"""Meshes for other programs: files, textures and morph targets."""
