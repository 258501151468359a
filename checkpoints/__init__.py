"""Weights on disk: checkpoints, frozen graphs and their records, checked before use."""
