"""Training faces: preprocessing of photos, processed faces on disk, and streams of batches."""
