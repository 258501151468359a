"""Conventions shared by all rooms: camera, rotations, light, normals and landmarks."""
