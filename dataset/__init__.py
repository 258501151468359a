"""Processed faces on disk, and the streams that feed them to training."""
