"""Graph convolutions on the face mesh: the generator of refined meshes, and its mesh pyramid."""
