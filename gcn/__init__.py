"""Graph convolutions on the face mesh: the generator that refines the coefficient mesh, and its mesh pyramid."""
