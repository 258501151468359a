"""From photos to reconstructed faces and their files."""
